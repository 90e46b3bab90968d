"""Opening a `.sarz` for reading: a file at random positions, a pipe from front to back."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

from sarzip.container import Header, Reader, StreamReader
from sarzip.container.opening import read_up_to
from sarzip.errors import CorruptError, InputError
from sarzip.system.outputs import STANDARD_STREAM, naming
from sarzip.system.remote import is_url, open_url
from sarzip.system.scratch import spooled
from sarzip.system.streams import stdin

Frames = Iterator[Mapping[int, bytes]]
_PIECE = 1 << 22
"""Bytes that are asked for at a time: more than a file holds is never allocated."""


def _state(about: os.stat_result) -> tuple[int, int] | None:
    """What changes when a file is written to; None for what is no file."""
    return (about.st_size, about.st_mtime_ns) if stat.S_ISREG(about.st_mode) else None


def _changed(name: str) -> InputError:
    return InputError(f"{name}: changed while it was being read; try again when it is complete")


@contextlib.contextmanager
def unchanged(source: str | os.PathLike[str]) -> Iterator[None]:
    """InputError if the file `source` was written to in the meantime, whatever else went wrong with it."""

    def state() -> tuple[int, int] | None:
        try:
            return _state(Path(source).stat())
        except OSError:  # a name that only GDAL understands
            return None

    before = state()
    try:
        yield
    except InputError:
        if state() != before:
            raise _changed(str(source)) from None
        raise
    if state() != before:
        raise _changed(str(source))


class _Source(io.RawIOBase):
    """A file or pipe whose faults are InputErrors that name it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file = file
        self._name = name
        self._lock = threading.Lock()
        self._before = self._state()

    def read(self, size: int = -1) -> bytes:
        with self._faults():
            return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        with self._faults():
            return self._file.seek(offset, whence)

    def read_at(self, position: int, size: int) -> bytes:
        """Bytes at a position, fewer at the end. Nothing moves: forked processes share a file's position."""
        with self._faults():
            if self._before is None:
                with self._lock:
                    self._file.seek(position)
                    return read_up_to(self._file, size)
            pieces = []
            while size > 0 and (piece := os.pread(self._file.fileno(), min(size, _PIECE), position)):
                pieces.append(piece)
                position, size = position + len(piece), size - len(piece)
            return b"".join(pieces)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()

    def readable(self) -> bool:
        return True

    def check_unchanged(self) -> None:
        """InputError if the file was written to since it was opened."""
        if self._state() != self._before:
            raise _changed(self._name)

    def _state(self) -> tuple[int, int] | None:
        try:
            return _state(os.fstat(self._file.fileno()))
        except (OSError, ValueError):  # no file of the system
            return None

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(f"{self._name}: cannot be read ({error.strerror or error})") from error


@contextlib.contextmanager
def open_input(source: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The bytes of a file, of what a URL names, or of standard input for '-'.

    Raises InputError when it cannot be opened or read, or when a file changes in the meantime, which may also
    look like damage.
    """
    with contextlib.ExitStack() as stack:
        if str(source) == STANDARD_STREAM:
            file = _Source(stdin(), "standard input")
        elif is_url(str(source)):
            file = _Source(stack.enter_context(open_url(str(source))), str(source))
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
def open_seekable(source: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """As open_input, or a copy of what a pipe brings."""
    with open_input(source) as file:
        if str(source) != STANDARD_STREAM and file.seekable():
            yield file
            return
        name = "standard input" if str(source) == STANDARD_STREAM else str(source)
        with spooled(file, name) as spool:
            yield cast(BinaryIO, spool)


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
    if isinstance(file, _Source):
        file.check_unchanged()


class SarzPart:
    """Some data frames of a `.sarz`, by random access where the source allows it, else by reading on."""

    def __init__(self, file: BinaryIO, seekable: bool) -> None:
        self._file = file
        self._source: Reader | StreamReader = Reader(file) if seekable else StreamReader(file)
        self._bytes = self._source.overhead if isinstance(self._source, Reader) else 0

    @property
    def header(self) -> Header:
        """What the file says about itself."""
        return self._source.header

    @property
    def bytes_read(self) -> int:
        """Bytes of the file read so far."""
        return self._bytes if isinstance(self._source, Reader) else self._source.bytes_read

    def frames(self, ordinals: Collection[int]) -> Frames:
        """Streams of the data frames `ordinals`, which ascend. A pipe is read, and checked, to its end."""
        return _to_the_end(self._selected(ordinals), self._file)

    def _selected(self, ordinals: Collection[int]) -> Frames:
        if isinstance(self._source, StreamReader):
            wanted = frozenset(ordinals)
            yield from (streams for ordinal, streams in self._source if ordinal in wanted)
            return
        for ordinal in ordinals:
            self._bytes += self._source.frame_sizes[ordinal]
            yield self._source.read_frame(ordinal)


@contextlib.contextmanager
def open_part(source: str | os.PathLike[str]) -> Iterator[SarzPart]:
    """A file, URL or pipe ('-') of which only some frames are wanted."""
    with open_input(source) as file, naming(str(source)):
        yield SarzPart(file, file.seekable() and str(source) != STANDARD_STREAM)
