"""A raster from standard input: GDAL seeks, which a pipe cannot."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from sarzip.errors import InputError, OutputError, SarzipError, UsageError
from sarzip.system.streams import stdin

NAME = "standard input"
_COPY_BYTES = 1 << 20


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
    folder = tempfile.gettempdir()
    try:
        spool = stack.enter_context(tempfile.TemporaryFile(prefix="sarzip-"))  # noqa: SIM115
        while piece := _read(stream):
            spool.write(piece)
        spool.flush()
    except OSError as error:
        raise OutputError(
            f"{NAME}: cannot be copied to {folder} ({error.strerror or error}); set TMPDIR to a folder with "
            "more space"
        ) from error
    size = spool.tell()
    if size == 0:
        raise InputError(f"{NAME}: is empty; pipe a raster in")
    return Spooled(_path_of(spool), f"{NAME}: {size} bytes copied to {folder}, as GDAL cannot seek in a pipe")


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(_COPY_BYTES)
    except OSError as error:
        raise InputError(f"{NAME}: cannot be read ({error.strerror or error})") from error
