"""Rows of groups with the latents around them: what encoder and decoder both need to synthesise a group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.family import Family
from sarzip.codec.grid import STRIDE, Grid, fold, runs

Latents = NDArray[np.float32]


@dataclass(frozen=True)
class LatentRow:
    """One row of groups of one set: the latents (C, h, w) of each group, and what else belongs to it."""

    latents: tuple[Latents, ...]
    groups: tuple[Any, ...]


@dataclass(frozen=True)
class NeighbouredRow:
    """The same with the rows above (its last latents) and below. top: first row of latents in the scene."""

    grid: Grid
    family: Family | None
    top: int
    above: tuple[Latents, ...]
    current: LatentRow
    below: tuple[Latents, ...]

    @property
    def groups(self) -> tuple[Any, ...]:
        """What belongs to each group."""
        return self.current.groups

    def crop(self, column: int) -> Latents:
        """Latents (C, h + 2·halo, w + 2·halo) of a group with the halo that its synthesis needs.

        Beyond the scene they are mirrored, with the signs of the family.
        """
        own, family, side = self.current.latents[column], self.family, self.grid.group // STRIDE
        if family is None:
            return own
        halo, (channels, height, width) = family.synthesis_halo, own.shape
        size = -(-self.grid.height // STRIDE), -(-self.grid.width // STRIDE)
        rows, row_mirrored = fold(self.top - halo, height + 2 * halo, size[0], size[0])
        columns, column_mirrored = fold(column * side - halo, width + 2 * halo, size[1], size[1])
        cropped = np.empty((channels, len(rows), len(columns)), np.float32)
        for start, groups in self._parts():
            inside = np.flatnonzero((rows >= start) & (rows < start + groups[0].shape[1]))
            for number in np.unique(columns // side):
                across = np.flatnonzero(columns // side == number)
                for to_column, from_column in runs(across, columns[across] - number * side):
                    for to_row, from_row in runs(inside, rows[inside] - start):
                        cropped[:, to_row, to_column] = groups[number][:, from_row, from_column]
        cropped[:, row_mirrored] *= family.mirror_signs[0][:, None, None]
        cropped[:, :, column_mirrored] *= family.mirror_signs[1][:, None, None]
        return cropped

    def _parts(self) -> Iterator[tuple[int, tuple[Latents, ...]]]:
        """First row of latents in the scene, and the groups, of each row of groups there is."""
        if self.above:
            yield self.top - self.above[0].shape[1], self.above
        yield self.top, self.current.latents
        if self.below:
            yield self.top + self.current.latents[0].shape[1], self.below


def with_neighbours(
    rows: Iterator[list[LatentRow]], families: Sequence[Family | None], grid: Grid
) -> Iterator[list[NeighbouredRow]]:
    """The rows, each a list over sets, with the latents around them; one row is read ahead for it."""
    above: list[tuple[Latents, ...]] = [()] * len(families)
    current: list[LatentRow] | None = None
    top = 0
    for following in rows:
        if current is not None:
            below = [each.latents for each in following]
            yield [
                NeighbouredRow(grid, family, top, over, row, under)
                for family, over, row, under in zip(families, above, current, below, strict=True)
            ]
            top += grid.group // STRIDE
            above = [_last_rows(each, family) for each, family in zip(current, families, strict=True)]
        current = following
    if current is not None:
        yield [
            NeighbouredRow(grid, family, top, over, row, ())
            for family, over, row in zip(families, above, current, strict=True)
        ]


def _last_rows(row: LatentRow, family: Family | None) -> tuple[Latents, ...]:
    """Copies, so that the rest of the row need not be kept."""
    halo = family.synthesis_halo if family else 0
    return tuple(each[:, each.shape[1] - min(halo, each.shape[1]) :].copy() for each in row.latents)
