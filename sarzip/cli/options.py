"""Options that several commands share, defined once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from sarzip.errors import UsageError

if TYPE_CHECKING:
    from sarzip.pipeline.selection import Selection
N = TypeVar("N")


def one_of(*values: str) -> Callable[[str], list[str]]:
    """What a shell completes the value of an option to."""

    def complete(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    return complete


Packed = Annotated[
    list[str],
    typer.Argument(metavar="FILE...", help=".sarz files, folders of them, URLs, or '-' for stdin."),
]
Device = Annotated[
    str,
    typer.Option(
        "--device", help="auto, cpu, cuda or cuda:N.", autocompletion=one_of("auto", "cpu", "cuda", "cuda:0")
    ),
]
Domain = Annotated[
    str,
    typer.Option(
        "--domain",
        help="What the values are: auto, amplitude, power or db.",
        autocompletion=one_of("auto", "amplitude", "power", "db"),
    ),
]
Threads = Annotated[int, typer.Option("--threads", metavar="N", help="Threads; 0 for all cores.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that exists.")]
Recursive = Annotated[
    bool, typer.Option("--recursive", help="What lies in subfolders too; outputs get the same subfolders.")
]
Jobs = Annotated[int, typer.Option("--jobs", metavar="N", help="Files at a time; they share the threads.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
ForeignModel = Annotated[
    str | None,
    typer.Option("--model", metavar="PATH", help="Folder of the model, when it is not a released one."),
]
TrustModel = Annotated[
    bool,
    typer.Option("--trust-model", help="Take --model even if it is not the one the file names."),
]
Window = Annotated[
    str | None,
    typer.Option("--window", metavar="COL,ROW,W,H", help="Only these pixels, counted from the upper left."),
]
Box = Annotated[
    str | None,
    typer.Option(
        "--bbox", metavar="W,S,E,N", help="Only the pixels that meet this rectangle, in the scene's CRS."
    ),
]
BoxCrs = Annotated[
    str | None,
    typer.Option("--bbox-crs", metavar="CRS", help="CRS of --bbox where it is another, e.g. EPSG:4326."),
]
Bands = Annotated[
    list[int] | None,
    typer.Option("--band", metavar="N", help="Only this band, counted from 1; may be repeated."),
]


def refuse_both_on_stdout(output: str, as_json: bool) -> None:
    """UsageError where report and result would be mixed."""
    if as_json and output == "-":
        raise UsageError("--json and -o - both need stdout; write to a file")


def selected(
    window: str | None, bbox: str | None, bbox_crs: str | None, bands: list[int] | None, scale: int = 1
) -> Selection:
    """What these options select; UsageError where they make no sense."""
    from sarzip.pipeline.selection import Selection

    pixels, rectangle = None, None
    if window is not None:
        column, row, width, height = listed("--window", window, "COL,ROW,W,H in whole pixels", int, 4)
        pixels = (column, row, width, height)
    if bbox is not None:
        west, south, east, north = listed("--bbox", bbox, "W,S,E,N", float, 4)
        rectangle = (west, south, east, north)
    return Selection(pixels, rectangle, bbox_crs, tuple(bands or ()), scale)


def listed(
    option: str, text: str, names: str, kind: Callable[[str], N], count: int | None = None
) -> tuple[N, ...]:
    """The parts of an option's text between its commas; UsageError where they are not of a kind, or not so
    many.
    """
    parts = text.split(",")
    try:
        if count not in (None, len(parts)):
            raise ValueError
        return tuple(kind(part) for part in parts)
    except ValueError:
        raise UsageError(f"{option} {text}: expected {names}") from None
