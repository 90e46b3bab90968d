"""Outliers: the few pixels that no transform of a neighbourhood can tell cheaply, coded one by one.

A scatterer one pixel wide on a calm sea, or the ramp of resampled values where a scene ends, spreads over
hundreds of coefficients; coarse steps lose it, fine ones pay for it many times over. Such pixels are cut out
of the signal, which continues smoothly where they were, and sent as decibels in units of UNIT_DB. The class
map (validity) says where they are.

Two rules find them, both relative to the roughness of the strip, so that speckle is never taken for them:
points that stand out of their cell by 10 dB or more, as long as they are few, and ramps within 8
pixels of missing pixels or of the sides of the scene that lie 6 dB or more under what is further inside.

Stream: the adaptive binary coder (entropy.binary). In raster order, each value is a difference to the outlier
above, or to the left, or before in the stream, whichever of them there is first: the bits of its length
in unary, its sign, its digits below the highest. Contexts of the length: which of the three it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy.binary import finished, new_decoder, new_encoder, new_model, read_to_end
from sarzip.codec.signal.cell_power import CELL
from sarzip.codec.signal.inpaint import fill
from sarzip.errors import CorruptError
from sarzip.native import kernel

UNIT_DB = 0.125
# Those of the rules that are not here stand in native/outliers.c.
MOST_POINTS = 24
"""Of a cell of 32×32 pixels; more are a texture."""
LEAST_RAMPS = 16
"""Pixels of ramps in a piece of a strip; fewer are chance."""

_LARGEST = 1 << 14
_DIGITS = 16
# Contexts: of the length by kind of neighbour, of the sign by it, of the first digit by the length.
_CONTEXTS = 3 * (_DIGITS + 1) + 3 + _DIGITS + 1
# A difference takes 33 bits at most, and a bit two bytes.
_MOST_BYTES = 70
_PIECE = 1024  # columns that are looked at for ramps at a time, which bounds the memory

_points = kernel(
    "find_points",
    "int64(float32[:,::1], uint8[:,::1], int64, int64, int64, int64[::1], float32[::1], float32[:,::1])",
)
_ramps = kernel("find_ramps", "int64(const float32[:,::1], uint8[:,::1], int64, int64, int64, int64, int64)")
_encode = kernel(
    "encode_outliers",
    "void(const int32[::1], const int64[::1], const int64[::1], int64, int64[::1], int64[::1], uint8[::1], "
    "uint16[:,::1])",
)
_decode = kernel(
    "decode_outliers",
    "int64(int32[::1], const int64[::1], const int64[::1], int64, int64[::1], int64[::1], const uint8[::1], "
    "int64, uint16[:,::1])",
)


@dataclass(frozen=True, eq=False)
class Outliers:
    """The outliers of a strip in raster order: places int64 (n,) in the flattened strip of `width`
    columns, decibels float32 (n,).
    """

    places: NDArray[np.int64]
    decibels: NDArray[np.float32]
    width: int

    def within(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Decibels of those in some rows and columns, in raster order."""
        row, column = np.divmod(self.places, self.width)
        inside = (column >= columns.start) & (column < columns.stop)
        return self.decibels[inside & (row >= rows.start) & (row < rows.stop)]


@dataclass(frozen=True, eq=False)
class Overlay:
    """Outliers of a group or a part of it: where (bool, rows × columns), and their decibels in raster
    order.
    """

    marks: NDArray[np.bool_]
    decibels: NDArray[np.float32]

    def window(self, rows: slice, columns: slice) -> Overlay:
        """The part of it that lies in some rows and columns."""
        inside = np.zeros(self.marks.shape, bool)
        inside[rows, columns] = True
        return Overlay(self.marks[rows, columns], self.decibels[inside[self.marks]])


def find(signal: NDArray[np.float32], classes: NDArray[np.uint8], number: int) -> Outliers:
    """Find the outliers of a strip, give them the class `number` and replace them in the signal.

    signal: dB, C-contiguous (rows, columns), filled where classes is not 0.
    """
    cells = -(-signal.shape[0] // CELL) * -(-signal.shape[1] // CELL)
    replaced = np.empty(MOST_POINTS * cells, np.int64), np.empty(MOST_POINTS * cells, np.float32)
    pieces = [np.s_[:, left : left + _PIECE] for left in range(0, signal.shape[1], _PIECE)]
    holes = [bool(classes[piece].any()) for piece in pieces]
    columns = np.empty((3, signal.shape[1]), np.float32)
    points = _points(signal, classes, *signal.shape, number, *replaced, columns)
    refilled = [
        piece
        for piece, hole in zip(pieces, holes, strict=True)
        if _mark_ramps(signal, classes, number, piece, hole)
    ]
    order = np.argsort(replaced[0][:points])
    places, decibels = replaced[0][order], replaced[1][order]
    if refilled:
        points_at = places
        places = np.flatnonzero(classes == number)
        values = signal.reshape(-1)[places]
        values[np.searchsorted(places, points_at)] = decibels
        decibels = values
    for piece in refilled:
        fill(signal[piece], classes[piece] > 0)
    return Outliers(places, decibels, signal.shape[1])


def _mark_ramps(
    signal: NDArray[np.float32],
    classes: NDArray[np.uint8],
    number: int,
    piece: tuple[slice, slice],
    hole: bool,
) -> bool:
    """Mark the ramps in a piece of the columns of a strip, if there are enough of them. hole: whether any of
    its pixels are missing.
    """
    left, right = piece[1].start == 0, piece[1].stop >= signal.shape[1]
    if not (left or right or hole):
        return False
    marks = classes[piece].copy()
    own = np.ascontiguousarray(signal[piece])
    found = _ramps(own, marks, *own.shape, number, left, right)
    if hole:
        turned = np.ascontiguousarray(marks.T)
        found += _ramps(np.ascontiguousarray(own.T), turned, *turned.shape, number, False, False)
        marks = turned.T
    if found < LEAST_RAMPS:
        return False
    classes[piece] = marks
    return True


def to_units(signal: NDArray[np.float32]) -> NDArray[np.int32]:
    """Decibels of outliers as they are sent, int32."""
    return np.clip(np.rint(signal / UNIT_DB), -_LARGEST, _LARGEST).astype(np.int32)


def encode_outliers(units: NDArray[np.int32], marks: NDArray[np.bool_]) -> bytes:
    """Units (n,) of the outliers of a group in raster order, and where they are, to bytes; b'' if n is
    0.
    """
    if not units.size:
        return b""
    out, coder = np.zeros(_MOST_BYTES * units.size + 16, np.uint8), new_encoder()
    last = np.zeros(marks.shape[1], np.int64)
    _encode(units, *_places(marks), units.size, last, coder, out, new_model(_CONTEXTS))
    return finished(coder, out)


def decode_outliers(payload: bytes, marks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Inverse of encode_outliers: decibels float32 (n,). Raises CorruptError."""
    rows, columns = _places(marks)
    if not rows.size:
        if payload:
            raise CorruptError("outliers are sent where there are none")
        return np.empty(0, np.float32)
    coder, data = new_decoder(payload)
    units, last = np.empty(rows.size, np.int32), np.zeros(marks.shape[1], np.int64)
    where = (rows, columns, rows.size, last)
    valid = _decode(units, *where, coder, data, data.size, new_model(_CONTEXTS))
    if not valid or not read_to_end(coder, data):
        raise CorruptError("outliers are damaged")
    return units.astype(np.float32) * np.float32(UNIT_DB)


def _places(marks: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the marked pixels in raster order."""
    flat = np.flatnonzero(marks)
    return flat // marks.shape[1], flat % marks.shape[1]
