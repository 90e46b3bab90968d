"""Rows of groups with the latents around them: what encoder and decoder both need to synthesise a group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Family
from sarzip.grid import STRIDE, Axis, Grid

Latents = NDArray[np.float32]


@dataclass(frozen=True)
class LatentRow:
    """One row of groups of one set, which may still be in the making.

    pending: for each group a call that waits for its latents (C, h, w) and what else belongs to it.
    """

    pending: tuple[Callable[[], tuple[Latents, Any]], ...]

    def __len__(self) -> int:
        return len(self.pending)

    def latents(self, column: int) -> Latents:
        """The latents of a group."""
        return self.pending[column]()[0]

    def group(self, column: int) -> Any:
        """What else belongs to a group."""
        return self.pending[column]()[1]


@dataclass(frozen=True)
class NeighbouredRow:
    """The same with the rows above (its last latents) and below. top: first row of latents in the scene."""

    grid: Grid
    family: Family | None
    top: int
    above: tuple[Latents, ...]
    current: LatentRow
    below: LatentRow | None

    def group(self, column: int) -> Any:
        """What belongs to a group."""
        return self.current.group(column)

    def crop(self, column: int) -> Latents:
        """Latents (C, h + 2·halo, w + 2·halo) of a group with the halo that its synthesis needs.

        Beyond the scene they are mirrored, with the signs of the family.
        """
        own, family, side = self.current.latents(column), self.family, self.grid.group // STRIDE
        if family is None:
            return own
        halo, (channels, height, width) = family.synthesis_halo, own.shape
        size = -(-self.grid.height // STRIDE), -(-self.grid.width // STRIDE)
        rows = Axis(self.top - halo, height + 2 * halo, size[0], size[0])
        columns = Axis(column * side - halo, width + 2 * halo, size[1], size[1])
        cropped = np.empty((channels, rows.count, columns.count), np.float32)
        for number in range(max(column - 1, 0), min(column + 2, len(self.current))):
            left = side * number
            for to_column, from_column in columns.within(left, min(left + side, size[1])):
                for start, latents in self._parts(number):
                    for to_row, from_row in rows.within(start, start + latents.shape[1]):
                        cropped[:, to_row, to_column] = latents[:, from_row, from_column]
        if rows.mirrored.any():
            cropped[:, rows.mirrored] *= family.mirror_signs[0][:, None, None]
        if columns.mirrored.any():
            cropped[:, :, columns.mirrored] *= family.mirror_signs[1][:, None, None]
        return cropped

    def _parts(self, column: int) -> Iterator[tuple[int, Latents]]:
        """First row of latents in the scene, and the latents, of a column of the rows of groups there are."""
        own = self.current.latents(column)
        if self.above:
            yield self.top - self.above[column].shape[1], self.above[column]
        yield self.top, own
        if self.below:
            yield self.top + own.shape[1], self.below.latents(column)


def with_neighbours(
    rows: Iterator[list[LatentRow]], families: Sequence[Family | None], grid: Grid
) -> Iterator[list[NeighbouredRow]]:
    """The rows, each a list over sets, with the latents around them; one row is begun ahead for it."""
    above: list[tuple[Latents, ...]] = [()] * len(families)
    current: list[LatentRow] | None = None
    top = 0
    for following in rows:
        if current is not None:
            yield [
                NeighbouredRow(grid, family, top, over, row, under)
                for family, over, row, under in zip(families, above, current, following, strict=True)
            ]
            top += grid.group // STRIDE
            above = [_last_rows(each, family) for each, family in zip(current, families, strict=True)]
        current = following
    if current is not None:
        yield [
            NeighbouredRow(grid, family, top, over, row, None)
            for family, over, row in zip(families, above, current, strict=True)
        ]


def _last_rows(row: LatentRow, family: Family | None) -> tuple[Latents, ...]:
    """Copies, so that the rest of the row need not be kept."""
    halo = family.synthesis_halo if family else 0
    every = (row.latents(column) for column in range(len(row)))
    return tuple(each[:, each.shape[1] - min(halo, each.shape[1]) :].copy() for each in every)
