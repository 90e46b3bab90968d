"""Power of a signal in dB, cell by cell: what the radiometric lock compares and shifts, in one pass each.

The relative power of a pixel is p = max(10^(s/10) - floor, 0), 0 where it is no measurement; s the signal in
dB about the centre of the band, floor the noise floor in the same units (see Radiometry.relative_floor).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.jit.compile import built, compiled, inlined

CELL = 32
"""Pixels on a side of a cell."""

_OCTAVES = math.log2(10) / 10  # of power in a dB
_HIGHEST = 115.0  # octaves: beyond 346 dB about the centre nothing is told apart
_TOP_WEIGHT = 4.0


@built
def _from_bits() -> Any:
    """The float32 with these bits (int32)."""
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[untyped-decorator]
    def from_bits(typingctx, bits):  # type: ignore[no-untyped-def]
        def codegen(context, builder, signature, args):  # type: ignore[no-untyped-def]
            return builder.bitcast(args[0], ir.FloatType())

        return types.float32(types.int32), codegen

    return from_bits


@inlined
def _power(db):  # type: ignore[no-untyped-def]
    """10^(db/10) within 3e-7 of itself: 2^f by its Taylor polynomial, |f| <= 1/2. A loop of it vectorises."""
    x = db * np.float32(_OCTAVES)
    x = x if x > np.float32(-_HIGHEST) else np.float32(-_HIGHEST)
    x = x if x < np.float32(_HIGHEST) else np.float32(_HIGHEST)
    whole = np.int32(x + np.float32(200.5)) - np.int32(200)
    f = x - np.float32(whole)
    p = np.float32(1.5403530e-4)
    p = p * f + np.float32(1.3333558e-3)
    p = p * f + np.float32(9.6181291e-3)
    p = p * f + np.float32(5.5504109e-2)
    p = p * f + np.float32(2.4022651e-1)
    p = p * f + np.float32(6.9314718e-1)
    p = p * f + np.float32(1.0)
    power_of_two: Any = _from_bits((whole + np.int32(127)) << np.int32(23))  # type: ignore[call-arg]
    return p * power_of_two


@inlined
def _relative(db, floor):  # type: ignore[no-untyped-def]
    power = _power(db) - floor
    return power if power > np.float32(0) else np.float32(0)


@compiled("void(float32[:,::1], int64, int64, int64, float32, uint8[:,::1], float64[:,::1])")
def _cell_power(signal, top, left, columns, floor, classes, cells):  # type: ignore[no-untyped-def]
    """Sums over cells of `columns` columns of the signal from row `top` and column `left` on. classes: not 0
    where a pixel is no measurement, or of no columns if all are.
    """
    all_valid = classes.shape[1] == 0
    sums = np.empty(columns, np.float32)
    for i in range(cells.shape[0]):
        sums[:] = np.float32(0)
        for y in range(CELL * i, min(CELL * i + CELL, classes.shape[0])):
            row = signal[top + y, left : left + columns]
            if all_valid:
                for x in range(columns):
                    sums[x] += _relative(row[x], floor)
            else:
                for x in range(columns):
                    valid = np.float32(classes[y, x] == 0)
                    sums[x] += valid * _relative(row[x], floor)
        for j in range(cells.shape[1]):
            total = np.float64(0)
            for x in range(CELL * j, min(CELL * j + CELL, columns)):
                total += np.float64(sums[x])
            cells[i, j] = total


def cell_power(
    signal: NDArray[np.float32], floor: float, classes: NDArray[np.uint8], corner: tuple[int, int] = (0, 0)
) -> NDArray[np.float64]:
    """Sums of the power over cells of a part of a signal, from the row and column of `corner` on; cells at
    the right and lower edge may be smaller. classes: uint8 (rows, columns) of the part, 0 for measurements.
    """
    rows, columns = classes.shape
    cells = np.empty((-(-rows // CELL), -(-columns // CELL)))
    flags = np.ascontiguousarray(classes) if classes.any() else np.empty((rows, 0), np.uint8)
    _cell_power(np.ascontiguousarray(signal), *corner, columns, np.float32(floor), flags, cells)
    return cells


@inlined
def _weight(relative):  # type: ignore[no-untyped-def]
    return relative if relative < np.float32(_TOP_WEIGHT) else np.float32(_TOP_WEIGHT)


@compiled("void(float32[:,::1], float32, uint8[:,::1], int16[:,::1])")
def _shift(signal, floor, classes, cells):  # type: ignore[no-untyped-def]
    neper = math.log(10.0) / 10.0
    all_valid = classes.shape[1] == 0
    power = np.zeros((CELL, CELL), np.float32)
    moments = np.zeros((4, CELL), np.float32)  # sums over the rows of a cell, by column
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            if cells[i, j] == 0:
                continue
            top, left = CELL * i, CELL * j
            rows, columns = min(CELL, signal.shape[0] - top), min(CELL, signal.shape[1] - left)
            moments[:] = np.float32(0)
            count = 0
            for y in range(rows):
                for x in range(columns):
                    power[y, x] = _relative(signal[top + y, left + x], floor)
                if not all_valid:
                    for x in range(columns):
                        power[y, x] *= np.float32(classes[top + y, left + x] == 0)
                for x in range(columns):
                    moments[0, x] += power[y, x]
                    count += power[y, x] > 0
            total = np.float64(moments[0, :columns].sum())
            if count == 0 or total == 0.0:
                continue
            wanted = 0.1 * cells[i, j]
            constant = wanted - min(max(wanted, -1.0), 1.0)
            wanted -= constant
            # Moments of the weights: the new power is the sum of p·exp(neper·g·w), to third order in g.
            scale = np.float32(count / total)
            for y in range(rows):
                for x in range(columns):
                    weight = _weight(power[y, x] * scale)
                    once = power[y, x] * weight
                    moments[1, x] += once
                    moments[2, x] += once * weight
                    moments[3, x] += once * weight * weight
            first, second, third = moments[1].sum(), moments[2].sum(), moments[3].sum()
            goal = total * (math.exp(neper * wanted) - 1.0)
            gain = goal / first
            for _ in range(4):
                value = gain * (first + gain * (second / 2.0 + gain * third / 6.0)) - goal
                gain -= value / (first + gain * (second + gain * third / 2.0))
            slope, offset = np.float32(gain / neper), np.float32(constant)
            for y in range(rows):
                for x in range(columns):
                    signal[top + y, left + x] += offset + slope * _weight(power[y, x] * scale)


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
    flags = np.empty((signal.shape[0], 0), np.uint8) if classes is None else np.ascontiguousarray(classes)
    _shift(signal, np.float32(floor), flags, np.ascontiguousarray(cells))
