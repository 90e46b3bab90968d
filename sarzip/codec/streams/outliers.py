"""Literal pixels: the few that no transform of a neighbourhood can tell cheaply, coded one by one.

A scatterer one pixel wide on a calm sea, or the ramp of resampled values where a scene ends, spreads over
hundreds of coefficients; coarse steps lose it, fine ones pay for it many times over. Such pixels are cut out
of the signal, which continues smoothly where they were, and sent as decibels in units of UNIT_DB. The class
map (validity) says where they are.

Two rules find them, both relative to the roughness of the strip, so that speckle is never taken for them:
points that stand out of their cell by POINT_DB or more, as long as they are few, and ramps within REACH
pixels of missing pixels or of the sides of the scene that lie RAMP_DB or more under what is further inside.

Stream: the adaptive binary coder (binary_coder). In raster order, each value is a difference to the literal
pixel above, or to the left, or before in the stream, whichever of them there is first: the bits of its length
in unary, its sign, its digits below the highest. Contexts of the length: which of the three it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy.binary import (
    decode_bit,
    encode_bit,
    finished,
    new_decoder,
    new_encoder,
    new_model,
    put,
    read_to_end,
    take,
)
from sarzip.codec.signal.cell_power import CELL
from sarzip.codec.streams.class_map import fill
from sarzip.errors import CorruptError
from sarzip.jit.compile import compiled, inlined

UNIT_DB = 0.125
POINT_DB, POINT_SPREADS = 10.0, 9.0
MOST_POINTS = 24
"""Of a cell of 32×32 pixels; more are a texture."""
LEAST_BODY = 256
"""Pixels that a cell must have besides."""
RAMP_DB, RAMP_SPREADS = 6.0, 10.0
REACH = 8
LEAST_RAMPS = 16
"""Pixels of ramps in a piece of a strip; fewer are chance."""

_LARGEST = 1 << 14
_DIGITS = 16
# Contexts: of the length by kind of neighbour, of the sign by it, of the first digit by the length.
_SIGNS = 3 * (_DIGITS + 1)
_FIRST_DIGITS = _SIGNS + 3
_CONTEXTS = _FIRST_DIGITS + _DIGITS + 1
_MEMORY = 60
_PIECE = 1024  # columns that are looked at for ramps at a time, which bounds the memory
_EVEN = 32768


@dataclass(frozen=True, eq=False)
class Literals:
    """The literal pixels of a strip in raster order: places int64 (n,) in the flattened strip of `width`
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
    """Literal pixels of a group or a part of it: where (bool, rows × columns), and their decibels in raster
    order.
    """

    marks: NDArray[np.bool_]
    decibels: NDArray[np.float32]

    def window(self, rows: slice, columns: slice) -> Overlay:
        """The part of it that lies in some rows and columns."""
        inside = np.zeros(self.marks.shape, bool)
        inside[rows, columns] = True
        return Overlay(self.marks[rows, columns], self.decibels[inside[self.marks]])


def find(signal: NDArray[np.float32], classes: NDArray[np.uint8], number: int) -> Literals:
    """Find the literal pixels of a strip, give them the class `number` and replace them in the signal.

    signal: dB, C-contiguous (rows, columns), filled where classes is not 0.
    """
    cells = -(-signal.shape[0] // CELL) * -(-signal.shape[1] // CELL)
    replaced = np.empty(MOST_POINTS * cells, np.int64), np.empty(MOST_POINTS * cells, np.float32)
    pieces = [np.s_[:, left : left + _PIECE] for left in range(0, signal.shape[1], _PIECE)]
    holes = [bool(classes[piece].any()) for piece in pieces]
    points = _points(signal, classes, number, *replaced)
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
    return Literals(places, decibels, signal.shape[1])


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
    found = _ramps(own, marks, number, left, right)
    if hole:
        turned = np.ascontiguousarray(marks.T)
        found += _ramps(np.ascontiguousarray(own.T), turned, number, False, False)
        marks = turned.T
    if found < LEAST_RAMPS:
        return False
    classes[piece] = marks
    return True


@compiled("int64(float32[:,::1], uint8[:,::1], int64, int64[::1], float32[::1])")
def _points(signal, classes, number, places, raw):  # type: ignore[no-untyped-def]
    """Number of points, which are marked and replaced; what they were goes to places and raw."""
    found = 0
    width = signal.shape[1]
    highest, total, squares = np.zeros((3, width), np.float32)
    for top in range(0, signal.shape[0], CELL):
        bottom = min(top + CELL, signal.shape[0])
        highest[:], total[:], squares[:] = signal[top], np.float32(0), np.float32(0)
        for y in range(top, bottom):
            for x in range(width):
                value = signal[y, x]
                total[x] += value
                squares[x] += value * value
                highest[x] = value if value > highest[x] else highest[x]
        for left in range(0, width, CELL):
            right = min(left + CELL, width)
            count = (bottom - top) * (right - left)
            mean = total[left:right].sum() / count
            spread = math.sqrt(max(squares[left:right].sum() / count - mean * mean, 0.0))
            # A cheap look first: the points themselves widen the spread, but not to half of what they are.
            if highest[left:right].max() >= mean + max(POINT_DB, POINT_SPREADS / 2 * spread):
                mean, level = _body(signal[top:bottom, left:right], classes[top:bottom, left:right])
                points = 0
                for y in range(top, bottom):
                    for x in range(left, right):
                        points += classes[y, x] == 0 and signal[y, x] >= level
                if points > MOST_POINTS:
                    continue
                for y in range(top, bottom):
                    for x in range(left, right):
                        if classes[y, x] == 0 and signal[y, x] >= level:
                            places[found], raw[found] = y * width + x, signal[y, x]
                            classes[y, x], signal[y, x] = number, mean
                            found += 1
    return found


@inlined
def _body(signal, classes):  # type: ignore[no-untyped-def]
    """Mean of the pixels of a cell that do not stand out by POINT_DB; the level from which one is a point."""
    mean, count = 0.0, 0
    for y in range(signal.shape[0]):
        for x in range(signal.shape[1]):
            if classes[y, x] == 0:
                mean += signal[y, x]
                count += 1
    level = mean / max(count, 1) + POINT_DB
    mean, squares, count = 0.0, 0.0, 0
    for y in range(signal.shape[0]):
        for x in range(signal.shape[1]):
            if classes[y, x] == 0 and signal[y, x] < level:
                mean += signal[y, x]
                squares += signal[y, x] * signal[y, x]
                count += 1
    if count < LEAST_BODY:
        return mean, np.inf
    mean /= count
    return mean, mean + max(POINT_DB, POINT_SPREADS * math.sqrt(max(squares / count - mean * mean, 0.0)))


@compiled("int64(float32[:,::1], uint8[:,::1], int64, boolean, boolean)")
def _ramps(signal, classes, number, left, right):  # type: ignore[no-untyped-def]
    """Along rows: both ends of every run of pixels that are not missing; left, right: whether those at the
    edges of the plane count.
    """
    found = 0
    width = signal.shape[1]
    for y in range(signal.shape[0]):
        start = 0
        while start < width:
            while start < width and classes[y, start] != 0 and classes[y, start] != number:
                start += 1
            end = start
            while end < width and (classes[y, end] == 0 or classes[y, end] == number):
                end += 1
            if end - start >= 4 * REACH:
                if left or start > 0:
                    found += _ramp(signal[y], classes[y], number, start, 1)
                if right or end < width:
                    found += _ramp(signal[y], classes[y], number, end - 1, -1)
            start = end
    return found


@inlined
def _ramp(signal, classes, number, first, direction):  # type: ignore[no-untyped-def]
    """Up to REACH pixels from `first` on, against the mean and the spread of twice as many further inside."""
    mean, squares = 0.0, 0.0
    for i in range(REACH, 3 * REACH):
        value = np.float64(signal[first + direction * i])
        mean += value / (2 * REACH)
        squares += value * value / (2 * REACH)
    spread = math.sqrt(max(squares - mean * mean, 0.0))
    level = mean - max(RAMP_DB, RAMP_SPREADS * spread)
    found = 0
    for i in range(REACH):
        x = first + direction * i
        if signal[x] >= level:
            break
        if classes[x] == 0:
            classes[x] = number
            found += 1
    return found


def to_units(signal: NDArray[np.float32]) -> NDArray[np.int32]:
    """Decibels of literal pixels as they are sent, int32."""
    return np.clip(np.rint(signal / UNIT_DB), -_LARGEST, _LARGEST).astype(np.int32)


def encode_literals(units: NDArray[np.int32], marks: NDArray[np.bool_]) -> bytes:
    """Units (n,) of the literal pixels of a group in raster order, and where they are, to bytes; b'' if n is
    0.
    """
    if not units.size:
        return b""
    out = np.zeros(8 * units.size + 16, np.uint8)
    coder = new_encoder()
    _encode(units, *_places(marks), marks.shape[1], coder, out, new_model(_CONTEXTS))
    return finished(coder, out)


def decode_literals(payload: bytes, marks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Inverse of encode_literals: decibels float32 (n,). Raises CorruptError."""
    rows, columns = _places(marks)
    if not rows.size:
        if payload:
            raise CorruptError("literal pixels are sent where there are none")
        return np.empty(0, np.float32)
    coder, data = new_decoder(payload)
    units = np.empty(rows.size, np.int32)
    valid = _decode(units, rows, columns, marks.shape[1], coder, data, new_model(_CONTEXTS))
    if not valid or not read_to_end(coder, data):
        raise CorruptError("literal pixels are damaged")
    return units.astype(np.float32) * np.float32(UNIT_DB)


def _places(marks: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the marked pixels in raster order."""
    flat = np.flatnonzero(marks)
    return flat // marks.shape[1], flat % marks.shape[1]


@inlined
def _predicted(i, rows, columns, last, units):  # type: ignore[no-untyped-def]
    """Prediction and kind of neighbour (0 above, 1 left, 2 any). last: number + 1 of the last in a column."""
    above = last[columns[i]] - 1
    if above >= 0 and rows[above] == rows[i] - 1:
        return np.int64(units[above]), 0
    if i > 0 and rows[i - 1] == rows[i] and columns[i - 1] == columns[i] - 1:
        return np.int64(units[i - 1]), 1
    return np.int64(units[i - 1]) if i > 0 else np.int64(0), 2


@compiled("void(int32[::1], int64[::1], int64[::1], int64, int64[::1], uint8[::1], uint16[:,::1])")
def _encode(units, rows, columns, width, coder, out, model):  # type: ignore[no-untyped-def]
    last = np.zeros(width, np.int64)
    for i in range(units.shape[0]):
        near, kind = _predicted(i, rows, columns, last, units)
        value = np.int64(units[i]) - near
        size, length = abs(value), 0
        while size >> length:
            length += 1
        for step in range(length):
            encode_bit(coder, out, model, kind * (_DIGITS + 1) + step, 1, _MEMORY)
        if length < _DIGITS:
            encode_bit(coder, out, model, kind * (_DIGITS + 1) + length, 0, _MEMORY)
        if length:
            encode_bit(coder, out, model, _SIGNS + kind, np.int64(value < 0), _MEMORY)
            for place in range(length - 2, -1, -1):
                bit = (size >> place) & 1
                if place == length - 2:
                    encode_bit(coder, out, model, _FIRST_DIGITS + length, bit, _MEMORY)
                else:
                    put(coder, out, _EVEN, bit)
        last[columns[i]] = i + 1


@compiled("boolean(int32[::1], int64[::1], int64[::1], int64, int64[::1], uint8[::1], uint16[:,::1])")
def _decode(units, rows, columns, width, coder, data, model):  # type: ignore[no-untyped-def]
    last = np.zeros(width, np.int64)
    for i in range(units.shape[0]):
        near, kind = _predicted(i, rows, columns, last, units)
        length = 0
        while length < _DIGITS and decode_bit(coder, data, model, kind * (_DIGITS + 1) + length, _MEMORY):
            length += 1
        value = np.int64(length > 0)
        if length:
            negative = decode_bit(coder, data, model, _SIGNS + kind, _MEMORY)
            for place in range(length - 2, -1, -1):
                if place == length - 2:
                    bit = decode_bit(coder, data, model, _FIRST_DIGITS + length, _MEMORY)
                else:
                    bit = take(coder, data, _EVEN)
                value = 2 * value + bit
            value = -value if negative else value
        if abs(near + value) > _LARGEST:
            return False
        units[i] = near + value
        last[columns[i]] = i + 1
    return True
