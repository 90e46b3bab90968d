"""The grid of patches and groups, and the halo that makes it invisible.

A scene is cut into groups (default 1024×1024 pixels, i.e. 4×4 patches of 256×256 pixels or 64×64 latents),
the units of random access, threads and memory. Networks look beyond the edge of a group: between groups they
are given the real neighbours; beyond the scene its half-sample symmetric reflection (… c b a | a b c …), in
pixels for the encoder and in latents for the decoder. So coding by groups equals coding the scene at once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PATCH = 256
STRIDE = 16


def ceil_to(value: int, multiple: int) -> int:
    """Smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: row, column of its upper left corner, rows, columns."""

    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Grid:
    """Groups of a scene in raster order. width, height, group: pixels; group is a multiple of PATCH."""

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

    def strip(self, row: int) -> tuple[int, int]:
        """First pixel row and number of pixel rows of one row of groups."""
        top = row * self.group
        return top, min(self.group, self.height - top)

    def window(self, row: int, column: int) -> Window:
        """Pixels of one group, within the scene."""
        top, rows = self.strip(row)
        left = column * self.group
        return Window(top, left, rows, min(self.group, self.width - left))

    def latent_shape(self, row: int, column: int) -> tuple[int, int]:
        """Latent rows and columns of one group (the scene padded to whole latents)."""
        window = self.window(row, column)
        return -(-window.rows // STRIDE), -(-window.columns // STRIDE)


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
class Extension:
    """How a plane continues beyond its borders.

    height, width: of the plane. multiple: it is padded to multiples of this. halo: added on each side.
    signs: float32 (2, C) factors of channel c where a row (0) or a column (1) is mirrored, or None.
    """

    height: int
    width: int
    multiple: int
    halo: int
    signs: NDArray[np.float32] | None = None

    def strips(self, strips: Iterable[NDArray[Any]]) -> Iterator[HaloStrip]:
        """Consecutive strips (C, rows, width) of the plane, each with the neighbours its halo needs.

        Two whole strips and the last rows of a third are held at a time. All strips but the last must have
        the same number of rows, a multiple of `multiple` and not less than the halo.
        """
        for (strip,) in strips_together([self], ([each] for each in strips)):
            yield strip


def strips_together(
    extensions: Sequence[Extension], rows: Iterable[Sequence[NDArray[Any]]]
) -> Iterator[list[HaloStrip]]:
    """The same for several planes at once: an item of `rows` holds the next strip of each of them.

    (Not itertools.tee, which keeps up to 57 items alive.)
    """
    above: list[NDArray[Any] | None] = [None] * len(extensions)
    current: Sequence[NDArray[Any]] | None = None
    tops = [0] * len(extensions)
    for following in rows:
        if current is not None:
            yield _halo_strips(extensions, tops, above, current, following)
            tops = [top + strip.shape[1] for top, strip in zip(tops, current, strict=True)]
            above = [
                strip[:, strip.shape[1] - extension.halo :].copy()
                for strip, extension in zip(current, extensions, strict=True)
            ]
        current = following
    if current is not None:
        yield _halo_strips(extensions, tops, above, current, [None] * len(extensions))


def _halo_strips(
    extensions: Sequence[Extension],
    tops: Sequence[int],
    above: Sequence[NDArray[Any] | None],
    current: Sequence[NDArray[Any]],
    below: Sequence[NDArray[Any] | None],
) -> list[HaloStrip]:
    parts = zip(extensions, tops, above, current, below, strict=True)
    return [HaloStrip(*part) for part in parts]


@dataclass(frozen=True, eq=False)
class HaloStrip:
    """A strip of a plane from row `top` on, and what lies above (its last rows) and below."""

    extension: Extension
    top: int
    above: NDArray[Any] | None
    current: NDArray[Any]
    below: NDArray[Any] | None

    def crop(self, first: int, columns: int) -> NDArray[Any]:
        """Columns `first` … `first + columns - 1` of the padded strip with halo on all four sides.

        Shape (C, padded rows + 2·halo, columns + 2·halo). Only the lower and right borders are padded.
        """
        about, halo = self.extension, self.extension.halo
        high = ceil_to(self.current.shape[1], about.multiple) + 2 * halo
        row = Axis(self.top - halo, high, about.height, ceil_to(about.height, about.multiple))
        column = Axis(first - halo, columns + 2 * halo, about.width, ceil_to(about.width, about.multiple))
        cropped = np.empty((len(self.current), row.count, column.count), self.current.dtype)
        for start, strip in self._parts():
            for target, source in row.within(start, start + strip.shape[1]):
                for across, from_column in column.within(0, about.width):
                    cropped[:, target, across] = strip[:, source, from_column]
        if about.signs is not None:
            cropped[:, row.mirrored] *= about.signs[0][:, None, None]
            cropped[:, :, column.mirrored] *= about.signs[1][:, None, None]
        return cropped

    def _parts(self) -> Iterator[tuple[int, NDArray[Any]]]:
        """First scene row and samples of each part."""
        if self.above is not None:
            yield self.top - self.above.shape[1], self.above
        yield self.top, self.current
        if self.below is not None:
            yield self.top + self.current.shape[1], self.below


@dataclass(frozen=True)
class Axis:
    """Part of an axis with what lies beyond its ends: see fold."""

    first: int
    count: int
    size: int
    padded: int

    @property
    def mirrored(self) -> NDArray[np.bool_]:
        """Flags where an odd number of reflections mirrored it."""
        return _folded(self)[1]

    def within(self, start: int, stop: int) -> tuple[tuple[slice, slice], ...]:
        """Pairs of slices, to this part and from the indices start … stop-1 of the axis (counted from
        start), that copy what lies there.
        """
        return _stretches(self, start, stop)


# A scene has few of them, and every group asks.
@functools.lru_cache(maxsize=256)
def _folded(axis: Axis) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    return fold(axis.first, axis.count, axis.size, axis.padded)


@functools.lru_cache(maxsize=512)
def _stretches(axis: Axis, start: int, stop: int) -> tuple[tuple[slice, slice], ...]:
    index, _ = _folded(axis)
    inside = np.flatnonzero((index >= start) & (index < stop))
    return tuple(runs(inside, index[inside] - start))


def runs(target: NDArray[np.intp], source: NDArray[np.intp]) -> Iterator[tuple[slice, slice]]:
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
