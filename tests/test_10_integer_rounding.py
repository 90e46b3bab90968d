"""Rounding that keeps the power of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarzip.codec.signal.integer_rounding import HIGHEST, LEVEL_DB, level_round


def _change_db(before: np.ndarray, after: np.ndarray, squared: bool) -> float:
    power = [np.square(x, dtype=np.float64) if squared else x.astype(np.float64) for x in (before, after)]
    return 10 * np.log10(power[1].sum() / power[0].sum())


@given(st.integers(0, 2**32 - 1), st.floats(1.5, 120), st.floats(0, 3), st.booleans())
def test_power_of_every_cell_stays(seed, level, spread, squared):
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(level, spread, (32, 32)), 1.0).astype(np.float32)
    rounded = values.copy()
    level_round(rounded, None, squared)
    rounded = np.rint(rounded)
    assert abs(_change_db(values, rounded, squared)) <= LEVEL_DB + 0.02
    assert np.abs(rounded - values).max() < 1


def test_as_few_pixels_as_needed_are_rounded_the_other_way():
    values = np.full((32, 32), 18.3, np.float32)
    values[:16] += np.float32(0.1)  # 18.4 is nearer to the middle than 18.3
    rounded = values.copy()
    level_round(rounded, None, True)
    assert set(np.unique(rounded)) == {18.0, 19.0}
    assert (rounded[16:] == 18).all()
    assert -LEVEL_DB - 1e-3 < _change_db(values, rounded, True) < -LEVEL_DB + 0.01


def test_cells_that_need_nothing_and_missing_pixels_stay():
    values = np.full((32, 64), 18.02, np.float32)
    values[:, 32:] = HIGHEST + 0.4
    before = values.copy()
    level_round(values, None, True)
    np.testing.assert_array_equal(values, before)
    values[:] = 18.4
    classes = np.zeros(values.shape, np.uint8)
    classes[:, ::2] = 1
    values[:, ::2] = 0.4
    level_round(values, classes, True)
    np.testing.assert_array_equal(values[:, ::2], np.float32(0.4))
    assert _change_db(np.full((32, 32), 18.4), values[:, 1::2], True) == pytest.approx(-LEVEL_DB, abs=0.01)
