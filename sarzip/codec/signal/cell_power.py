"""Power of a signal in dB, cell by cell: what the bias correction compares and shifts, in one pass each.

The relative power of a pixel is p = max(10^(s/10) - floor, 0), 0 where it is no measurement; s the signal in
dB about the centre of the band, floor the noise floor in the same units (see Radiometry.relative_floor).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.native import kernel

CELL = 32
"""Pixels on a side of a cell."""

_cell_power = kernel(
    "cell_power",
    "void(const float32[:,:], int64, int64, int64, float32, const uint8[:,::1], int64,"
    " float32[::1], float64[:,::1])",
)
_shift = kernel(
    "shift_cells",
    "void(float32[:,::1], int64, int64, float32, const uint8[:,::1], int64, const int16[:,::1])",
)


def cell_power(
    signal: NDArray[np.float32], floor: float, classes: NDArray[np.uint8], corner: tuple[int, int] = (0, 0)
) -> NDArray[np.float64]:
    """Sums of the power over cells of a part of a signal, from the row and column of `corner` on; cells at
    the right and lower edge may be smaller. classes: uint8 (rows, columns) of the part, 0 for measurements.
    """
    rows, columns = classes.shape
    cells = np.empty((-(-rows // CELL), -(-columns // CELL)))
    part = np.ascontiguousarray(signal)[corner[0] : corner[0] + rows, corner[1] : corner[1] + columns]
    flags, sums = np.ascontiguousarray(classes), np.empty(columns, np.float32)
    place = (part.strides[0] // part.itemsize, rows, columns)
    _cell_power(part, *place, floor, flags, bool(classes.any()), sums, cells)
    return cells


def shift_cells(
    signal: NDArray[np.float32], floor: float, classes: NDArray[np.uint8] | None, cells: NDArray[np.int16]
) -> None:
    """Shift a C-contiguous signal (rows, columns) in place so that the power of its cells changes by `cells`,
    in 0.1 dB.

    A constant gain in a cell would cost RMSE in dB. Among all shifts d of the pixels' dB that change the
    cell's mean power by a given amount, the sum of d² is least when d is proportional to the pixel's power
    (Lagrange, to first order). So each pixel is shifted by g·w, w = min(power / mean power, 4), with g such
    that the cell's power changes by the wanted amount. Amounts beyond ±1 dB are made up with a constant gain
    first.
    """
    flags = np.empty((0, 0), np.uint8) if classes is None else np.ascontiguousarray(classes)
    _shift(signal, *signal.shape, floor, flags, classes is not None, np.ascontiguousarray(cells))
