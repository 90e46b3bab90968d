"""preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import (
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
    listed,
    one_of,
    refuse_both_on_stdout,
    selected,
)

if TYPE_CHECKING:
    from sarzip.picture.draw import Channel
    from sarzip.usecases.preview import PreviewReport


def preview(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .sarz file, a URL, or '-' for stdin.")],
    output: Annotated[
        str,
        typer.Option(
            "-o", "--output", metavar="DST", help="Picture to write: .png, .jpg or .tif (COG); '-' is a PNG."
        ),
    ],
    size: Annotated[
        int,
        typer.Option("--size", metavar="N", help="Pixels of the longer side, at most the scene's."),
    ] = 1024,
    band: Annotated[
        list[int] | None,
        typer.Option(
            "--band", metavar="N", help="Band to show; two for a composite, three as red, green and blue."
        ),
    ] = None,
    composite: Annotated[
        str,
        typer.Option(
            "--composite",
            autocompletion=one_of("ratio", "cross-ratio", "difference", "product"),
            help="Of two bands: ratio (VV, VH, VV/VH), cross-ratio (VV, VH, VH/VV), difference (VH, VV, "
            "|VV-VH|) or product (VV, VH, VV·VH).",
        ),
    ] = "ratio",
    colormap: Annotated[
        str | None,
        typer.Option(
            "--colormap",
            help="Of one band: viridis, inferno, magma, batlow or romaO (cyclic).",
            autocompletion=one_of("viridis", "inferno", "magma", "batlow", "romaO"),
        ),
    ] = None,
    stretch: Annotated[
        str,
        typer.Option("--stretch", metavar="LOW,HIGH", help="Percentiles for black and brightest."),
    ] = "2,98",
    limits: Annotated[
        list[str] | None,
        typer.Option(
            "--limits",
            metavar="LOW,HIGH",
            help="Fixed ones instead: dB of backscatter, else the band's unit; three times for each channel.",
        ),
    ] = None,
    north_up: Annotated[
        bool, typer.Option("--north-up", help="Put north up instead of showing the scene as it is stored.")
    ] = False,
    window: Window = None,
    bbox: Box = None,
    bbox_crs: BoxCrs = None,
    model: ForeignModel = None,
    trust_model: TrustModel = False,
    device: Device = "auto",
    threads: Threads = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw a quick look, with its place on the map: gray or --colormap for one band, a composite for two."""
    from sarzip.picture.draw import Look
    from sarzip.usecases.preview import PreviewOptions, preview

    refuse_both_on_stdout(output, json)
    fixed = tuple(_two("--limits", text) for text in limits or ())
    look = Look(composite, colormap, _two("--stretch", stretch), fixed)
    selection = selected(window, bbox, bbox_crs, None)
    options = PreviewOptions(
        size, tuple(band or ()), look, selection, north_up, device, threads, model, trust_model, force
    )
    report = preview(file, output, options)
    if json:
        render.print_json(report)
        return
    render.say(describe(report), quiet)


def describe(report: PreviewReport) -> str:
    """What was drawn, in a line."""
    shown = "; ".join(map(_channel, report.channels))
    return (
        f"{report.output}: {report.width}x{report.height}, {shown}; 1 pixel for {report.scale:.3g}x"
        f"{report.scale:.3g}, {render.size(report.output_bytes)}, {report.seconds:.1f} s"
    )


def _channel(channel: Channel) -> str:
    if channel.low is None or channel.high is None:
        return f"{channel.colour} {channel.shows}"
    return f"{channel.colour} {channel.shows} {channel.low:.3g} to {channel.high:.3g} {channel.unit}".rstrip()


def _two(option: str, text: str) -> tuple[float, float]:
    low, high = listed(option, text, "LOW,HIGH", float, 2)
    return low, high
