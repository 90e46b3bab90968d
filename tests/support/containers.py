"""Files of the container as the codec writes them, and their parts."""

from __future__ import annotations

import hashlib
import io
import random
import struct
from typing import Any

from sarzip.container import BandHeader, Header, ModelRef, Reader, SetHeader, Writer
from sarzip.container.layout import HEAD_SIZE

MODEL = ModelRef("lapped16-1", hashlib.sha256(b"weights").hexdigest())
Frames = list[dict[int, bytes]]


def realistic(width: int = 512, height: int = 512) -> Header:
    """One band as the codec writes it, without raster tags."""
    band = BandHeader(
        "uint16", "amplitude", floor=12.532871246337891, centre=43.17259979248047, specials=(0,)
    )
    step = SetHeader((0,), 0, 2.3784142300054421, {"q": 60.0})
    return Header(width, height, (band,), (step,), (MODEL,), creator="sarzip 0.1.0")


def write(header: Header, frames: Frames, summary: dict[str, Any] | None = None) -> bytes:
    """A file of these frames, whose sizes are what the writer said."""
    sink = io.BytesIO()
    writer = Writer(sink, header)
    sizes = [writer.write_frame(streams) for streams in frames]
    total = writer.finish(summary)
    data = sink.getvalue()
    assert total == len(data) == writer.bytes_written
    assert list(Reader(io.BytesIO(data)).frame_sizes) == sizes
    return data


def parts_of(data: bytes) -> list[bytes]:
    """Head, metadata, data frames and the rest (index and trailer) of an intact file."""
    reader = Reader(io.BytesIO(data))
    begin = HEAD_SIZE + struct.unpack_from("<I", data, 16)[0]
    parts = [data[:HEAD_SIZE], data[HEAD_SIZE:begin]]
    for size in reader.frame_sizes:
        parts.append(data[begin : begin + size])
        begin += size
    return [*parts, data[begin:]]


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)
