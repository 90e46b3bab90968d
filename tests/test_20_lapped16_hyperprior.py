"""The classes that select the tables: exact integers, whatever computes them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.codec import lapped16_net as net
from sarzip.codec.hyperprior import EXACT, IntegerHyper
from sarzip.codec.hyperprior_steps import interpolate_knots, step_index
from sarzip.codec.lapped_export import export_network
from sarzip.errors import ModelError


@pytest.fixture(scope="module")
def model() -> net.Lapped16:
    torch.manual_seed(3)
    model = net.Lapped16(net.Lapped16Config())
    with torch.no_grad():
        for parameter in (*model.hyper.parameters(), *model.side_prior.parameters()):
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@pytest.fixture(scope="module")
def weights(model: net.Lapped16) -> dict[str, torch.Tensor]:
    return export_network(model)


@pytest.fixture(scope="module")
def hyper(weights: dict[str, torch.Tensor]) -> IntegerHyper:
    return IntegerHyper(weights, net.CLASSES)


def _side(shape: tuple[int, int], seed: int, spread: float = 8.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.standard_t(3, (24, *shape)) * spread).astype(np.int32)


def _reference(weights: dict[str, torch.Tensor], side: np.ndarray, step: float) -> np.ndarray:
    """The same in Python's wide integers, pixel by pixel."""
    w = {k: v.numpy().astype(np.int64) for k, v in weights.items() if k.startswith("hyper.")}
    index = step_index(step)
    _, h, width = side.shape
    padded = np.pad(np.clip(side, -31, 31), ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.int64)

    def activate(total: np.ndarray) -> np.ndarray:
        return np.clip(total >> 6, 0, 255)

    out = np.empty((256, 2 * h, 2 * width), np.int64)
    for i in range(h):
        for j in range(width):
            patch = padded[:, i : i + 3, j : j + 3].reshape(-1)
            x = activate(
                (w["hyper.first.weight"] @ patch) * 16 + interpolate_knots(w["hyper.first.knots"], index)
            )
            up = activate(w["hyper.up.weight"] @ x + w["hyper.up.bias"]).reshape(-1, 2, 2)
            for a in range(2):
                for b in range(2):
                    x = activate(w["hyper.mid.weight"] @ up[:, a, b] + w["hyper.mid.bias"])
                    total = w["hyper.last.weight"] @ x + interpolate_knots(w["hyper.last.knots"], index)
                    out[:, 2 * i + a, 2 * j + b] = (total + 512) >> 10
    return np.clip(out, 0, net.CLASSES - 1)


@pytest.mark.parametrize("step", [0.3, 1.0, 3.7, 17.0])
def test_classes_equal_integer_arithmetic(hyper, weights, step):
    side = _side((3, 4), 1)
    classes = hyper.classes(side, step)
    np.testing.assert_array_equal(classes, _reference(weights, side, step))


def test_classes_do_not_depend_on_threads_or_autocast(hyper):
    side = _side((16, 16), 2)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(hyper.classes(side, 2.0))
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*results)
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        np.testing.assert_array_equal(hyper.classes(side, 2.0), results[0])
    finally:
        torch.set_float32_matmul_precision(precision)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_classes_are_the_same_on_cuda(weights, hyper):
    side = _side((33, 17), 5)
    there = IntegerHyper(weights, net.CLASSES, "cuda")
    np.testing.assert_array_equal(there.classes(side, 1.3), hyper.classes(side, 1.3))


def test_training_network_sees_the_same_classes(model, hyper):
    side = _side((8, 8), 3, 3.0)
    for step in (0.5, 2.0, 16.0):
        weights = net.knot_weights(torch.tensor([math.log2(step)]))
        with torch.no_grad():
            trained, _ = model.hyper(torch.from_numpy(side.astype(np.float32))[None], weights)
        classes = torch.from_numpy(hyper.classes(side, step))
        trained = torch.round(trained[0]).clamp(0, net.CLASSES - 1)
        assert float((trained - classes.float()).abs().max()) <= 1
        assert float((trained != classes.float()).float().mean()) < 0.01


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6), st.floats(0.1, 60))
def test_prediction_inverts(hyper, h, w, seed, spread):
    side = np.clip(_side((h, w), seed, spread), -1023, 1023)
    np.testing.assert_array_equal(hyper.integrate(hyper.residual(side)), side)


@given(st.floats(1e-3, 1e3))
def test_step_index_rounds_sixteenths_of_an_octave(step):
    assert abs(step_index(step) - (math.log2(step) + 2) * 16) <= 0.5 + 1e-9


def test_step_index_at_knots():
    assert [step_index(2.0**k) for k in range(-2, 6)] == [16 * k for k in range(8)]


def test_classes_follow_the_step_beyond_the_knots(hyper):
    side = np.zeros((24, 2, 2), np.int32)
    inside, beyond = (hyper.classes(side, step).astype(int) for step in (32.0, 64.0))
    moved = inside - beyond
    assert set(np.unique(moved[(beyond > 0) & (inside < 63)])) <= {4, 5}


def test_weights_that_could_overflow_are_refused(weights):
    bad = dict(weights)
    bad["hyper.up.bias"] = torch.full_like(weights["hyper.up.bias"], EXACT)
    with pytest.raises(ModelError, match="not exact"):
        IntegerHyper(bad, net.CLASSES)
    bad["hyper.up.bias"] = weights["hyper.up.bias"].float()
    with pytest.raises(ModelError, match="integers"):
        IntegerHyper(bad, net.CLASSES)
