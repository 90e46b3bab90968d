"""Many files: what goes where, one outcome a file, and going on after an error.

A destination is a folder when it exists as one or ends with '/' (it is then created). The rasters of a source
folder are the files with a suffix of RASTER_SUFFIXES, and ENVI's with a header beside; with `recursive` those
of its subfolders too, which appear again under the destination.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sarzip.batch.job import BatchOptions, BatchProgress, Job, Outcome, Tally, run_job
from sarzip.errors import InputError, OutputError, UsageError
from sarzip.raster.folders import is_dataset
from sarzip.system.outputs import STANDARD_STREAM, is_folder
from sarzip.system.remote import is_url

RASTER_SUFFIXES = (".tif", ".tiff", ".btf", ".img", ".vrt", ".jp2", ".ntf", ".nitf")
_NO_DATA = (".hdr", ".xml", ".txt", ".png", ".bmp", ".ovr", ".sarz")
"""Suffixes of what may lie beside an ENVI header and is not its data."""
SUFFIX = ".sarz"


@dataclass(frozen=True)
class Direction:
    """wanted: which files of a folder are taken. suffix: of what is made of them. none: what to say where
    there is none of them.
    """

    wanted: Callable[[Path], bool]
    suffix: str
    none: str


def plan_jobs(
    sources: Sequence[str], folder: str | None, recursive: bool = False, direction: Direction | None = None
) -> tuple[Job, ...]:
    """The files among files, URLs and folders, each with its output in `folder` (None: they have none);
    nothing is created yet. direction: PACK without it.

    Raises UsageError when two scenes would have the same output, or `folder` is none; InputError when there
    is no raster at all.
    """
    direction = direction or PACK
    if folder is not None and not is_folder(folder):
        raise UsageError(f"{folder}: is not a folder; create it, or end its name with '/'")
    if STANDARD_STREAM in sources:
        raise UsageError("'-' is a single file, and goes alone")
    planned: dict[str, str] = {}
    jobs = []
    for source, inside in _files(sources, recursive, direction):
        output = source if folder is None else str(Path(folder) / inside)
        if output in planned:
            other = "given twice" if planned[output] == source else f"and {planned[output]}: the same output"
            raise UsageError(f"{source}: {other} {output}; use different folders")
        planned[output] = source
        jobs.append(Job(source, "" if folder is None else output))
    if not jobs:
        raise InputError(f"{', '.join(sources)}: {direction.none}")
    return tuple(jobs)


def _files(sources: Sequence[str], recursive: bool, direction: Direction) -> Iterator[tuple[str, Path]]:
    """Each file and the place of its output within the folder of all outputs."""
    for source in sources:
        top = Path(source)
        if is_url(source) or not top.is_dir() or (direction is PACK and is_dataset(top)):
            name = unquote(urlsplit(source).path) if is_url(source) else source
            yield source, Path(_stem(name) + direction.suffix)
            continue
        for path in sorted(top.rglob("*") if recursive else top.iterdir()):
            hidden = any(part.startswith(".") for part in path.relative_to(top).parts)
            if not hidden and direction.wanted(path) and path.is_file():
                yield str(path), path.relative_to(top).with_suffix(direction.suffix)


def _is_raster(path: Path) -> bool:
    """By its name; ENVI data files (PolSARpro's .bin, GAMMA's and ISCE's of any suffix) by their header."""
    suffix = path.suffix.lower()
    if suffix in RASTER_SUFFIXES:
        return True
    return suffix not in _NO_DATA and any(
        header.is_file() for header in (path.with_name(path.name + ".hdr"), path.with_suffix(".hdr"))
    )


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX


PACK = Direction(
    _is_raster, SUFFIX, f"no raster there ({', '.join(RASTER_SUFFIXES)}, or ENVI data with a .hdr beside)"
)
UNPACK = Direction(_is_packed, ".tif", f"no {SUFFIX} file there")


def _stem(name: str) -> str:
    """Of a file; of a part of one as GDAL names it, like NETCDF:a.nc:VV, all that tells it from others."""
    if ":" not in name or Path(name).exists():
        return Path(name).stem
    return re.sub(r"[^\w.+-]+", "_", "_".join(Path(part).name for part in name.split(":")[1:])).strip("_.")


def run_batch(
    jobs: Sequence[Job], options: BatchOptions, progress: BatchProgress | None = None
) -> Generator[Outcome, None, None]:
    """Do every file and yield its outcome as soon as it is known, in whatever order.

    Close the generator (contextlib.closing) to stop early: nothing unfinished stays behind. Raises UsageError
    or OutputError before any work; errors of single scenes are outcomes.
    """
    if options.jobs < 1:
        raise UsageError(f"`jobs` {options.jobs}: must be 1 or more")
    if options.scheduler is not None and options.jobs > 1:
        raise UsageError("`jobs` and `scheduler` exclude each other: the cluster has its own workers")
    _create_folders(jobs)
    if options.scheduler is not None:
        from sarzip.batch.cluster import run_on_cluster

        outcomes = run_on_cluster(jobs, options, progress)
    elif options.jobs > 1 and len(jobs) > 1:
        from sarzip.batch.processes import run_in_processes

        outcomes = run_in_processes(jobs, options, progress)
    else:
        outcomes = _run_here(jobs, options, progress)
    with contextlib.closing(outcomes):
        yield from outcomes


def _run_here(
    jobs: Sequence[Job], options: BatchOptions, progress: BatchProgress | None
) -> Generator[Outcome, None, None]:
    tally = Tally(len(jobs), progress)
    for job in jobs:
        watch = None
        if progress:

            def watch(done: int, pixels: int, job: Job = job) -> None:
                tally.advance(job, done, pixels)

        yield tally.finish(run_job(job, options.each, options.resume, watch))


def _create_folders(jobs: Sequence[Job]) -> None:
    for folder in dict.fromkeys(Path(job.output).parent for job in jobs if job.output):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be created ({error.strerror})") from error
