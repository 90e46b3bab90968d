"""The family `lapped16`, untrained: what holds for any weights."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from sarzip.codec import lapped16_net as net
from sarzip.codec.family import LATENTS, SIDE
from sarzip.codec.lapped16 import Lapped16Config, Lapped16Family
from sarzip.codec.lapped16_train import build_trainable
from sarzip.codec.lapped_export import export_network, fit_entropy
from sarzip.codec.lapped_fold import FoldedTransform
from sarzip.errors import CorruptError, ModelError

EMPTY = (np.empty(0, np.float32), np.empty(0, np.uint8))


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(11)
    model = net.Lapped16(Lapped16Config())
    return export_network(model) | fit_entropy(*EMPTY, *EMPTY)


@pytest.fixture(scope="module")
def family(weights: dict[str, torch.Tensor]) -> Lapped16Family:
    return Lapped16Family(Lapped16Config(), weights)


def _scene(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Speckle of five looks on a slope, dB about zero: float32 (rows, columns)."""
    rng = np.random.default_rng(seed)
    power = rng.gamma(5.0, 0.2, (rows, columns)) * np.linspace(0.3, 3, columns)
    return (10 * np.log10(power)).astype(np.float32)


def _latents(family: Lapped16Family, scene: np.ndarray) -> np.ndarray:
    return family.analyse(np.pad(scene, family.analysis_halo, mode="symmetric")[None])


def _mirrored(latents: np.ndarray, signs: np.ndarray) -> np.ndarray:
    wide = np.pad(latents, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    wide[:, [0, -1]] *= signs[0][:, None, None]
    wide[:, :, [0, -1]] *= signs[1][:, None, None]
    return wide


def test_untrained_transform_reconstructs_perfectly_up_to_the_borders(family):
    scene = _scene(80, 112)
    back = family.synthesise(_mirrored(_latents(family, scene), family.mirror_signs))
    np.testing.assert_allclose(back[0], scene, atol=1e-4)


def test_folded_transforms_equal_convolutions():
    torch.manual_seed(5)
    transform = net.Transform()
    with torch.no_grad():
        transform.change.normal_(0, 0.05)
        folded = FoldedTransform(transform.kernel().numpy(), transform.signs.numpy())
        signal = torch.randn(1, 1, 16 * 11 + 32, 16 * 13 + 32)
        latents = net.analyse(transform.analysis_weight(), signal)[0].numpy()
        np.testing.assert_allclose(folded.analyse(signal[0, 0].numpy()), latents, atol=1e-4)
        pixels = net.synthesise(transform.synthesis_weight(), torch.from_numpy(latents)[None])[0, 0].numpy()
        np.testing.assert_allclose(folded.synthesise(latents), pixels, atol=1e-4)


def test_latents_of_the_extended_scene_are_the_signed_mirror(family):
    scene = np.pad(_scene(64, 96), 48, mode="symmetric")
    latents = _latents(family, scene)
    inner = latents[:, 3:-3, 3:-3]
    np.testing.assert_allclose(latents[:, 2:-2, 2:-2], _mirrored(inner, family.mirror_signs), atol=1e-4)


def test_windows_equal_the_whole(family):
    scene = np.pad(_scene(128, 160), 16, mode="symmetric")[None]
    whole = family.analyse(scene)
    part = family.analyse(scene[:, 32 : 32 + 96, 64 : 64 + 80])
    np.testing.assert_allclose(part, whole[:, 2:6, 4:7], atol=1e-4)
    wide = _mirrored(whole, family.mirror_signs)
    pixels = family.synthesise(wide)
    np.testing.assert_allclose(family.synthesise(wide[:, 2:6, 3:8]), pixels[:, 32:64, 48:96], atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2), (6, 7)])
@pytest.mark.parametrize("states", [1, 8, 64])
def test_error_stays_near_the_step(family, shape, states):
    rows, columns = shape
    latents = _latents(family, _scene(16 * rows, 16 * columns))
    coder = family.with_states(states)
    for step in (0.3, 2.0, 9.0):
        streams, promised = coder.code(latents, step)
        decoded = family.decode(streams, shape, step)
        np.testing.assert_array_equal(promised, decoded)
        error = float(np.sqrt(np.mean((decoded - latents) ** 2)))
        assert error < 0.6 * step
        estimate = coder.estimate(latents, step)
        real = 8 * sum(map(len, streams.values()))
        assert abs(estimate.bits - real) < 0.02 * real + 400


def test_streams_and_latents_do_not_depend_on_threads(family):
    scenes = [_latents(family, _scene(96, 64, seed)) for seed in range(4)]
    alone = [family.encode(latents, 1.5) for latents in scenes]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with ThreadPoolExecutor(2) as pool:
            together = list(pool.map(lambda latents: family.encode(latents, 1.5), scenes))
            decoded = list(pool.map(lambda s: family.decode(s, (6, 4), 1.5), alone))
    finally:
        torch.set_num_threads(before)
    assert together == alone
    for streams, values in zip(alone, decoded, strict=True):
        np.testing.assert_allclose(values, family.decode(streams, (6, 4), 1.5), atol=1.5e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_decodes_what_the_cpu_wrote_and_back(weights, family):
    there = Lapped16Family(Lapped16Config(), weights, "cuda")
    latents = _latents(family, _scene(256, 320))
    for writer in (family, there):
        streams = writer.encode(latents, 2.0)
        here_values, there_values = (f.decode(streams, (16, 20), 2.0) for f in (family, there))
        np.testing.assert_allclose(here_values, there_values, atol=2e-3)


def test_extreme_values_survive(family):
    latents = _latents(family, _scene(64, 64))
    latents[5, 2, 2] = 3e4
    latents[255, 1, 1] = -2e4
    decoded = family.decode(family.encode(latents, 1.0), (4, 4), 1.0)
    assert abs(decoded[5, 2, 2] - 3e4) < 30
    assert abs(decoded[255, 1, 1] + 2e4) < 30


def test_damaged_streams_are_refused_or_decode_to_something(family):
    latents = _latents(family, _scene(64, 64))
    streams = family.encode(latents, 2.0)
    for missing in (LATENTS, SIDE):
        with pytest.raises(CorruptError):
            family.decode({k: v for k, v in streams.items() if k != missing}, (4, 4), 2.0)
    with pytest.raises(CorruptError):
        family.decode(streams | {LATENTS: b""}, (4, 4), 2.0)
    with pytest.raises(CorruptError):
        family.decode(streams, (4, 4), float("nan"))
    rng = np.random.default_rng(4)
    for kind in (LATENTS, SIDE):
        for _ in range(40):
            data = bytearray(streams[kind])
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            data = data[: rng.integers(1, len(data) + 1)]
            try:
                values = family.decode(streams | {kind: bytes(data)}, (4, 4), 2.0)
            except CorruptError:
                continue
            assert values.shape == (256, 4, 4)


def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ModelError):
        Lapped16Family(Lapped16Config(side=16), weights)
    with pytest.raises(ModelError):
        Lapped16Family(Lapped16Config(), {k: v for k, v in weights.items() if k != "mean.weight"})
    with pytest.raises(ModelError):
        Lapped16Family(Lapped16Config(), weights, states=3)


def test_training_ends_in_a_model_that_codes():
    torch.manual_seed(0)
    trainable = build_trainable({}, {})
    optimiser = torch.optim.Adam(trainable.parameters(), 1e-3)
    batch = torch.from_numpy(np.stack([_scene(64, 64, seed) for seed in range(2)]))[:, None]
    for step in range(3):
        trainable.set_progress(step / 2)
        loss, logs = trainable.training_loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert torch.isfinite(loss)
        assert {"bpp", "side", "mse/step2"} == set(logs)
    decoded, bits = trainable.evaluate(batch, 2.0)
    assert decoded.shape == batch.shape
    assert 0 < bits < 20
    family = Lapped16Family(trainable.config(), trainable.export())
    latents = _latents(family, _scene(64, 64))
    streams = family.encode(latents, 2.0)
    assert np.sqrt(np.mean((family.decode(streams, (4, 4), 2.0) - latents) ** 2)) < 1.2


def test_unknown_settings_of_a_recipe_are_refused():
    with pytest.raises(ModelError, match="unknown setting depth"):
        build_trainable({"depth": 3}, {})
    with pytest.raises(ModelError, match="step_low"):
        build_trainable({}, {"step_low": 9.0, "step_high": 1.0})
