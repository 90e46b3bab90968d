"""Decompress what is left of a damaged `.sarz`: every intact group, nodata elsewhere, and a list of the rest.

A group beside a lost one lacks the neighbours that its network looks at; it is given its own latents mirrored
instead, as at the border of a scene, and its margin is reported as approximate.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.streams.bias_correction import CELL
from sarzip.container import Header
from sarzip.container.salvage import SalvageReader
from sarzip.errors import CorruptError, UsageError
from sarzip.grid import STRIDE, ceil_to
from sarzip.pipeline.decode import MASK_BAND, DecodedBlock, SceneDecoder
from sarzip.pipeline.neighbours import LatentRow, NeighbouredRow
from sarzip.pipeline.sarzfile import Frames, open_input
from sarzip.raster import RasterSink
from sarzip.system.machine import Machine, choose_machine
from sarzip.system.outputs import STANDARD_STREAM, atomic_path, check_destination, naming
from sarzip.system.work_pool import WorkPool
from sarzip.usecases.decompress import DecompressOptions, Progress

LOST, APPROXIMATE, INTACT = 0, 128, 255
"""Values of the mask. Masks of GDAL call 0 invalid, everything else valid."""

_GEOREFERENCING = ("e", "t", "g")  # keys of sarzip.container.georeference


@dataclass(frozen=True)
class LostWindow:
    """A group of pixels that could not be decoded, and why. bands: 1-based."""

    group: int
    col: int
    row: int
    width: int
    height: int
    bands: tuple[int, ...]
    reason: str


@dataclass(frozen=True)
class SalvageReport:
    """What was saved and what was not.

    problems: what is wrong with the file beside lost groups. fill: the value of every band's lost pixels.
    approximate_margin: so many pixels around a lost window were decoded without their neighbours.
    """

    source: str
    output: str
    mask: str | None
    width: int
    height: int
    bands: int
    groups: int
    lost: tuple[LostWindow, ...]
    approximate_margin: int
    fill: tuple[float | int | str, ...]
    problems: tuple[str, ...]
    device: str
    seconds: float

    @property
    def damaged(self) -> bool:
        """Whether anything at all is wrong with the file."""
        return bool(self.lost or self.problems)

    @property
    def verdict(self) -> str:
        """One line: how much was saved, and what is wrong first."""
        lost = len({window.group for window in self.lost})
        if not self.lost:
            return f"damaged ({self.problems[0]}), but all {self.groups} groups were decoded"
        first = self.lost[0]
        place = f"group {first.group} (rows {first.row}-{first.row + first.height - 1}, columns {first.col}-"
        return (
            f"salvaged {self.groups - lost} of {self.groups} groups; lost: {place}"
            f"{first.col + first.width - 1}), {first.reason}" + (f", and {lost - 1} more" * (lost > 1))
        )


def salvage(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: DecompressOptions = DecompressOptions(),
    mask: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> SalvageReport:
    """Decompress the intact groups of `source` ('-' is standard input) into a GeoTIFF.

    mask: a second GeoTIFF, uint8, with LOST, APPROXIMATE or INTACT for every pixel. The caller decides what a
    damaged file means (`SalvageReport.damaged`). CorruptError when not even one group or the metadata is
    intact; InputError, ModelError and OutputError as for decompress.
    """
    started = time.perf_counter()
    for target in (destination, mask):
        if target is not None:
            check_destination(Path(target), options.force)
    if mask is not None and Path(mask).resolve() == Path(destination).resolve():
        raise UsageError(f"{mask}: the mask and the raster need different names")
    machine = choose_machine(options.device, options.threads)
    with _seekable(source) as file, naming(str(source)), contextlib.ExitStack() as outputs:
        reader = SalvageReader(file)
        header = reader.header
        if all(reader.why_lost(ordinal) for ordinal in range(header.frame_count)):
            raise CorruptError("no intact group: nothing can be salvaged")
        decoder = SalvageDecoder(header, machine, options.model, options.trust_model)
        mask_part = outputs.enter_context(atomic_path(mask, options.force)) if mask is not None else None
        part = outputs.enter_context(atomic_path(destination, options.force))
        dtypes = tuple(band.dtype for band in header.bands)
        with RasterSink.create(part, header.width, header.height, dtypes, header.raster) as sink:
            done, pixels = 0, header.width * header.height * len(header.bands)
            for block in decoder.blocks(_frames(reader)):
                if block.band == MASK_BAND:
                    sink.write_mask(block.window.row, block.window.column, block.values)
                    continue
                sink.write(block.band, block.window.row, block.window.column, block.values)
                done += block.values.size
                if progress:
                    progress(done, pixels)
        lost = decoder.lost()
        if mask_part is not None:
            _write_mask(mask_part, header, lost, decoder.margin)
    return SalvageReport(
        source=str(source),
        output=str(destination),
        mask=None if mask is None else str(mask),
        width=header.width,
        height=header.height,
        bands=len(header.bands),
        groups=header.group_count,
        lost=lost,
        approximate_margin=decoder.margin,
        fill=tuple(_plain(fill_value(header, band)) for band in range(len(header.bands))),
        problems=reader.problems,
        device=machine.device,
        seconds=time.perf_counter() - started,
    )


def fill_value(header: Header, band: int) -> float | int:
    """What lost pixels of a band become: its first special value (nodata where the raster has one), else 0
    for integers and NaN for floats.
    """
    about = header.bands[band]
    if about.specials:
        return about.specials[0]
    return 0 if np.dtype(about.dtype).kind in "iu" else float("nan")


def _plain(value: float | int) -> float | int | str:
    """As JSON can hold it: "nan", "inf" and "-inf" as text."""
    return value if math.isfinite(value) else repr(value)


class _Lost(dict[int, bytes]):
    """The streams of a frame that is not there, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason


class SalvageDecoder(SceneDecoder):
    """A decoder that goes on where a frame is lost or does not decode."""

    def __init__(
        self, header: Header, machine: Machine, model: str | None = None, trust: bool = False
    ) -> None:
        super().__init__(header, machine, model, trust)
        self._reasons: dict[tuple[int, int], str] = {}

    @property
    def margin(self) -> int:
        """Pixels around a lost window that were decoded without their neighbours.

        Whole cells of the radiometric correction, which depends on all pixels of a cell.
        """
        halo = max(family.synthesis_halo if family else 0 for family in self._families)
        return ceil_to(STRIDE * halo, CELL)

    def lost(self) -> tuple[LostWindow, ...]:
        """What could not be decoded, in raster order."""
        windows = []
        for (group, number), reason in sorted(self._reasons.items()):
            place = self._header.window(group)
            bands = tuple(band + 1 for band in self._header.sets[number].bands)
            windows.append(LostWindow(group, place.col, place.row, place.width, place.height, bands, reason))
        return tuple(windows)

    def _entropy_decode(
        self, row: int, column: int, number: int, streams: Mapping[int, bytes]
    ) -> tuple[NDArray[np.float32], Mapping[int, bytes]]:
        if not isinstance(streams, _Lost):
            try:
                return super()._entropy_decode(row, column, number, streams)
            except CorruptError as error:
                streams = _Lost(str(error))
        self._lose(row, column, number, streams.reason)
        family = self._families[number]
        shape = (family.channels if family else 0, *self._grid.latent_shape(row, column))
        return np.zeros(shape, np.float32), streams

    def _decoded_rows(self, frames: Frames, pool: WorkPool) -> Iterator[list[LatentRow]]:
        """Rows as of an intact file, in which lost groups continue their neighbours."""
        above: list[LatentRow] | None = None
        current: list[LatentRow] | None = None
        rows: Iterator[list[LatentRow] | None] = super()._decoded_rows(frames, pool)
        for row, following in enumerate(itertools.chain(rows, (None,))):
            if current is not None:
                for number, each in enumerate(current):
                    near = [None if other is None else other[number] for other in (above, following)]
                    self._continue_neighbours(row - 1, number, each, near)
                yield current
            above, current = current, following

    def _continue_neighbours(
        self, row: int, number: int, about: LatentRow, near: list[LatentRow | None]
    ) -> None:
        """Fill the rims of lost groups with the mirror image of what lies beyond, in place."""
        family = self._families[number]
        if family is None:
            return
        halo, signs = family.synthesis_halo, family.mirror_signs[:, :, None, None]
        above, below = near
        for column in range(len(about)):
            if not isinstance(about.group(column), _Lost):
                continue
            height, width = self._grid.latent_shape(row, column)
            block = about.latents(column)
            deep, wide = min(halo, height), min(halo, width)
            if column > 0 and not isinstance(about.group(column - 1), _Lost):
                edge = about.latents(column - 1)[:, :, -wide:]
                block[:, :, : edge.shape[2]] = signs[1] * edge[:, :, ::-1]
            if column + 1 < len(about) and not isinstance(about.group(column + 1), _Lost):
                edge = about.latents(column + 1)[:, :, :wide]
                block[:, :, width - edge.shape[2] :] = signs[1] * edge[:, :, ::-1]
            if above is not None and not isinstance(above.group(column), _Lost):
                edge = above.latents(column)[:, -deep:]
                block[:, : edge.shape[1]] = signs[0] * edge[:, ::-1]
            if below is not None and not isinstance(below.group(column), _Lost):
                edge = below.latents(column)[:, :deep]
                block[:, height - edge.shape[1] :] = signs[0] * edge[:, ::-1]

    def _synthesise(
        self, row: int, column: int, number: int, rows: list[NeighbouredRow]
    ) -> list[DecodedBlock]:
        if not isinstance(rows[number].group(column), _Lost):
            try:
                return super()._synthesise(row, column, number, rows)
            except CorruptError as error:
                self._lose(row, column, number, str(error))
        window = self._grid.window(row, column)
        shape = (window.rows, window.columns)
        blocks = []
        for band in self._header.sets[number].bands:
            value = fill_value(self._header, band)
            values = np.full(shape, value, np.dtype(self._header.bands[band].dtype))
            blocks.append(DecodedBlock(band, window, values))
        if number == 0 and self._header.raster.get("k"):
            blocks.append(DecodedBlock(MASK_BAND, window, np.zeros(shape, np.uint8)))
        return blocks

    def _lose(self, row: int, column: int, number: int, reason: str) -> None:
        self._reasons[row * self._grid.columns + column, number] = reason


def _frames(reader: SalvageReader) -> Iterator[Mapping[int, bytes]]:
    """Streams of every data frame in order, `_Lost` where there is none."""
    for ordinal in range(reader.header.frame_count):
        try:
            yield reader.read_frame(ordinal)
        except CorruptError as error:
            yield _Lost(str(error))


@contextlib.contextmanager
def _seekable(source: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The source itself, or a copy of what a pipe brings."""
    with open_input(source) as file:
        if str(source) != STANDARD_STREAM and file.seekable():
            yield file
            return
        with tempfile.TemporaryFile() as spool:
            shutil.copyfileobj(file, spool)
            yield spool


def _write_mask(path: Path, header: Header, lost: tuple[LostWindow, ...], margin: int) -> None:
    """The mask, one row of groups at a time."""
    tags = {key: value for key, value in header.raster.items() if key in _GEOREFERENCING}
    size = header.width, header.height
    with RasterSink.create(path, *size, ("uint8",), tags, compress="DEFLATE") as sink:
        for top in range(0, header.height, header.group):
            rows = min(header.group, header.height - top)
            strip = np.full((rows, header.width), INTACT, np.uint8)
            near = [w for w in lost if w.row - margin < top + rows and top < w.row + w.height + margin]
            for value, grown in ((APPROXIMATE, margin), (LOST, 0)):
                for window in near:
                    first, left = max(0, window.row - top - grown), max(0, window.col - grown)
                    below = max(0, window.row - top + window.height + grown)
                    strip[first:below, left : window.col + window.width + grown] = value
            sink.write(0, top, 0, strip)
