"""What a person sees on stderr, and what a program reads from stdout."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from typing import Any


def print_json(value: Any) -> None:
    """One JSON document in one line on stdout; numbers that are not finite become null."""
    print(json.dumps(_plain(value), ensure_ascii=False))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def say(message: str, quiet: bool = False) -> None:
    """One line for the user on stderr."""
    if not quiet:
        print(message, file=sys.stderr)


@contextlib.contextmanager
def progress_bar(what: str, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar fed with (done, total), showing the time to go; None where stderr is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """A table on stdout, numbers right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    print(title)
    table = Table()
    for position, name in enumerate(header):
        table.add_column(Text(name), justify="left" if position == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    # A pipe has no width: there nothing may be cut.
    Console(width=None if sys.stdout.isatty() else 200, markup=False).print(table)


def number(value: float | None, digits: int = 4) -> str:
    """A number for a table; a dash where it is undefined."""
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.{digits}g}"


def size(count: int) -> str:
    """Bytes for a person."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"
