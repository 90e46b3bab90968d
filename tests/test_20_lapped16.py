"""`lapped16`: what holds for any weights, on the CPU and without torch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from support.models import released
from threadpoolctl import threadpool_limits

from sarzip.codec.base import HYPER_LATENTS, LATENTS, Quality
from sarzip.codec.lapped16.codec import Lapped16, Lapped16Config
from sarzip.errors import CorruptError, ModelError


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return released()[1]


@pytest.fixture(scope="module")
def family(weights: dict[str, np.ndarray]) -> Lapped16:
    return Lapped16(released()[0], weights)


def _scene(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Speckle of five looks on a slope, dB about zero: float32 (rows, columns)."""
    rng = np.random.default_rng(seed)
    power = rng.gamma(5.0, 0.2, (rows, columns)) * np.linspace(0.3, 3, columns)
    return (10 * np.log10(power)).astype(np.float32)


def _latents(family: Lapped16, scene: np.ndarray) -> np.ndarray:
    return family.analyse(np.pad(scene, family.halo.pixels, mode="symmetric")[None])


def _mirrored(latents: np.ndarray, signs: np.ndarray) -> np.ndarray:
    wide = np.pad(latents, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    wide[:, [0, -1]] *= signs[0][:, None, None]
    wide[:, :, [0, -1]] *= signs[1][:, None, None]
    return wide


def test_transform_reconstructs_perfectly_up_to_the_borders(family):
    scene = _scene(80, 112)
    back = family.restore(_mirrored(_latents(family, scene), family.mirror_signs))
    np.testing.assert_allclose(back[0], scene, atol=1e-4)


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
    pixels = family.restore(wide)
    np.testing.assert_allclose(family.restore(wide[:, 2:6, 3:8]), pixels[:, 32:64, 48:96], atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2), (6, 7)])
@pytest.mark.parametrize("states", [1, 8, 64])
def test_error_stays_near_the_step(family, shape, states):
    rows, columns = shape
    latents = _latents(family, _scene(16 * rows, 16 * columns))
    coder = Lapped16(*released(), states)
    for step in (0.3, 2.0, 9.0):
        streams, promised = coder.encode(latents, Quality(step))
        decoded = family.decode(streams, shape, Quality(step))
        np.testing.assert_array_equal(promised, decoded)
        error = float(np.sqrt(np.mean((decoded - latents) ** 2)))
        assert error < 0.6 * step


def test_streams_and_latents_do_not_depend_on_threads(family):
    scenes = [_latents(family, _scene(96, 64, seed)) for seed in range(4)]
    alone = [family.encode(latents, Quality(1.5)).streams for latents in scenes]
    with threadpool_limits(2, user_api="blas"), ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda latents: family.encode(latents, Quality(1.5)).streams, scenes))
        decoded = list(pool.map(lambda s: family.decode(s, (6, 4), Quality(1.5)), alone))
    assert together == alone
    for streams, values in zip(alone, decoded, strict=True):
        np.testing.assert_allclose(values, family.decode(streams, (6, 4), Quality(1.5)), atol=1.5e-3)


def test_extreme_values_survive(family):
    latents = _latents(family, _scene(64, 64))
    latents[5, 2, 2] = 3e4
    latents[255, 1, 1] = -2e4
    decoded = family.decode(family.encode(latents, Quality(1.0)).streams, (4, 4), Quality(1.0))
    assert abs(decoded[5, 2, 2] - 3e4) < 30
    assert abs(decoded[255, 1, 1] + 2e4) < 30


def test_damaged_streams_are_refused_or_decode_to_something(family):
    latents = _latents(family, _scene(64, 64))
    streams = family.encode(latents, Quality(2.0)).streams
    for missing in (LATENTS, HYPER_LATENTS):
        with pytest.raises(CorruptError):
            family.decode({k: v for k, v in streams.items() if k != missing}, (4, 4), Quality(2.0))
    with pytest.raises(CorruptError):
        family.decode(streams | {LATENTS: b""}, (4, 4), Quality(2.0))
    with pytest.raises(CorruptError):
        family.decode(streams, (4, 4), Quality(float("nan")))
    rng = np.random.default_rng(4)
    for kind in (LATENTS, HYPER_LATENTS):
        for _ in range(40):
            data = bytearray(streams[kind])
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
            data = data[: rng.integers(1, len(data) + 1)]
            try:
                values = family.decode(streams | {kind: bytes(data)}, (4, 4), Quality(2.0))
            except CorruptError:
                continue
            assert values.shape == (256, 4, 4)


def test_weights_that_do_not_fit_are_refused(weights):
    with pytest.raises(ModelError):
        Lapped16(Lapped16Config(side=16), weights)
    with pytest.raises(ModelError):
        Lapped16(Lapped16Config(), {k: v for k, v in weights.items() if k != "mean.weight"})
    with pytest.raises(ModelError):
        Lapped16(Lapped16Config(), weights, states=3)


def test_a_model_of_the_first_generation_only_decodes():
    old = Lapped16(*released("lapped16-r1"))
    with pytest.raises(ModelError, match="only decodes"):
        old.analyse(np.zeros((1, 48, 48), np.float32))
