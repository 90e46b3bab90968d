"""Many scenes into a folder: what goes where, one outcome a scene, and going on after an error.

A destination is a folder when it exists as one or ends with '/' (it is then created). The rasters of a source
folder are the files with a suffix of RASTER_SUFFIXES; with `recursive` those of its subfolders too, which
appear again under the destination.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sarzip.errors import InputError, OutputError, SarzipError, UsageError
from sarzip.usecases.atomic import STANDARD_STREAM, is_part_of
from sarzip.usecases.compress import CompressOptions, CompressReport, Progress, compress
from sarzip.usecases.remote import is_url
from sarzip.usecases.resume import why_not_done
from sarzip.usecases.runtime import cores

RASTER_SUFFIXES = (".tif", ".tiff", ".btf", ".img", ".vrt", ".jp2", ".ntf", ".nitf")
SUFFIX = ".sarz"
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


def is_folder(destination: str) -> bool:
    """Whether outputs go into it rather than by its name."""
    return destination.endswith("/") or Path(destination).is_dir()


def plan_jobs(sources: Sequence[str], folder: str, recursive: bool = False) -> tuple[Job, ...]:
    """The scenes of files, URLs and folders, each with its output in `folder`; nothing is created yet.

    Raises UsageError when two scenes would have the same output, or `folder` is none; InputError when there
    is no raster at all.
    """
    if not is_folder(folder):
        raise UsageError(f"{folder}: is not a folder; create it, or end its name with '/'")
    if STANDARD_STREAM in sources:
        raise UsageError("'-' is a single scene: give the name of its output")
    planned: dict[str, str] = {}
    for source, inside in _scenes(sources, recursive):
        output = str(Path(folder) / inside)
        if output in planned:
            other = "given twice" if planned[output] == source else f"and {planned[output]}: the same output"
            raise UsageError(f"{source}: {other} {output}; compress into different folders")
        planned[output] = source
    if not planned:
        raise InputError(f"{', '.join(sources)}: no raster there ({', '.join(RASTER_SUFFIXES)})")
    return tuple(Job(source, output) for output, source in planned.items())


def _scenes(sources: Sequence[str], recursive: bool) -> Iterator[tuple[str, Path]]:
    """Each raster and the place of its output within the folder of all outputs."""
    for source in sources:
        top = Path(source)
        if is_url(source) or not top.is_dir():
            name = unquote(urlsplit(source).path) if is_url(source) else source
            yield source, Path(Path(name).stem + SUFFIX)
            continue
        for path in sorted(top.rglob("*") if recursive else top.iterdir()):
            hidden = any(part.startswith(".") for part in path.relative_to(top).parts)
            if path.suffix.lower() in RASTER_SUFFIXES and not hidden and path.is_file():
                yield str(path), path.relative_to(top).with_suffix(SUFFIX)


def run_batch(
    jobs: Sequence[Job], options: BatchOptions, progress: BatchProgress | None = None
) -> Generator[Outcome, None, None]:
    """Compress every scene and yield its outcome as soon as it is known, in whatever order.

    Close the generator (contextlib.closing) to stop early: nothing unfinished stays behind. Raises UsageError
    or OutputError before any work; errors of single scenes are outcomes.
    """
    if options.jobs < 1:
        raise UsageError(f"--jobs {options.jobs}: must be 1 or more")
    if options.scheduler is not None and options.jobs > 1:
        raise UsageError("--jobs and --scheduler exclude each other: the cluster has its own workers")
    _create_folders(jobs)
    if options.scheduler is not None:
        from sarzip.usecases.cluster import run_on_cluster

        outcomes = run_on_cluster(jobs, options, progress)
    elif options.jobs > 1 and len(jobs) > 1:
        from sarzip.usecases.workers import run_in_processes

        outcomes = run_in_processes(jobs, options, progress)
    else:
        outcomes = _run_here(jobs, options, progress)
    with contextlib.closing(outcomes):
        yield from outcomes


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


def _run_here(
    jobs: Sequence[Job], options: BatchOptions, progress: BatchProgress | None
) -> Generator[Outcome, None, None]:
    tally = Tally(len(jobs), progress)
    for job in jobs:
        watch = None
        if progress:

            def watch(done: int, pixels: int, job: Job = job) -> None:
                tally.advance(job, done, pixels)

        yield tally.finish(run_job(job, options.compress, options.resume, watch))


def _create_folders(jobs: Sequence[Job]) -> None:
    for folder in dict.fromkeys(Path(job.output).parent for job in jobs):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be created ({error.strerror})") from error
