"""A made-up landscape in dB of backscatter, as a pure function of the pixel's place.

Slow fields (height, forest, settlement, moisture, the lines rivers and roads follow) are fractal value noise
on a lattice of every eighth pixel; from them and from hashed parcels every pixel gets its cover: sea with
wind and swell, rivers, fields with straight edges, forest, built-up blocks with streets, relief that is
bright towards the sensor and dark behind. Levels are typical of C-band VV and, where it is asked for, VH.
The landscape itself is in native/simulate.c.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.native import kernel

LATTICE = 8
FIELDS = 6
SEA, WATER, FIELD, WOOD, TOWN, WAY = range(6)
"""Covers."""
POINT_CELL = 16

_slow_fields = kernel("slow_fields", "void(int64, float64, int64, int64, int64, int64, float32[:,:,::1])")
_LAND = "int64, float64, const float32[:,:,::1], int64, int64, int64, int64, int64, int64"
_cover = kernel("cover_of", f"int64({_LAND})")
_half_amplitude = kernel(
    "half_amplitude", f"void({_LAND}, int64, int64, float64, int64, int64, int64, float32[:,::1])"
)
_find_points = kernel("find_point_targets", f"int64({_LAND}, int64, int64, int64, float64[:,::1])")


def slow_fields(
    key: np.uint64, scale: float, first: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The fields on lattice points first + (0.. shape), each about unit spread: (FIELDS, shape...)."""
    out = np.zeros((FIELDS, *shape), np.float32)
    _slow_fields(int(key), scale, *first, *shape, out)
    return out


def cover(
    key: np.uint64, scale: float, fields: NDArray[np.float32], first: tuple[int, int], place: tuple[int, int]
) -> int:
    """Cover of the pixel at `place`; `fields` begin at lattice point `first`."""
    return int(_cover(int(key), scale, fields, *fields.shape[1:], *first, *place))


def half_amplitude(
    key: np.uint64,
    scale: float,
    fields: NDArray[np.float32],
    first: tuple[int, int],
    area: tuple[int, int, int, int],
    extra: tuple[float, int, int, bool],
) -> NDArray[np.float32]:
    """Square root of half of backscatter plus noise, over an area (row, column, rows, columns) of samples.

    extra: noise power (linear), how many times rows and columns are finer than pixels (spatial multilook),
    and whether it is the cross-polarised channel.
    """
    out = np.empty(area[2:], np.float32)
    _half_amplitude(int(key), scale, fields, *fields.shape[1:], *first, *area, *extra, out)
    return out


def find_points(
    key: np.uint64,
    scale: float,
    fields: NDArray[np.float32],
    first: tuple[int, int],
    cells: tuple[int, int, int, int],
    cross: bool = False,
) -> NDArray[np.float64]:
    """Point targets of cells (row, column, rows, columns): (n, 4) row, column, dB, phase in turns.

    A cell holds at most one, more probably in towns and hardly ever at sea; peaks are spread exponentially.
    """
    out = np.empty((cells[2] * cells[3], 4), np.float64)
    count = _find_points(int(key), scale, fields, *fields.shape[1:], *first, *cells, int(cross), out)
    return out[:count].copy()
