"""A raster from standard input: GDAL seeks, which a pipe cannot."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from sarzip.errors import InputError, SarzipError, UsageError
from sarzip.system.scratch import scratch_folder, spooled
from sarzip.system.streams import stdin

NAME = "standard input"


@dataclass(frozen=True)
class Spooled:
    """Where GDAL finds the raster, and what the user should know of it (None: nothing)."""

    path: str
    note: str | None


@contextlib.contextmanager
def standard_input() -> Iterator[Spooled]:
    """Standard input under a name that GDAL can open and seek in.

    A redirected file is read where it is. A pipe is copied to a nameless temporary file first (TMPDIR says
    where), which vanishes with this process whatever ends it. Errors raised inside name the input as the user
    knows it. InputError when nothing comes, OutputError when the copy does not fit on the disk.
    """
    stream = stdin()
    with contextlib.ExitStack() as stack:
        if _is_file(stream):
            found = Spooled(_path_of(stream), None)
        else:
            if stream.isatty():
                raise UsageError("'-' reads a raster from standard input, which is a terminal: pipe one in")
            found = _spool(stream, stack)
        try:
            yield found
        except SarzipError as error:
            raise type(error)(str(error).replace(found.path, NAME)) from error


def _is_file(stream: IO[bytes]) -> bool:
    """Whether it is a file that nobody has read from yet."""
    try:
        return stat.S_ISREG(os.fstat(stream.fileno()).st_mode) and stream.tell() == 0
    except (OSError, ValueError):
        return False


def _path_of(stream: IO[bytes]) -> str:
    return f"/dev/fd/{stream.fileno()}"


def _spool(stream: IO[bytes], stack: contextlib.ExitStack) -> Spooled:
    spool = stack.enter_context(spooled(cast(BinaryIO, stream), NAME))
    size = spool.tell()
    if size == 0:
        raise InputError(f"{NAME}: is empty; pipe a raster in")
    folder = scratch_folder()
    return Spooled(_path_of(spool), f"{NAME}: {size} bytes copied to {folder}, as GDAL cannot seek in a pipe")
