"""clean."""

from __future__ import annotations

from typing import Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Json, Quiet

_WHY_KEPT = {
    "running": "its process is running",
    "unknown": "of another machine or an old version, and less than a day old; --all removes it",
}


def clean(
    folders: Annotated[list[str], typer.Argument(metavar="DIR...", help="Folders that outputs went to.")],
    recursive: Annotated[bool, typer.Option("--recursive", help="Subfolders too.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="Also what processes on other machines may be writing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only list what would go.")] = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Remove the unfinished files of processes that were killed."""
    from sarzip.usecases.clean import CleanOptions, clean

    options = CleanOptions(recursive, every, dry_run)
    files = [each for folder in folders for each in clean(folder, options)]
    if json:
        render.print_json(files)
        return
    for each in files:
        done = ("would be removed" if dry_run else "removed") if each.removed else _WHY_KEPT[each.owner]
        render.say(f"{each.path}: {render.size(each.bytes)}, {done}", quiet)
    count = sum(each.removed for each in files)
    render.say(f"{count} unfinished file{'s' * (count != 1)} {'to remove' if dry_run else 'removed'}", quiet)
