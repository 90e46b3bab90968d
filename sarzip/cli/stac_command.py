"""stac."""

from __future__ import annotations

from typing import Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Force, Quiet


def stac(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A .sarz file or a URL.")],
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="JSON", help="The item to write; '-' for stdout. Default: beside FILE."
        ),
    ] = None,
    datetime: Annotated[
        str | None,
        typer.Option(
            "--datetime",
            metavar="T",
            help="When the scene was taken (UTC; T or START/END), instead of what its tags and name tell.",
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write a STAC item of FILE, as compress --stac does: time, place, instrument, checksum, error."""
    from sarzip.usecases.stac import StacOptions, write_item

    written = write_item(file, output, StacOptions(datetime), force)
    render.say(f"{written}: written", quiet or output == "-")
