"""Remove the unfinished files that killed processes could not remove themselves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sarzip.errors import InputError, OutputError
from sarzip.system.parts import Leftover, leftovers


@dataclass(frozen=True)
class CleanOptions:
    """recursive: subfolders too. every: also the files of processes that cannot be asked, on another machine
    or of an old version, however new; never those of a running process. dry_run: remove nothing.
    """

    recursive: bool = False
    every: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class CleanedFile:
    """An unfinished file. bytes: its size. owner: gone, running or unknown. removed: whether it is gone now
    (with dry_run, whether it would be).
    """

    path: str
    bytes: int
    owner: str
    removed: bool


def clean(folder: str | os.PathLike[str], options: CleanOptions = CleanOptions()) -> tuple[CleanedFile, ...]:
    """Remove what no running process will finish in `folder`; all unfinished files, with what became of them.

    An owner that cannot be asked counts as gone after a day without a change. Raises InputError for a folder
    that cannot be read, OutputError for a file that cannot be removed.
    """
    top = Path(folder)
    if not top.is_dir():
        raise InputError(f"{folder}: no such folder; check the name")
    found: list[CleanedFile] = []
    for place in _folders(top) if options.recursive else [top]:
        try:
            inside = sorted(leftovers(place), key=lambda each: each.path)
        except OSError as error:
            raise InputError(f"{place}: cannot be read ({error.strerror})") from error
        found.extend(_cleaned(each, options) for each in inside)
    return tuple(found)


def _folders(top: Path) -> list[Path]:
    return [Path(folder) for folder, _, _ in os.walk(top)]


def _cleaned(each: Leftover, options: CleanOptions) -> CleanedFile:
    wanted = each.abandoned or (options.every and each.owner == "unknown")
    if wanted and not options.dry_run:
        try:
            each.path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{each.path}: cannot be removed ({error.strerror})") from error
    return CleanedFile(str(each.path), each.size, each.owner, wanted)
