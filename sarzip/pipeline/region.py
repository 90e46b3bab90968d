"""Decoding a part of a scene: only the groups whose pixels or neighbours it needs, at full or reduced
resolution.

The result is that of decoding everything and cropping (up to the rounding of floating point), or averaging
boxes of the decoded signal, in dB (see codec.reduced). At reduced resolution a sample is valid if at least
half of its pixels are; its mean is taken over all of them, the missing ones as the encoder continued their
neighbours. The radiometric lock, which sets means of power, is left out there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Family
from sarzip.codec.exact.planes import decode_plane
from sarzip.codec.lapped16.reduced import Synthesis, box_classes, box_mean, box_median
from sarzip.codec.signal.radiometry import DOMAINS
from sarzip.codec.streams import bias_correction as lock
from sarzip.codec.streams import class_map as validity
from sarzip.codec.streams.payloads import SIDE_STREAMS, SideStreams, split_payloads
from sarzip.container import Header, StreamKind, require_known
from sarzip.errors import CorruptError, InputError
from sarzip.grid import STRIDE, Window, ceil_to, fold
from sarzip.pipeline.band import BandCoding, grid_of
from sarzip.pipeline.decode import MASK_BAND, DecodedBlock, families_of_sets
from sarzip.pipeline.memory import available_memory
from sarzip.pipeline.sarzfile import Frames
from sarzip.pipeline.selection import Region
from sarzip.system.machine import Machine, choose_machine, math_threads
from sarzip.system.work_pool import WorkPool

# A stream that is not here would be needed for the right pixels.
_KNOWN_STREAMS = (StreamKind.LATENTS, StreamKind.SIDE, *SIDE_STREAMS)

_FEW_GROUPS = 16

Key = tuple[int, int, int]
"""Row and column of a group, and a set."""


@dataclass(frozen=True)
class Setup:
    """Where and with what to decode, see DecompressOptions."""

    device: str = "auto"
    threads: int = 0
    model: str | None = None
    trust_model: bool = False


@dataclass(frozen=True)
class Coder:
    """A model ready to read. reduced: makes the samples of a reduced resolution directly, where it can; each
    band's out of its share of the latents.
    """

    family: Family
    reduced: Synthesis | None = None


def load_coders(
    header: Header, region: Region, setup: Setup = Setup()
) -> tuple[dict[int, Coder | None], Machine]:
    """A coder for every set that a region takes bands of (None: exact planes), and the machine to use.

    A few groups, or a reduced resolution, are read on the CPU unless a GPU is asked for by name: starting one
    takes longer. Raises ModelError or UsageError.
    """
    side = header.group
    groups = (region.window.rows / side + 1) * (region.window.columns / side + 1)
    light = setup.device == "auto" and (groups <= _FEW_GROUPS or region.scale > 1)
    machine = choose_machine("cpu" if light else setup.device, setup.threads)
    numbers = [number for number, each in enumerate(header.sets) if set(each.bands) & set(region.bands)]
    families = families_of_sets(header, numbers, machine.device, setup.model, setup.trust_model)
    built = {
        family: Coder(family, family.reduced(region.scale) if region.scale > 1 else None)
        for family in set(families.values())
        if family is not None
    }
    return {number: built[family] if family else None for number, family in families.items()}, machine


class RegionDecoder:
    """Turns the payload streams of the frames that a region needs into its samples."""

    def __init__(
        self, header: Header, region: Region, coders: Mapping[int, Coder | None], machine: Machine
    ) -> None:
        """coders: see load_coders."""
        self._header = header
        self._region = region
        self._machine = machine
        self._grid = grid_of(header)
        self._bands = [BandCoding.from_header(band) for band in header.bands]
        self._coders = coders
        self._latents = (-(-header.height // STRIDE), -(-header.width // STRIDE))
        self._tiles = self._find_tiles()
        self._needs = {tile: self._needed(tile) for tile in self._tiles}
        check_need(self._latent_bytes(), f"groups of {header.group}x{header.group} pixels")
        self._ready: dict[Key, tuple[NDArray[np.float32] | None, Mapping[int, bytes]]] = {}

    @property
    def ordinals(self) -> list[int]:
        """The data frames needed, ascending."""
        keys = set().union(*self._needs.values())
        return [self._header.ordinal(row * self._grid.columns + column, s) for row, column, s in sorted(keys)]

    def blocks(self, frames: Frames) -> Iterator[DecodedBlock]:
        """Decode the streams of `ordinals`, in that order, into blocks in raster order of the groups.

        Windows are in samples of the region; bands count its own.
        """
        unread = sorted(set().union(*self._needs.values()))
        workers = min(self._machine.threads, len(unread))
        with math_threads(self._machine.threads // workers), WorkPool(workers) as pool:
            for row in sorted({tile[0] for tile in self._tiles}):
                tiles = [tile for tile in self._tiles if tile[0] == row]
                last = max(key[0] for tile in tiles for key in self._needs[tile])
                count = sum(key[0] <= last for key in unread)
                batch, unread = unread[:count], unread[count:]
                # Frames are read here, one after the other; a frame too few shows as a key without streams.
                items = list(zip(batch, frames, strict=False))
                if len(items) != len(batch):
                    raise CorruptError("ends before its last group")
                for key, ready in pool.map(lambda item: (item[0], self._entropy_decode(*item)), items):
                    self._ready[key] = ready
                for blocks in pool.map(self._synthesise, tiles):
                    yield from blocks
                later = [key for tile in self._tiles if tile[0] > row for key in self._needs[tile]]
                self._ready = {key: self._ready[key] for key in self._ready.keys() & set(later)}
            # One more step lets the reader check what comes after the last frame.
            if next(frames, None) is not None:
                raise CorruptError("has more groups than its header announces")

    def _latent_bytes(self) -> int:
        """Most bytes of latents that are held at a time."""

        def size(key: Key) -> int:
            coder, (rows, columns) = self._coders.get(key[2]), self._grid.latent_shape(key[0], key[1])
            return 0 if coder is None else 4 * rows * columns * coder.family.channels

        held = []
        for row in {tile[0] for tile in self._tiles}:
            needed = [self._needs[tile] for tile in self._tiles if tile[0] == row]
            held.append(sum(map(size, set().union(*needed))))
        return max(held)

    def _find_tiles(self) -> list[Key]:
        """Groups and sets with pixels in the region."""
        window, side = self._region.window, self._grid.group
        sets = set(self._coders) | ({0} if self._header.raster.get("k") else set())
        return [
            (row, column, number)
            for row in range(window.row // side, -(-(window.row + window.rows) // side))
            for column in range(window.column // side, -(-(window.column + window.columns) // side))
            for number in sorted(sets)
        ]

    def _needed(self, tile: Key) -> set[Key]:
        """A tile's own group and those of its neighbours whose latents its synthesis looks at."""
        number = tile[2]
        coder = self._coders.get(number)
        if coder is None:
            return {tile}
        groups = [
            np.unique(indices // (self._grid.group // STRIDE))
            for indices, _ in self._latent_indices(tile, coder)
        ]
        return {(int(r), int(c), number) for r in groups[0] for c in groups[1]} | {tile}

    def _rectangle(self, row: int, column: int) -> Window:
        """The pixels of a group that lie in the region."""
        group, window = self._grid.window(row, column), self._region.window
        top, left = max(group.row, window.row), max(group.column, window.column)
        bottom = min(group.row + group.rows, window.row + window.rows)
        right = min(group.column + group.columns, window.column + window.columns)
        return Window(top, left, bottom - top, right - left)

    def _latent_indices(self, tile: Key, coder: Coder) -> list[tuple[NDArray[np.intp], NDArray[np.bool_]]]:
        """For rows and columns: which latents of the scene the tile's synthesis takes, and which mirrored."""
        inside, halo = self._decoded(tile), coder.family.synthesis_halo
        spans = ((inside.row, inside.rows), (inside.column, inside.columns))
        found = []
        for (first, count), size in zip(spans, self._latents, strict=True):
            start, stop = first // STRIDE, -(-(first + count) // STRIDE)
            found.append(fold(start - halo, stop - start + 2 * halo, size, size))
        return found

    def _entropy_decode(
        self, key: Key, streams: Mapping[int, bytes]
    ) -> tuple[NDArray[np.float32] | None, Mapping[int, bytes]]:
        row, column, number = key
        require_known(streams, _KNOWN_STREAMS)
        coder = self._coders.get(number)
        if coder is None:
            return None, streams
        shape = self._grid.latent_shape(row, column)
        latents = coder.family.decode(streams, shape, self._header.sets[number].step)
        coded = (StreamKind.LATENTS, StreamKind.SIDE)
        return latents, {kind: data for kind, data in streams.items() if kind not in coded}

    def _synthesise(self, tile: Key) -> list[DecodedBlock]:
        row, column, number = tile
        group, inside = self._grid.window(row, column), self._rectangle(row, column)
        members, (_, streams) = self._header.sets[number].bands, self._ready[tile]
        coder = self._coders.get(number)
        blocks = []
        if coder is not None:
            blocks = self._coded(tile, coder, inside)
        elif number in self._coders:
            planes = split_payloads(streams.get(StreamKind.LATENTS, b""), len(members))
            for at, band in self._wanted(number):
                values = decode_plane(planes[at], (group.rows, group.columns), self._bands[band].dtype)
                blocks.append(self._block(band, inside, self._exact(band, values[_within(group, inside)])))
        mask = SideStreams(streams, len(members), (group.rows, group.columns)).dataset_mask()
        if mask is not None:
            values = box_median(mask[_within(group, inside)], self._region.scale)
            blocks.append(self._block(MASK_BAND, inside, values))
        return blocks

    def _wanted(self, number: int) -> list[tuple[int, int]]:
        """Position in the set and number of the bands that the region takes of a set."""
        members = self._header.sets[number].bands
        return [(at, band) for at, band in enumerate(members) if band in self._region.bands]

    def _block(self, band: int, inside: Window, values: NDArray[Any]) -> DecodedBlock:
        window, scale = self._region.window, self._region.scale
        place = (inside.row - window.row) // scale, (inside.column - window.column) // scale
        own = band if band == MASK_BAND else self._region.bands.index(band)
        return DecodedBlock(own, Window(*place, *values.shape), values)

    def _coded(self, tile: Key, coder: Coder, inside: Window) -> list[DecodedBlock]:
        """Blocks of the bands that a network coded."""
        row, column, number = tile
        group, scale = self._grid.window(row, column), self._region.scale
        shape, streams = (group.rows, group.columns), self._ready[tile][1]
        count = len(self._header.sets[number].bands)
        side = SideStreams(streams, count, shape)
        levelled = any(self._bands[band].level for _, band in self._wanted(number))
        # Power is kept in whole cells; of means of dB, which are none of power, it is not.
        wide = self._decoded(tile) if scale == 1 and (side.corrected or levelled) else inside
        signal = self._signal(tile, coder, wide)
        blocks = []
        for at, band in self._wanted(number):
            coding = self._bands[band]
            classes = side.classes(at, len(coding.specials))
            literals = side.literals(at, classes, len(coding.specials))
            if literals is not None and scale > 1:
                classes[literals.marks] = 0  # type: ignore[index]
            if classes is not None:
                classes = box_classes(classes[_within(group, wide)], scale)
            if scale == 1:
                cells, literals = side.cells(at), literals and literals.window(*_within(group, wide))
                if cells is not None:
                    cells = np.ascontiguousarray(cells[_within(group, wide, lock.CELL)])
                values = coding.restore(signal[at], classes, cells, literals)
            else:
                values = replace(coding, level=False).restore(signal[at], classes)
            blocks.append(
                self._block(band, inside, values if wide == inside else values[_within(wide, inside)])
            )
        return blocks

    def _exact(self, band: int, values: NDArray[Any]) -> NDArray[Any]:
        """Samples of a band that no network touches: alpha and the like by medians, measurements by means."""
        scale, coding = self._region.scale, self._bands[band]
        if scale == 1 or coding.radiometry.domain not in DOMAINS:
            return box_median(values, scale)
        classes = coding.classify(values)
        signal = coding.radiometry.forward(values)
        validity.fill(signal, classes != 0)
        means = box_mean(signal, scale)
        return replace(coding, level=False).restore(means, box_classes(classes, scale))

    def _signal(self, tile: Key, coder: Coder, inside: Window) -> NDArray[np.float32]:
        """Signal (inputs, rows, columns) of a rectangle that lies in a group, at the region's resolution."""
        latents, scale = self._gather(tile, coder), self._region.scale
        wide = self._decoded(tile)
        if coder.reduced is None:
            down, across = _within(wide, inside)
            full = coder.family.synthesise(latents)[:, down, across]
            return full if scale == 1 else np.stack([box_mean(each, scale) for each in full])
        down, across = _within(wide, inside, scale)
        shares = np.split(latents, coder.family.inputs)
        signal = np.stack([coder.reduced(each) for each in shares])[:, down, across]
        # Boxes cut by the border of the scene: the mean over the pixels that exist.
        halo = coder.family.synthesis_halo
        bottom, right = inside.row + inside.rows, inside.column + inside.columns
        if bottom % scale:
            strip = coder.family.synthesise(latents[:, -1 - 2 * halo :])[:, :, _within(wide, inside)[1]]
            first = bottom // scale * scale % STRIDE
            signal[:, -1:] = [box_mean(each[first : first + bottom % scale], scale) for each in strip]
        if right % scale:
            strip = coder.family.synthesise(latents[:, :, -1 - 2 * halo :])[:, _within(wide, inside)[0]]
            first = right // scale * scale % STRIDE
            signal[:, :, -1:] = [box_mean(each[:, first : first + right % scale], scale) for each in strip]
        return signal

    def _decoded(self, tile: Key) -> Window:
        """The pixels of a tile to synthesise: whole cells of the radiometric lock, two latents wide."""
        return _whole_cells(self._grid.window(tile[0], tile[1]), self._rectangle(tile[0], tile[1]))

    def _gather(self, tile: Key, coder: Coder) -> NDArray[np.float32]:
        """Latents (C, h + 2·halo, w + 2·halo) of a tile, out of its group and its neighbours'."""
        (rows, row_mirrored), (columns, column_mirrored) = self._latent_indices(tile, coder)
        side = self._grid.group // STRIDE
        own = self._ready[tile][0]
        assert own is not None
        gathered = np.empty((len(own), len(rows), len(columns)), np.float32)
        for row in np.unique(rows // side):
            down = np.flatnonzero(rows // side == row)
            for column in np.unique(columns // side):
                across = np.flatnonzero(columns // side == column)
                latents = self._ready[int(row), int(column), tile[2]][0]
                assert latents is not None
                part = latents[:, _range(rows[down] - row * side)][
                    :, :, _range(columns[across] - column * side)
                ]
                if isinstance(to_rows := _range(down), slice) and isinstance(to := _range(across), slice):
                    gathered[:, to_rows, to] = part
                else:  # reflected more than once
                    gathered[:, down[:, None], across] = part
        signs = coder.family.mirror_signs
        gathered[:, row_mirrored] *= signs[0][:, None, None]
        gathered[:, :, column_mirrored] *= signs[1][:, None, None]
        return gathered


def _whole_cells(group: Window, inside: Window) -> Window:
    """A rectangle widened to whole cells of the radiometric lock, within its group."""
    top, left = inside.row // lock.CELL * lock.CELL, inside.column // lock.CELL * lock.CELL
    bottom = min(group.row + group.rows, ceil_to(inside.row + inside.rows, lock.CELL))
    right = min(group.column + group.columns, ceil_to(inside.column + inside.columns, lock.CELL))
    return Window(top, left, bottom - top, right - left)


def _within(outer: Window, inner: Window, unit: int = 1) -> tuple[slice, slice]:
    """Where a rectangle lies in an array of another one with a value for each unit×unit pixels."""
    top, left = (inner.row - outer.row) // unit, (inner.column - outer.column) // unit
    return slice(top, top - (-inner.rows // unit)), slice(left, left - (-inner.columns // unit))


def check_need(need: int, what: str) -> None:
    """InputError if decoding needs more bytes than are free, where that is known."""
    free = available_memory()
    if free is not None and need > free:
        raise InputError(
            f"needs about {need / 1e9:.1f} GB of memory for {what}; {free / 1e9:.1f} GB are free"
        )


def _range(indices: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    """A slice where the indices are consecutive, which is faster."""
    if len(indices) == indices[-1] - indices[0] + 1 and (np.diff(indices) == 1).all():
        return slice(int(indices[0]), int(indices[-1]) + 1)
    return indices
