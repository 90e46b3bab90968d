"""Files of the container, good or hostile with all checksums right, and what every reader says to them."""

from __future__ import annotations

import io
import json
import random
import struct
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import pytest
import zstandard

from sarzip.container import (
    BandHeader,
    Header,
    ModelRef,
    Reader,
    SetHeader,
    StreamReader,
)
from sarzip.container.layout import TRAILER_SIZE, varint
from sarzip.container.packing import pack_metadata
from sarzip.errors import CorruptError
from support import mini_reader
from support.containers import Frames, write

HEADER = Header(
    600,
    300,
    (BandHeader("uint16", "amplitude", 10.0, 43.25, (0,)),),
    (SetHeader((0,), 0, 2.0),),
    (ModelRef("ae16-1", "0f" * 32),),
    group=256,
    raster={"crs": "EPSG:32632"},
)
META = {"w": 600, "h": 300, "g": 256, "b": [{"t": "uint16"}], "s": [{"m": None, "q": 2.0}]}


def payloads(header: Header, seed: int = 0) -> Frames:
    source = random.Random(seed)
    return [{1: b"mask", 2: source.randbytes(11)} for _ in range(header.frame_count)]


FRAMES = payloads(HEADER)
FILE = write(HEADER, FRAMES, {"rmse_db": 1.5})


def by_reader(data: bytes) -> Frames:
    return [streams for _, streams in Reader(io.BytesIO(data))]


def by_stream(data: bytes) -> Frames:
    return [streams for _, streams in StreamReader(io.BytesIO(data))]


def refuse(data: bytes, mini: bool = True) -> tuple[str, str]:
    """Checks that all readers refuse `data`; the messages of the two of the product."""
    with pytest.raises(CorruptError) as random_access:
        by_reader(data)
    with pytest.raises(CorruptError) as forward:
        by_stream(data)
    if mini:
        with pytest.raises(mini_reader.Bad):
            mini_reader.read(data)
    messages = str(random_access.value), str(forward.value)
    assert all(len(message) < 300 and "\n" not in message for message in messages)
    return messages


def zstd(content: bytes, **options: Any) -> bytes:
    options = {"level": 3, "write_checksum": True, "write_content_size": True} | options
    return zstandard.ZstdCompressor(**options).compress(content)


def forge(
    meta: dict[str, Any] | bytes = META,
    meta_frame: bytes | None = None,
    data: Callable[[int, bytes], bytes] | None = None,
    data_frame: Callable[[int, bytes], bytes] | None = None,
    index: Callable[[bytes, list[bytes]], bytes] | None = None,
    compact: bool = False,
    **head: int,
) -> bytes:
    """A file with all checksums right, in which chosen parts are hostile.

    `data` and `index` replace the content of data frames and index, `data_frame` the zstd frame.
    """
    text = meta if isinstance(meta, bytes) else pack_metadata(meta) if compact else json.dumps(meta).encode()
    frame = zstd(text) if meta_frame is None else meta_frame
    fields = {"magic": 0x184D2A53, "major": 1, "minor": int(compact), "flags": int(compact)}
    fields |= {"size": len(frame)} | head
    start = struct.pack("<II4sBB", fields["magic"], 20, b"SARZ", fields["major"], fields["minor"])
    start += struct.pack("<HII", fields["flags"], fields["size"], crc32(frame))
    start += struct.pack("<I", crc32(start)) + frame
    tag = struct.pack("<I", crc32(start))
    frames = []
    for ordinal in range(6):
        content = b"D" + tag + bytes([ordinal, 2, 1, 2, 2, 1]) + b"abc"
        if compact:
            content = tag + bytes([ordinal, 2, 1, 2, 2]) + b"abc"
        content = data(ordinal, content) if data else content
        frames.append(data_frame(ordinal, content) if data_frame else zstd(content))
    sizes = b"".join(varint(len(each)) for each in frames)
    body = sizes + b"".join(struct.pack("<I", crc32(each)) for each in frames)
    if compact:
        body = index(body, frames) if index else body
        tail = struct.pack("<II", 0x184D2A54, 8 + len(body)) + body + struct.pack("<I", 16 + len(body))
        return start + b"".join(frames) + tail + struct.pack("<I", crc32(tail, crc32(start)))
    body = b"I" + tag + b"\x06" + body
    tail = zstd(index(body, frames) if index else body)
    total = len(start) + sum(map(len, frames)) + len(tail) + TRAILER_SIZE
    end = struct.pack("<IIQII", 0x184D2A54, 20, total, len(tail), crc32(tail))
    return start + b"".join(frames) + tail + end + struct.pack("<I", crc32(end))


@contextmanager
def memory_below(limit: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < limit
