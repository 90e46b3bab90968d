"""Decompress a `.sarz` or a part of it into a raster, row of groups by row of groups, from a file, a URL or a
pipe.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sarzip.container import Header
from sarzip.errors import OutputError, UsageError
from sarzip.pipeline.coders import DecodeOptions, region_decoder
from sarzip.pipeline.decode import DecodedBlock
from sarzip.pipeline.group import MASK_BAND
from sarzip.pipeline.sarzfile import SarzPart, open_part
from sarzip.pipeline.selection import EVERYTHING, Region, Selection, resolve
from sarzip.raster import RasterSink
from sarzip.raster.cog import write_cog
from sarzip.raster.pam import beside_note, sidecar_of
from sarzip.system.machine import Machine, peak_memory
from sarzip.system.outputs import STANDARD_STREAM, atomic_path, check_destination, naming, refuse_same_file
from sarzip.system.parts import part_path

Progress = Callable[[int, int], None]
"""Called with the number of pixels (bands counted) finished and their total."""


@dataclass(frozen=True)
class DecompressOptions:
    """How to decompress. device: auto, cpu, cuda or cuda:N. threads 0: all cores.

    model: folder of the model to use when the file names one that is not released with sarzip; its hash must
    be the file's all the same, unless trust_model says to take it as it is.

    selection: the part of the scene to decode. cog: write a cloud optimized GeoTIFF, with overviews. strict:
    refuse (OutputError) to write what cannot keep everything that the raster carried.
    """

    device: str = "auto"
    threads: int = 0
    force: bool = False
    model: str | None = None
    trust_model: bool = False
    selection: Selection = EVERYTHING
    cog: bool = False
    strict: bool = False

    @property
    def decoding(self) -> DecodeOptions:
        """What of it decoding needs."""
        return DecodeOptions(self.device, self.threads, self.model, self.trust_model)

    def __post_init__(self) -> None:
        if self.trust_model and self.model is None:
            raise UsageError("`trust_model`: give the folder of the model with `model`")


@dataclass(frozen=True)
class DecompressReport:
    """What was done. width, height, bands: of the output. Sizes in bytes, seconds of wall time.

    window: column, row, width, height of the pixels decoded; scale: pixels per sample along an axis.
    bytes_read: of the source. warnings: what the output could not keep. notes: what lies beside it.
    """

    source: str
    output: str
    width: int
    height: int
    bands: int
    output_bytes: int
    device: str
    seconds: float
    mpix_per_s: float
    peak_memory: int
    window: tuple[int, int, int, int]
    scale: int
    bytes_read: int
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def decompress(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: DecompressOptions = DecompressOptions(),
    progress: Progress | None = None,
) -> DecompressReport:
    """Decompress the file `source` (a path, a URL, or '-' for standard input) into a GeoTIFF.

    Every checksum of what is read is verified on the way, and the raster appears only when all of them held.
    Of a file or a URL only what the selection needs is read; a pipe is read to its end. Raises InputError,
    CorruptError, ModelError, UsageError or OutputError.
    """
    started = time.perf_counter()
    check_destination(destination, options.force)
    refuse_same_file(source, destination)
    with open_part(source) as part, naming(str(source)):
        work = _plan(part, options)
        region, header = work.region, part.header
        with atomic_path(destination, options.force) as target:
            plain = part_path(target) if options.cog else target
            dtypes = tuple(header.bands[band].dtype for band in region.bands)
            tags = region.raster_tags(header)
            with _removed(plain, options.cog):
                with RasterSink.create(plain, region.columns, region.rows, dtypes, tags) as sink:
                    write_blocks(work.blocks, sink, region.samples, progress)
                warnings, notes = sink.warnings, sink.notes
                if options.cog:
                    sidecar_of(plain).unlink(missing_ok=True)
                    threads = work.machine.threads
                    outcome = write_cog(plain, target, tags, _overviews(header, region), threads)
                    warnings = (*sink.changed, *(f"not kept in COG: {text}" for text in outcome.lost))
                    notes = beside_note(outcome)
                if str(destination) == STANDARD_STREAM:
                    warnings, notes = (*warnings, *map(_lost_beside, notes)), ()
                if options.strict and warnings:
                    raise OutputError(f"{destination}: {warnings[0]}; `strict` refuses this")
            size = target.stat().st_size
    seconds = time.perf_counter() - started
    return DecompressReport(
        source=str(source),
        output=str(destination),
        width=region.columns,
        height=region.rows,
        bands=len(region.bands),
        output_bytes=size,
        device=work.machine.device,
        seconds=seconds,
        mpix_per_s=region.window.rows * region.window.columns * len(region.bands) / seconds / 1e6,
        peak_memory=peak_memory(),
        window=region.box,
        scale=region.scale,
        bytes_read=part.bytes_read,
        warnings=warnings,
        notes=notes,
    )


@dataclass(frozen=True)
class _Work:
    """What will be decoded, where, and its blocks in the order they come."""

    region: Region
    machine: Machine
    blocks: Iterator[DecodedBlock]


def _plan(part: SarzPart, options: DecompressOptions) -> _Work:
    region = resolve(options.selection, part.header)
    decoder, machine = region_decoder(part.header, region, options.decoding)
    return _Work(region, machine, decoder.blocks(part.frames(decoder.ordinals)))


def write_blocks(
    blocks: Iterable[DecodedBlock], sink: RasterSink, samples: int, progress: Progress | None
) -> None:
    """Write decoded blocks where they belong. samples: of all bands, for progress."""
    done = 0
    for block in blocks:
        if block.band == MASK_BAND:
            sink.write_mask(block.window.row, block.window.column, block.values)
            continue
        sink.write(block.band, block.window.row, block.window.column, block.values)
        done += block.values.size
        if progress:
            progress(done, samples)


@contextlib.contextmanager
def _removed(path: Path, wanted: bool) -> Iterator[None]:
    """Remove a file in the end, if wanted."""
    try:
        yield
    finally:
        if wanted:
            path.unlink(missing_ok=True)


def _lost_beside(note: str) -> str:
    """On standard output there is nothing beside the raster."""
    return f"not kept on standard output: {note.partition(': ')[2]}; write to a file to keep it"


def _overviews(header: Header, region: Region) -> str:
    """How overviews are averaged: amplitudes by their power, exact bands by the most frequent value."""
    domains = {header.bands[band].domain for band in region.bands}
    if domains == {"amplitude"}:
        return "RMS"
    return "AVERAGE" if domains <= {"power", "db"} else "NEAREST"
