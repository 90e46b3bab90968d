"""The way of a pixel out of the file: frames in order, groups on several threads, blocks of samples in order.

One driver serves a whole scene, a region of it and a damaged file. A region at full resolution is what
decoding everything and cropping gives (up to the rounding of floating point); at a reduced one it holds means
of boxes of the decoded signal, in dB.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sarzip.container import Header
from sarzip.errors import CorruptError
from sarzip.grid import STRIDE, Neighbourhood, Part, Window, in_latents, last_rows, mirrored_beside
from sarzip.pipeline.band import fill_value
from sarzip.pipeline.group import MASK_BAND, DecodedGroup, GroupCoder, View
from sarzip.pipeline.memory import check_need
from sarzip.pipeline.sarzfile import Frames
from sarzip.pipeline.selection import Region
from sarzip.system.machine import Machine, math_threads
from sarzip.system.work_pool import WorkPool


class Key(NamedTuple):
    """Row and column of a group, and a set."""

    row: int
    column: int
    set: int


@dataclass(frozen=True)
class DecodedBlock:
    """Samples of one band of a region in a rectangle of its samples; MASK_BAND: the dataset mask (uint8)."""

    band: int
    window: Window
    values: NDArray[Any]


class DamagedFrame(dict[int, bytes]):
    """In place of the streams of a frame that is not intact: why. intact: positions of the bands that can be
    decoded all the same, from the streams that it then has.
    """

    def __init__(
        self, reason: str, streams: Mapping[int, bytes] | None = None, intact: tuple[int, ...] = ()
    ) -> None:
        super().__init__(streams or {})
        self.reason = reason
        self.intact = intact


@dataclass(frozen=True)
class Hooks:
    """What a driver is told on the way, from any thread. on_streams: what each frame holds, once it decoded.
    on_lost: bands of a group that do not decode, by their positions in the set, and why; without it that is
    an error.
    """

    on_streams: Callable[[Key, Mapping[int, bytes]], None] | None = None
    on_lost: Callable[[Key, Sequence[int], str], None] | None = None


Ready = Callable[[], DecodedGroup]
"""Waits for a group that may still be in the making."""


class RegionGroups:
    """The groups that a region takes, and how one is restored out of them; stateless, thread-safe."""

    def __init__(self, header: Header, region: Region, coders: Mapping[int, GroupCoder]) -> None:
        """coders: of the sets that the region takes bands of, by number."""
        self.grid = header.grid
        self._header = header
        self._region = region
        self._coders = coders
        size = in_latents(self.grid.scene)
        self._around = {
            number: Neighbourhood(size.rows, size.columns, 1, coder.halo.latents, coder.mirror_signs)
            for number, coder in coders.items()
        }
        covering = self.grid.covering(region.window)
        self.tiles = [Key(row, column, number) for row, column in covering for number in sorted(coders)]

    def coder(self, number: int) -> GroupCoder:
        """The coder of a set."""
        return self._coders[number]

    def needs(self, tile: Key) -> set[Key]:
        """A group's own key and those of its neighbours whose latents restoring it looks at."""
        wanted = self._wanted_latents(tile)
        if wanted is None:
            return {tile}
        edge = self.grid.group // STRIDE
        reach = self._around[tile.set].reach(wanted)
        rows = range(reach.row // edge, -(-reach.bottom // edge))
        columns = range(reach.column // edge, -(-reach.right // edge))
        return {Key(row, column, tile.set) for row in rows for column in columns} | {tile}

    def restore(self, tile: Key, ready: Mapping[Key, Ready]) -> Iterator[DecodedBlock]:
        """Blocks of a group, given all that it needs. Raises CorruptError where no band that is wanted is
        intact.
        """
        group, view = ready[tile](), self._view(tile)
        if group.lost is not None:
            intact = [position for position in view.positions if position in group.intact]
            if not intact:
                raise CorruptError(group.lost)
            yield from self.lost(tile, [each for each in view.positions if each not in intact])
            view = replace(view, positions=intact)
        wanted, latents = self._wanted_latents(tile), None
        if wanted is not None:
            latents = self._around[tile.set].around(wanted, self._parts(tile, group, ready))
        window, members = self.grid.window(tile.row, tile.column), self._header.sets[tile.set].bands
        masked = False
        for position, values in self._coders[tile.set].restore(group, window, view, latents):
            masked |= position == MASK_BAND
            yield self._block(MASK_BAND if position == MASK_BAND else members[position], view.inside, values)

        if masked != self._carries_mask(tile):
            raise CorruptError("the mask of the dataset is not where the metadata tells of one")

    def _carries_mask(self, tile: Key) -> bool:
        return tile.set == 0 and bool(self._header.raster.get("k"))

    def positions(self, number: int) -> list[int]:
        """Positions in a set of the bands that the region takes."""
        members = self._header.sets[number].bands
        return [at for at, band in enumerate(members) if band in self._region.bands]

    def lost(self, tile: Key, positions: Sequence[int] | None = None) -> Iterator[DecodedBlock]:
        """Blocks of a group that is lost: each band's first special value, else 0 or NaN; an empty mask.
        positions: of the bands that are lost of it, where others are not.
        """
        inside = self._view(tile).inside
        shape = -(-inside.rows // self._region.scale), -(-inside.columns // self._region.scale)
        for position in self.positions(tile.set) if positions is None else positions:
            band = self._header.sets[tile.set].bands[position]
            about = self._header.bands[band]
            yield self._block(band, inside, np.full(shape, fill_value(about), np.dtype(about.dtype)))
        if positions is None and self._carries_mask(tile):
            yield self._block(MASK_BAND, inside, np.zeros(shape, np.uint8))

    def latent_bytes(self) -> int:
        """Most bytes of latents that are held at a time: those of a row of groups and its neighbours."""

        def size(key: Key) -> int:
            place = self.grid.latents(key.row, key.column)
            return 4 * place.rows * place.columns * self._coders[key.set].channels

        by_row: dict[int, set[Key]] = {}
        for tile in self.tiles:
            by_row.setdefault(tile.row, set()).update(self.needs(tile))
        return max(sum(map(size, keys)) for keys in by_row.values())

    def _view(self, tile: Key) -> View:
        inside = self.grid.window(tile.row, tile.column).intersection(self._region.window)
        return View(inside, self.positions(tile.set), self._region.scale)

    def _wanted_latents(self, tile: Key) -> Window | None:
        view = self._view(tile)
        if not view.positions:
            return None
        return self._coders[tile.set].wanted_latents(self.grid.window(tile.row, tile.column), view)

    def _parts(self, tile: Key, own: DecodedGroup, ready: Mapping[Key, Ready]) -> Iterator[Part]:
        """Latents of a group and its neighbours, lost ones replaced by the group's own mirror image."""
        assert own.latents is not None
        for key in self.needs(tile):
            group = ready[key]()
            if key == tile:
                yield own.latents
                continue
            place = self.grid.latents(key.row, key.column)
            if group.latents is None:
                yield mirrored_beside(own.latents, place, self._coders[tile.set].mirror_signs)
                continue
            yield group.latents
            if group.known is not None:
                mirrored = mirrored_beside(own.latents, place, self._coders[tile.set].mirror_signs)
                yield _with_channels(group.latents, mirrored, group.known)

    def _block(self, band: int, inside: Window, values: NDArray[Any]) -> DecodedBlock:
        window, scale = self._region.window, self._region.scale
        place = (inside.row - window.row) // scale, (inside.column - window.column) // scale
        own = band if band == MASK_BAND else self._region.bands.index(band)
        return DecodedBlock(own, Window(*place, *values.shape), values)


class Decoder:
    """Turns the streams of the frames that a region needs into its samples."""

    def __init__(
        self, groups: RegionGroups, header: Header, machine: Machine, hooks: Hooks = Hooks()
    ) -> None:
        """Raises InputError where there is too little memory."""
        self._groups = groups
        self._header = header
        self._machine = machine
        self._hooks = hooks
        self._keys = sorted(set().union(*(groups.needs(tile) for tile in groups.tiles)))
        check_need(
            groups.latent_bytes(),
            f"groups of {header.group}x{header.group} pixels over {header.width} columns",
        )

    @property
    def ordinals(self) -> list[int]:
        """The data frames needed, ascending."""
        columns = self._groups.grid.columns
        return [self._header.ordinal(key.row * columns + key.column, key.set) for key in self._keys]

    def blocks(self, frames: Frames) -> Iterator[DecodedBlock]:
        """Decode the streams of `ordinals`, in that order, into blocks in raster order of the groups."""
        workers = min(self._machine.threads, len(self._keys))
        with math_threads(max(1, self._machine.threads // workers)), WorkPool(workers) as pool:
            # One sequence of tasks: the next row of groups is begun while this one is finished.
            for blocks in pool.map(lambda task: self._restore(*task), self._tasks(frames, pool)):
                yield from blocks
            # One more step lets a stream reader check its index and trailer.
            if next(frames, None) is not None:
                raise CorruptError("has more groups than its header announces")

    def _tasks(self, frames: Frames, pool: WorkPool) -> Iterator[tuple[Key, dict[Key, Ready]]]:
        """For each row of groups: begin to decode what it needs, then what restores its groups."""
        ready: dict[Key, Ready] = {}
        unread = self._keys
        needs = {tile: self._groups.needs(tile) for tile in self._groups.tiles}
        rows = sorted({tile.row for tile in needs})
        for row in rows:
            tiles = [tile for tile in needs if tile.row == row]
            last = max(key.row for tile in tiles for key in needs[tile])
            count = sum(key.row <= last for key in unread)
            for key in unread[:count]:
                # Frames are read here, one after the other.
                streams = next(frames, None)
                if streams is None:
                    raise CorruptError("ends before its last group")
                ready[key] = pool.submit(lambda task: self._decode(*task), (key, streams))
            unread = unread[count:]
            for tile in tiles:
                yield tile, {key: ready[key] for key in needs[tile]}
            later = set().union(*(needs[tile] for tile in needs if tile.row > row))
            ready = {
                key: self._last_rows(ready[key], key.set) if key.row <= row else ready[key]
                for key in ready.keys() & later
            }

    def _last_rows(self, ready: Ready, number: int) -> Ready:
        """A group of which only the row below wants something: copies, so that the rest need not be kept."""
        halo = self._groups.coder(number).halo.latents
        group = ready()
        if group.latents is None or not halo:
            return lambda: group
        tail = replace(group, streams={}, latents=last_rows(group.latents, halo))
        return lambda: tail

    def _decode(self, key: Key, streams: Mapping[int, bytes]) -> DecodedGroup:
        window, coder = self._groups.grid.window(key.row, key.column), self._groups.coder(key.set)
        try:
            if isinstance(streams, DamagedFrame):
                return self._decode_damaged(key, streams)
            group = coder.decode(streams, window)
            if self._hooks.on_streams:
                self._hooks.on_streams(key, streams)
            return group
        except CorruptError as error:
            self._lose(key, range(len(coder.bands)), error)
            return DecodedGroup(lost=str(error))

    def _decode_damaged(self, key: Key, frame: DamagedFrame) -> DecodedGroup:
        """The bands of a group that are intact. Raises CorruptError where none is."""
        coder, error = self._groups.coder(key.set), CorruptError(frame.reason)
        if not frame.intact:
            raise error
        group = coder.decode(frame, self._groups.grid.window(key.row, key.column), frame.intact)
        gone = [position for position in range(len(coder.bands)) if position not in frame.intact]
        if gone:
            self._lose(key, gone, error)
        return replace(group, lost=frame.reason, intact=frame.intact)

    def _lose(self, key: Key, positions: Sequence[int], error: CorruptError) -> None:
        """Tell what is lost, or raise the error where nobody listens."""
        if self._hooks.on_lost is None:
            raise error
        self._hooks.on_lost(key, positions, str(error))

    def _restore(self, tile: Key, ready: Mapping[Key, Ready]) -> list[DecodedBlock]:
        try:
            return list(self._groups.restore(tile, ready))
        except CorruptError as error:
            self._lose(tile, range(len(self._groups.coder(tile.set).bands)), error)
            return list(self._groups.lost(tile))


def _with_channels(part: Part, mirrored: Part, known: int) -> Part:
    """What two parts have in common, so many channels of it from the first one."""
    here, there = (Window(each.row, each.column, *each.samples.shape[1:]) for each in (part, mirrored))
    common = here.intersection(there)
    samples = part.samples[(slice(None), *common.slices(here))].copy()
    samples[known:] = mirrored.samples[(slice(known, None), *common.slices(there))]
    return Part(common.row, common.column, samples)
