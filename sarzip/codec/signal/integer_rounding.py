"""Rounding to integers that keeps the power of cells: what digital numbers near zero need.

Where a smooth sea of DN 18.3 is rounded, every pixel becomes 18, and the power of the cell is 0.14 dB low,
which undoes the bias correction. So in cells (32×32 pixels, as the bias correction's) whose power rounding
would change by more than LEVEL_DB, the pixels nearest to the middle between two integers are rounded the
other way, as few as bring the change down to LEVEL_DB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.native import kernel

LEVEL_DB = 0.04
HIGHEST = 128.0
"""Mean value from which on no rounding of a cell can change its power by LEVEL_DB (amplitude: 0.034 dB)."""
_UP, _DOWN = 1.0092528860766845, 0.9908319448927676  # 10^±(LEVEL_DB/10), as literals: libraries differ
_level = kernel(
    "level_cells",
    "void(float32[:,::1], int64, int64, const uint8[:,::1], int64, int64, float64, float64, float64)",
)


def level_round(values: NDArray[np.float32], classes: NDArray[np.uint8] | None, squared: bool) -> None:
    """Round the cells that need it of float32 values (rows, columns), not negative, in place.

    classes: uint8 of the same shape, 0 for measurements; None if all pixels are. squared: amplitudes, whose
    squares are powers. Values of other cells stay as they are.
    """
    flags = np.empty((0, 0), np.uint8) if classes is None else np.ascontiguousarray(classes)
    _level(values, *values.shape, flags, classes is not None, squared, _UP, _DOWN, HIGHEST)
