"""Compress a raster into a `.sarz`: plan from a sample, then stream row of groups by row of groups."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from sarzip.codec.base import SignalCodec
from sarzip.codec.registry import EFFORTS, Backing, build_codec
from sarzip.codec.signal.bounds import Bound
from sarzip.container import ModelRef
from sarzip.errors import InputError, UsageError
from sarzip.pipeline.band_plan import KEPT_AFTER_ALL, BandPlan, PlanOptions
from sarzip.pipeline.base_step import BASE_STEPS
from sarzip.pipeline.bounds import KeptBound
from sarzip.pipeline.models import ModelStore
from sarzip.pipeline.plan import ScenePlan, plan_scene
from sarzip.pipeline.quality import Fidelity, Goal, quality_to_step
from sarzip.pipeline.sarzfile import unchanged
from sarzip.pipeline.sources import Source
from sarzip.pipeline.writer import Progress, SceneWriter
from sarzip.raster import RasterSource
from sarzip.system.machine import Machine, choose_machine, peak_memory
from sarzip.system.outputs import (
    STANDARD_STREAM,
    atomic_path,
    binary_output,
    check_destination,
    naming,
    refuse_same_file,
)
from sarzip.system.stdin import standard_input

if TYPE_CHECKING:
    from sarzip.pipeline.measured_error import BandError
    from sarzip.usecases.stac import ItemBeside

DEFAULT_MODEL = "lapped16"
DEFAULT_FIDELITY = Fidelity("quality", 60.0, given=False)


@dataclass(frozen=True)
class CompressOptions:
    """How to compress. threads 0: all cores. device: auto, cpu, cuda or cuda:N. effort: fast or best.

    domain: of bands of backscatter. others: what is done with bands that are none (exact, bound or refuse).
    band_kinds: what certain bands hold, like '3=phase'. lossless: every band bit for bit. max_error_db,
    max_error: bounds on the error of every measurement of backscatter, in dB or in stored units; a quality
    given with one is that of the signal it is put on. group: side of a group in pixels, a multiple of 256.
    verify: decode what was written, before it gets its final name. strict: refuse (InputError) a raster that
    carries what a `.sarz` does not keep. stac: write a STAC item beside the output (see usecases.stac).
    datetime: when the scene was taken, for that item; counts instead of what its tags and name tell.
    """

    fidelity: Fidelity = DEFAULT_FIDELITY
    domain: str = "auto"
    effort: str = "best"
    model: str = DEFAULT_MODEL
    device: str = "auto"
    threads: int = 0
    force: bool = False
    verify: bool = False
    others: str = "exact"
    band_kinds: tuple[str, ...] = ()
    lossless: bool = False
    group: int = 1024
    strict: bool = False
    max_error_db: float | None = None
    max_error: float | None = None
    stac: bool = False
    datetime: str | None = None

    @property
    def plan(self) -> PlanOptions:
        """What of it the plan of a scene needs."""
        bound, steps = self.bound, BASE_STEPS
        if bound is not None and self.fidelity.given:
            if self.fidelity.kind != "quality":
                raise UsageError(
                    f"{self.fidelity.words}: a bound decides the size; give quality with it, or none"
                )
            steps = (quality_to_step(self.fidelity.value),)
        return PlanOptions(
            self.domain,
            self.others,
            self.band_kinds,
            self.lossless,
            bound,
            self.effort == "best",
            steps,
            group=self.group,
        )

    @property
    def bound(self) -> Bound | None:
        """Of backscatter; UsageError where what is asked for excludes it."""
        given = {
            "max_error_db": self.max_error_db,
            "max_error": self.max_error,
            "lossless": self.lossless or None,
        }
        chosen = [name for name, value in given.items() if value is not None]
        if len(chosen) > 1:
            names = " and ".join(f"`{name}`" for name in chosen)
            raise UsageError(f"{names} exclude each other; give one of them")
        if self.max_error_db is not None:
            return Bound(self.max_error_db)
        return None if self.max_error is None else Bound(self.max_error, decibels=False)


@dataclass(frozen=True)
class BandSummary:
    """What was made of a band (counted from 1). kind, domain ('' for none), certainty, reason: see kinds.

    treatment: lossy, exact, or 'within' a bound. against: what contradicts the verdict. special: values kept
    exactly, by name.
    """

    band: int
    kind: str
    domain: str
    certainty: str
    reason: str
    treatment: str
    against: tuple[str, ...] = ()
    special: tuple[str, ...] = ()

    @classmethod
    def of(cls, number: int, plan: BandPlan) -> BandSummary:
        """The summary of a band's plan."""
        verdict = plan.verdict
        return cls(
            number,
            verdict.kind.value,
            verdict.domain if plan.lossy else "",
            verdict.certainty.value,
            verdict.reason,
            f"within {plan.bound}" if plan.bound else "lossy" if plan.lossy else "exact",
            verdict.contradictions,
            tuple(f"{each.value:.9g} ({each.role})" for each in verdict.specials if plan.lossy),
        )


@dataclass(frozen=True)
class CompressReport:
    """What was done. Sizes in bytes, bpp in bits per pixel and band, seconds of wall time.

    bounds: what was promised of which bands, and the greatest errors there are. item: path of the STAC item.
    rmse_db, bias_p95_db: of the band with the largest, measured with `verify`; without it the error that a
    search for a given RMSE ended with, or None. errors: of each band, with `verify`. plan: what each band was
    taken for. notes: for the user.
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
    plan: tuple[BandSummary, ...] = ()
    rmse_db: float | None = None
    bias_p95_db: float | None = None
    errors: tuple[BandError, ...] = ()
    notes: tuple[str, ...] = ()
    bounds: tuple[KeptBound, ...] = ()
    item: str | None = None


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
    check_destination(destination, options.force)  # both before anything is read
    refuse_same_file(source, destination)
    machine = choose_machine(options.device, options.threads)
    source_bytes = Path(source).stat().st_size if Path(source).is_file() else 0
    with naming(str(source)), RasterSource.open(str(source), machine.threads) as raster:
        job = Job(raster, options, machine, source_bytes, progress)
        return compress_job(job, str(source), destination, unchanged(source))


def compress_job(
    job: Job,
    source: str,
    destination: str | os.PathLike[str],
    watch: AbstractContextManager[None] = nullcontext(),
) -> CompressReport:
    """Compress what is open already. source: its name, for people. watch: left before the output gets its
    name. Errors as compress.
    """
    started, options, info = time.perf_counter(), job.options, job.raster.info
    check_destination(destination, options.force)
    refuse_same_file(source, destination)
    if str(destination) == STANDARD_STREAM and options.verify:
        raise UsageError("`verify`: standard output cannot be read back; write to a file")
    if options.strict and info.notes:
        raise InputError(f"{source}: {info.notes[0]}; `strict` refuses this")
    beside = _item_beside(source, destination, options)
    doubts = () if beside is None else beside.check(info)
    with (
        nullcontext() if beside is None else atomic_path(beside.path, options.force) as item,
        binary_output(destination, options.force) as sink,
        watch,
    ):
        done = job.write(sink)
        errors: tuple[BandError, ...] = ()
        if options.verify:
            sink.flush()
            from sarzip.pipeline.measured_error import measure_errors

            with naming(str(destination)):
                errors = measure_errors(sink.name, job.raster, options.model, job.machine)
        if beside is not None and item is not None:
            sink.flush()
            item.write_text(beside.text(sink.name, errors), "utf-8")
    plan, seconds = done.plan, time.perf_counter() - started
    return CompressReport(
        source=source,
        output=str(destination),
        width=plan.header.width,
        height=plan.header.height,
        bands=len(plan.bands),
        source_bytes=job.source_bytes,
        output_bytes=done.size,
        bpp=8 * done.size / plan.pixels,
        ratio=job.source_bytes / done.size,
        step_db=done.step_db,
        model=plan.header.models[0].id if plan.header.models else "",
        device=job.machine.device,
        seconds=seconds,
        mpix_per_s=plan.pixels / seconds / 1e6,
        peak_memory=peak_memory(),
        domains=tuple(band.transform.radiometry.domain for band in plan.bands),
        reasons=tuple(band.verdict.reason for band in plan.bands),
        plan=tuple(BandSummary.of(number, band) for number, band in enumerate(plan.bands, start=1)),
        rmse_db=max((each.rmse_db for each in errors if each.rmse_db is not None), default=done.rmse_db),
        bias_p95_db=max((e.bias_p95_db for e in errors if e.bias_p95_db is not None), default=None),
        errors=errors,
        notes=(*info.notes, *_doubts(plan), *_lost(done.below_zero), *doubts),
        bounds=done.bounds,
        item=None if beside is None else str(beside.path),
    )


@dataclass(frozen=True)
class Written:
    """What came out. rmse_db: what the search for an RMSE ended with. below_zero: of bands of backscatter,
    how many values below zero became the smallest above it.
    """

    plan: ScenePlan
    size: int
    step_db: float
    rmse_db: float | None
    below_zero: Mapping[int, int]
    bounds: tuple[KeptBound, ...]


@dataclass(frozen=True)
class Job:
    """One scene to be compressed, from whatever source into whatever stream."""

    raster: Source
    options: CompressOptions
    machine: Machine
    source_bytes: int
    progress: Progress | None

    @classmethod
    def of(cls, source: Source, options: CompressOptions) -> Job:
        """Of what has no file, on the machine that the options name; its bytes are those of its pixels."""
        info = source.info
        sample = sum(np.dtype(each).itemsize for each in info.dtypes if each in np.sctypeDict)
        machine = choose_machine(options.device, options.threads)
        return cls(source, options, machine, sample * info.width * info.height, None)

    def write(self, sink: BinaryIO) -> Written:
        """Plan and write; bands that turn out to be no backscatter are kept exactly in a second go."""
        how, load = self.options.plan, functools.cache(self._load)
        while True:
            plan = plan_scene(self.raster, how, load)
            writer = SceneWriter(self.raster, plan, self.machine, self.progress)
            fidelity = self.options.fidelity
            if fidelity.kind == "quality":
                step = quality_to_step(fidelity.value) if plan.searched else 0.0
                size = writer.write(sink, step)
            else:
                step, size = writer.write_to_goal(sink, Goal(fidelity, plan.pixels, self.source_bytes))
            if not writer.objections:
                lost = writer.objections.lost
                return Written(plan, size, step, writer.rmse_db, lost, writer.bounds)
            how = how.after(writer.objections)
            sink.seek(0)
            sink.truncate()

    def _load(self) -> tuple[ModelRef, SignalCodec]:
        options = self.options
        if options.effort not in EFFORTS:
            raise UsageError(f"`effort` {options.effort}: expected {' or '.join(EFFORTS)}")
        # Below a residual the signal must be the same wherever it is decoded.
        device = "cpu" if options.bound else self.machine.device
        card, weights = ModelStore().load(options.model)
        codec = build_codec(card.family, card.config, weights, Backing(device, options.effort))
        return ModelRef(card.id, card.sha256), codec


def _item_beside(
    source: str, destination: str | os.PathLike[str], options: CompressOptions
) -> ItemBeside | None:
    """The STAC item that is wanted; refused where it could not be written in the end."""
    if not options.stac:
        if options.datetime is not None:
            raise UsageError("`datetime`: tells a STAC item when the scene was taken; it goes with `stac`")
        return None
    if str(destination) == STANDARD_STREAM:
        raise UsageError("`stac`: there is no place beside standard output; write to a file")
    from sarzip.usecases.stac import ItemBeside, StacOptions

    names = () if not source or source.startswith("/dev/") else (source,)  # a pipe's says nothing
    beside = ItemBeside(destination, StacOptions(options.datetime, names))
    if beside.path == Path(destination):
        raise UsageError(f"{destination}: is where `stac` writes the item; let the output end in .sarz")
    check_destination(beside.path, options.force)
    refuse_same_file(source, beside.path)
    return beside


def _doubts(plan: ScenePlan) -> tuple[str, ...]:
    """What a person should look at: guesses, contradictions, bands that were kept after all."""
    notes = []
    for number, band in enumerate(plan.bands, start=1):
        verdict = band.verdict
        notes += [f"band {number}: {against}" for against in verdict.contradictions]
        if verdict.certainty.value == "guess":
            taken = f"{verdict.domain} backscatter" if band.lossy else f"{verdict.kind.value}, kept exactly"
            other = f", or {verdict.alternative}" if verdict.alternative else ""
            notes.append(
                f"band {number}: a guess: {taken}{other}{_under(band)}; `band_kind` {number}=KIND decides"
            )
        if not band.lossy and verdict.reason.startswith(KEPT_AFTER_ALL):
            notes.append(f"band {number}: kept exactly: {verdict.reason}")
    return tuple(notes)


def _lost(below_zero: Mapping[int, int]) -> tuple[str, ...]:
    """The words for values that have no logarithm, in bands that have only a few of them."""
    return tuple(
        f"band {band + 1}: {count} value{'s' * (count > 1)} below zero became the smallest above it; "
        f"`band_kind` {band + 1}=exact keeps them"
        for band, count in below_zero.items()
    )


def _under(band: BandPlan) -> str:
    """What the other reading would make of errors in dB: 10 lg p against 20 lg a."""
    if not band.lossy or (band.verdict.domain, band.verdict.alternative) != ("amplitude", "power"):
        return ""
    return "; if it is power, its errors in dB are half as large"
