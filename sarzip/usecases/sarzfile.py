"""Opening a `.sarz` for reading: a file at random positions, a pipe from front to back."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from sarzip.container import Header, Reader, StreamReader
from sarzip.errors import CorruptError, InputError
from sarzip.usecases.atomic import STANDARD_STREAM, naming

Frames = Iterator[Mapping[int, bytes]]


class _Source(io.RawIOBase):
    """A file or pipe whose faults are InputErrors that name it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._before = self._state()

    def read(self, size: int = -1) -> bytes:
        with self._faults():
            return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._faults():
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()

    def readable(self) -> bool:
        return True

    def check_unchanged(self) -> None:
        """InputError if the file was written to since it was opened."""
        if self._state() != self._before:
            raise InputError(f"{self._name}: changed while it was being read; try again when it is complete")

    def _state(self) -> tuple[int, int] | None:
        try:
            about = os.fstat(self._file.fileno())
        except (OSError, ValueError):  # no file of the system, as in tests
            return None
        return (about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self._name}: cannot be read ({error.strerror or error})") from error


@contextlib.contextmanager
def open_input(source: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The bytes of a file, or of standard input for '-'.

    Raises InputError when it cannot be opened or read, or when a file changes in the meantime, which may also
    look like damage.
    """
    with contextlib.ExitStack() as stack:
        if str(source) == STANDARD_STREAM:
            file = _Source(sys.stdin.buffer, "standard input")
        else:
            try:
                file = _Source(stack.enter_context(Path(source).open("rb")), str(source))
            except FileNotFoundError:
                raise InputError(f"{source}: no such file; check the name") from None
            except OSError as error:
                raise InputError(f"{source}: cannot be read ({error.strerror})") from error
        try:
            yield cast(BinaryIO, file)
        except CorruptError:
            file.check_unchanged()
            raise
        file.check_unchanged()


@contextlib.contextmanager
def open_sarz(source: str | os.PathLike[str]) -> Iterator[tuple[Header, Frames]]:
    """Header and frames in order, from a file (checked against its index first) or from a pipe.

    After the last frame the file is checked to be the one that was opened, so that whoever reads to the end
    knows it before anything is published.
    """
    with open_input(source) as file, naming(str(source)):
        if file.seekable() and str(source) != STANDARD_STREAM:
            reader = Reader(file)
            frames = (reader.read_frame(ordinal) for ordinal in range(reader.frame_count))
            yield reader.header, _to_the_end(frames, file)
        else:
            stream = StreamReader(file)
            yield stream.header, _to_the_end((streams for _, streams in stream), file)


def _to_the_end(frames: Frames, file: BinaryIO) -> Frames:
    yield from frames
    cast(_Source, file).check_unchanged()
