"""What a person sees on stderr, and what a program reads from stdout."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, is_dataclass
from typing import Any, TextIO

_PARAMETER = re.compile(r"`([a-z][a-z_]*)`")


def print_json(value: Any) -> None:
    """One JSON document in one line on stdout; numbers that are not finite become null."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    print(json.dumps(plain(value), ensure_ascii=not unicode), flush=True)


def plain(value: Any) -> Any:
    """What JSON can hold: dataclasses become objects, numbers that are not finite null."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def dashed(message: str) -> str:
    """A message whose `parameter_names` are written as options of the command line."""
    return _PARAMETER.sub(lambda found: "--" + found.group(1).replace("_", "-"), message)


def say(message: str, quiet: bool = False) -> None:
    """One line for the user on stderr."""
    if not quiet:
        print(dashed(message), file=sys.stderr)


@contextlib.contextmanager
def progress_bar(what: str, quiet: bool, pixels: bool = True) -> Iterator[Callable[[int, int], None] | None]:
    """A bar fed with (done, total), showing the time to go and, if these are pixels, MPix/s.

    None where stderr is no terminal.
    """
    with _bar(what, quiet) as update:
        if update is None:
            yield None
            return
        yield lambda done, total: update(done, total, done if pixels else 0)


@contextlib.contextmanager
def batch_bar(what: str, quiet: bool) -> Iterator[Callable[[float, int, int], None] | None]:
    """A bar fed with (scenes done, with fractions; all scenes; pixels done), as progress_bar."""
    with _bar(what, quiet) as update:
        if update is None:
            yield None
            return

        def advance(done: float, total: int, pixels: int) -> None:
            update(done, total, pixels, f"{what} {int(done)}/{total}")

        yield advance


@contextlib.contextmanager
def _bar(what: str, quiet: bool) -> Iterator[Callable[..., None] | None]:
    """Function of (done, total, pixels so far, another label) that draws a bar on a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    started = time.monotonic()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None, speed="")

        def update(done: float, total: float, pixels: int, label: str = what) -> None:
            speed = pixels / max(time.monotonic() - started, 1e-3) / 1e6
            shown = f"{speed:.1f} MPix/s" if pixels else ""
            bar.update(task, completed=done, total=total, description=label, speed=shown)

        yield update


def print_table(title: str, header: list[str], rows: list[list[str]], file: TextIO | None = None) -> None:
    """A table on stdout or another stream, numbers right-aligned."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    file = file or sys.stdout
    if title:
        print(title, file=file)
    table = Table()
    for position, name in enumerate(header):
        table.add_column(Text(name), justify="left" if position == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    # A pipe has no width: there nothing may be cut.
    Console(file=file, width=None if file.isatty() else 200, markup=False).print(table)


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
