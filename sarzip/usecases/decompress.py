"""Decompress a `.sarz` into a raster, row of groups by row of groups, from a file or a pipe."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sarzip.errors import UsageError
from sarzip.raster import RasterSink
from sarzip.usecases.atomic import atomic_path, check_destination, naming
from sarzip.usecases.decode import MASK_BAND, SceneDecoder
from sarzip.usecases.runtime import choose_machine, peak_memory
from sarzip.usecases.sarzfile import open_sarz

Progress = Callable[[int, int], None]
"""Called with the number of pixels (bands counted) finished and their total."""


@dataclass(frozen=True)
class DecompressOptions:
    """How to decompress. device: auto, cpu, cuda or cuda:N. threads 0: all cores.

    model: folder of the model to use when the file names one that is not released with sarzip; its hash must
    be the file's all the same, unless trust_model says to take it as it is.
    """

    device: str = "auto"
    threads: int = 0
    force: bool = False
    model: str | None = None
    trust_model: bool = False

    def __post_init__(self) -> None:
        if self.trust_model and self.model is None:
            raise UsageError("--trust-model: give the folder of the model with --model")


@dataclass(frozen=True)
class DecompressReport:
    """What was done. Sizes in bytes, seconds of wall time."""

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


def decompress(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: DecompressOptions = DecompressOptions(),
    progress: Progress | None = None,
) -> DecompressReport:
    """Decompress the file `source` ('-' is standard input) into a GeoTIFF.

    Every checksum is verified on the way, and the raster appears only when all of them held. Raises
    InputError, CorruptError, ModelError or OutputError.
    """
    started = time.perf_counter()
    check_destination(Path(destination), options.force)
    machine = choose_machine(options.device, options.threads)
    with open_sarz(source) as (header, frames), naming(str(source)):
        pixels, done = header.width * header.height * len(header.bands), 0
        decoder = SceneDecoder(header, machine, options.model, options.trust_model)
        with atomic_path(destination, options.force) as part:
            with RasterSink.create(
                part, header.width, header.height, tuple(band.dtype for band in header.bands), header.raster
            ) as sink:
                for block in decoder.blocks(frames):
                    if block.band == MASK_BAND:
                        sink.write_mask(block.window.row, block.window.column, block.values)
                        continue
                    sink.write(block.band, block.window.row, block.window.column, block.values)
                    done += block.values.size
                    if progress:
                        progress(done, pixels)
            size = part.stat().st_size
    seconds = time.perf_counter() - started
    return DecompressReport(
        source=str(source),
        output=str(destination),
        width=header.width,
        height=header.height,
        bands=len(header.bands),
        output_bytes=size,
        device=machine.device,
        seconds=seconds,
        mpix_per_s=pixels / seconds / 1e6,
        peak_memory=peak_memory(),
    )
