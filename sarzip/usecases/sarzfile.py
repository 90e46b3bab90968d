"""Opening a `.sarz` for reading: a file at random positions, a pipe from front to back."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from sarzip.container import Header, Reader, StreamReader
from sarzip.errors import InputError
from sarzip.usecases.atomic import STANDARD_STREAM, naming

Frames = Iterator[Mapping[int, bytes]]


@contextlib.contextmanager
def open_input(source: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """The bytes of a file, or of standard input for '-'. Raises InputError."""
    if str(source) == STANDARD_STREAM:
        yield sys.stdin.buffer
        return
    try:
        file = Path(source).open("rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; check the name") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error
    with file:
        yield file


@contextlib.contextmanager
def open_sarz(source: str | os.PathLike[str]) -> Iterator[tuple[Header, Frames]]:
    """Header and frames in order, from a file (checked against its index first) or from a pipe."""
    with open_input(source) as file, naming(str(source)):
        if file.seekable() and str(source) != STANDARD_STREAM:
            reader = Reader(file)
            yield reader.header, (reader.read_frame(ordinal) for ordinal in range(reader.frame_count))
        else:
            stream = StreamReader(file)
            yield stream.header, (streams for _, streams in stream)
