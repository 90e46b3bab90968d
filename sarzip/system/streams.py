"""Standard streams of a command, such as cron, daemons and shells leave them: closed, full, without readers,
or in another character set than the names of files.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, TextIO

from sarzip.errors import OutputError, UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_UNKNOWN_CHARACTERS = "backslashreplace"


class ReaderGone(OutputError):
    """Whoever read standard output has seen enough."""


def prepare_streams() -> None:
    """Make the standard streams of this process safe to use, first thing.

    What is closed is replaced, lest the next file opened gets its number: messages would end up in it.
    Writing to a standard output that is closed, full or without a reader raises OutputError; messages that
    cannot be written to standard error are dropped. Characters a stream cannot show are written as escapes.
    """
    _use_utf_8_for_names()
    for number, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            # Opened the wrong way, so that using standard input or output is still an error.
            opened = os.open(os.devnull, flags)
            os.dup2(opened, number)
            if opened != number:
                os.close(opened)
    sys.stdout = _text(_Stdout(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Stderr(2, "w", closefd=False), sys.stderr)


def stdin() -> BinaryIO:
    """Standard input for bytes; UsageError where the caller has closed it."""
    if _closed(sys.stdin, os.O_WRONLY):
        raise UsageError("standard input is closed; pipe something in, or name a file")
    return sys.stdin.buffer


def stdout() -> BinaryIO:
    """Standard output for bytes; UsageError where the caller has closed it."""
    if _closed(sys.stdout, os.O_RDONLY):
        raise UsageError("standard output is closed; give it somewhere to go, or write to a file")
    return sys.stdout.buffer


def _closed(stream: TextIO | None, wrong_way: int) -> bool:
    if stream is None or stream.buffer.closed:
        return True
    try:
        return fcntl.fcntl(stream.buffer.fileno(), fcntl.F_GETFL) & os.O_ACCMODE == wrong_way
    except (OSError, ValueError):  # not a file of the system
        return False


def _use_utf_8_for_names() -> None:
    """Start again in Python's UTF-8 mode where it would take the names of files for ASCII or Latin-1."""
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    encoding = sys.stdout.encoding if sys.stdout is not None else "ascii"
    os.environ["PYTHONUTF8"] = "1"
    os.environ.setdefault("PYTHONIOENCODING", f"{encoding}:{_UNKNOWN_CHARACTERS}")
    with contextlib.suppress(OSError):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _text(raw: io.FileIO, before: TextIO | None) -> io.TextIOWrapper:
    if before is not None:
        with contextlib.suppress(OSError):
            before.flush()
    encoding = "ascii" if before is None else before.encoding
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding,
        _UNKNOWN_CHARACTERS,
        line_buffering=raw.fileno() == 2 or raw.isatty(),
    )


class _Stdout(io.FileIO):
    """Whatever cannot be written is dropped after the first error: it is not to be told again at exit."""

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            with contextlib.suppress(OSError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, self.fileno())
                os.close(null)
            if isinstance(error, BrokenPipeError):
                raise ReaderGone(
                    "standard output: cannot be written (the reader closed the pipe before the end)"
                ) from error
            raise OutputError(f"standard output: cannot be written ({error.strerror})") from error


class _Stderr(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes
