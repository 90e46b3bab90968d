"""Rectangles, the grid of groups, and the neighbourhood that makes the grid invisible.

A scene is cut into groups (default 1024×1024 pixels, i.e. 4×4 patches of 256×256 pixels or 64×64 latents),
the units of random access, threads and memory. Networks look beyond the edge of a group: between groups they
are given the real neighbours; beyond the scene its half-sample symmetric reflection (… c b a | a b c …), in
pixels for the encoder and in latents for the decoder. So coding by groups equals coding the scene at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

STRIDE = 16
"""Pixels along an axis for each latent."""
T = TypeVar("T")


def ceil_to(value: int, multiple: int) -> int:
    """Smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


class Window(NamedTuple):
    """A rectangle of pixels (or latents): row, column of its upper left corner, rows, columns."""

    row: int
    column: int
    rows: int
    columns: int

    def __str__(self) -> str:
        return f"rows {self.row}-{self.bottom - 1}, columns {self.column}-{self.right - 1}"

    @property
    def bottom(self) -> int:
        """The first row below it."""
        return self.row + self.rows

    @property
    def right(self) -> int:
        """The first column beyond it."""
        return self.column + self.columns

    @classmethod
    def between(cls, row: int, column: int, bottom: int, right: int) -> Window:
        """From its first row and column to those behind its last."""
        return cls(row, column, bottom - row, right - column)

    def intersection(self, other: Window) -> Window:
        """The common part; without rows or columns where there is none."""
        row, column = max(self.row, other.row), max(self.column, other.column)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Window(row, column, max(0, bottom - row), max(0, right - column))

    def widened(self, multiple: int, within: Window) -> Window:
        """Grown to whole squares of multiple×multiple pixels, and cut to what it lies within."""
        row, column = self.row // multiple * multiple, self.column // multiple * multiple
        bottom, right = ceil_to(self.bottom, multiple), ceil_to(self.right, multiple)
        return Window.between(row, column, bottom, right).intersection(within)

    def slices(self, outer: Window, unit: int = 1) -> tuple[slice, slice]:
        """Where it lies in an array of `outer` with a value for each unit×unit pixels."""
        top, left = (self.row - outer.row) // unit, (self.column - outer.column) // unit
        return slice(top, top - (-self.rows // unit)), slice(left, left - (-self.columns // unit))


@dataclass(frozen=True)
class Grid:
    """Groups of a scene in raster order. width, height, group: pixels; group is a multiple of 256."""

    width: int
    height: int
    group: int

    @property
    def rows(self) -> int:
        """Number of group rows."""
        return -(-self.height // self.group)

    @property
    def columns(self) -> int:
        """Number of group columns."""
        return -(-self.width // self.group)

    @property
    def count(self) -> int:
        """Number of groups."""
        return self.rows * self.columns

    @property
    def scene(self) -> Window:
        """All pixels."""
        return Window(0, 0, self.height, self.width)

    def strip(self, row: int) -> Window:
        """Pixels of one row of groups."""
        return Window(row * self.group, 0, min(self.group, self.height - row * self.group), self.width)

    def window(self, row: int, column: int) -> Window:
        """Pixels of one group, within the scene."""
        whole = Window(row * self.group, column * self.group, self.group, self.group)
        return whole.intersection(self.scene)

    def latents(self, row: int, column: int) -> Window:
        """Latents of one group (the scene padded to whole latents)."""
        return in_latents(self.window(row, column))

    def covering(self, window: Window) -> list[tuple[int, int]]:
        """Row and column of every group that shares a pixel with a window in the scene, in raster order."""
        rows = range(window.row // self.group, -(-window.bottom // self.group))
        columns = range(window.column // self.group, -(-window.right // self.group))
        return [(row, column) for row in rows for column in columns]


def in_latents(window: Window) -> Window:
    """The latents whose 16×16 pixels a window, whose corner lies on theirs, takes or touches."""
    row, column = window.row // STRIDE, window.column // STRIDE
    return Window.between(row, column, -(-window.bottom // STRIDE), -(-window.right // STRIDE))


class Part(NamedTuple):
    """Samples (C, rows, columns) of a plane, and where in it they begin."""

    row: int
    column: int
    samples: NDArray[Any]


def last_rows(part: Part, count: int) -> Part:
    """Copies of the last rows of a part, so that the rest need not be kept."""
    skip = max(0, part.samples.shape[1] - count)
    return Part(part.row + skip, part.column, part.samples[:, skip:].copy())


@dataclass(frozen=True)
class Neighbourhood:
    """How a plane continues beyond its borders: THE mirrored halo.

    height, width: of the plane. multiple: it is padded to multiples of this. halo: added on each side.
    signs: float32 (2, C) factors of channel c where a row (0) or a column (1) is mirrored, or None.
    """

    height: int
    width: int
    multiple: int
    halo: int
    signs: NDArray[np.float32] | None = None

    def around(self, window: Window, parts: Iterable[Part]) -> NDArray[Any]:
        """A window, grown to whole multiples, with the halo on all four sides: (C, rows, columns).

        parts: between them, everything of the plane that this takes; what else they hold is left alone.
        """
        rows, columns = self._axes(window)
        out: NDArray[Any] | None = None
        for part in parts:
            if out is None:
                channels = len(part.samples)
                out = np.empty((channels, rows.count, columns.count), part.samples.dtype)
            for to_row, from_row in rows.within(part.row, part.row + part.samples.shape[1]):
                for to_column, from_column in columns.within(
                    part.column, part.column + part.samples.shape[2]
                ):
                    out[:, to_row, to_column] = part.samples[:, from_row, from_column]
        assert out is not None  # a window has samples
        if self.signs is not None:
            for mirrored, sign, axis in zip((rows, columns), self.signs, (1, 2), strict=True):
                if mirrored.mirrored.any():
                    shape = (-1, 1, 1)
                    places = (slice(None),) * axis + (mirrored.mirrored,)
                    out[places] *= sign.reshape(shape)
        return out

    def reach(self, window: Window) -> Window:
        """The least rectangle of the plane that `around` takes samples of."""
        rows, columns = (axis.span for axis in self._axes(window))
        return Window.between(rows[0], columns[0], rows[1], columns[1])

    def _axes(self, window: Window) -> tuple[_Axis, _Axis]:
        return tuple(  # type: ignore[return-value]
            _Axis(
                first - self.halo,
                ceil_to(count, self.multiple) + 2 * self.halo,
                size,
                ceil_to(size, self.multiple),
            )
            for first, count, size in (
                (window.row, window.rows, self.height),
                (window.column, window.columns, self.width),
            )
        )


def mirrored_beside(own: Part, other: Window, signs: NDArray[np.float32]) -> Part:
    """What a neighbour would hold if it continued a part as its mirror image.

    other: where the neighbour lies; as much of it is made as the part reaches. signs: as in Neighbourhood.
    """
    samples, place = own.samples, [own.row, own.column]
    for axis, (before, after, size) in enumerate(
        (
            (other.row < own.row, other.row >= own.row + samples.shape[1], samples.shape[1]),
            (other.column < own.column, other.column >= own.column + samples.shape[2], samples.shape[2]),
        )
    ):
        if before or after:
            samples = np.flip(samples, axis + 1) * signs[axis][:, None, None]
            place[axis] += size if after else -size
    return Part(place[0], place[1], samples)


def fold(first: int, count: int, size: int, padded: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Indices first … first+count-1 of an axis mapped into [0, size), with a flag where mirrored.

    The axis is first continued from `size` to `padded` by reflection at its end, then reflected for ever at 0
    and `padded`; both half-sample symmetric. The flag tells an odd number of the latter reflections.
    """
    index = np.arange(first, first + count)
    index %= 2 * padded
    mirrored = index >= padded
    index = np.where(mirrored, 2 * padded - 1 - index, index)
    index %= 2 * size
    return np.where(index >= size, 2 * size - 1 - index, index), mirrored


@dataclass(frozen=True)
class _Axis:
    """Part of an axis with what lies beyond its ends: see fold."""

    first: int
    count: int
    size: int
    padded: int

    @property
    def mirrored(self) -> NDArray[np.bool_]:
        """Flags where an odd number of reflections mirrored it."""
        return _folded(self)[1]

    @property
    def span(self) -> tuple[int, int]:
        """First index of the axis that it takes, and the one behind the last."""
        return _span(self)

    def within(self, start: int, stop: int) -> tuple[tuple[slice, slice], ...]:
        """Pairs of slices, to this part and from the indices start … stop-1 of the axis (counted from
        start), that copy what lies there.
        """
        return _stretches(self, start, stop)


# A scene has few of them, and every group asks.
@functools.lru_cache(maxsize=256)
def _folded(axis: _Axis) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    return fold(axis.first, axis.count, axis.size, axis.padded)


@functools.lru_cache(maxsize=256)
def _span(axis: _Axis) -> tuple[int, int]:
    index, _ = _folded(axis)
    return int(index.min()), int(index.max()) + 1


@functools.lru_cache(maxsize=512)
def _stretches(axis: _Axis, start: int, stop: int) -> tuple[tuple[slice, slice], ...]:
    index, _ = _folded(axis)
    inside = np.flatnonzero((index >= start) & (index < stop))
    return tuple(_runs(inside, index[inside] - start))


def _runs(target: NDArray[np.intp], source: NDArray[np.intp]) -> Iterator[tuple[slice, slice]]:
    """Pairs of slices that copy source[i] to target[i], one for each stretch of steps of ±1."""
    if not target.size:
        return
    breaks = np.flatnonzero((np.diff(target) != 1) | (np.abs(np.diff(source)) != 1)) + 1
    turns = np.flatnonzero(np.diff(np.diff(source)) != 0) + 1
    for part in np.split(np.arange(target.size), np.union1d(breaks, turns)):
        first, last = int(source[part[0]]), int(source[part[-1]])
        onto = slice(int(target[part[0]]), int(target[part[-1]]) + 1)
        if last >= first:
            yield onto, slice(first, last + 1)
        else:
            yield onto, slice(first, last - 1 if last else None, -1)


def with_neighbours(rows: Iterable[T], tail: Callable[[T], T]) -> Iterator[tuple[T | None, T, T | None]]:
    """Each item with the tail of the one before and the whole of the one after it.

    Two items and a tail are held at a time. (Not itertools.tee, which keeps up to 57 items alive.)
    """
    above: T | None = None
    held: list[T] = []
    for following in rows:
        if held:
            yield above, held[0], following
            above = tail(held.pop())
        held.append(following)
        del following  # else it would be kept while the next one is made
    if held:
        yield above, held[0], None
