"""Rows of groups with the latents around them: what encoder and decoder both need to synthesise a group."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.family import Family
from sarzip.codec.grid import STRIDE, Extension, Grid, HaloStrip, strips_together


@dataclass(frozen=True)
class LatentRow:
    """One row of groups of one set: latents (C, h, w) of the whole row, and what belongs to each group."""

    latents: NDArray[np.float32]
    groups: tuple[Any, ...]


class LatentRowBuilder:
    """Collects the groups of one row and set from left to right, each copied to its place at once."""

    def __init__(self, grid: Grid, row: int) -> None:
        self._grid = grid
        self._row = row
        self._latents: NDArray[np.float32] | None = None
        self._groups: list[Any] = []

    def add(self, latents: NDArray[np.float32], group: Any) -> None:
        """The next group: its latents (C, h, w) and what else belongs to it."""
        if self._latents is None:
            width = -(-self._grid.width // STRIDE)
            self._latents = np.empty((*latents.shape[:2], width), np.float32)
        left = self._grid.window(self._row, len(self._groups)).column // STRIDE
        self._latents[:, :, left : left + latents.shape[2]] = latents
        self._groups.append(group)

    def row(self) -> LatentRow:
        """The whole row."""
        assert self._latents is not None
        return LatentRow(self._latents, tuple(self._groups))


@dataclass(frozen=True)
class NeighbouredRow:
    """The same with the latents above and below."""

    latents: HaloStrip
    groups: tuple[Any, ...]


def with_neighbours(
    rows: Iterator[list[LatentRow]], families: list[Family | None], size: tuple[int, int]
) -> Iterator[list[NeighbouredRow]]:
    """The rows, each a list over sets, with the halo that synthesis needs; one row is read ahead for it.

    size: rows and columns of latents of the scene.
    """
    waiting: deque[list[tuple[Any, ...]]] = deque()

    def latents() -> Iterator[list[NDArray[np.float32]]]:
        for row in rows:
            waiting.append([each.groups for each in row])
            yield [each.latents for each in row]

    extensions = [
        Extension(*size, 1, family.synthesis_halo, family.mirror_signs) if family else Extension(*size, 1, 0)
        for family in families
    ]
    for strips in strips_together(extensions, latents()):
        yield list(map(NeighbouredRow, strips, waiting.popleft()))
