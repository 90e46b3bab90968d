"""compress: one raster, or many into a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import compress_view, render
from sarzip.cli.options import (
    Device,
    Domain,
    Force,
    Jobs,
    Json,
    Quiet,
    Recursive,
    Threads,
    one_of,
    refuse_both_on_stdout,
)
from sarzip.errors import UsageError
from sarzip.system.outputs import is_folder

if TYPE_CHECKING:
    from sarzip.pipeline.quality import Fidelity
    from sarzip.usecases.compress import CompressOptions


def compress(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC...", help="Rasters that GDAL can open, folders of rasters, URLs, or '-' for stdin."
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="DST",
            help="File, or '-' for stdout; for many a folder, which is created if it ends with '/'.",
        ),
    ],
    quality: Annotated[
        float | None, typer.Option("--quality", metavar="Q", help="0 (smallest) to 100 (finest); default 60.")
    ] = None,
    bpp: Annotated[float | None, typer.Option("--bpp", metavar="B", help="Bits per pixel and band.")] = None,
    ratio: Annotated[
        float | None, typer.Option("--ratio", metavar="R", help="Input bytes over output bytes.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="BYTES", help="At most so many bytes; K, M, G.")
    ] = None,
    rmse_db: Annotated[float | None, typer.Option("--rmse-db", metavar="D", help="RMS error in dB.")] = None,
    max_error_db: Annotated[
        float | None,
        typer.Option("--max-error-db", metavar="E", help="No measurement is off by more than so many dB."),
    ] = None,
    max_error: Annotated[
        float | None,
        typer.Option(
            "--max-error", metavar="V", help="No measurement is off by more than so many stored units."
        ),
    ] = None,
    domain: Domain = "auto",
    others: Annotated[
        str,
        typer.Option(
            "--others",
            autocompletion=one_of("exact", "bound", "refuse"),
            help="Bands that are no backscatter: exact, bound (phase within 0.001 rad, ...), or refuse.",
        ),
    ] = "exact",
    band_kind: Annotated[
        list[str] | None,
        typer.Option(
            "--band-kind", metavar="N=KIND", help="What a band holds, for instance 3=phase or 1=power."
        ),
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Every band bit for bit.")] = False,
    model: Annotated[str, typer.Option("--model", help="Released model, or a model's folder.")] = "lapped16",
    effort: Annotated[
        str,
        typer.Option(
            "--effort", help="fast (quicker) or best (smaller).", autocompletion=one_of("fast", "best")
        ),
    ] = "best",
    device: Device = "auto",
    threads: Threads = 0,
    verify: Annotated[
        bool, typer.Option("--verify", help="Decode the result, check it and measure its error.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse rasters that carry what a .sarz does not keep.")
    ] = False,
    stac: Annotated[
        bool,
        typer.Option("--stac", help="Write a STAC item beside the output, scene.json beside scene.sarz."),
    ] = False,
    datetime: Annotated[
        str | None,
        typer.Option(
            "--datetime",
            metavar="T",
            help="For --stac: when the scene was taken (UTC; T or START/END), instead of what it tells.",
        ),
    ] = None,
    force: Force = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Skip scenes whose output is there, complete and up to date.")
    ] = False,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    scheduler: Annotated[
        str | None,
        typer.Option("--scheduler", metavar="ADDRESS", help="Let the workers of this Dask cluster do it."),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compress rasters into .sarz files."""
    from sarzip.usecases.compress import CompressOptions

    refuse_both_on_stdout(output, json)
    given = {"quality": quality, "bpp": bpp, "ratio": ratio, "size": _bytes(size), "rmse_db": rmse_db}
    if lossless and any(value is not None for value in given.values()):
        raise UsageError("--lossless loses nothing: leave the wanted size or error out")
    options = CompressOptions(
        _fidelity(given),
        domain,
        effort,
        model,
        device,
        threads,
        force,
        verify,
        others,
        tuple(band_kind or ()),
        lossless,
        strict=strict,
        max_error_db=max_error_db,
        max_error=max_error,
        stac=stac,
        datetime=datetime,
    )
    single = len(sources) == 1 and not is_folder(output) and not _of_many(Path(sources[0]))
    if single and not resume and scheduler is None:
        _compress_one(sources[0], output, options, json, quiet)
        return 0
    if "-" in (*sources, output):
        raise UsageError("'-' is for a single scene, without --resume and --scheduler")
    from sarzip.batch.job import BatchOptions, Job
    from sarzip.batch.run import plan_jobs
    from sarzip.cli import batch_view

    many = (Job(sources[0], output),) if single else plan_jobs(sources, output, recursive)
    return batch_view.run(many, BatchOptions(options, resume, jobs, scheduler), "compressing", json, quiet)


def _of_many(source: Path) -> bool:
    from sarzip.raster.folders import is_dataset

    return source.is_dir() and not is_dataset(source)


def _fidelity(given: dict[str, float | None]) -> Fidelity:
    from sarzip.pipeline.quality import Fidelity
    from sarzip.usecases.compress import DEFAULT_FIDELITY

    chosen = [(kind, value) for kind, value in given.items() if value is not None]
    if len(chosen) > 1:
        names = " and ".join(f"--{kind.replace('_', '-')}" for kind, _ in chosen)
        raise UsageError(f"{names} exclude each other; give one of them")
    return Fidelity(*chosen[0]) if chosen else DEFAULT_FIDELITY


def _bytes(text: str | None) -> float | None:
    """'500', '20K', '1.5M', '2G' (powers of 1000) to bytes."""
    if text is None:
        return None
    factor = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:].upper(), 1.0)
    try:
        return float(text if factor == 1.0 else text[:-1]) * factor
    except ValueError:
        raise UsageError(f"--size {text}: expected a number of bytes, with K, M or G for thousands") from None


def _compress_one(source: str, target: str, options: CompressOptions, json: bool, quiet: bool) -> None:
    from sarzip.usecases.compress import compress

    with render.progress_bar(f"compressing {Path(source).name}", quiet or json) as progress:
        report = compress(source, target, options, progress)
    if json:
        render.print_json(report)
        return
    for note in report.notes:
        render.say(f"{source}: {note}", quiet)
    for band in report.plan:
        render.say(f"{source}: {compress_view.describe_band(band)}", quiet)
    render.say(compress_view.describe(report), quiet)
