"""vrt."""

from __future__ import annotations

from typing import Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Force, Json, Quiet, refuse_both_on_stdout


def vrt(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .sarz file or a URL.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="VRT", help="The virtual raster to write.")
    ],
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a virtual raster, through which QGIS and all programs on GDAL read FILE without unpacking it.

    Example: sarzip vrt scene.sarz -o scene.vrt
    """
    from sarzip.integrations.vrt import write_vrt

    refuse_both_on_stdout(output, json)
    report = write_vrt(file, output, force)
    if json:
        render.print_json(report)
        return
    settings, python = (
        " ".join(f"{name}={value}" for name, value in each) for each in (report.settings, report.python)
    )
    render.say(
        f"{output}: {report.width}x{report.height}, {report.bands} bands; to read it set {settings}; for "
        f"programs whose Python lacks sarzip also {python}",
        quiet,
    )
