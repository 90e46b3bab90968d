"""decompress, info, verify."""

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
    Json,
    Quiet,
    Threads,
    TrustModel,
    Window,
    refuse_both_on_stdout,
    selected,
)
from sarzip.errors import CorruptError, UsageError

if TYPE_CHECKING:
    from sarzip.usecases.decompress import DecompressOptions


def decompress(
    source: Annotated[str, typer.Argument(metavar="SRC", help="A .sarz file, a URL, or '-' for stdin.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="DST", help="The GeoTIFF to write.")],
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
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Decompress a .sarz file, or a part of it, into a GeoTIFF with everything the original had."""
    from sarzip.usecases.decompress import DecompressOptions, decompress

    refuse_both_on_stdout(output, json)
    selection = selected(window, bbox, bbox_crs, band, scale)
    options = DecompressOptions(device, threads, force, model, trust_model, selection, cog, strict)
    if salvage:
        if cog or strict:
            raise UsageError("--salvage: writes a plain GeoTIFF; leave --cog and --strict out")
        _salvage(source, output, options, salvage_mask, json or quiet, json)
        return
    if salvage_mask is not None:
        raise UsageError("--salvage-mask: only with --salvage")
    with render.progress_bar(f"decompressing {Path(source).name}", quiet or json) as progress:
        report = decompress(source, output, options, progress)
    if json:
        render.print_json(report)
        return
    for warning in (*report.notes, *report.warnings):
        render.say(f"{output}: {warning}", quiet)
    render.say(
        f"{output}: {report.width}x{report.height}, {report.bands} band{'s' * (report.bands > 1)}, "
        f"{render.size(report.output_bytes)}, {report.seconds:.1f} s ({report.mpix_per_s:.1f} MPix/s on "
        f"{report.device}), peak memory {render.size(report.peak_memory)}",
        quiet,
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


def info(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .sarz file.")],
    json: Json = False,
) -> None:
    """Show everything in the header, sizes and rates, without decoding."""
    from sarzip.usecases.inspect import inspect

    about = inspect(file)
    if json:
        render.print_json(about)
        return
    print(
        f"{about.file}: {about.width}x{about.height} pixels, {len(about.bands)} bands, format {about.format}"
    )
    print(f"  {about.bytes} bytes ({about.overhead_bytes} of them header and index), {about.bpp:.4g} bpp")
    print(f"  {about.groups} groups of {about.group}x{about.group} pixels, written by {about.creator}")
    for model in about.models:
        print(f"  model {model['id']} sha256 {model['sha256']}")
    for band in about.bands:
        told = ", ".join(text for text in (band.kind, band.certainty, band.reason) if text)
        coded = (
            f"exact{': ' + told if told else ''}"
            if band.treatment == "exact"
            else f"{band.treatment} of what was stored{': ' + told if told else ''}"
            if band.treatment != "lossy"
            else f"{told}, model {band.model}, step {band.step_db:g} dB, floor {band.floor:g}, centre "
            f"{band.centre_db:g} dB"
        )
        print(
            f"  band {band.band}: {band.dtype} {band.domain}, {band.bytes} bytes, {band.bpp:.4g} bpp, {coded}"
        )
    summary = dict(about.summary or {})
    for told in summary.pop("achieved", []):
        unit = "dB" if "db" in told else "units"
        print(f"  band {told['band']}: greatest error {told.get('db', told.get('value')):.6g} {unit}")
    for key, value in summary.items():
        print(f"  {key.replace('_', ' ')}: {value}")
    for key, value in about.raster.items():
        text = str(value)
        print(f"  {key}: {text if len(text) <= 100 else text[:97] + '...'}")


def verify(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .sarz file, or '-' for stdin.")],
    deep: Annotated[bool, typer.Option("--deep", help="Decode everything as well.")] = False,
    model: ForeignModel = None,
    trust_model: TrustModel = False,
    device: Device = "auto",
    threads: Threads = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check every checksum; with --deep, decode everything and give hashes of it (--json)."""
    from sarzip.usecases.verify import verify

    with render.progress_bar(f"verifying {Path(file).name}", quiet or json or not deep) as progress:
        report = verify(file, deep, device, threads, model, trust_model, progress)
    if json:
        render.print_json(report)
        return
    done = "every checksum holds and everything decodes" if deep else "every checksum holds"
    render.say(f"{file}: {done} ({report.groups} groups, {report.bands} bands)", quiet)
