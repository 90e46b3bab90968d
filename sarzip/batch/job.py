"""One scene of a batch: the job, its outcome, and what runs it, whoever calls."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sarzip.batch.resume import why_not_done
from sarzip.errors import SarzipError, UsageError
from sarzip.system.machine import cores
from sarzip.system.parts import is_part_of
from sarzip.usecases.compress import CompressOptions, CompressReport, Progress, compress

OK, FAILED, SKIPPED = "ok", "failed", "skipped"


@dataclass(frozen=True)
class Job:
    """One scene: the raster's path or URL and the path of its `.sarz`."""

    source: str
    output: str


@dataclass(frozen=True)
class BatchOptions:
    """How to run a batch.

    compress: as for one scene; its threads are those of the whole machine and shared among the `jobs` (on a
    cluster: those of each scene). resume: skip scenes whose output is there and complete. jobs: worker
    processes. scheduler: address of a Dask scheduler, whose workers then do the work. retries: of a scene on
    the cluster that failed for no fault of its own.
    """

    compress: CompressOptions = field(default_factory=CompressOptions)
    resume: bool = False
    jobs: int = 1
    scheduler: str | None = None
    retries: int = 2


@dataclass(frozen=True)
class Outcome:
    """What became of a scene. status: ok, failed or skipped. exit_code: what compressing it alone gives."""

    source: str
    output: str
    status: str
    exit_code: int = 0
    error: str | None = None
    report: CompressReport | None = None


BatchProgress = Callable[[float, int, int], None]
"""Called with the scenes finished (with fractions), all scenes, and the pixels coded so far."""


def run_job(job: Job, options: CompressOptions, resume: bool, progress: Progress | None = None) -> Outcome:
    """Compress one scene; any error becomes its outcome."""
    try:
        if resume and Path(job.output).exists():
            reason = why_not_done(job.source, job.output, options)
            if reason is None:
                return Outcome(job.source, job.output, SKIPPED)
            if not options.force:
                raise UsageError(
                    f"{job.output}: already exists, but {reason}; use --force to replace such outputs"
                )
        return Outcome(job.source, job.output, OK, report=compress(job.source, job.output, options, progress))
    except Exception as error:  # the other scenes go on whatever happened to this one
        return failure(job, error)


def failure(job: Job, error: BaseException) -> Outcome:
    """The outcome of a scene that raised `error`."""
    if isinstance(error, SarzipError):
        return Outcome(job.source, job.output, FAILED, error.exit_code, str(error))
    text = f"{job.source}: unexpected {type(error).__name__}: {' '.join(str(error).split())}"
    return Outcome(job.source, job.output, FAILED, SarzipError.exit_code, text)


def with_threads(options: CompressOptions, processes: int) -> CompressOptions:
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
        if outcome.report:
            self._pixels += outcome.report.width * outcome.report.height * outcome.report.bands
        self._tell()
        return outcome

    def _tell(self) -> None:
        if self._progress:
            partly = sum(done / pixels for done, pixels in self._running.values())
            pixels = self._pixels + sum(done for done, _ in self._running.values())
            self._progress(self._finished + partly, self._total, pixels)
