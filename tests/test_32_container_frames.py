"""Container: hostile zstd frames, indices and sizes, checksums right, are CorruptErrors in little memory."""

from __future__ import annotations

import errno
import io
import json
import struct
from collections.abc import Callable
from typing import Any
from zlib import crc32

import pytest
import zstandard
from support.forge import FILE, FRAMES, HEADER, META, by_reader, forge, memory_below, refuse, zstd

from sarzip.container import (
    Reader,
    StreamReader,
    Writer,
    limits,
)
from sarzip.container.layout import HEAD_SIZE, TRAILER_SIZE
from sarzip.container.zframe import scan_frame
from sarzip.errors import CorruptError


def crafted(content_size: int, blocks: bytes, descriptor: int = 0xA4, window: bytes = b"") -> bytes:
    """A zstd frame with a 4-byte content size; the checksum is that of nothing in particular."""
    return (
        b"\x28\xb5\x2f\xfd"
        + bytes([descriptor])
        + window
        + struct.pack("<I", content_size)
        + blocks
        + bytes(4)
    )


def block(kind: int, size: int, body: bytes = b"", last: bool = True) -> bytes:
    return struct.pack("<I", last | kind << 1 | size << 3)[:3] + body


RLE = block(1, 1 << 17, b"D", last=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda good: zstd(good, write_checksum=False),
        lambda good: zstd(good, write_content_size=False),
        lambda good: zstd(good, dict_data=zstandard.ZstdCompressionDict(b"D" * 64 + good)) + b"",
        lambda good: zstd(good) + b"\0",
        lambda good: zstd(good) + zstd(b""),
        lambda good: zstd(good)[:-1],
        lambda good: struct.pack("<II", 0x184D2A50, 20) + bytes(20),
        lambda good: b"\x1e\xb5\x2f\xfd" + zstd(good)[4:],  # a magic of zstd before 1.0
        lambda good: zstd(good)[:4] + bytes([zstd(good)[4] | 8]) + zstd(good)[5:],
        lambda good: zstd(good)[:4] + bytes([zstd(good)[4] | 16]) + zstd(good)[5:],
        lambda good: zstd(good)[:4] + bytes([zstd(good)[4] | 1, 7]) + zstd(good)[5:],
        lambda good: zstd(good)[:-4] + b"\0\0\0\0",
        lambda good: crafted(2**32 - 1, RLE * 4 + block(1, 5, b"D")),
        lambda good: crafted(2**28, RLE * 2047 + block(1, 1 << 17, b"D")),
        lambda good: crafted(2**20, RLE * 4 + block(1, 5, b"D")),  # more than the blocks hold
        lambda good: crafted(2**20, RLE * 16 + block(1, 5, b"D")),  # less than the blocks hold
        lambda good: crafted(2**20, RLE * 7 + block(1, 1 << 17, b"D")),
        lambda good: crafted(100, block(0, 0, last=False) * 1000 + block(0, 100, bytes(100))),
        lambda good: crafted(len(good), block(3, len(good), good)),
        lambda good: crafted(len(good), block(0, 1 << 18, bytes(1 << 18))),
        lambda good: crafted(len(good), block(2, len(good), good)),
        lambda good: crafted(len(good), block(0, len(good), good), 0x84, b"\xf8"),  # a window of 2**41 bytes
        lambda good: crafted(len(good), block(0, len(good), good), 0x84, b"\x69"),  # just above 8 MiB
        lambda good: crafted(len(good), block(0, len(good), good, last=False)),
    ],
)
def test_hostile_zstd_frames(make: Callable[[bytes], bytes]) -> None:
    with memory_below(8 << 20):
        refuse(forge(data_frame=lambda ordinal, good: make(good) if ordinal == 2 else zstd(good)))
        refuse(forge(meta_frame=make(json.dumps(META).encode())))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good, frames: good[:3],
        lambda good, frames: b"D" + good[1:],
        lambda good, frames: good[:1] + bytes(4) + good[5:],
        lambda good, frames: good[:5] + b"\x05" + good[6:],
        lambda good, frames: good[:5] + b"\xff\xff\xff\xff\x7f" + good[6:],
        lambda good, frames: good[:6] + bytes([good[6] + 1]) + good[7:],
        lambda good, frames: good[:6] + bytes([good[6] + 1, good[7] - 1]) + good[8:],  # overlapping frames
        lambda good, frames: good[:6] + b"\x00" + good[7:],
        lambda good, frames: good[:6] + b"\xff\xff\xff\xff\x7f" + good[7:],
        lambda good, frames: good[:-1],
        lambda good, frames: good[:-4] + bytes(4),
        lambda good, frames: good + b"\0",
        lambda good, frames: good + b"[1]",
        lambda good, frames: good + b'{"a":1,"a":1}',
        lambda good, frames: good + b'{"a":NaN}',
        lambda good, frames: good + b'{"a":' + b"[" * 100_000,
        lambda good, frames: good + b'{"a":"' + b"x" * limits.MAX_SUMMARY + b'"}',
    ],
)
def test_hostile_index(spoil: Callable[[bytes, list[bytes]], bytes]) -> None:
    with memory_below(16 << 20):
        refuse(forge(index=spoil))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (crafted(2**20, RLE * 4 + block(1, 5, b"D")), "more than its blocks can hold"),
        (crafted(2**23 + 1, RLE * 64 + block(1, 5, b"D")), "window of 8388609 bytes"),
        (crafted(5, block(0, 5, b"abcde"), 0x84, b"\x69"), "window of 9437184 bytes"),
        (crafted(5, block(0, 0, last=False) * 64 + block(0, 5, b"abcde")), "bytes or blocks"),
        (crafted(5, block(0, 300, bytes(300))), "bytes or blocks"),
        (crafted(2**24 + 1, block(0, 5, b"abcde")), "limit is 16777216"),
    ],
)
def test_zstd_frames_are_judged_before_they_are_decoded(frame: bytes, message: str) -> None:
    with pytest.raises(CorruptError, match=message):
        scan_frame(frame, 2**24)


def test_largest_window_and_most_blocks() -> None:
    assert scan_frame(crafted(5, block(0, 5, b"abcde"), 0x84, b"\x68"), 5).content_size == 5
    assert scan_frame(crafted(5, block(0, 0, last=False) * 63 + block(0, 5, b"abcde")), 5).content_size == 5


@pytest.mark.parametrize("change", [-1, 1, 2**40])
def test_trailer_that_lies_about_the_size(change: int) -> None:
    good = forge()
    end = bytearray(good[-TRAILER_SIZE:-4])
    struct.pack_into("<Q", end, 8, len(good) + change)
    messages = refuse(good[:-TRAILER_SIZE] + bytes(end) + struct.pack("<I", crc32(end)))
    assert all("trailer says" in message for message in messages)


@pytest.mark.parametrize("size", [0, 7, 8, 15, 16, 45, 47, 2**31, 2**32 - 1])
def test_compact_trailer_that_lies_about_the_size(size: int) -> None:
    good = forge(compact=True)
    length = struct.unpack("<I", good[-8:-4])[0]
    assert length == 16 + 6 * 5
    opening = crc32(good[: HEAD_SIZE + struct.unpack_from("<I", good, 16)[0]])
    for fields in ((size, length), (length - 8, size), ((size - 8) % 2**32, size)):
        end = bytearray(good[-length:-4])
        end[4:8], end[-4:] = (struct.pack("<I", field) for field in fields)
        with memory_below(8 << 20):
            refuse(good[:-length] + end + struct.pack("<I", crc32(end, opening)))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good, frames: good[:3],
        lambda good, frames: b"",
        lambda good, frames: bytes([good[0] + 1]) + good[1:],
        lambda good, frames: bytes([good[0] + 1, good[1] - 1]) + good[2:],  # overlapping frames
        lambda good, frames: b"\x00" + good[1:],
        lambda good, frames: b"\xff\xff\xff\xff\x7f" + good[1:],
        lambda good, frames: good[:-1],
        lambda good, frames: good[:-4] + bytes(4),
        lambda good, frames: good + b"\0",
        lambda good, frames: good + b"[1]",
        lambda good, frames: good + b'{"a":1,"a":1}',
        lambda good, frames: good + b'{"a":' + b"[" * 100_000,
        lambda good, frames: good + b'{"a":"' + b"x" * limits.MAX_SUMMARY + b'"}',
    ],
)
def test_hostile_index_in_the_trailer(spoil: Callable[[bytes, list[bytes]], bytes]) -> None:
    with memory_below(16 << 20):
        refuse(forge(index=spoil, compact=True))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:3],
        lambda content: content[:4],
        lambda content: b"\0\0\0\0" + content[4:],
        lambda content: content[:4] + b"\x03" + content[5:],  # another ordinal
        lambda content: content[:5],
        lambda content: content[:5] + b"\x03" + content[6:],  # one stream more than there is
        lambda content: content[:5] + b"\xff\xff\xff\xff\x7f" + content[6:],
        lambda content: content[:6] + b"\x00" + content[7:],  # kind 0
        lambda content: content[:8] + b"\x01" + content[9:],  # the same kind twice
        lambda content: content[:7] + b"\x04" + content[8:],  # a length beyond the end
        lambda content: content[:7] + b"\xff\xff\xff\xff\x7f" + content[8:],
        lambda content: content[:5] + b"\x00" + content[6:],  # payloads without streams
        lambda content: content[:5] + b"\x41" + b"".join(bytes([kind, 0]) for kind in range(1, 66)),
    ],
)
def test_hostile_compact_data_content(spoil: Callable[[bytes], bytes]) -> None:
    refuse(forge(data=lambda ordinal, good: spoil(good) if ordinal == 4 else good, compact=True))


def test_head_that_announces_too_much() -> None:
    for size in (0, 13, 2**31, 2**32 - 1):
        with memory_below(1 << 20):
            refuse(forge(size=size))


def test_metadata_that_announces_many_frames() -> None:
    many = META | {"w": 2048 * 256, "h": 2047 * 256}
    with memory_below(2 << 20):
        messages = refuse(forge(many))
    assert "too short for the 4192256 data frames" in messages[0]


def test_metadata_bomb() -> None:
    spaces = json.dumps(META).encode() + b" " * (limits.MAX_METADATA - 200)
    bomb = forge(spaces)
    assert len(bomb) < 2000
    with memory_below(48 << 20):
        assert len(by_reader(bomb)) == 6  # allowed, and bounded
    bomb = forge(meta_frame=zstd(spaces + b" " * 200))
    with memory_below(2 << 20):
        refuse(bomb)


@pytest.mark.parametrize("text", [b"[],", b"0.5,", b'"ab",', b'{"a":0},'])
def test_metadata_with_as_many_values_as_allowed(text: bytes) -> None:
    count = min(limits.MAX_JSON_VALUES, limits.MAX_METADATA // len(text)) - 10
    if b"[" in text or b"{" in text:
        count = min(count, limits.MAX_JSON_CONTAINERS - 10)
    start = json.dumps(META)[:-1].encode() + b',"r":{"a":['
    data = forge(start + text * count + b"0]}}")
    with memory_below(128 << 20):
        assert len(by_reader(data)) == 6


def test_faults_of_the_source_and_sink_pass_through() -> None:
    class Failing(io.BytesIO):
        left = 100

        def read(self, size: int | None = -1) -> bytes:
            Failing.left -= 1
            if Failing.left < 0:
                raise OSError(errno.EIO, "input/output error")
            return super().read(size)

        def write(self, data: Any) -> int:
            raise OSError(errno.ENOSPC, "no space left on device")

    failed = 0
    for left in range(30):
        for read in (Reader, StreamReader):
            Failing.left = left
            try:
                assert [streams for _, streams in read(Failing(FILE))] == FRAMES
            except OSError as error:
                assert error.errno == errno.EIO
                failed += 1
    assert failed > 20
    with pytest.raises(OSError, match="no space left"):
        Writer(Failing(), HEADER)
