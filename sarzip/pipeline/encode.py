"""The path of a pixel into the file: strips are read ahead and prepared, groups coded on several threads.

A row of groups is analysed and encoded as soon as the strip below it is there, and finished as soon as the
row below it is encoded; streams come out in the order of the file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace

from sarzip.grid import Grid, Neighbourhood, in_latents, last_rows, with_neighbours
from sarzip.pipeline.group import EncodedGroup, GroupCoder, Prepared
from sarzip.pipeline.sources import Source
from sarzip.system import buffers
from sarzip.system.machine import Machine, math_threads
from sarzip.system.work_pool import WorkPool, prefetch

Pending = Callable[[], EncodedGroup]
"""Waits for a group that may still be in the making."""
LatentRow = list[list[Pending]]
"""A row of groups: for each set and each column."""
_PreparedRow = list[Prepared | None]
"""A strip of each set, or the tail of one that is needed below."""


class SceneEncoder:
    """Turns a source into the streams of one frame after another, in the order of the file."""

    def __init__(self, source: Source, grid: Grid, coders: Sequence[GroupCoder], machine: Machine) -> None:
        """coders: of each set; the first one's frames also carry the mask of the dataset, if it has one."""
        self._source = source
        self._grid = grid
        self._coders = coders
        self._machine = machine
        size = in_latents(grid.scene)
        self._around = [
            Neighbourhood(size.rows, size.columns, 1, each.halo.latents, each.mirror_signs) for each in coders
        ]

    def frames(self) -> Generator[dict[int, bytes], None, None]:
        """Yield the streams, by kind, of every frame of the file in order."""
        workers = min(self._machine.threads, self._grid.count * len(self._coders))
        inner = max(1, self._machine.threads // workers)
        rows = with_neighbours(self._prepared_rows(), self._prepared_tail)
        # Closed here and now when the caller stops early: the source must not close under the reading thread.
        with (
            buffers.reused(),
            math_threads(inner),
            WorkPool(workers) as pool,
            contextlib.closing(prefetch(rows)) as ahead,
        ):
            # One sequence of tasks for the whole scene: the next row is begun while this one is finished.
            yield from pool.map(lambda task: self._finish(*task), self._finishing(ahead, pool))

    def _prepared_rows(self) -> Iterator[_PreparedRow]:
        """The samples of one row of groups after the other, prepared for every set."""
        for row in range(self._grid.rows):
            place = self._grid.strip(row)
            strips: _PreparedRow = []
            for number, coder in enumerate(self._coders):
                strip = coder.prepare([self._source.read([band], place)[0] for band in coder.bands], place)
                mask = self._source.read_mask(place) if number == 0 else None
                strips.append(strip if mask is None else replace(strip, mask=mask))
            yield strips

    def _prepared_tail(self, strips: _PreparedRow) -> _PreparedRow:
        pairs = zip(strips, self._coders, strict=True)
        return [strip and strip.tail(min(coder.halo.pixels, strip.place.rows)) for strip, coder in pairs]

    def _finishing(
        self, rows: Iterator[tuple[_PreparedRow | None, _PreparedRow, _PreparedRow | None]], pool: WorkPool
    ) -> Iterator[tuple[int, int, int, list[LatentRow]]]:
        """Row, column and set of each group that can be finished, with the rows of groups around it."""
        encoded = with_neighbours(self._encoded_rows(rows, pool), self._latent_tail)
        for row, (above, current, below) in enumerate(encoded):
            near = [current, *(each for each in (above, below) if each is not None)]
            for column in range(self._grid.columns):
                for number in range(len(self._coders)):
                    yield row, column, number, near

    def _encoded_rows(
        self, rows: Iterator[tuple[_PreparedRow | None, _PreparedRow, _PreparedRow | None]], pool: WorkPool
    ) -> Iterator[LatentRow]:
        """For each row of groups: the groups, whose encoding has been submitted."""
        for row in range(self._grid.rows):
            # No name for what is prepared: tasks let go of it when they are done. The next is asked for, and
            # what comes after that read, when they all are: it takes the same memory.
            groups = [
                pool.submit(lambda task: self._encode(*task), (row, column, number, *_of_set(strips, number)))
                for strips in (next(rows),)
                for column in range(self._grid.columns)
                for number in range(len(self._coders))
            ]
            yield [groups[number :: len(self._coders)] for number in range(len(self._coders))]
            for wait in groups:
                wait()

    def _encode(
        self, row: int, column: int, number: int, own: Prepared, others: list[Prepared]
    ) -> EncodedGroup:
        coder, window = self._coders[number], self._grid.window(row, column)
        return coder.encode(coder.analyse(window, own, others), window, coder.quality)

    def _latent_tail(self, row: LatentRow) -> LatentRow:
        """Copies of the last latents of each group, so that the rest of the row need not be kept."""
        return [
            [_tail(pending(), coder.halo.latents) for pending in groups]
            for groups, coder in zip(row, self._coders, strict=True)
        ]

    def _finish(self, row: int, column: int, number: int, near: list[LatentRow]) -> dict[int, bytes]:
        group = near[0][number][column]()
        if group.latents is None:
            return self._coders[number].finish(group, None)
        columns = range(max(column - 1, 0), min(column + 2, self._grid.columns))
        parts = (each[number][at]().latents for each in near for at in columns)
        place = self._grid.latents(row, column)
        latents = self._around[number].around(place, (part for part in parts if part is not None))
        return self._coders[number].finish(group, latents)


def _of_set(
    strips: tuple[_PreparedRow | None, _PreparedRow, _PreparedRow | None], number: int
) -> tuple[Prepared, list[Prepared]]:
    """The strip of a set and those above and below it."""
    above, current, below = strips
    own = current[number]
    assert own is not None  # only tails may be missing
    near: Iterable[Prepared | None] = (each[number] for each in (above, below) if each is not None)
    return own, [each for each in near if each is not None]


def _tail(group: EncodedGroup, halo: int) -> Pending:
    if group.latents is None or not halo:
        return lambda: EncodedGroup({})
    tail = EncodedGroup({}, last_rows(group.latents, halo))
    return lambda: tail
