"""Many scenes into a folder: what goes where, one outcome a scene, and going on after an error.

A destination is a folder when it exists as one or ends with '/' (it is then created). The rasters of a source
folder are the files with a suffix of RASTER_SUFFIXES, and ENVI's with a header beside; with `recursive` those
of its subfolders too, which appear again under the destination.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sarzip.batch.job import BatchOptions, BatchProgress, Job, Outcome, Tally, run_job
from sarzip.errors import InputError, OutputError, UsageError
from sarzip.raster.folders import is_dataset
from sarzip.system.outputs import STANDARD_STREAM
from sarzip.system.remote import is_url

RASTER_SUFFIXES = (".tif", ".tiff", ".btf", ".img", ".vrt", ".jp2", ".ntf", ".nitf")
_NO_DATA = (".hdr", ".xml", ".txt", ".png", ".bmp", ".ovr", ".sarz")
"""Suffixes of what may lie beside an ENVI header and is not its data."""
SUFFIX = ".sarz"


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
        kinds = ", ".join(RASTER_SUFFIXES)
        raise InputError(f"{', '.join(sources)}: no raster there ({kinds}, or ENVI data with a .hdr beside)")
    return tuple(Job(source, output) for output, source in planned.items())


def _scenes(sources: Sequence[str], recursive: bool) -> Iterator[tuple[str, Path]]:
    """Each raster and the place of its output within the folder of all outputs."""
    for source in sources:
        top = Path(source)
        if is_url(source) or not top.is_dir() or is_dataset(top):
            name = unquote(urlsplit(source).path) if is_url(source) else source
            yield source, Path(_stem(name) + SUFFIX)
            continue
        for path in sorted(top.rglob("*") if recursive else top.iterdir()):
            hidden = any(part.startswith(".") for part in path.relative_to(top).parts)
            if not hidden and _is_raster(path) and path.is_file():
                yield str(path), path.relative_to(top).with_suffix(SUFFIX)


def _is_raster(path: Path) -> bool:
    """By its name; ENVI data files (PolSARpro's .bin, GAMMA's and ISCE's of any suffix) by their header."""
    suffix = path.suffix.lower()
    if suffix in RASTER_SUFFIXES:
        return True
    return suffix not in _NO_DATA and any(
        header.is_file() for header in (path.with_name(path.name + ".hdr"), path.with_suffix(".hdr"))
    )


def _stem(name: str) -> str:
    """Of a file; of a part of one as GDAL names it, like NETCDF:a.nc:VV, all that tells it from others."""
    if ":" not in name or Path(name).exists():
        return Path(name).stem
    return re.sub(r"[^\w.+-]+", "_", "_".join(Path(part).name for part in name.split(":")[1:])).strip("_.")


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

        yield tally.finish(run_job(job, options.compress, options.resume, watch))


def _create_folders(jobs: Sequence[Job]) -> None:
    for folder in dict.fromkeys(Path(job.output).parent for job in jobs):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be created ({error.strerror})") from error
