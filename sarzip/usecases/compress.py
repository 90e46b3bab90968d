"""Compress a raster into a `.sarz`: plan from a sample, then stream row of groups by row of groups."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Family
from sarzip.codec.registry import EFFORTS, build_family, can_pair, for_bands
from sarzip.codec.signal.radiometry import DOMAINS, Radiometry, detect_domain, fit_radiometry
from sarzip.codec.streams import class_map as validity
from sarzip.container import Header, ModelRef, SetHeader, Writer
from sarzip.errors import InputError, ModelError, UsageError
from sarzip.pipeline.band import EXACT, BandCoding
from sarzip.pipeline.encode import SceneEncoder
from sarzip.pipeline.models import ModelStore
from sarzip.pipeline.pairing import Grouping, profile
from sarzip.pipeline.rate_control import (
    TOLERANCE,
    Fidelity,
    Goal,
    RateProbe,
    Work,
    find_step,
    quality_to_step,
)
from sarzip.pipeline.sarzfile import unchanged
from sarzip.raster import RasterSource
from sarzip.system.machine import Machine, choose_machine, math_threads, peak_memory
from sarzip.system.outputs import STANDARD_STREAM, binary_output, check_destination, naming
from sarzip.system.stdin import standard_input
from sarzip.system.work_pool import WorkPool
from sarzip.version import __version__

if TYPE_CHECKING:
    from sarzip.pipeline.measured_error import BandError

REAL_DTYPES = ("uint8", "uint16", "int16", "float32", "float64")
DEFAULT_MODEL = "lapped16"
DEFAULT_FIDELITY = Fidelity("quality", 60.0)
# A sample may miss the size of a large scene; each attempt corrects it by what the last one missed.
_ATTEMPTS = 4
# What decides domain, floor and centre: scenes up to so many pixels as a whole, larger ones by pieces spread
# over them. They are few because a tiled file has to be read a tile at a time.
_SAMPLE_ALL = 1 << 20
_SAMPLE_PIECES, _SAMPLE_ROWS, _SAMPLE_COLUMNS = 32, 4, 512
_LEAST_MEASURED = 1 / 16

Progress = Callable[[int, int], None]
"""Called with the number of pixels finished (bands counted) and their total."""


@dataclass(frozen=True)
class CompressOptions:
    """How to compress. threads 0: all cores. device: auto, cpu, cuda or cuda:N. effort: fast or best.

    verify: decode what was written, before it appears under its final name.
    """

    fidelity: Fidelity = DEFAULT_FIDELITY
    domain: str = "auto"
    effort: str = "best"
    model: str = DEFAULT_MODEL
    device: str = "auto"
    threads: int = 0
    force: bool = False
    verify: bool = False


@dataclass(frozen=True)
class CompressReport:
    """What was done. Sizes in bytes, bpp in bits per pixel and band, seconds of wall time.

    rmse_db, bias_p95_db: of the band with the largest, measured with `verify`; without it the error that a
    search for a given RMSE ended with, or None. errors: of each band, with `verify`. notes: for the user.
    """

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
    rmse_db: float | None = None
    bias_p95_db: float | None = None
    errors: tuple[BandError, ...] = ()
    notes: tuple[str, ...] = ()


def compress(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: CompressOptions = CompressOptions(),
    progress: Progress | None = None,
) -> CompressReport:
    """Compress the raster `source` ('-' is standard input) into `destination` ('-' is standard output).

    Raises InputError, UsageError, ModelError, TargetError or OutputError; nothing is left under the final
    name then.
    """
    if str(source) == STANDARD_STREAM:
        with standard_input() as spooled:
            report = compress(spooled.path, destination, options, progress)
        notes = report.notes if spooled.note is None else (spooled.note, *report.notes)
        return replace(report, source=STANDARD_STREAM, notes=notes)
    started = time.perf_counter()
    if str(destination) == STANDARD_STREAM:
        if options.verify:
            raise UsageError("--verify: standard output cannot be read back; write to a file")
    else:
        check_destination(Path(destination), options.force)
    _refuse_same_file(source, destination)
    machine = choose_machine(options.device, options.threads)
    source_bytes = Path(source).stat().st_size if Path(source).is_file() else 0
    with naming(str(source)), RasterSource.open(str(source), machine.threads) as raster:
        plan = plan_scene(raster, options, machine)
        with binary_output(destination, options.force) as sink, unchanged(source):
            coder = _Coder(raster, plan, machine, progress)
            if options.fidelity.kind == "quality":
                step = quality_to_step(options.fidelity.value)
                size = coder.write(sink, step)
            else:
                step, size = coder.write_to_goal(sink, Goal(options.fidelity, plan.pixels, source_bytes))
            errors: tuple[BandError, ...] = ()
            if options.verify:
                sink.flush()
                from sarzip.pipeline.measured_error import measure_errors

                with naming(str(destination)):
                    errors = measure_errors(sink.name, raster, options.model, machine)
    seconds = time.perf_counter() - started
    return CompressReport(
        source=str(source),
        output=str(destination),
        width=plan.header.width,
        height=plan.header.height,
        bands=len(plan.bands),
        source_bytes=source_bytes,
        output_bytes=size,
        bpp=8 * size / plan.pixels,
        ratio=source_bytes / size,
        step_db=step,
        model=plan.header.models[0].id,
        device=machine.device,
        seconds=seconds,
        mpix_per_s=plan.pixels / seconds / 1e6,
        peak_memory=peak_memory(),
        domains=tuple(band.radiometry.domain for band in plan.bands),
        reasons=plan.reasons,
        rmse_db=max((each.rmse_db for each in errors if each.rmse_db is not None), default=coder.rmse_db),
        bias_p95_db=max((e.bias_p95_db for e in errors if e.bias_p95_db is not None), default=None),
        errors=errors,
        notes=raster.info.notes,
    )


@dataclass(frozen=True)
class ScenePlan:
    """What is decided before the first group is coded: all but the step. family: of sets of as many bands as
    the model takes. reasons: of each band's domain.
    """

    header: Header
    bands: list[BandCoding]
    family: Family
    reasons: tuple[str, ...]

    @property
    def pixels(self) -> int:
        """Pixels of the scene, bands counted."""
        return self.header.width * self.header.height * len(self.bands)

    def header_at(self, step: float) -> Header:
        """The header with a step in dB for every set that a network codes."""
        sets = (each if each.model is None else replace(each, step=step) for each in self.header.sets)
        return replace(self.header, sets=tuple(sets))


def plan_scene(raster: RasterSource, options: CompressOptions, machine: Machine) -> ScenePlan:
    """Load the model and choose the transforms. Raises InputError, UsageError or ModelError."""
    if options.effort not in EFFORTS:
        raise UsageError(f"--effort {options.effort}: expected {' or '.join(EFFORTS)}")
    _check_supported(raster)
    card, weights = ModelStore().load(options.model)
    family = build_family(card.family, card.config, weights, machine.device, options.effort)
    grouping = Grouping() if can_pair(family) else None
    bands, reasons = plan_bands(raster, options.domain, grouping)
    header = Header(
        width=raster.info.width,
        height=raster.info.height,
        bands=tuple(band.to_header() for band in bands),
        sets=tuple(_band_sets(bands, family, grouping)),
        models=(ModelRef(card.id, card.sha256),),
        raster=raster.info.tags,
        creator=f"sarzip {__version__}",
    )
    return ScenePlan(header, bands, family, reasons)


class _Coder:
    """Writes a planned scene at a given step, or at the step that meets a goal."""

    def __init__(
        self, raster: RasterSource, plan: ScenePlan, machine: Machine, progress: Progress | None
    ) -> None:
        self._raster = raster
        self._plan = plan
        self._machine = machine
        self._progress = progress
        self.rmse_db: float | None = None

    def write(self, sink: BinaryIO, step: float, summary: dict[str, Any] | None = None) -> int:
        """Write the whole file at a step in dB and return its size in bytes."""
        header = self._plan.header_at(step)
        family, sets = self._plan.family, header.sets
        families = [None if each.model is None else for_bands(family, len(each.bands)) for each in sets]
        writer = Writer(sink, header)
        encoder = SceneEncoder(self._raster, header, self._plan.bands, families, self._machine)
        with contextlib.closing(encoder.frames()) as frames:
            done = 0
            for ordinal, streams in enumerate(frames):
                writer.write_frame(streams)
                if self._progress:
                    place = header.group_window(ordinal)
                    done += place.width * place.height * len(header.sets[header.address(ordinal).set].bands)
                    self._progress(done, self._plan.pixels)
        return writer.finish(summary)

    def write_to_goal(self, sink: BinaryIO, goal: Goal) -> tuple[float, int]:
        """Search the step on a sample, write, and correct it while the size misses; step and size.

        Raises TargetError with the nearest value there is.
        """
        plan = self._plan
        with _rewindable(sink) as out, math_threads(1), WorkPool(self._machine.threads) as pool:
            probe = RateProbe(self._raster, plan.header, plan.bands, Work(plan.family, pool))
            correction = 1.0
            for _ in range(_ATTEMPTS):
                found = find_step(probe, goal, correction)
                summary: dict[str, Any] = {"asked": goal.fidelity.option}
                if goal.fidelity.kind == "rmse_db":
                    self.rmse_db = found.value
                    summary["rmse_db"] = round(found.value, 4)
                out.seek(0)
                out.truncate()
                size = self.write(out, found.step, summary)
                if goal.fidelity.kind == "rmse_db" or goal.target.met_by(size):
                    break
                # The middle of what is allowed: a ceiling is then cleared at the next attempt.
                correction *= goal.target.value * (1 - TOLERANCE / 2 * goal.target.ceiling) / size
            else:
                raise goal.unreachable(size)
        return found.step, size


@contextlib.contextmanager
def _rewindable(sink: BinaryIO) -> Iterator[BinaryIO]:
    """The sink itself, or for standard output a temporary file that is copied to it in the end."""
    if sink is not sys.stdout.buffer:
        yield sink
        return
    with tempfile.TemporaryFile() as spool:
        yield cast(BinaryIO, spool)
        spool.seek(0)
        shutil.copyfileobj(spool, sink)


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


def _band_sets(
    bands: list[BandCoding], family: Family, grouping: Grouping | None = None
) -> Iterator[SetHeader]:
    """Measurements as they are grouped or in sets of as many bands as the model takes, then the exact bands
    together.
    """
    coded = [number for number, band in enumerate(bands) if band.radiometry.domain != EXACT]
    exact = [number for number, band in enumerate(bands) if band.radiometry.domain == EXACT]
    if len(coded) % family.inputs:
        raise ModelError(
            f"model {family.name} codes {family.inputs} bands together and the raster has {len(coded)}; "
            "use a model with one input"
        )
    groups = [tuple(coded[at : at + family.inputs]) for at in range(0, len(coded), family.inputs)]
    for each in groups if grouping is None else grouping.groups:
        yield SetHeader(each, 0)
    if exact:
        yield SetHeader(tuple(exact), None)


def plan_bands(
    raster: RasterSource, domain: str = "auto", grouping: Grouping | None = None
) -> tuple[list[BandCoding], tuple[str, ...]]:
    """Transform and special values of every band from a sample, with the reason for each domain.

    grouping: is told what bands of measurements look like.
    """
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
        measured = validity.classify(sample, specials, shared_zero) == 0
        if measured.mean() < _LEAST_MEASURED:
            sample = _sample(raster, band, dense=True)
            measured = validity.classify(sample, specials, shared_zero) == 0
        valid = sample[measured]
        if domain == "auto":
            found = detect_domain(valid, raster.info.hints[band])
            chosen, reason = found.domain, found.reason
        else:
            chosen, reason = domain, "given with --domain"
        level = np.dtype(dtype).kind in "iu" and chosen != "db"
        bands.append(BandCoding(fit_radiometry(valid, chosen), dtype, specials, shared_zero, level))
        reasons.append(reason)
        if grouping is not None:
            grouping.add(band, profile(sample, measured, bands[-1]))
    return bands, tuple(reasons)


def _sample(raster: RasterSource, band: int, dense: bool = False) -> NDArray[np.generic]:
    """The whole of a small band; of others pieces of rows spread over it, one below the other. dense: more of
    them, from side to side.
    """
    width, height = raster.info.width, raster.info.height
    if width * height <= _SAMPLE_ALL:
        return raster.read([band], 0, height)[0]
    rows, columns = min(height, _SAMPLE_ROWS), min(width, _SAMPLE_ALL if dense else _SAMPLE_COLUMNS)
    pieces = []
    for number in range(_SAMPLE_PIECES):
        top = round((height - rows) * number / (_SAMPLE_PIECES - 1))
        # The golden ratio spreads any number of places evenly.
        left = round((width - columns) * (number * 0.618034 % 1.0))
        pieces.append(raster.read([band], top, rows, left, columns)[0])
    return np.concatenate(pieces)
