"""The path of a pixel into the file: read a strip, transform, fill, extend, and code group by group."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Family
from sarzip.codec.exact.planes import encode_plane
from sarzip.codec.streams import bias_correction as lock
from sarzip.codec.streams import class_map as validity
from sarzip.codec.streams.outliers import Literals, find
from sarzip.codec.streams.payloads import (
    dataset_mask_stream,
    join_payloads,
    literals_stream,
    mask_stream,
    radiometry_stream,
)
from sarzip.container import Header, StreamKind
from sarzip.grid import STRIDE, Extension, Grid, HaloStrip, Window, ceil_to, fold, strips_together
from sarzip.pipeline.band import BandCoding, grid_of
from sarzip.pipeline.neighbours import LatentRow, NeighbouredRow, with_neighbours
from sarzip.raster import RasterSource
from sarzip.system.machine import Machine, math_threads
from sarzip.system.work_pool import WorkPool, prefetch


class SetEncoder(Protocol):
    """Encodes the bands of one set: rows of groups are prepared in order, their groups then in any order."""

    @property
    def family(self) -> Family | None:
        """The model, None where samples are coded exactly."""
        ...

    def rows(self) -> Iterator[Any]:
        """What encode needs for each row of groups."""
        ...

    def encode(self, prepared: Any, row: int, column: int) -> EncodedGroup:
        """Payload streams of one group, as far as they do not depend on the groups around it."""
        ...

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32]) -> dict[int, bytes]:
        """All streams of a group, given its dequantised latents with the synthesis halo."""
        ...


@dataclass(frozen=True)
class EncodedGroup:
    """A group on its way into the file.

    latents: dequantised (C, h, w), as the decoder will have them. power: of the original, per band and cell.
    """

    streams: dict[int, bytes]
    latents: NDArray[np.float32]
    classes: NDArray[np.uint8]
    power: tuple[NDArray[np.float64], ...] = ()


class SceneEncoder:
    """Turns a raster into the payload streams of one frame after another, in the order of the file."""

    def __init__(
        self,
        raster: RasterSource,
        header: Header,
        bands: list[BandCoding],
        families: list[Family | None],
        machine: Machine,
    ) -> None:
        self._raster = raster
        self._grid = grid_of(header)
        self._machine = machine
        self._sets: list[SetEncoder] = []
        for each, family in zip(header.sets, families, strict=True):
            if family is None:
                self._sets.append(ExactSetEncoder(raster, self._grid, each.bands))
            else:
                members = {band: bands[band] for band in each.bands}
                self._sets.append(SignalSetEncoder(raster, self._grid, members, family, each.step))
        if raster.info.has_mask:
            self._sets[0] = WithDatasetMask(self._sets[0], raster, self._grid)

    def frames(self) -> Generator[dict[int, bytes], None, None]:
        """Yield the streams, by kind, of every frame of the file in order."""
        grid, sets = self._grid, self._sets
        groups = grid.rows * grid.columns * len(sets)
        workers = min(self._machine.threads, groups)
        inner = max(1, self._machine.threads // workers)
        rows = zip(*(each.rows() for each in sets), strict=True)
        # Closed here and now when the caller stops early: the raster must not close under the reading thread.
        with math_threads(inner), WorkPool(workers) as pool, contextlib.closing(prefetch(rows)) as ahead:
            encoded = self._encoded_rows(ahead, pool)
            # One sequence of tasks for the whole scene: the next row is begun while this one is finished.
            tasks = (
                (each, about, column)
                for row in with_neighbours(encoded, [each.family for each in sets], grid)
                for column in range(grid.columns)
                for each, about in zip(sets, row, strict=True)
            )
            yield from pool.map(lambda task: _finish(*task), tasks)

    def _encoded_rows(self, rows: Iterator[tuple[Any, ...]], pool: WorkPool) -> Iterator[list[LatentRow]]:
        """For each row of groups and each set: the groups, whose encoding has been submitted."""
        sets = self._sets
        for row in range(self._grid.rows):
            # No name for what is prepared: tasks let go of it when they are done. The next is asked for, and
            # what comes after that read, when they all are: it takes the same memory.
            groups = [
                pool.submit(_encode, (each, prepared, row, column))
                for prepared_sets in (next(rows),)
                for column in range(self._grid.columns)
                for each, prepared in zip(sets, prepared_sets, strict=True)
            ]
            yield [LatentRow(tuple(groups[number :: len(sets)])) for number in range(len(sets))]
            for wait in groups:
                wait()


def _encode(task: tuple[SetEncoder, Any, int, int]) -> tuple[NDArray[np.float32], EncodedGroup]:
    encoder, *of_group = task
    group = encoder.encode(*of_group)
    return group.latents, group


def _finish(encoder: SetEncoder, row: NeighbouredRow, column: int) -> dict[int, bytes]:
    return encoder.finish(row.group(column), row.crop(column))


class SignalSetEncoder:
    """Bands that a network codes: signal with halo to latents to streams, and the exact masks."""

    def __init__(
        self, raster: RasterSource, grid: Grid, bands: dict[int, BandCoding], family: Family, step: float
    ) -> None:
        self._raster = raster
        self._grid = grid
        self._bands = bands
        self.family: Family = family
        self._step = step

    def rows(self) -> Iterator[_ExtendedRow]:
        """For each row of groups: the strip, and its signal and empty squares with what lies around them."""
        halo = self.family.analysis_halo
        size = ceil_to(self._grid.height, STRIDE), ceil_to(self._grid.width, STRIDE)
        pixels = Extension(self._grid.height, self._grid.width, STRIDE, halo)
        squares = Extension(size[0] // STRIDE, size[1] // STRIDE, 1, halo // STRIDE)
        waiting: deque[_Strip] = deque()

        def planes() -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
            for strip in self._strips():
                waiting.append(strip)
                yield strip.signal, strip.empty

        for signal, empty in strips_together([pixels, squares], planes()):
            yield _ExtendedRow(waiting.popleft(), signal, empty)

    def _strips(self) -> Iterator[_Strip]:
        """The samples of one row of groups after the other, transformed."""
        for row in range(self._grid.rows):
            top, rows = self._grid.strip(row)
            values = [self._raster.read([band], top, rows)[0] for band in self._bands]
            yield _transformed(values, list(self._bands.values()))

    def encode(self, prepared: _ExtendedRow, row: int, column: int) -> EncodedGroup:
        """Payload streams of one group but for the radiometric correction."""
        window = self._grid.window(row, column)
        _, width = self._grid.latent_shape(row, column)
        halo = self.family.analysis_halo
        signal = prepared.signal.crop(window.column, width * STRIDE)
        latents = self.family.analyse(signal)
        _silence_empty(latents, prepared.empty.crop(window.column // STRIDE, width), self.family)
        strip, pixels = prepared.strip, _columns(window)
        classes = np.ascontiguousarray(strip.classes[:, :, pixels])
        literal = tuple(each.within(pixels) for each in strip.literals)
        powers = self._powers(signal, classes, (halo, halo))
        return self.code(AnalysedGroup(latents, classes, powers, literal), self._step)

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32]) -> dict[int, bytes]:
        """All streams of a group: decode it as the decoder will, and say what its power lacks."""
        signal = self.family.synthesise(latents)
        corrections = [
            lock.correction(original, decoded)
            for original, decoded in zip(group.power, self._powers(signal, group.classes), strict=True)
        ]
        return group.streams | radiometry_stream(corrections)

    def _powers(
        self, signal: NDArray[np.float32], classes: NDArray[np.uint8], corner: tuple[int, int] = (0, 0)
    ) -> tuple[NDArray[np.float64], ...]:
        """Power of every cell of a group, for each band. corner: its first row and column in the signal."""
        planes = zip(self._bands.values(), signal, classes, strict=True)
        return tuple(coding.cell_power(plane, flags, corner) for coding, plane, flags in planes)

    def analyse_alone(self, row: int, column: int) -> AnalysedGroup:
        """The same for any one group, read from the raster with just the halo it needs."""
        window = self._grid.window(row, column)
        halo = self.family.analysis_halo
        down = _halo_indices(window.row, window.rows, self._grid.height, halo)
        across = _halo_indices(window.column, window.columns, self._grid.width, halo)
        top, left = int(down.min()), int(across.min())
        area = (top, int(down.max()) - top + 1, left, int(across.max()) - left + 1)
        values = [self._raster.read([band], *area)[0] for band in self._bands]
        strip = _transformed(values, list(self._bands.values()))
        signal, classes = strip.signal, strip.classes
        every = np.arange(len(self._bands))
        latents = self.family.analyse(signal[np.ix_(every, down - top, across - left)])
        squares = ((each[::STRIDE] - start) // STRIDE for each, start in ((down, top), (across, left)))
        _silence_empty(latents, strip.empty[np.ix_(every, *squares)], self.family)
        first, start = window.row - top, window.column - left
        inside = np.s_[:, first : first + window.rows, start : start + window.columns]
        literal = []
        for each, marks in zip(strip.literals, classes, strict=True):
            window_places = np.zeros(marks.shape, bool)
            window_places[inside[1:]] = True
            literal.append(each.decibels[window_places.reshape(-1)[each.places]])
        powers = self._powers(signal, classes[inside], (first, start))
        return AnalysedGroup(latents, classes[inside], powers, tuple(literal))

    def code(self, group: AnalysedGroup, step: float) -> EncodedGroup:
        """Payload streams of an analysed group at a step in dB, and what the decoder will make of them."""
        streams, latents = self.family.code(group.latents, step)
        streams = streams | mask_stream(group.classes)
        if any(each.size for each in group.literals):
            numbers = [coding.literal for coding in self._bands.values()]
            marks = [classes == number for classes, number in zip(group.classes, numbers, strict=True)]
            streams = streams | literals_stream(group.literals, marks)
        return EncodedGroup(streams, latents, group.classes, group.power)


@dataclass(frozen=True)
class AnalysedGroup:
    """A group before anything depends on the step.

    latents (C, h, w), class maps (bands, rows, columns), the power of every cell for each band, and the
    decibels of the literal pixels of each.
    """

    latents: NDArray[np.float32]
    classes: NDArray[np.uint8]
    power: tuple[NDArray[np.float64], ...]
    literals: tuple[NDArray[np.float32], ...]


@dataclass(frozen=True)
class _Strip:
    """Filled signal (bands, rows, width), class maps of the same shape, the literal pixels of each band, and
    flags of the squares of latents (bands, rows / 16, width / 16) without a measurement.
    """

    signal: NDArray[np.float32]
    classes: NDArray[np.uint8]
    literals: list[Literals]
    empty: NDArray[np.uint8]


@dataclass(frozen=True)
class _ExtendedRow:
    """A row of groups: the strip, and its signal and empty squares with their neighbours above and below."""

    strip: _Strip
    signal: HaloStrip
    empty: HaloStrip


class ExactSetEncoder:
    """Bands that are no measurements, such as alpha: coded bit for bit."""

    def __init__(self, raster: RasterSource, grid: Grid, bands: tuple[int, ...]) -> None:
        self.family = None
        self._raster = raster
        self._grid = grid
        self._bands = bands

    def rows(self) -> Iterator[list[NDArray[Any]]]:
        """For each row of groups the samples of every band (rows, width)."""
        for row in range(self._grid.rows):
            yield [self._raster.read([band], *self._grid.strip(row))[0] for band in self._bands]

    def encode(self, prepared: list[NDArray[Any]], row: int, column: int) -> EncodedGroup:
        """Payload streams of one group."""
        window = self._grid.window(row, column)
        planes = [encode_plane(plane[:, _columns(window)]) for plane in prepared]
        shape = self._grid.latent_shape(row, column)
        nothing = np.empty((0, window.rows, window.columns), np.uint8)
        return EncodedGroup(
            {StreamKind.LATENTS: join_payloads(planes)}, np.empty((0, *shape), np.float32), nothing
        )

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32]) -> dict[int, bytes]:
        """The streams are complete."""
        return group.streams


class WithDatasetMask:
    """Adds the mask that belongs to the whole dataset to the frames of one set."""

    def __init__(self, inner: SetEncoder, raster: RasterSource, grid: Grid) -> None:
        self._inner = inner
        self.family = inner.family
        self._raster = raster
        self._grid = grid

    def rows(self) -> Iterator[tuple[Any, NDArray[np.uint8]]]:
        """What the inner encoder needs and the strip of the mask."""
        for row, prepared in enumerate(self._inner.rows()):
            mask = self._raster.read_mask(*self._grid.strip(row))
            assert mask is not None  # the raster has one, else this class is not used
            yield prepared, mask

    def encode(self, prepared: tuple[Any, NDArray[np.uint8]], row: int, column: int) -> EncodedGroup:
        """Payload streams of one group."""
        group = self._inner.encode(prepared[0], row, column)
        mask = prepared[1][:, _columns(self._grid.window(row, column))]
        return replace(group, streams=group.streams | dataset_mask_stream(mask))

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32]) -> dict[int, bytes]:
        """What the inner encoder makes of it."""
        return self._inner.finish(group, latents)


def _transformed(values: list[NDArray[Any]], codings: list[BandCoding]) -> _Strip:
    """Samples of the bands (rows, columns) as the network sees them."""
    maps = [coding.classify(samples) for samples, coding in zip(values, codings, strict=True)]
    signals = [coding.radiometry.forward(samples) for samples, coding in zip(values, codings, strict=True)]
    found = []
    for signal, classes, coding in zip(signals, maps, codings, strict=True):
        if classes.any():
            validity.fill(signal, classes > 0)
        found.append(find(signal, classes, coding.literal))
    empty = np.stack([validity.empty(classes) for classes in maps])
    if len(values) == 1:
        return _Strip(signals[0][None], maps[0][None], found, empty)
    return _Strip(np.stack(signals), np.stack(maps), found, empty)


def _halo_indices(first: int, count: int, size: int, halo: int) -> NDArray[np.intp]:
    """Scene indices along one axis of a group with its halo and padding, reflected where beyond the scene."""
    index, _ = fold(first - halo, ceil_to(count, STRIDE) + 2 * halo, size, ceil_to(size, STRIDE))
    return index


def _columns(window: Window) -> slice:
    return slice(window.column, window.column + window.columns)


def _silence_empty(latents: NDArray[np.float32], empty: NDArray[np.uint8], family: Family) -> None:
    """Zero the latents that no measurement depends on: with no valid pixel within the synthesis halo + 1.
    Where bands have latents of their own, those become NaN instead (see Family).

    empty: flags of squares (bands, h, w) with the analysis halo. Those beyond it are not known here and count
    as not empty.
    """
    if not empty.any():
        return
    if not family.separate:
        latents[:, _unseen(np.all(empty, 0), family)] = 0
        return
    for share, flags in zip(np.split(latents, len(empty)), empty, strict=True):
        share[:, _unseen(flags > 0, family)] = np.nan


def _unseen(empty: NDArray[np.bool_], family: Family) -> NDArray[np.bool_]:
    """Places of latents without a valid pixel near, given flags (h, w) with the analysis halo."""
    cells: Any = empty
    reach = family.synthesis_halo + 1
    border = reach - family.analysis_halo // STRIDE
    if border > 0:
        cells = np.pad(cells, border)
    elif border < 0:
        cells = cells[-border:border, -border:border]
    for axis in (0, 1):
        cells = np.lib.stride_tricks.sliding_window_view(cells, 2 * reach + 1, axis).all(-1)
    return np.asarray(cells)
