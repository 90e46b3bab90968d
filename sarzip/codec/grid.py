"""The grid of patches and groups, and the halo that makes it invisible.

A scene is cut into groups (default 1024×1024 pixels, i.e. 4×4 patches of 256×256 pixels or 64×64 latents),
the units of random access, threads and memory. Networks look beyond the edge of a group: between groups they
are given the real neighbours; beyond the scene its half-sample symmetric reflection (… c b a | a b c …), in
pixels for the encoder and in latents for the decoder. So coding by groups equals coding the scene at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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

    def strips(self, strips: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Consecutive strips (C, rows, width) of the plane to strips with halo and padding.

        Each result has rows padded up to `multiple` (only the last needs it) plus the halo above and below,
        and the padded width plus the halo left and right. At most three input strips are held. All strips
        but the last must have the same number of rows, a multiple of `multiple`, not less than the halo.
        """
        held: list[NDArray[np.float32]] = []
        starts: list[int] = []
        position = 0
        for strip in strips:
            held.append(strip)
            starts.append(position)
            position += strip.shape[1]
            # The strip before the newest now has the neighbour below that its halo needs.
            if len(held) >= 2:
                yield self._extended(held, starts, len(held) - 2)
            if len(held) == 3:
                held.pop(0)
                starts.pop(0)
        if held:
            yield self._extended(held, starts, len(held) - 1)

    def _extended(
        self, held: list[NDArray[np.float32]], starts: list[int], which: int
    ) -> NDArray[np.float32]:
        first = starts[which] - self.halo
        rows = ceil_to(held[which].shape[1], self.multiple) + 2 * self.halo
        row_index, row_mirrored = fold(first, rows, self.height, ceil_to(self.height, self.multiple))
        columns = ceil_to(self.width, self.multiple)
        column_index, column_mirrored = fold(-self.halo, columns + 2 * self.halo, self.width, columns)
        channels = held[0].shape[0]
        extended = np.empty((channels, rows, columns + 2 * self.halo), held[0].dtype)
        core = slice(self.halo, self.halo + self.width)
        outside = np.r_[0 : self.halo, self.halo + self.width : columns + 2 * self.halo]
        for strip, start in zip(held, starts, strict=True):
            inside = np.flatnonzero((row_index >= start) & (row_index < start + strip.shape[1]))
            if not inside.size:
                continue
            source = row_index[inside] - start
            if source.size == source[-1] - source[0] + 1 and np.all(np.diff(source) == 1):
                target = slice(int(inside[0]), int(inside[-1]) + 1)
                extended[:, target, core] = strip[:, source[0] : source[-1] + 1]
            else:
                extended[:, inside, core] = strip[:, source]
        extended[:, :, outside] = extended[:, :, self.halo + column_index[outside]]
        if self.signs is not None:
            extended[:, row_mirrored] *= self.signs[0][:, None, None]
            extended[:, :, column_mirrored] *= self.signs[1][:, None, None]
        return extended
