"""Decompress what is left of a damaged `.sarz`: every intact group, nodata elsewhere, and a list of the rest.

A group beside a lost one lacks the neighbours that its network looks at; it is given its own latents mirrored
instead, as at the border of a scene, and its margin is reported as approximate. Where two bands share a frame
that is damaged, that of them comes back whose own check holds (FORMAT.md 9.13).
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.cell_power import CELL
from sarzip.container import Header
from sarzip.container.salvage import SalvageReader
from sarzip.errors import CorruptError, UsageError
from sarzip.grid import STRIDE, Window, ceil_to
from sarzip.pipeline.band import fill_value
from sarzip.pipeline.band_checks import checked, intact_bands
from sarzip.pipeline.coders import region_groups
from sarzip.pipeline.decode import DamagedFrame, Decoder, Hooks, Key, RegionGroups
from sarzip.pipeline.sarzfile import open_seekable
from sarzip.pipeline.selection import Region, resolve, whole_scene
from sarzip.raster import RasterSink
from sarzip.system.machine import choose_machine
from sarzip.system.outputs import atomic_path, check_destination, naming, refuse_same_file
from sarzip.usecases.decompress import DecompressOptions, Progress, write_blocks

LOST, APPROXIMATE, INTACT = 0, 128, 255
"""Values of the mask, of each band. Masks of GDAL call 0 invalid, everything else valid."""

_GEOREFERENCING = ("e", "t", "g")  # keys of sarzip.container.georeference


@dataclass(frozen=True)
class LostWindow:
    """A group of pixels that could not be decoded, and why. bands: those that are lost, 1-based."""

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
    warnings: what the output could not keep; notes: what lies beside it.
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
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

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
        bands = f"band{'s' * (len(first.bands) > 1)} {', '.join(map(str, first.bands))} of "
        whole = len(first.bands) == self.bands
        place = f"{'' if whole else bands}group {first.group} "
        place += f"(rows {first.row}-{first.row + first.height - 1}, columns {first.col}-"
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
    """Decompress the intact groups of `source` ('-' is standard input), or of a part of it, into a GeoTIFF.

    mask: a second GeoTIFF, uint8, with LOST, APPROXIMATE or INTACT for every pixel of every band. The caller
    decides what a damaged file means (`SalvageReport.damaged`). CorruptError when not even one group or the
    metadata is intact; InputError, ModelError and OutputError as for decompress.
    """
    started = time.perf_counter()
    for target in (destination, mask):
        if target is not None:
            check_destination(target, options.force)
            refuse_same_file(source, target)
    if mask is not None and Path(mask).resolve() == Path(destination).resolve():
        raise UsageError(f"{mask}: the mask and the raster need different names")
    machine = choose_machine(options.device, options.threads)
    with open_seekable(source) as file, naming(str(source)), contextlib.ExitStack() as outputs:
        reader = SalvageReader(file)
        header = reader.header
        region = resolve(options.selection, header)
        groups, losses = region_groups(header, region, machine.device, options.decoding), _Losses()
        decoder = Decoder(groups, header, machine, Hooks(on_lost=losses.add))
        if all(reader.why_lost(ordinal) for ordinal in range(header.frame_count)) and not any(
            _damaged(reader, groups, ordinal, "").intact for ordinal in decoder.ordinals
        ):
            raise CorruptError("no intact group: nothing can be salvaged")
        # Whole cells of the bias correction, which depends on all pixels of a cell.
        halo = max(groups.coder(number).halo.latents for number in {tile.set for tile in groups.tiles})
        margin = ceil_to(STRIDE * halo, CELL)
        mask_part = outputs.enter_context(atomic_path(mask, options.force)) if mask is not None else None
        part = outputs.enter_context(atomic_path(destination, options.force))
        dtypes = tuple(header.bands[band].dtype for band in region.bands)
        tags = region.raster_tags(header)
        with RasterSink.create(part, region.columns, region.rows, dtypes, tags) as sink:
            blocks = decoder.blocks(_frames(reader, groups, decoder.ordinals))
            write_blocks(blocks, sink, region.samples, progress)
        lost = losses.windows(header, region)
        if mask_part is not None:
            _write_mask(mask_part, header, region, _Near(losses.windows(header), margin))
    return SalvageReport(
        source=str(source),
        output=str(destination),
        mask=None if mask is None else str(mask),
        width=region.columns,
        height=region.rows,
        bands=len(region.bands),
        groups=len(header.grid.covering(region.window)),
        lost=lost,
        approximate_margin=margin,
        fill=tuple(_plain(fill_value(header.bands[band])) for band in region.bands),
        problems=reader.problems,
        device=machine.device,
        seconds=time.perf_counter() - started,
        warnings=sink.warnings,
        notes=sink.notes,
    )


def _plain(value: float | int) -> float | int | str:
    """As JSON can hold it: "nan", "inf" and "-inf" as text."""
    return value if math.isfinite(value) else repr(value)


class _Losses:
    """What could not be decoded: a hook of the decoder (on_lost)."""

    def __init__(self) -> None:
        self._reasons: dict[Key, str] = {}
        self._positions: dict[Key, set[int]] = {}

    def add(self, key: Key, positions: Sequence[int], reason: str) -> None:
        """Bands of a group that were lost; the first reason counts."""
        self._reasons.setdefault(key, reason)
        self._positions.setdefault(key, set()).update(positions)

    def windows(self, header: Header, region: Region | None = None) -> tuple[LostWindow, ...]:
        """What was lost, in raster order; of a region only what it takes, not what it leans on."""
        grid, windows = header.grid, []
        region = region or whole_scene(header)
        for key, reason in sorted(self._reasons.items()):
            place, members = grid.window(key.row, key.column), header.sets[key.set].bands
            lost = [members[position] for position in sorted(self._positions[key])]
            bands = tuple(band + 1 for band in lost if band in region.bands)
            if not bands or not all(place.intersection(region.window)[2:]):
                continue
            number = key.row * grid.columns + key.column
            windows.append(
                LostWindow(number, place.column, place.row, place.columns, place.rows, bands, reason)
            )
        return tuple(windows)


def _frames(
    reader: SalvageReader, groups: RegionGroups, ordinals: Iterable[int]
) -> Iterator[Mapping[int, bytes]]:
    """Streams of some data frames in order, a DamagedFrame where there is none that is intact."""
    for ordinal in ordinals:
        try:
            yield reader.read_frame(ordinal)
        except CorruptError as error:
            yield _damaged(reader, groups, ordinal, str(error))


def _damaged(reader: SalvageReader, groups: RegionGroups, ordinal: int, reason: str) -> DamagedFrame:
    """What is left of a frame that is not intact."""
    if not checked(groups.coder(reader.header.address(ordinal).set)):
        return DamagedFrame(reason)
    found = [(streams, intact_bands(streams, ordinal)) for streams in reader.read_damaged(ordinal)]
    found = [each for each in found if each[1]]
    return DamagedFrame(reason, *found[0]) if len(found) == 1 else DamagedFrame(reason)


@dataclass(frozen=True)
class _Near:
    """What was lost, and how far that reaches in pixels."""

    lost: tuple[LostWindow, ...]
    margin: int

    def strip(self, band: int, place: Window, scale: int) -> NDArray[np.uint8]:
        """The mask of some pixels of a 0-based band, one for scale×scale of them: the worst of what a sample
        is made of.
        """
        strip = np.full((-(-place.rows // scale), -(-place.columns // scale)), INTACT, np.uint8)
        lost = [each for each in self.lost if band + 1 in each.bands]
        for value, grown in ((APPROXIMATE, self.margin), (LOST, 0)):
            for each in lost:
                top, left = each.row - grown - place.row, each.col - grown - place.column
                bottom, right = top + each.height + 2 * grown, left + each.width + 2 * grown
                rows = slice(max(0, top) // scale, max(0, -(-bottom // scale)))
                strip[rows, max(0, left) // scale : max(0, -(-right // scale))] = value
        return strip


def _write_mask(path: Path, header: Header, region: Region, near: _Near) -> None:
    """The mask of every band, one row of groups at a time."""
    tags = {key: value for key, value in region.raster_tags(header).items() if key in _GEOREFERENCING}
    window, scale = region.window, region.scale
    size = region.columns, region.rows
    dtypes = ("uint8",) * len(region.bands)
    with RasterSink.create(path, *size, dtypes, tags, compress="DEFLATE") as sink:
        for top in range(0, window.rows, header.group):
            rows = min(header.group, window.rows - top)
            place = Window(window.row + top, window.column, rows, window.columns)
            for at, band in enumerate(region.bands):
                sink.write(at, top // scale, 0, near.strip(band, place, scale))
