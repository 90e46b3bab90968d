"""The low bits of numbers, below what cells tell apart: as they are, or those of a neighbour once more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy import binary
from sarzip.codec.predictive.cells import Cells
from sarzip.codec.predictive.payload import Reading, block
from sarzip.errors import CorruptError
from sarzip.native import kernel

_CONTEXTS = 8
_LEAST_BITS = 8  # with fewer, equal ones are no repeats
_REPEATED = 0.01  # of all pixels: from where on asking for repeats pays
_code = kernel(
    "low_bits",
    "int64(int64[::1], uint8[::1], int64, uint8[::1], int64, int64[:,::1], const int32[:,::1], int64, int64,"
    " const uint8[::1], const int64[::1], uint16[:,::1], int64, int64)",
)


def repeated(numbers: NDArray[np.int64], index: NDArray[np.int32], cells: Cells) -> bool:
    """Whether numbers (rows, columns) are those of the pixel to the left or above more often than chance has
    it.
    """
    if int(cells.bits.max()) < _LEAST_BITS:
        return False
    coded = index >= 0
    left = (numbers[:, 1:] == numbers[:, :-1]) & coded[:, 1:] & coded[:, :-1]
    above = (numbers[1:] == numbers[:-1]) & coded[1:] & coded[:-1]
    return bool(max(np.count_nonzero(left), np.count_nonzero(above)) > _REPEATED * numbers.size)


def encode(numbers: NDArray[np.int64], index: NDArray[np.int32], cells: Cells, repeats: bool) -> bytes:
    """Low bits of the numbers (rows, columns) whose cell is not -1."""
    if not cells.bits.any():
        return b""
    most = int(cells.bits[index[index >= 0]].sum(dtype=np.int64))
    coder, flags = binary.new_encoder(), np.zeros(2 * numbers.size * repeats + 64, np.uint8)
    raw = np.zeros(most // 8 + 1, np.uint8)
    tables = cells.bits, cells.first, binary.new_model(_CONTEXTS), int(repeats), 1
    size = _code(coder, flags, flags.size, raw, most, numbers, index, *index.shape, *tables)
    told = block(binary.finished(coder, flags)) if repeats else b""
    return told + raw[: (size + 7) // 8].tobytes()


def decode(reading: Reading, index: NDArray[np.int32], cells: Cells, repeats: bool) -> NDArray[np.int64]:
    """Numbers (rows, columns), given their cells; those without any are 0. Raises CorruptError."""
    numbers = np.where(index >= 0, cells.first[index], 0)
    if not cells.bits.any():
        return numbers
    coder, flags = binary.new_decoder(reading.block() if repeats else b"")
    rest = reading.rest()
    raw = np.frombuffer(bytearray(rest), np.uint8)
    tables = cells.bits, cells.first, binary.new_model(_CONTEXTS), int(repeats), 0
    size = _code(coder, flags, flags.size, raw, 8 * raw.size, numbers, index, *index.shape, *tables)
    spare = bool(size % 8) and len(rest) == (size + 7) // 8 and rest[-1] >> size % 8
    if len(rest) != (size + 7) // 8 or spare or (repeats and not binary.read_to_end(coder, flags)):
        raise CorruptError("the low bits of pixels have a wrong size")
    return numbers
