"""`lapped16` without torch: exactly the same integers, the same pixels up to rounding; reduced resolution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sarzip.codec import hyperprior, hyperprior_steps
from sarzip.codec import lapped16_net as net
from sarzip.codec.family import LATENTS, SIDE
from sarzip.codec.lapped16 import Lapped16Config, Lapped16Family
from sarzip.codec.lapped16_reader import KERNEL, Lapped16Reader
from sarzip.codec.lapped_export import export_network, fit_entropy
from sarzip.codec.reduced import LinearSynthesis, box_classes, box_mean, box_median
from sarzip.errors import CorruptError, ModelError

EMPTY = (np.empty(0, np.float32), np.empty(0, np.uint8))


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    """Of a model whose every part was shaken, so that none is zero."""
    torch.manual_seed(3)
    model = net.Lapped16(Lapped16Config())
    with torch.no_grad():
        for value in model.parameters():
            value += 0.01 * torch.randn_like(value)
    tensors = export_network(model) | fit_entropy(*EMPTY, *EMPTY)
    return {name: value.numpy() for name, value in tensors.items()}


@pytest.fixture(scope="module")
def family(weights) -> Lapped16Family:
    return Lapped16Family(Lapped16Config(), weights)


@pytest.fixture(scope="module")
def reader(weights) -> Lapped16Reader:
    return Lapped16Reader(weights)


def latents_of(family: Lapped16Family, rows: int, columns: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    signal = 10 * np.log10(rng.gamma(4, 0.25, (1, rows + 32, columns + 32)))
    return family.analyse(signal.astype(np.float32))


@pytest.mark.parametrize("shape", [(16, 16), (48, 80), (176, 112)])
@pytest.mark.parametrize(("states", "step"), [(8, 3.0), (1, 0.4), (8, 60.0), (64, 0.01)])
def test_same_latents_and_pixels_as_with_torch(family, reader, shape, states, step):
    latents = latents_of(family, *shape)
    streams = family.with_states(states).encode(latents, step)
    size = latents.shape[1:]
    expected, found = family.decode(streams, size, step), reader.decode(streams, size, step)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(step, np.abs(expected).max()))
    wide = np.pad(found, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    pixels = family.synthesise(wide)
    np.testing.assert_allclose(reader.synthesise(wide), pixels, atol=1e-5 * np.abs(pixels).max())


@given(st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3), st.integers(1, 9), st.integers(1, 9))
def test_classes_are_the_same_integers(seed, step, rows, columns):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed % 1000)
    tensors = export_network(net.Lapped16(Lapped16Config(side=4, hidden=8, means=4)))
    side = rng.integers(-40, 41, (4, rows, columns)).astype(np.int32)
    expected = hyperprior.IntegerHyper(tensors, net.CLASSES).classes(side, step)
    found = Lapped16Reader({name: value.numpy() for name, value in tensors.items()}).classes(side, step)
    np.testing.assert_array_equal(found, expected)


@given(st.floats(1e-6, 1e6))
def test_step_indices_are_those_of_the_encoder(step):
    assert hyperprior_steps.step_index(step) == hyperprior.step_index(step)


def test_what_the_reader_refuses(family, reader, weights):
    streams = family.encode(latents_of(family, 32, 32), 2.0)
    for damaged in ({SIDE: streams[SIDE]}, {LATENTS: streams[LATENTS]}, streams | {LATENTS: b"\x08"}):
        with pytest.raises(CorruptError):
            reader.decode(damaged, (2, 2), 2.0)
    with pytest.raises(CorruptError, match="step"):
        reader.decode(streams, (2, 2), 0.0)
    with pytest.raises(ModelError, match="mean"):
        Lapped16Reader({name: value for name, value in weights.items() if name != "mean.weight"})


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
def test_reduced_synthesis_is_the_mean_of_the_pixels(reader, weights, scale):
    latents = np.random.default_rng(1).normal(size=(256, 9, 12)).astype(np.float32)
    expected = box_mean(reader.synthesise(latents)[0], scale)
    found = LinearSynthesis(weights[KERNEL], scale)(latents)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 4, 16]), st.integers(0, 99))
def test_boxes_at_the_edges_count_existing_pixels_only(rows, columns, scale, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns)).astype(np.float32)
    classes = rng.integers(0, 4, (rows, columns)).astype(np.uint8)
    mean, kinds, median = box_mean(values, scale), box_classes(classes, scale), box_median(classes, scale)
    assert mean.shape == kinds.shape == median.shape == (-(-rows // scale), -(-columns // scale))
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            box = np.s_[i * scale : (i + 1) * scale, j * scale : (j + 1) * scale]
            assert mean[i, j] == pytest.approx(values[box].mean(), abs=1e-5)
            counts = np.bincount(classes[box].ravel(), minlength=4)
            assert kinds[i, j] == (0 if 2 * counts[0] >= counts.sum() else 1 + counts[1:].argmax())
            assert median[i, j] == np.sort(classes[box].ravel())[counts.sum() // 2]
