"""Rounding to integers that keeps the power of cells: what digital numbers near zero need.

Where a smooth sea of DN 18.3 is rounded, every pixel becomes 18, and the power of the cell is 0.14 dB low,
which undoes the radiometric lock. So in cells (32×32 pixels, as the lock's) whose power rounding would change
by more than LEVEL_DB, the pixels nearest to the middle between two integers are rounded the other way, as few
as bring the change down to LEVEL_DB.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.cell_power import CELL
from sarzip.jit.compile import compiled

LEVEL_DB = 0.04
HIGHEST = 128.0
"""Mean value from which on no rounding of a cell can change its power by LEVEL_DB (amplitude: 0.034 dB)."""
_BINS = 256


@compiled("void(float32[:,::1], uint8[:,::1], boolean, float64)")
def _level(values, classes, squared, level):  # type: ignore[no-untyped-def]
    all_valid = classes.shape[1] == 0
    gains = np.empty(_BINS, np.float64)
    up, down = 10.0 ** (level / 10), 10.0 ** (-level / 10)
    for top in range(0, values.shape[0], CELL):
        bottom = min(top + CELL, values.shape[0])
        for left in range(0, values.shape[1], CELL):
            right = min(left + CELL, values.shape[1])
            wanted, found, mean, count = 0.0, 0.0, 0.0, 0
            for y in range(top, bottom):
                for x in range(left, right):
                    if all_valid or classes[y, x] == 0:
                        value = np.float64(values[y, x])
                        whole = np.rint(value)
                        wanted += value * value if squared else value
                        found += whole * whole if squared else whole
                        mean += value
                        count += 1
            if count == 0 or mean >= HIGHEST * count or down * wanted <= found <= up * wanted:
                continue
            # 1: too low, round up what was rounded down; -1: the other way
            side = 1.0 if found < wanted else -1.0
            missing = abs(wanted * (down if side > 0 else up) - found)
            gains[:] = 0.0
            for y in range(top, bottom):
                for x in range(left, right):
                    if all_valid or classes[y, x] == 0:
                        whole = np.rint(values[y, x])
                        off = side * (values[y, x] - whole)
                        if off > 0 and (side > 0 or whole > 0):
                            gain = 2 * whole * side + 1 if squared else 1.0
                            gains[min(int(off * 2 * _BINS), _BINS - 1)] += abs(gain)
            first = _BINS - 1
            while first > 0 and missing > gains[first]:
                missing -= gains[first]
                first -= 1
            for y in range(top, bottom):
                for x in range(left, right):
                    if all_valid or classes[y, x] == 0:
                        whole = np.rint(values[y, x])
                        off = side * (values[y, x] - whole)
                        if off > 0 and (side > 0 or whole > 0):
                            place = min(int(off * 2 * _BINS), _BINS - 1)
                            gain = abs(2 * whole * side + 1) if squared else 1.0
                            if place > first or (place == first and missing > 0):
                                missing -= gain if place == first else 0.0
                                whole += side
                        values[y, x] = whole


def level_round(values: NDArray[np.float32], classes: NDArray[np.uint8] | None, squared: bool) -> None:
    """Round the cells that need it of float32 values (rows, columns), not negative, in place.

    classes: uint8 of the same shape, 0 for measurements; None if all pixels are. squared: amplitudes, whose
    squares are powers. Values of other cells stay as they are.
    """
    flags = np.empty((values.shape[0], 0), np.uint8) if classes is None else np.ascontiguousarray(classes)
    _level(values, flags, squared, LEVEL_DB)
