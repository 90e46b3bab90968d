"""Logarithms, exponentials and products of our own: accurate, and the same on every level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from support.levels import assert_same_on_every_level

from sarzip.native import maths

FLOATS = (np.float32, np.float64)


@pytest.mark.parametrize("dtype", FLOATS)
def test_logarithms_and_exponentials_are_accurate(dtype: Any) -> None:
    powers = np.random.default_rng(0).uniform(-87, 87, 100_003).astype(dtype)
    values = np.exp(powers.astype(np.float64)).astype(dtype)
    last = np.finfo(dtype).eps
    truth = np.log(values.astype(np.longdouble))
    assert np.all(np.abs(maths.log(values) - truth) <= last * np.maximum(np.abs(truth), 1))
    truth = np.exp(powers.astype(np.longdouble))
    assert np.all(np.abs(maths.exp(powers) - truth) <= 2 * last * truth)


def test_ends_of_the_range() -> None:
    values = np.array([0.0, -0.0, -1.0, np.nan, np.inf, 1.0, 5e-324])
    expected = [-np.inf, -np.inf, np.nan, np.nan, np.inf, 0.0, np.log(5e-324)]
    np.testing.assert_allclose(maths.log(values), expected, rtol=1e-15)
    values = np.array([-np.inf, -800.0, 0.0, np.nan, 710.0, np.inf])
    np.testing.assert_array_equal(maths.exp(values), [0.0, 0.0, 1.0, np.nan, np.inf, np.inf])


def test_logarithms_of_powers_of_two_are_whole() -> None:
    powers = np.arange(-1000, 1000)
    np.testing.assert_array_equal(maths.log2(2.0**powers), powers)


def test_log1p() -> None:
    values = np.array([0.0, 1e-7, 0.5, 1e9], np.float32)
    np.testing.assert_allclose(maths.log1p(values), np.log1p(values.astype(np.float64)), rtol=2e-7, atol=6e-8)


@given(arrays(np.float64, st.integers(0, 40), elements=st.floats(width=64)))
def test_every_level_gives_the_same(values: np.ndarray) -> None:
    narrow = np.clip(values, -3e38, 3e38).astype(np.float32)
    assert_same_on_every_level(
        lambda: [
            maths.log(values),
            maths.exp(values),
            maths.log(narrow),
            maths.exp(narrow),
            maths.log1p(narrow),
        ]
    )


@given(st.integers(0, 20), st.integers(1, 40), st.integers(0, 70), st.integers(0, 3))
def test_products(rows: int, inner: int, columns: int, padding: int) -> None:
    rng = np.random.default_rng(rows + inner)
    left = rng.standard_normal((rows, inner)).astype(np.float32)
    right = rng.standard_normal((inner, columns + padding)).astype(np.float32)[:, :columns]
    np.testing.assert_allclose(maths.product(left, right), left @ right, rtol=1e-4, atol=1e-4)
    wide = left.astype(np.float64), right.astype(np.float64)
    np.testing.assert_allclose(maths.product_double(*wide), wide[0] @ wide[1], rtol=1e-12, atol=1e-12)
    assert_same_on_every_level(lambda: [maths.product(left, right), maths.product_double(*wide)])


def test_solving() -> None:
    rng = np.random.default_rng(4)
    root = rng.standard_normal((9, 9))
    matrix, right = root @ root.T + np.eye(9), rng.standard_normal(9)
    kept = matrix.copy()
    np.testing.assert_allclose(maths.solve(matrix, right), np.linalg.solve(matrix, right), rtol=1e-10)
    np.testing.assert_array_equal(matrix, kept)
    assert_same_on_every_level(lambda: [maths.solve(matrix, right)])
