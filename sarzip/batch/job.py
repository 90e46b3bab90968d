"""One file of a batch: the job, its outcome, and what runs it, whoever calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from sarzip.batch.resume import why_not_done
from sarzip.errors import NO_MEMORY, SarzipError, UsageError
from sarzip.system.machine import cores
from sarzip.system.outputs import atomic_path
from sarzip.system.parts import is_part_of
from sarzip.usecases.compress import CompressOptions, CompressReport, Progress, compress
from sarzip.usecases.decompress import DecompressOptions, DecompressReport, decompress
from sarzip.usecases.inspect import FileInfo, InspectOptions, inspect
from sarzip.usecases.stac import ItemBeside, StacOptions
from sarzip.usecases.verify import VerifyOptions, VerifyReport, verify

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
Options = CompressOptions | DecompressOptions | VerifyOptions | InspectOptions
"""Of one file; their type says what is done with it."""
T = TypeVar("T", bound=Options)
Report = CompressReport | DecompressReport | VerifyReport | FileInfo


@dataclass(frozen=True)
class Job:
    """One file: its path or URL, and the path of what is made of it ('' for nothing)."""

    source: str
    output: str


@dataclass(frozen=True)
class BatchOptions:
    """How to run a batch.

    each: as for one file; its threads are those of the whole machine and shared among the `jobs` (on a
    cluster: those of each scene). resume: skip scenes whose `.sarz` is there and complete. jobs: worker
    processes. scheduler: address of a Dask scheduler, whose workers then do the work (of compressing only).
    retries: of a scene on the cluster that failed for no fault of its own.
    """

    each: Options = field(default_factory=CompressOptions)
    resume: bool = False
    jobs: int = 1
    scheduler: str | None = None
    retries: int = 2


@dataclass(frozen=True)
class Outcome:
    """What became of a file. status: ok, failed or skipped. exit_code: what doing it alone gives."""

    source: str
    output: str
    status: str
    exit_code: int = 0
    error: str | None = None
    report: Report | None = None


BatchProgress = Callable[[float, int, int], None]
"""Called with the scenes finished (with fractions), all scenes, and the pixels coded so far."""


def run_job(job: Job, options: Options, resume: bool, progress: Progress | None = None) -> Outcome:
    """Do one file; any error becomes its outcome."""
    try:
        if resume and isinstance(options, CompressOptions) and Path(job.output).exists():
            reason = why_not_done(job.source, job.output, options)
            if reason is None:
                _add_item(job, options)
                return Outcome(job.source, job.output, SKIPPED)
            if not options.force:
                raise UsageError(
                    f"{job.output}: already exists, but {reason}; use `force` to replace such outputs"
                )
        return Outcome(job.source, job.output, OK, report=_do(job, options, progress))
    except Exception as error:  # the other scenes go on whatever happened to this one
        return failure(job, error)


def _add_item(job: Job, options: CompressOptions) -> None:
    """The STAC item of an output that is there, if it is wanted and not there."""
    if options.stac:
        beside = ItemBeside(job.output, StacOptions(options.datetime, (job.source,)))
        if not beside.path.exists():
            with atomic_path(beside.path) as part:
                part.write_text(beside.text(job.output), "utf-8")


def _do(job: Job, options: Options, progress: Progress | None) -> Report:
    if isinstance(options, CompressOptions):
        return compress(job.source, job.output, options, progress)
    if isinstance(options, DecompressOptions):
        return decompress(job.source, job.output, options, progress)
    if isinstance(options, VerifyOptions):
        return verify(job.source, options, progress)
    return inspect(job.source)


def pixels_of(report: Report | None) -> int:
    """Pixels that were coded for a report, bands counted."""
    if isinstance(report, CompressReport | DecompressReport):
        return report.width * report.height * report.bands
    return 0


def failure(job: Job, error: BaseException) -> Outcome:
    """The outcome of a scene that raised `error`."""
    if isinstance(error, SarzipError):
        return Outcome(job.source, job.output, FAILED, error.exit_code, str(error))
    if isinstance(error, MemoryError):
        return Outcome(job.source, job.output, FAILED, SarzipError.exit_code, f"{job.source}: {NO_MEMORY}")
    text = f"{job.source}: unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    return Outcome(job.source, job.output, FAILED, SarzipError.exit_code, text)


def with_threads(options: T, processes: int) -> T:
    """Options of one of several processes on this machine, which share its cores or the threads given."""
    threads = options.threads or cores()
    return replace(options, threads=max(1, threads // processes)) if options.threads >= 0 else options


class Leftovers:
    """Temporary files of a scene that a killed process could not remove.

    Those that are there beforehand belong to somebody else and stay.
    """

    def __init__(self, job: Job) -> None:
        self._output = Path(job.output)
        self._others = set(self._found())

    def remove(self) -> None:
        """Remove what has appeared since."""
        for path in set(self._found()) - self._others:
            with contextlib.suppress(OSError):
                path.unlink()

    def _found(self) -> list[Path]:
        with contextlib.suppress(OSError):
            if self._output.name:
                return [path for path in self._output.parent.iterdir() if is_part_of(path, self._output)]
        return []


class Tally:
    """Adds up the progress of scenes that run at the same time."""

    def __init__(self, total: int, progress: BatchProgress | None) -> None:
        self._total = total
        self._progress = progress
        self._running: dict[Job, tuple[int, int]] = {}
        self._finished = self._pixels = 0

    def advance(self, job: Job, done: int, pixels: int) -> None:
        """So many of the scene's pixels are coded."""
        self._running[job] = done, pixels
        self._tell()

    def finish(self, outcome: Outcome) -> Outcome:
        """The scene is done with; returns the outcome."""
        self._running.pop(Job(outcome.source, outcome.output), None)
        self._finished += 1
        self._pixels += pixels_of(outcome.report)
        self._tell()
        return outcome

    def _tell(self) -> None:
        if self._progress:
            partly = sum(done / pixels for done, pixels in self._running.values())
            pixels = self._pixels + sum(done for done, _ in self._running.values())
            self._progress(self._finished + partly, self._total, pixels)
