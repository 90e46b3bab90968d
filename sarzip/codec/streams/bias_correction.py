"""The radiometric lock: the mean power of every 32×32 cell comes out as it went in.

Coding in dB keeps means of dB; speckle that was smoothed away lowers the mean of the power. The encoder
decodes its own group, compares the power of each cell with the original's and sends the difference in tenths
of a dB; what the decoder does with it is in power.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy import binary as binary_coder
from sarzip.codec.signal.cell_power import CELL
from sarzip.errors import CorruptError
from sarzip.jit.compile import compiled, inlined

UNIT_DB = 0.1
# Beyond this a cell holds nothing that a gain could repair.
_LARGEST = 300
_HEAD = 3

# Estimated deviations, in 1/64 unit, from which on the next group of contexts is taken.
_SPREADS = np.array([8, 16, 24, 36, 52, 72, 100, 140, 200, 300, 480, 800], np.int64)
# Chances of a 0 in 1/256 before anything is known, measured on training scenes. Per group: is it zero,
# for four phases of the mean between two integers; the sign, the same; magnitude 1, 2, 3, 4, 5, 6 or larger.
_CHANCES = np.array(
    [
        [180, 211, 208, 180, 100, 160, 210, 220, 249, 184, 120, 110, 100, 100],
        [169, 181, 188, 159, 100, 163, 215, 225, 246, 184, 169, 106, 94, 79],
        [155, 161, 157, 130, 90, 147, 210, 230, 238, 188, 177, 152, 100, 100],
        [135, 130, 126, 112, 80, 146, 190, 225, 222, 205, 138, 128, 115, 64],
        [101, 109, 102, 97, 86, 129, 173, 204, 195, 190, 161, 114, 110, 71],
        [76, 79, 84, 78, 97, 130, 169, 182, 160, 173, 154, 124, 95, 65],
        [61, 59, 66, 63, 98, 119, 138, 159, 134, 148, 139, 111, 105, 73],
        [38, 41, 49, 44, 97, 125, 134, 135, 110, 131, 130, 109, 101, 66],
        [28, 30, 34, 35, 103, 110, 118, 128, 70, 102, 106, 95, 90, 65],
        [18, 21, 18, 22, 97, 102, 115, 116, 43, 64, 84, 84, 70, 56],
        [12, 13, 15, 15, 106, 107, 107, 110, 26, 29, 32, 43, 52, 49],
        [6, 7, 9, 9, 96, 105, 112, 112, 16, 18, 20, 22, 29, 37],
        [5, 5, 5, 5, 96, 105, 112, 112, 14, 14, 14, 14, 20, 22],
    ],
    np.int64,
)
_CONTEXTS = 14
_CERTAINTY, _COUNTED = 24, 60
_UNARY = 20


def correction(original: NDArray[np.float64], decoded: NDArray[np.float64]) -> NDArray[np.int16]:
    """What is to be coded: how much the power of each cell must rise, in units of 0.1 dB."""
    usable = (original > 0) & (decoded > 0)
    ratio = np.divide(original, decoded, out=np.ones_like(original), where=usable)
    return np.clip(np.rint(10 * np.log10(ratio) / UNIT_DB), -_LARGEST, _LARGEST).astype(np.int16)


def encode_cells(cells: NDArray[np.int16]) -> bytes:
    """Corrections of one group to bytes; empty when all are zero.

    They are coded in raster order with the binary coder: mean and deviation are estimated from those before,
    above all from the neighbours, and the deviation chooses the contexts.
    """
    if not cells.any():
        return b""
    coder, size = binary_coder.new_encoder(), 4 * cells.size + 64
    out = np.zeros(size, np.uint8)
    _code_cells(coder, out, _new_cell_model(), cells.astype(np.int64), True)
    return binary_coder.finished(coder, out)


def decode_cells(payload: bytes, shape: tuple[int, int]) -> NDArray[np.int16] | None:
    """Inverse of encode_cells for a group of `shape` pixels; None when all are zero. Raises CorruptError."""
    rows, columns = -(-shape[0] // CELL), -(-shape[1] // CELL)
    cells = np.zeros((rows, columns), np.int64)
    if payload:
        coder, data = binary_coder.new_decoder(payload)
        if not _code_cells(coder, data, _new_cell_model(), cells, False):
            raise CorruptError("radiometric correction is out of range")
        if not binary_coder.read_to_end(coder, data):
            raise CorruptError("radiometric correction has the wrong size")
    if np.abs(cells).max() > _LARGEST:
        raise CorruptError("radiometric correction is out of range")
    return cells.astype(np.int16) if cells.any() else None


def _new_cell_model() -> NDArray[np.uint16]:
    model = binary_coder.new_model(_CHANCES.size)
    model[:, 0] = 256 * _CHANCES.reshape(-1)
    model[:, 1] = _CERTAINTY
    return model


@compiled("boolean(int64[::1], uint8[::1], uint16[:, ::1], int64[:, ::1], boolean)")
def _code_cells(coder: Any, data: Any, model: Any, cells: Any, encoding: bool) -> bool:
    """Encode corrections, or decode them into `cells`; False where one is out of range."""
    rows, columns = cells.shape
    errors = np.zeros((rows, columns), np.int64)
    mean, deviation, count = 0, 64, 0  # in 1/64 of a unit
    for i in range(rows):
        for j in range(columns):
            weight, values, around = 0, 0, 0
            for above in range(2):
                for beside in range(-1, 2):
                    if i < above or j + beside < 0 or j + beside >= columns or (above == 0 and beside >= 0):
                        continue
                    nearness = 1 if above and beside else 2
                    weight += nearness
                    values += nearness * cells[i - above, j + beside]
                    around += nearness * errors[i - above, j + beside]
            guess = mean + ((3 * (64 * values - weight * mean)) >> 6)
            spread = deviation + ((around - weight * deviation) >> 5)
            group = 0
            while group < _SPREADS.size and spread >= _SPREADS[group]:
                group += 1
            centre, phase = (guess + 32) >> 6, ((guess + 32) & 63) >> 4
            value = _code_number(coder, data, model, _CONTEXTS * group, phase, cells[i, j] - centre, encoding)
            cells[i, j] = centre + value
            if abs(cells[i, j]) > _LARGEST:
                return False
            errors[i, j] = abs(64 * cells[i, j] - guess)
            mean += (64 * cells[i, j] - mean) // (min(count, 40) + 2)
            deviation += (errors[i, j] - deviation) // (min(count, 30) + 2)
            count += 1
    return True


@inlined
def _code_number(
    coder: Any, data: Any, model: Any, first: int, phase: int, value: int, encoding: bool
) -> int:
    """Zero or not, sign, magnitude in unary, and from _UNARY on in Elias's gamma code."""
    if not _code_bit(coder, data, model, first + phase, value != 0, encoding):
        return 0
    negative = _code_bit(coder, data, model, first + 4 + phase, value < 0, encoding)
    magnitude = 1
    while magnitude < _UNARY:
        context = first + 8 + min(magnitude - 1, 5)
        if not _code_bit(coder, data, model, context, abs(value) > magnitude, encoding):
            break
        magnitude += 1
    if magnitude == _UNARY:
        rest = abs(value) - _UNARY + 1
        length = 0
        while length < 12:
            more = rest >> (length + 1) > 0
            if encoding:
                binary_coder.put(coder, data, binary_coder.EVEN, more)
            elif not binary_coder.take(coder, data, binary_coder.EVEN):
                break
            if encoding and not more:
                break
            length += 1
        low = 1
        for place in range(length - 1, -1, -1):
            if encoding:
                binary_coder.put(coder, data, binary_coder.EVEN, (rest >> place) & 1)
            else:
                low = 2 * low + binary_coder.take(coder, data, binary_coder.EVEN)
        magnitude += (rest if encoding else low) - 1
    return -magnitude if negative else magnitude


@inlined
def _code_bit(coder: Any, data: Any, model: Any, context: int, bit: int, encoding: bool) -> int:
    if encoding:
        binary_coder.encode_bit(coder, data, model, context, bit, _COUNTED)
        return bit
    return binary_coder.decode_bit(coder, data, model, context, _COUNTED)


def decode_rice_cells(payload: bytes, shape: tuple[int, int]) -> NDArray[np.int16] | None:
    """Cells of a stream of format 1.0 (FORMAT.md 9.5); None when all are zero. Raises CorruptError."""
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
