"""The bias correction: the mean power of every 32×32 cell comes out as it went in.

Coding in dB keeps means of dB; speckle that was smoothed away lowers the mean of the power. The encoder
decodes its own group, compares the power of each cell with the original's and sends the difference in tenths
of a dB; what the decoder does with it is in signal/cell_power.py.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy import binary
from sarzip.codec.signal.cell_power import CELL
from sarzip.codec.signal.radiometry import db_per_neper
from sarzip.errors import CorruptError
from sarzip.native import kernel
from sarzip.native.maths import log

UNIT_DB = 0.1
# Beyond this a cell holds nothing that a gain could repair.
_LARGEST = 300
_HEAD = 3

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
_CERTAINTY = 24
# A number takes 45 bits at most, and a bit two bytes.
_MOST_BYTES = 90
_code_cells = kernel(
    "code_cells",
    "int64(int64[::1], uint8[::1], int64, uint16[:,::1], int64[:,::1], int64[:,::1], int64, int64, int64)",
)
_unrice = kernel("unrice", "int64(const uint8[::1], int64, int64, int32[::1], int64)")


def correction(original: NDArray[np.float64], decoded: NDArray[np.float64]) -> NDArray[np.int16]:
    """What is to be coded: how much the power of each cell must rise, in units of 0.1 dB."""
    usable = (original > 0) & (decoded > 0)
    ratio = np.divide(original, decoded, out=np.ones_like(original), where=usable)
    units = np.rint(log(ratio, db_per_neper("power")) / UNIT_DB)
    return np.clip(units, -_LARGEST, _LARGEST).astype(np.int16)


def encode_cells(cells: NDArray[np.int16]) -> bytes:
    """Corrections of one group to bytes; empty when all are zero.

    They are coded in raster order with the binary coder: mean and deviation are estimated from those before,
    above all from the neighbours, and the deviation chooses the contexts.
    """
    if not cells.any():
        return b""
    coder, out = binary.new_encoder(), np.zeros(_MOST_BYTES * cells.size + 64, np.uint8)
    _code(coder, out, cells.astype(np.int64), True)
    return binary.finished(coder, out)


def decode_cells(payload: bytes, shape: tuple[int, int]) -> NDArray[np.int16] | None:
    """Inverse of encode_cells for a group of `shape` pixels; None when all are zero. Raises CorruptError."""
    rows, columns = -(-shape[0] // CELL), -(-shape[1] // CELL)
    cells = np.zeros((rows, columns), np.int64)
    if payload:
        coder, data = binary.new_decoder(payload)
        if not _code(coder, data, cells, False):
            raise CorruptError("radiometric correction is out of range")
        if not binary.read_to_end(coder, data):
            raise CorruptError("radiometric correction has the wrong size")
    if np.abs(cells).max() > _LARGEST:
        raise CorruptError("radiometric correction is out of range")
    return cells.astype(np.int16) if cells.any() else None


def _code(
    coder: NDArray[np.int64], data: NDArray[np.uint8], cells: NDArray[np.int64], encoding: bool
) -> bool:
    """Encode corrections, or decode them into `cells` (rows, columns); False where one is out of range."""
    errors = np.zeros(cells.shape, np.int64)
    where = (cells, errors, *cells.shape)
    return bool(_code_cells(coder, data, data.size, _new_cell_model(), *where, encoding))


def _new_cell_model() -> NDArray[np.uint16]:
    model = binary.new_model(_CHANCES.size)
    model[:, 0] = 256 * _CHANCES.reshape(-1)
    model[:, 1] = _CERTAINTY
    return model


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
    if not _unrice(bits, bits.size, k, unsigned, unsigned.size):
        raise CorruptError("radiometric correction has the wrong size")
    cells = median + np.where(unsigned & 1, -((unsigned + 1) >> 1), unsigned >> 1)
    if np.abs(cells).max() > _LARGEST:
        raise CorruptError("radiometric correction is out of range")
    return cells.astype(np.int16).reshape(rows, columns)
