"""Container: short reads and writes, pipes, threads, and the order that a writer keeps."""

from __future__ import annotations

import dataclasses
import io
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.containers import noise, realistic, write

from sarzip.container import (
    Reader,
    StreamReader,
    Writer,
)
from sarzip.errors import InputError


class Trickle(io.RawIOBase):
    """Gives and takes a few bytes at a time, as pipes and sockets may."""

    def __init__(self, data: bytes = b"") -> None:
        self.inner = io.BytesIO(data)
        self.calls = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.calls += 1
        piece = self.inner.read(min(len(buffer), 1 + self.calls % 7))
        buffer[: len(piece)] = piece
        return len(piece)

    def write(self, data: Any) -> int:
        self.calls += 1
        return self.inner.write(bytes(data[: 1 + self.calls % 7]))


def test_short_reads_and_writes() -> None:
    header = realistic(600, 300)
    sink = Trickle()
    writer = Writer(sink, header)  # type: ignore[arg-type]
    writer.write_frame({2: noise(5, 500)})
    total = writer.finish()
    file = sink.inner.getvalue()
    assert len(file) == total
    assert list(StreamReader(Trickle(file))) == [(0, {2: noise(5, 500)})]  # type: ignore[arg-type]


@pytest.mark.parametrize("buffering", [0, -1])
def test_through_a_pipe(buffering: int) -> None:
    header = dataclasses.replace(realistic(1500, 1100), group=256)
    frames = [{1: b"m", 2: noise(ordinal, 20_000)} for ordinal in range(header.frame_count)]
    reading, writing = os.pipe()

    def produce() -> None:
        with os.fdopen(writing, "wb", buffering=buffering) as sink:
            writer = Writer(sink, header)
            for streams in frames:
                writer.write_frame(streams)
            writer.finish({"done": True})

    thread = threading.Thread(target=produce)
    thread.start()
    with os.fdopen(reading, "rb", buffering=buffering) as source:
        with pytest.raises(InputError):
            Reader(source)
        stream = StreamReader(source)
        assert list(stream) == list(enumerate(frames))
    thread.join()
    assert stream.summary == {"done": True}


def test_reader_in_threads() -> None:
    header = dataclasses.replace(realistic(2560, 2560), group=256)
    frames = [{2: noise(ordinal, 3000)} for ordinal in range(header.frame_count)]
    reader = Reader(io.BytesIO(write(header, frames)))
    order = random.Random(1).sample(range(header.frame_count), header.frame_count)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(reader.read_frame, order)) == [frames[ordinal] for ordinal in order]


def test_writer_keeps_its_order() -> None:
    header = realistic(1500, 100)
    writer = Writer(io.BytesIO(), header)
    with pytest.raises(ValueError, match="0 of 2"):
        writer.finish()
    for ordinal in range(2):
        assert writer.frames_written == ordinal
        writer.write_frame({})
    with pytest.raises(ValueError, match="all 2"):
        writer.write_frame({})
    writer.finish()
    with pytest.raises(ValueError, match="2 of 2"):
        writer.finish()
