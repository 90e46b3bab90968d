"""Rows of groups with the latents around them: what encoder and decoder both need to synthesise a group."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.family import Family
from sarzip.codec.grid import Extension, HaloStrip


@dataclass(frozen=True)
class LatentRow:
    """One row of groups of one set: latents (C, h, w) of the whole row, and what belongs to each group."""

    latents: NDArray[np.float32]
    groups: tuple[Any, ...]


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
    *copies, originals = itertools.tee(rows, len(families) + 1)

    def extended(number: int) -> Iterator[HaloStrip]:
        family = families[number]
        halo, signs = (family.synthesis_halo, family.mirror_signs) if family else (0, None)
        latents = (row[number].latents for row in copies[number])
        return Extension(*size, 1, halo, signs).strips(latents)

    for row, *strips in zip(originals, *map(extended, range(len(families))), strict=True):
        yield [NeighbouredRow(strip, each.groups) for strip, each in zip(strips, row, strict=True)]
