"""`rio sarzip …`: the whole command line as a subcommand of rasterio's."""

from __future__ import annotations

import sys

import click

from sarzip.cli.main import run


@click.command(
    "sarzip",
    short_help="Compress SAR imagery into .sarz files, and back.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sarzip(arguments: tuple[str, ...]) -> None:
    """The same commands, options and exit codes as `sarzip`."""
    sys.exit(run(arguments))
