"""decompress: one file, or many into a folder; and what is left of a damaged one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import (
    Bands,
    Box,
    BoxCrs,
    Device,
    Force,
    ForeignModel,
    Jobs,
    Json,
    Quiet,
    Recursive,
    Threads,
    TrustModel,
    Window,
    refuse_both_on_stdout,
    selected,
)
from sarzip.errors import CorruptError, UsageError
from sarzip.system.outputs import is_folder

if TYPE_CHECKING:
    from sarzip.usecases.decompress import DecompressOptions, DecompressReport


def decompress(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="SRC...", help=".sarz files, folders of them, URLs, or '-' for stdin."),
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="DST",
            help="GeoTIFF, or '-' for stdout; for many a folder, which is created if it ends with '/'.",
        ),
    ],
    window: Window = None,
    bbox: Box = None,
    bbox_crs: BoxCrs = None,
    band: Bands = None,
    scale: Annotated[
        int,
        typer.Option("--scale", metavar="S", help="1, 2, 4, 8 or 16: SxS pixels become one (mean of dB)."),
    ] = 1,
    cog: Annotated[
        bool, typer.Option("--cog", help="Write a cloud optimized GeoTIFF, compressed, with overviews.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse to write what cannot keep all that the raster carried.")
    ] = False,
    model: ForeignModel = None,
    trust_model: TrustModel = False,
    salvage: Annotated[
        bool, typer.Option("--salvage", help="Decode what is intact of a damaged file; nodata elsewhere.")
    ] = False,
    salvage_mask: Annotated[
        str | None,
        typer.Option(
            "--salvage-mask",
            metavar="FILE",
            help="GeoTIFF that tells lost (0), approximate (128) and intact (255) pixels.",
        ),
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    force: Force = False,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Decompress .sarz files, or parts of them, into GeoTIFFs with everything the originals had."""
    from sarzip.usecases.decompress import DecompressOptions, decompress

    refuse_both_on_stdout(output, json)
    selection = selected(window, bbox, bbox_crs, band, scale)
    options = DecompressOptions(device, threads, force, model, trust_model, selection, cog, strict)
    alone = len(sources) == 1 and not any(map(is_folder, (sources[0], output)))
    if salvage and not alone:
        raise UsageError("--salvage: takes one file, and the name of its output")
    if salvage:
        if cog or strict:
            raise UsageError("--salvage: writes a plain GeoTIFF; leave --cog and --strict out")
        _salvage(sources[0], output, options, salvage_mask, json or quiet, json)
        return 0
    if salvage_mask is not None:
        raise UsageError("--salvage-mask: only with --salvage")
    if not alone:
        from sarzip.batch.run import UNPACK, plan_jobs
        from sarzip.cli import batch_view

        files = plan_jobs(sources, output, recursive, UNPACK)
        return batch_view.run(
            files, batch_view.BatchOptions(options, jobs=jobs), "decompressing", json, quiet
        )
    source = sources[0]
    with render.progress_bar(f"decompressing {Path(source).name}", quiet or json) as progress:
        report = decompress(source, output, options, progress)
    if json:
        render.print_json(report)
        return 0
    for line in describe(report):
        render.say(line, quiet)
    return 0


def describe(report: DecompressReport) -> tuple[str, ...]:
    """What was written, a line each; what the output lacks first."""
    output = report.output
    return (
        *(f"{output}: {warning}" for warning in (*report.notes, *report.warnings)),
        f"{output}: {report.width}x{report.height}, {report.bands} band{'s' * (report.bands > 1)}, "
        f"{render.size(report.output_bytes)}, {report.seconds:.1f} s ({report.mpix_per_s:.1f} MPix/s on "
        f"{report.device}), peak memory {render.size(report.peak_memory)}",
    )


def _salvage(
    source: str, output: str, options: DecompressOptions, mask: str | None, quiet: bool, json: bool
) -> None:
    """The output is written, and damage is an error all the same."""
    from sarzip.usecases.salvage import salvage

    with render.progress_bar(f"salvaging {Path(source).name}", quiet) as progress:
        report = salvage(source, output, options, mask, progress)
    if json:
        render.print_json(report)
    for warning in (*report.notes, *report.warnings):
        render.say(f"{output}: {warning}", quiet)
    if report.damaged:
        raise CorruptError(f"{source}: {report.verdict}")
    render.say(f"{output}: nothing was damaged, all {report.groups} groups are there", quiet)
