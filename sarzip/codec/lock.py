"""The radiometric lock: the mean power of every 32×32 cell comes out as it went in.

Coding in dB keeps means of dB; speckle that was smoothed away lowers the mean of the power. The encoder
decodes its own group, compares the power of each cell with the original's and sends the difference in tenths
of a dB.

A constant gain in a cell would cost RMSE in dB. Among all shifts d of the pixels' dB that change the cell's
mean power by a given amount, the sum of d² is least when d is proportional to the pixel's power (Lagrange, to
first order). So the decoder shifts each pixel by g·w, w = min(power / mean power, 4), with g such that the
cell's power changes by the coded amount. Amounts beyond ±1 dB are made up with a constant gain first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.jit import compiled
from sarzip.errors import CorruptError

CELL = 32
UNIT_DB = 0.1
# Beyond this a cell holds nothing that a gain could repair.
_LARGEST = 300
_HEAD = 3


def relative_power(
    signal: NDArray[np.float32], floor: float, valid: NDArray[np.bool_] | None
) -> NDArray[np.float32]:
    """Power of a signal in dB, float32 of the same shape, 0 where not valid.

    floor: the noise floor in the same relative units (see Radiometry.relative_floor), subtracted.
    """
    power = np.multiply(signal, np.float32(math.log(10) / 10))
    np.minimum(power, 80, out=power)
    np.exp(power, out=power)
    power -= np.float32(floor)
    np.maximum(power, 0, out=power)
    if valid is not None:
        power *= valid
    return power


def cell_power(power: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sums of the power over cells; cells at the right and lower edge may be smaller."""
    rows, columns = (np.arange(0, size, CELL) for size in power.shape)
    across = np.add.reduceat(power, columns, axis=1, dtype=np.float64)
    return np.add.reduceat(across, rows, axis=0)


def correction(original: NDArray[np.float64], decoded: NDArray[np.float64]) -> NDArray[np.int16]:
    """What is to be coded: how much the power of each cell must rise, in units of 0.1 dB."""
    usable = (original > 0) & (decoded > 0)
    ratio = np.divide(original, decoded, out=np.ones_like(original), where=usable)
    return np.clip(np.rint(10 * np.log10(ratio) / UNIT_DB), -_LARGEST, _LARGEST).astype(np.int16)


def apply_correction(
    signal: NDArray[np.float32], power: NDArray[np.float32], cells: NDArray[np.int16]
) -> None:
    """Shift `signal` (rows, columns) in place so that the power of its cells changes by `cells`.

    power: relative_power of the signal.
    """
    _shift(signal, power, cells)


@compiled("void(float32[:, ::1], float32[:, ::1], int16[:, ::1])")
def _shift(signal: Any, power: Any, cells: Any) -> None:
    neper = math.log(10.0) / 10.0
    for i in range(cells.shape[0]):
        for j in range(cells.shape[1]):
            wanted = 0.1 * cells[i, j]
            top, left = 32 * i, 32 * j
            bottom, right = min(top + 32, signal.shape[0]), min(left + 32, signal.shape[1])
            total, count = 0.0, 0
            for y in range(top, bottom):
                for x in range(left, right):
                    total += power[y, x]
                    count += power[y, x] > 0
            if cells[i, j] == 0 or count == 0 or total == 0.0:
                continue
            constant = wanted - min(max(wanted, -1.0), 1.0)
            wanted -= constant
            # Moments of the weights: the new power is the sum of p·exp(neper·g·w), to third order in g.
            scale = count / total
            first, second, third = 0.0, 0.0, 0.0
            for y in range(top, bottom):
                for x in range(left, right):
                    weight = min(power[y, x] * scale, 4.0)
                    first += power[y, x] * weight
                    second += power[y, x] * weight * weight
                    third += power[y, x] * weight * weight * weight
            goal = total * (math.exp(neper * wanted) - 1.0)
            gain = goal / first
            for _ in range(4):
                value = gain * (first + gain * (second / 2.0 + gain * third / 6.0)) - goal
                gain -= value / (first + gain * (second + gain * third / 2.0))
            gain /= neper
            for y in range(top, bottom):
                for x in range(left, right):
                    signal[y, x] += constant + gain * min(power[y, x] * scale, 4.0)


def encode_cells(cells: NDArray[np.int16]) -> bytes:
    """Corrections of one group to bytes; empty when all are zero.

    Layout: i16 median, u8 Rice parameter k, then per cell in raster order the Rice code of u = 2d or
    -2d - 1, d the difference to the median: u >> k one-bits, a zero, the k low bits of u (highest first);
    bytes are filled from the highest bit, the last one with zeros.
    """
    if not cells.any():
        return b""
    median = int(np.median(cells))
    difference = cells.reshape(-1).astype(np.int32) - median
    unsigned = np.where(difference >= 0, 2 * difference, -2 * difference - 1)
    k = min(range(12), key=lambda k: int((unsigned >> k).sum()) + k * unsigned.size)
    quotient = unsigned >> k
    lengths = quotient + 1 + k
    ends = np.cumsum(lengths)
    bits = np.ones(int(ends[-1]), np.uint8)
    bits[ends - k - 1] = 0
    for place in range(k):
        bits[ends - 1 - place] = (unsigned >> place) & 1
    return median.to_bytes(2, "little", signed=True) + bytes([k]) + np.packbits(bits).tobytes()


def decode_cells(payload: bytes, shape: tuple[int, int]) -> NDArray[np.int16] | None:
    """Inverse of encode_cells for a group of `shape` pixels; None when all are zero. Raises CorruptError."""
    if not payload:
        return None
    rows, columns = -(-shape[0] // CELL), -(-shape[1] // CELL)
    k = payload[2] if len(payload) > _HEAD else 255
    if k > 11:
        raise CorruptError("radiometric correction has no valid head")
    median = int.from_bytes(payload[:2], "little", signed=True)
    bits = np.unpackbits(np.frombuffer(payload, np.uint8, offset=_HEAD))
    unsigned = np.zeros(rows * columns, np.int32)
    if not _unrice(bits, k, unsigned):
        raise CorruptError("radiometric correction has the wrong size")
    cells = median + np.where(unsigned & 1, -((unsigned + 1) >> 1), unsigned >> 1)
    if np.abs(cells).max() > _LARGEST:
        raise CorruptError("radiometric correction is out of range")
    return cells.astype(np.int16).reshape(rows, columns)


@compiled("boolean(uint8[::1], int64, int32[::1])")
def _unrice(bits: Any, k: int, unsigned: Any) -> bool:
    position = 0
    for index in range(unsigned.size):
        quotient = 0
        while position < bits.size and bits[position]:
            quotient += 1
            position += 1
        if position + 1 + k > bits.size or quotient > 4096:
            return False
        value = quotient
        for place in range(k):
            value = 2 * value + bits[position + 1 + place]
        unsigned[index] = value
        position += 1 + k
    return bits.size - position < 8
