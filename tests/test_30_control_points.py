"""Columns of control points: exact for any numbers, small for those of a grid, safe against damage."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.metadata import any_double, s1_like_grid

from sarzip.container import control_points as columns


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


@given(st.lists(st.tuples(any_double, any_double, any_double), min_size=1, max_size=24), st.data())
@settings(max_examples=150, deadline=None)
def test_columns_are_exact_for_any_doubles(values: list[tuple[float, ...]], data: st.DataObject) -> None:
    array = np.array(values, np.float64)
    width = data.draw(st.sampled_from([w for w in range(1, len(values) + 1) if len(values) % w == 0]))
    assert same_bits(columns.unpack(columns.pack(array, width), array.shape, width), array)


@pytest.mark.parametrize(
    "column",
    [
        [0.0] * 12,
        [-0.0, 0.0] * 6,
        [math.nan, math.inf, -math.inf] * 4,
        [1e308, -1e308, 5e-324] * 4,
        list(np.arange(12) * 1292.0),
        list(np.round(np.linspace(7, 8, 12), 6)),
        [float(2**62), 1.0] * 6,
    ],
)
def test_columns_are_exact_for_awkward_doubles(column: list[float]) -> None:
    array = np.array(column)[:, None]
    for width in (1, 4, 12):
        assert same_bits(columns.unpack(columns.pack(array, width), (12, 1), width), array)


def test_columns_of_a_regular_grid_are_a_third_of_their_raw_size() -> None:
    points = s1_like_grid()
    assert columns.grid_widths(points[:, 0], points[:, 1]) == [1, 21, 210]
    packed = columns.pack(points, 21)
    assert same_bits(columns.unpack(packed, points.shape, 21), points)
    assert len(packed) < points.nbytes / 3
    assert len(packed) < len(columns.pack(points, 210)) * 0.8  # the grid is worth knowing


def first_format(points: np.ndarray, width: int) -> bytes:
    """As format 1.0 packs columns: none is predicted from another."""
    bits = "".join(columns._pack_column(points[:, c], width)[0] for c in range(points.shape[1]))
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")


def test_noise_that_moves_points_along_a_line_is_coded_once() -> None:
    """x and y of points that lie a little too far along the line of sight, whose direction changes slowly."""
    rng = np.random.default_rng(3)
    row, col = (each.ravel() for each in np.mgrid[:14, :21])
    shift = rng.normal(0, 1e-7, row.size)
    x = 10 + 0.03 * row + 0.04 * col + 1e-5 * row * col + shift
    y = 50 - 0.01 * row + 0.02 * col + 2e-6 * col**2 - shift * (0.5 + 0.002 * row - 0.003 * col)
    points = np.stack([1.0 * row, 1.0 * col, x, y, np.zeros(row.size)], 1)
    packed, plain = columns.pack(points, 21), first_format(points, 21)
    assert same_bits(columns.unpack(packed, points.shape, 21), points)
    assert same_bits(columns.unpack(plain, points.shape, 21), points)
    assert packed[0] >> 6 == 3 and plain[0] >> 6 < 3
    assert len(packed) < 0.9 * len(plain)
    for cut in range(len(packed) - 1):
        with pytest.raises(ValueError, match=r"end early|unknown kind|order of|out of range"):
            columns.unpack(packed[:cut], points.shape, 21)


@given(st.lists(any_double, min_size=24, max_size=24), st.sampled_from([1, 3, 4, 12]), st.booleans())
@settings(max_examples=100, deadline=None)
def test_predicted_columns_are_exact_for_awkward_doubles(values: list[float], width: int, same: bool) -> None:
    array = np.array(values).reshape(12, 2)
    if same:
        array[:, 1] = array[:, 0] * -3.7 + 1
    for pack in (columns.pack, first_format):
        assert same_bits(columns.unpack(pack(array, width), (12, 2), width), array)


@given(st.binary(max_size=60), st.sampled_from([1, 3, 6]))
@settings(max_examples=300, deadline=None)
def test_predicted_columns_from_arbitrary_bytes(data: bytes, width: int) -> None:
    with contextlib.suppress(ValueError):
        assert columns.unpack(b"\xc0" + data, (6, 2), width).shape == (6, 2)
    with contextlib.suppress(ValueError):
        assert columns.unpack(b"\xe0" + data, (6, 3), width).shape == (6, 3)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_columns_from_arbitrary_bytes_give_an_array_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert columns.unpack(data, (6, 2), 3).shape == (6, 2)


def test_columns_cut_short_are_refused() -> None:
    packed = columns.pack(s1_like_grid(), 21)
    with pytest.raises(ValueError, match="end early"):
        columns.unpack(packed[:-2], (210, 5), 21)
