"""preview."""

from __future__ import annotations

from typing import Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import (
    Bands,
    Device,
    Force,
    ForeignModel,
    Json,
    Quiet,
    Threads,
    TrustModel,
    refuse_both_on_stdout,
)


def preview(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .sarz file, a URL, or '-' for stdin.")],
    output: Annotated[str, typer.Option("-o", "--output", metavar="PNG", help="The image to write.")],
    max_size: Annotated[
        int, typer.Option("--max-size", metavar="N", help="Pixels of the longer side at most.")
    ] = 1024,
    band: Bands = None,
    model: ForeignModel = None,
    trust_model: TrustModel = False,
    device: Device = "auto",
    threads: Threads = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw a quick look: gray for one band; red, green and their ratio in blue for two."""
    from sarzip.usecases.preview import PreviewOptions, preview

    refuse_both_on_stdout(output, json)
    options = PreviewOptions(max_size, tuple(band or ()), device, threads, model, trust_model, force)
    report = preview(file, output, options)
    if json:
        render.print_json(report)
        return
    bands = " and ".join(map(str, report.bands))
    render.say(
        f"{output}: {report.width}x{report.height}, band{'s' * (len(report.bands) > 1)} {bands}, 1 pixel for "
        f"{report.scale}x{report.scale}, {render.size(report.output_bytes)}, {report.seconds:.1f} s",
        quiet,
    )
