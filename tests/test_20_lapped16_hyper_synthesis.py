"""The classes that select the tables: exact integers, whatever computes them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.models import shaken
from threadpoolctl import threadpool_limits

from sarzip.codec.lapped16.hyper_synthesis import EXACT, IntegerHyper
from sarzip.codec.lapped16.scale_classes import CLASSES, interpolate_knots, step_index
from sarzip.errors import ModelError


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    return shaken()


@pytest.fixture(scope="module")
def hyper(weights: dict[str, np.ndarray]) -> IntegerHyper:
    return IntegerHyper(weights)


def _side(shape: tuple[int, int], seed: int, spread: float = 8.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.round(rng.standard_t(3, (24, *shape)) * spread).astype(np.int32)


def _reference(weights: dict[str, np.ndarray], side: np.ndarray, step: float) -> np.ndarray:
    """Classes (256, 2h, 2w) in wide integers, place by place."""
    w = {k: v.astype(np.int64) for k, v in weights.items() if k.startswith("hyper.")}
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
    return np.clip(out, 0, CLASSES - 1)


@pytest.mark.parametrize("shape", [(6, 8), (5, 8), (5, 7)])
@pytest.mark.parametrize("step", [0.3, 1.0, 3.7, 17.0])
def test_classes_equal_integer_arithmetic(hyper, weights, step, shape):
    side = _side(((shape[0] + 1) // 2, (shape[1] + 1) // 2), 1)
    classes = hyper.classes(side, shape, step)
    expected = _reference(weights, side, step)[:, : shape[0], : shape[1]]
    np.testing.assert_array_equal(classes, expected.reshape(256, -1))


def test_classes_do_not_depend_on_threads(hyper):
    side, results = _side((16, 16), 2), []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            results.append(hyper.classes(side, (32, 32), 2.0))
    np.testing.assert_array_equal(*results)


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 10**6), st.floats(0.1, 60))
def test_prediction_inverts(hyper, h, w, seed, spread):
    side = np.clip(_side((h, w), seed, spread), -1023, 1023)
    found, coded = hyper.quantise(side.astype(np.float32), 0.0)
    np.testing.assert_array_equal(found, side)
    np.testing.assert_array_equal(hyper.integrate(coded), side)


@given(st.floats(1e-3, 1e3))
def test_step_index_rounds_sixteenths_of_an_octave(step):
    assert abs(step_index(step) - (math.log2(step) + 2) * 16) <= 0.5 + 1e-9


def test_step_index_at_knots():
    assert [step_index(2.0**k) for k in range(-2, 6)] == [16 * k for k in range(8)]


def test_classes_follow_the_step_beyond_the_knots(hyper):
    side = np.zeros((24, 2, 2), np.int32)
    inside, beyond = (hyper.classes(side, (4, 4), step).astype(int) for step in (32.0, 64.0))
    moved = inside - beyond
    assert set(np.unique(moved[(beyond > 0) & (inside < 63)])) <= {4, 5}


def test_weights_that_could_overflow_are_refused(weights):
    bad = dict(weights)
    bad["hyper.up.bias"] = np.full_like(weights["hyper.up.bias"], EXACT)
    with pytest.raises(ModelError, match="not exact"):
        IntegerHyper(bad)
    bad["hyper.up.bias"] = weights["hyper.up.bias"].astype(np.float32)
    with pytest.raises(ModelError, match="integers"):
        IntegerHyper(bad)
