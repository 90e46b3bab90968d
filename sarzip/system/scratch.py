"""Temporary files: what a pipe brings where somebody has to seek, what is written before it is sent on."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from sarzip.errors import InputError, OutputError

_COPY_BYTES = 1 << 20


def scratch_folder() -> Path:
    """Where temporary files go (TMPDIR, or what the system has for it); OutputError where there is no such
    folder.
    """
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        raise OutputError(
            "there is no folder for temporary files that can be written; set TMPDIR to one"
        ) from None


@contextlib.contextmanager
def spooled(stream: BinaryIO, name: str) -> Iterator[IO[bytes]]:
    """All of a stream in a nameless temporary file, which vanishes with this process whatever ends it. It
    stands at its end. name: of the stream, for messages. InputError or OutputError where copying fails.
    """
    folder = scratch_folder()
    with contextlib.ExitStack() as stack:
        try:
            spool = stack.enter_context(tempfile.TemporaryFile(prefix="sarzip-", dir=folder))
            while piece := _read(stream, name):
                spool.write(piece)
            spool.flush()
        except OSError as error:
            raise OutputError(
                f"{name}: cannot be copied to {folder} ({error.strerror or error}); set TMPDIR to a folder "
                "with more space"
            ) from error
        yield spool


def _read(stream: BinaryIO, name: str) -> bytes:
    try:
        return stream.read(_COPY_BYTES)
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error})") from error
