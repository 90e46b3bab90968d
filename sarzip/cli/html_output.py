"""Pages as outputs of commands."""

from __future__ import annotations

from sarzip.cli import render
from sarzip.errors import UsageError


def check_html(destination: str, as_json: bool, force: bool) -> None:
    """Refuse a page that could not be written in the end, before any work is done."""
    from sarzip.system.outputs import STANDARD_STREAM, check_destination

    if as_json and destination == STANDARD_STREAM:
        raise UsageError("--json and --html - both need stdout; write the page to a file")
    check_destination(destination, force)


def write_html(destination: str, page: str, force: bool, quiet: bool) -> None:
    """Write a page; '-' is standard output."""
    from sarzip.system.outputs import atomic_path

    with atomic_path(destination, force) as part:
        part.write_text(page, encoding="utf-8")
    say_written(destination, quiet)


def say_written(destination: str, quiet: bool) -> None:
    """Say where the page is, if that is a file."""
    from sarzip.system.outputs import STANDARD_STREAM

    if destination != STANDARD_STREAM:
        render.say(f"{destination}: written", quiet)
