"""Compress a raster into a `.sarz`: plan from a sample, then stream row of groups by row of groups."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sarzip import __version__
from sarzip.codec import validity
from sarzip.codec.family import Family, build_family
from sarzip.codec.radiometry import DOMAINS, Radiometry, detect_domain, fit_radiometry
from sarzip.container import Header, ModelRef, SetHeader, Writer
from sarzip.errors import InputError, ModelError, UsageError
from sarzip.raster import RasterSource
from sarzip.usecases.atomic import STANDARD_STREAM, binary_output, check_destination, naming
from sarzip.usecases.encode import SceneEncoder
from sarzip.usecases.models import ModelStore
from sarzip.usecases.runtime import choose_machine, peak_memory
from sarzip.usecases.scene import EXACT, BandCoding
from sarzip.usecases.verify import verify

REAL_DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
DEFAULT_MODEL = "ae16"
DEFAULT_QUALITY = 60.0
# The sample that decides domain, floor and centre: rows spread over the scene, at most this many values.
_SAMPLE_ROWS = 64
_SAMPLE_VALUES = 1 << 21

Progress = Callable[[int, int], None]
"""Called with the number of frames finished and their total."""


@dataclass(frozen=True)
class CompressOptions:
    """How to compress. quality: 0..100. threads 0: all cores. device: auto, cpu, cuda or cuda:N.

    verify: decode what was written, before it appears under its final name.
    """

    quality: float = DEFAULT_QUALITY
    domain: str = "auto"
    model: str = DEFAULT_MODEL
    device: str = "auto"
    threads: int = 0
    force: bool = False
    verify: bool = False


@dataclass(frozen=True)
class CompressReport:
    """What was done. Sizes in bytes, bpp in bits per pixel and band, seconds of wall time."""

    source: str
    output: str
    width: int
    height: int
    bands: int
    source_bytes: int
    output_bytes: int
    bpp: float
    ratio: float
    step_db: float
    model: str
    device: str
    seconds: float
    mpix_per_s: float
    peak_memory: int
    domains: tuple[str, ...] = field(default=())
    reasons: tuple[str, ...] = field(default=())


def quality_to_step(quality: float) -> float:
    """Quality 0..100 to the quantiser step in dB: 20 dB at 0, halved with every 20 points."""
    if not 0 <= quality <= 100:
        raise UsageError(f"--quality {quality:g}: must be within 0 to 100")
    return float(f"{20.0 * 2.0 ** (-quality / 20.0):.6g}")


def compress(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: CompressOptions = CompressOptions(),
    progress: Progress | None = None,
) -> CompressReport:
    """Compress the raster `source` into `destination` ('-' is standard output).

    Raises InputError, UsageError, ModelError or OutputError; nothing is left under the final name then.
    """
    started = time.perf_counter()
    step = quality_to_step(options.quality)
    if str(destination) == STANDARD_STREAM:
        if options.verify:
            raise UsageError("--verify: standard output cannot be read back; write to a file")
    else:
        check_destination(Path(destination), options.force)
    _refuse_same_file(source, destination)
    machine = choose_machine(options.device, options.threads)
    with naming(str(source)), RasterSource.open(source) as raster:
        _check_supported(raster)
        card, weights = ModelStore().load(options.model)
        family = build_family(card.family, card.config, weights, machine.device)
        bands, reasons = plan_bands(raster, options.domain)
        header = Header(
            width=raster.info.width,
            height=raster.info.height,
            bands=tuple(band.to_header() for band in bands),
            sets=tuple(_band_sets(bands, family, step)),
            models=(ModelRef(card.id, card.sha256),),
            raster=raster.info.tags,
            creator=f"sarzip {__version__}",
        )
        families = [None if each.model is None else family for each in header.sets]
        with binary_output(destination, options.force) as sink:
            writer = Writer(sink, header)
            for streams in SceneEncoder(raster, header, bands, families, machine).frames():
                writer.write_frame(streams)
                if progress:
                    progress(writer.frames_written, header.frame_count)
            size = writer.finish()
            if options.verify:
                sink.flush()
                with naming(str(destination)):
                    verify(sink.name, deep=True, device=machine.device, threads=machine.threads)
    pixels = header.width * header.height * len(header.bands)
    seconds = time.perf_counter() - started
    source_bytes = Path(source).stat().st_size if Path(source).is_file() else 0
    return CompressReport(
        source=str(source),
        output=str(destination),
        width=header.width,
        height=header.height,
        bands=len(bands),
        source_bytes=source_bytes,
        output_bytes=size,
        bpp=8 * size / pixels,
        ratio=source_bytes / size,
        step_db=step,
        model=card.id,
        device=machine.device,
        seconds=seconds,
        mpix_per_s=pixels / seconds / 1e6,
        peak_memory=peak_memory(),
        domains=tuple(band.radiometry.domain for band in bands),
        reasons=reasons,
    )


def _refuse_same_file(source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> None:
    if Path(destination).exists() and Path(source).exists() and Path(source).samefile(destination):
        raise UsageError(f"{destination}: is the input itself; give another name for the output")


def _check_supported(raster: RasterSource) -> None:
    for number, dtype in enumerate(raster.info.dtypes, start=1):
        if dtype.startswith("complex"):
            raise InputError(
                f"band {number} is {dtype}: complex data is not supported yet; compress its amplitude, e.g. "
                "rio calc '(abs (read 1))'"
            )
        if dtype not in REAL_DTYPES:
            raise InputError(
                f"band {number} is {dtype}: not supported; convert it to one of {', '.join(REAL_DTYPES)}"
            )


def _band_sets(bands: list[BandCoding], family: Family, step: float) -> Iterator[SetHeader]:
    """Measurements in sets of as many bands as the model takes, then the exact bands together."""
    coded = [number for number, band in enumerate(bands) if band.radiometry.domain != EXACT]
    exact = [number for number, band in enumerate(bands) if band.radiometry.domain == EXACT]
    if len(coded) % family.inputs:
        raise ModelError(
            f"model {family.name} codes {family.inputs} bands together and the raster has {len(coded)}; "
            "use a model with one input"
        )
    for first in range(0, len(coded), family.inputs):
        yield SetHeader(tuple(coded[first : first + family.inputs]), 0, step)
    if exact:
        yield SetHeader(tuple(exact), None)


def plan_bands(raster: RasterSource, domain: str = "auto") -> tuple[list[BandCoding], tuple[str, ...]]:
    """Transform and special values of every band from a sample, with the reason for each domain."""
    if domain not in ("auto", *DOMAINS):
        raise UsageError(f"--domain {domain}: expected auto, {', '.join(DOMAINS)}")
    bands, reasons = [], []
    for band, (dtype, nodata) in enumerate(zip(raster.info.dtypes, raster.info.nodata, strict=True)):
        if raster.info.exact[band]:
            bands.append(BandCoding(Radiometry(EXACT), dtype, (), False))
            reasons.append("an alpha band, kept bit for bit")
            continue
        specials, shared_zero = validity.special_values(dtype, nodata), validity.shares_zero(dtype, nodata)
        sample = _sample(raster, band)
        valid = sample[validity.classify(sample, specials, shared_zero) == 0]
        if domain == "auto":
            found = detect_domain(valid, raster.info.hints[band])
            chosen, reason = found.domain, found.reason
        else:
            chosen, reason = domain, "given with --domain"
        bands.append(BandCoding(fit_radiometry(valid, chosen), dtype, specials, shared_zero))
        reasons.append(reason)
    return bands, tuple(reasons)


def _sample(raster: RasterSource, band: int) -> NDArray[np.generic]:
    """Rows spread evenly over the scene, cut to a central part where the scene is very wide."""
    width, height = raster.info.width, raster.info.height
    rows = np.unique(np.linspace(0, height - 1, min(height, _SAMPLE_ROWS)).astype(int))
    most = max(1, _SAMPLE_VALUES // len(rows))
    columns = min(width, most)
    left = (width - columns) // 2
    return np.concatenate([raster.read([band], int(row), 1, left, columns)[0] for row in rows])
