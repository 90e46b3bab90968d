"""Container: every kind of damage and every hostile file is a CorruptError, soon and in little memory."""

from __future__ import annotations

import dataclasses
import errno
import io
import itertools
import json
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support import mini_reader

from sarzip.container import (
    BandHeader,
    Header,
    ModelRef,
    Reader,
    SetHeader,
    StreamReader,
    Writer,
    limits,
    packing,
)
from sarzip.container.layout import HEAD_SIZE, TRAILER_SIZE, varint
from sarzip.container.packing import pack_metadata
from sarzip.container.salvage import SalvageReader
from sarzip.container.zframe import scan_frame
from sarzip.errors import CorruptError

Frames = list[dict[int, bytes]]

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


def write(header: Header, frames: Frames, summary: dict[str, Any] | None = None) -> bytes:
    sink = io.BytesIO()
    writer = Writer(sink, header)
    for streams in frames:
        writer.write_frame(streams)
    writer.finish(summary)
    return sink.getvalue()


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


def parts_of(data: bytes) -> list[bytes]:
    """Head, metadata, data frames and trailer of an intact compact file."""
    reader = Reader(io.BytesIO(data))
    begin = HEAD_SIZE + struct.unpack_from("<I", data, 16)[0]
    parts = [data[:HEAD_SIZE], data[HEAD_SIZE:begin]]
    for size in reader.frame_sizes:
        parts.append(data[begin : begin + size])
        begin += size
    return [*parts, data[begin:]]


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


def test_forge_makes_good_files() -> None:
    """What the hostile files below are made from is accepted."""
    expected = [{1: b"ab", 2: b"c"}] * 6
    for good in (forge(), forge(compact=True)):
        assert by_reader(good) == by_stream(good) == mini_reader.read(good)[1] == expected


def test_every_byte_is_covered() -> None:
    """Every bit of every byte flipped, all bits of a byte, and every byte zeroed."""
    values = [1 << bit for bit in range(8)] + [0xFF, None]
    for position, value in itertools.product(range(len(FILE)), values):
        damaged = bytearray(FILE)
        damaged[position] = 0 if value is None else damaged[position] ^ value
        if damaged == FILE:
            continue
        data = bytes(damaged)
        with pytest.raises(CorruptError):
            by_reader(data)
        seen: Frames = []
        with pytest.raises(CorruptError):
            seen.extend(streams for _, streams in StreamReader(io.BytesIO(data)))
        assert seen == FRAMES[: len(seen)]  # nothing wrong is yielded before the damage shows


def test_truncated_anywhere() -> None:
    for size in range(len(FILE)):
        refuse(FILE[:size])


def test_zero_filled_from_anywhere() -> None:
    for size in range(len(FILE) - 1):
        refuse(FILE[:size] + bytes(len(FILE) - size))


def test_bytes_inserted_or_deleted_anywhere() -> None:
    for position in range(len(FILE)):
        refuse(FILE[:position] + b"\0" + FILE[position:])
        refuse(FILE[:position] + FILE[position : position + 1] + FILE[position:])
        refuse(FILE[:position] + FILE[position + 1 :])
    refuse(FILE + b"\0")
    refuse(FILE + b"SARZ" * 100)


def test_frames_deleted_duplicated_swapped() -> None:
    parts = parts_of(FILE)
    for first in range(len(parts)):
        refuse(b"".join(parts[:first] + parts[first + 1 :]))
        refuse(b"".join(parts[: first + 1] + parts[first:]))
        for second in range(first):
            swapped = list(parts)
            swapped[first], swapped[second] = parts[second], parts[first]
            refuse(b"".join(swapped))


def test_salvage_finds_the_trailer_anywhere() -> None:
    """An index that lies elsewhere still says which of two frames is the right one."""
    head, meta, *frames, end = parts_of(FILE)
    other = parts_of(write(HEADER, payloads(HEADER, 5), {"rmse_db": 1.5}))
    for parts in ([end, *frames, *other[2:-1]], [*other[2:-1], b"junk", end, *frames]):
        reader = SalvageReader(io.BytesIO(b"".join([head, meta, *parts])))
        assert [reader.read_frame(ordinal) for ordinal in range(6)] == FRAMES
        assert reader.problems
    reader = SalvageReader(io.BytesIO(b"".join([head, meta, *frames, *other[2:-1]])))
    assert "two different" in (reader.why_lost(3) or "")
    assert not SalvageReader(io.BytesIO(FILE)).problems
    assert not SalvageReader(io.BytesIO(forge())).problems


def test_files_concatenated_and_mixed() -> None:
    refuse(FILE + FILE)
    other_header = dataclasses.replace(HEADER, raster={"crs": "EPSG:32633"})
    other = parts_of(write(other_header, payloads(other_header, 1), {"rmse_db": 1.5}))
    same_metadata = parts_of(write(HEADER, payloads(HEADER, 2), {"rmse_db": 1.5}))
    for foreign in (other, same_metadata):
        refuse(FILE + b"".join(foreign))
        for position, (mine, theirs) in enumerate(zip(parts_of(FILE), foreign, strict=True)):
            if mine != theirs:
                mixed = parts_of(FILE)
                mixed[position] = theirs
                refuse(b"".join(mixed))
    foreign_frame = parts_of(FILE)
    foreign_frame[3] = other[3]
    messages = refuse(b"".join(foreign_frame))
    assert "another file" in messages[1]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(FILE)), st.integers(0, 40), st.binary(max_size=40)),
        min_size=1,
        max_size=4,
    )
)
def test_random_edits(edits: list[tuple[int, int, bytes]]) -> None:
    data = FILE
    for position, cut, new in edits:
        data = data[:position] + new + data[position + cut :]
    if data == FILE:
        assert by_reader(data) == by_stream(data) == FRAMES
    else:
        refuse(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes(noise: bytes, signed: bool) -> None:
    refuse(FILE[:HEAD_SIZE] + noise if signed else noise)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60))
def test_random_content_with_right_checksums(noise: bytes) -> None:
    for compact in (False, True):
        refuse(forge(data=lambda ordinal, good: noise if ordinal == 2 else good, compact=compact))
        refuse(forge(index=lambda good, frames: noise, compact=compact))
        refuse(forge(meta=noise, compact=compact))


def test_damage_is_named() -> None:
    header = dataclasses.replace(HEADER, width=3000, height=1500, group=1024)
    parts = parts_of(write(header, payloads(header)))
    parts[2 + 4] = parts[6][:-9] + bytes([parts[6][-9] ^ 4]) + parts[6][-8:]
    data = b"".join(parts)
    place = "group 4 (rows 1024-1499, columns 1024-2047), set 0: "
    assert refuse(data) == (
        place + "checksum mismatch",
        place + "checksum mismatch or undecodable zstd data",
    )
    reader = Reader(io.BytesIO(data))
    for ordinal in (0, 1, 2, 3, 5):
        assert reader.read_frame(ordinal) == payloads(header)[ordinal]
        reader.verify_frame(ordinal)
    with pytest.raises(CorruptError, match="group 4"):
        reader.verify_frame(4)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"II*\0" + bytes(200), "not a .sarz file"),
        (b"hello", "not a .sarz file"),
        (FILE[:20], "truncated within the head"),
        (FILE[:60], "metadata: the file is truncated here"),
    ],
)
def test_messages_of_both_readers(data: bytes, message: str) -> None:
    assert refuse(data) == (message, message)


def test_truncation_and_growth_are_told_apart() -> None:
    assert "truncated" in refuse(FILE[:-40])[0]
    assert refuse(FILE[:-40])[1].endswith("the file is truncated here")
    assert "bytes follow the end" in refuse(FILE + b"\0")[1]
    assert "its trailer says" in refuse(FILE + FILE)[0]


# Hostile files: all checksums are right, the content is not.


def test_newer_versions() -> None:
    assert "newer sarzip (format 2.0" in refuse(forge(major=2))[0]
    assert "unreleased sarzip" in refuse(forge(major=0))[0]
    refuse(forge(flags=1))
    refuse(forge(flags=1, minor=0, compact=True))
    for flags in (0x100, 0x101, 2, 3):
        assert "newer sarzip (format flags" in refuse(forge(flags=flags, compact=True))[0]
    assert "newer sarzip (format flags" in refuse(forge(flags=2, minor=9))[0]
    extended = META | {"new": [1], "b": [{"t": "uint16", "y": 1}], "s": [{"m": None, "z": {}}]}
    newer = [{"minor": 9}, {"minor": 9, "compact": True}, {"minor": 9, "flags": 0x100}]
    newer += [{"minor": 9, "flags": 0x101, "compact": True}, {"meta": extended, "minor": 2}]
    newer += [{"meta": extended, "minor": 2, "compact": True}]
    for options in newer:
        good = forge(**options)
        assert by_reader(good) == by_stream(good) == mini_reader.read(good)[1]
    assert Reader(io.BytesIO(forge(minor=9))).version == (1, 9)
    assert "newer sarzip" in refuse(forge(META | {"!new": 1}, minor=2))[0]
    refuse(forge(META | {"new": 1}))
    refuse(forge(META | {"new": 1}, compact=True))


BAND = {"t": "uint16"}
BAD_METADATA: list[dict[str, Any] | bytes] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"w"',
    b"\xff{}",
    b"\xef\xbb\xbf" + json.dumps(META).encode(),
    json.dumps(META).encode("utf-16"),
    json.dumps(META).encode() + b"{}",
    json.dumps(META).encode() + b"\0",
    json.dumps(META).replace('"w": 600', '"w": 600, "w": 600').encode(),
    json.dumps(META).replace('"uint16"', '"uint16", "x": {"a": 1, "a": 1}').encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "NaN}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "-Infinity}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "1e999}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "9" * 5000 + "}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", '"\\ud800"}').encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", '"\n"}').encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "[" * 31 + "]" * 31 + "}").encode(),
    b'{"r":' + b"[" * 200_000,
    b'{"r":' + b'{"a":' * 200_000,
    b'{"r":[' + b"[]," * 140_000 + b"0]}",
    b'{"r":[' + b"0," * 550_000 + b"0]}",
    b'{"r":"' + b"\\" * 1_000_001,
    {},
    *({key: value for key, value in META.items() if key != gone} for gone in "whbs"),
    META | {"w": 0},
    META | {"w": -600},
    META | {"w": 600.0},
    META | {"w": True},
    META | {"w": "600"},
    META | {"w": None},
    META | {"w": 2**31},
    META | {"w": 2**63},
    META | {"h": 2**64},
    META | {"w": 2**31 - 1, "h": 2**31 - 1, "g": 256},
    META | {"g": 0},
    META | {"g": -256},
    META | {"g": 300},
    META | {"g": 2**40},
    META | {"p": 0},
    META | {"p": 33},
    META | {"p": 2},
    META | {"b": []},
    META | {"b": {}},
    META | {"b": [1]},
    META | {"b": [BAND] * 5000},
    META | {"b": [BAND | {"f": "1"}]},
    META | {"b": [BAND | {"f": -0.1}]},
    META | {"b": [BAND | {"f": 1.1e150}]},
    META | {"b": [BAND | {"c": -3000.5}]},
    META | {"b": [BAND | {"c": 1e308}]},
    META | {"s": [{"m": None, "q": 10001}]},
    META | {"b": [BAND | {"v": [0] * 256}]},
    META | {"b": [BAND | {"y": 1}]},
    META | {"b": [BAND | {"x": []}]},
    META | {"s": []},
    META | {"s": [{"b": [0], "m": None}] * 2},
    META | {"s": [{"b": [0, 0], "m": None}]},
    META | {"s": [{"b": [1], "m": None}]},
    META | {"s": [{"b": [-1], "m": None}]},
    META | {"s": [{"b": [], "m": None}]},
    META | {"s": [{"b": [False], "m": None}]},
    META | {"s": [{"b": [0]}]},
    META | {"s": [{"m": 0}]},
    META | {"s": [{"m": -1}], "m": [["a", "A" * 43]]},
    META | {"s": [{"m": None, "q": -2.0}]},
    META | {"m": [["a"]]},
    META | {"m": [["a", "A" * 42]]},
    META | {"m": [["a", "A" * 42 + "B"]]},
    META | {"m": [["", "A" * 43]]},
    META | {"m": [["a", "A" * 43]] * 65},
    META | {"r": []},
    META | {"c": 1},
]
BAD_VALUES: list[dict[str, Any]] = [
    META | {"b": [BAND | {"t": "object"}]},
    META | {"b": [BAND | {"t": "x" * 100_000}]},
    META | {"b": [BAND | {"d": "../up"}]},
    META | {"b": [BAND | {"v": [65536]}]},
    META | {"b": [BAND | {"v": ["nan"]}]},
    META | {"b": [BAND | {"v": ["NaN"], "t": "float32"}]},
    META | {"b": [BAND | {"v": [True]}]},
    META | {"b": [BAND | {"v": [1, 1]}]},
    META | {"b": [BAND | {"v": [0.1], "t": "float32"}]},
    META | {"m": [["../up", "A" * 43]]},
    META | {"m": [["a\n", "A" * 43]]},
    META | {"c": "x" * 257},
]


@pytest.mark.parametrize("case", range(len(BAD_METADATA)))
def test_hostile_metadata(case: int) -> None:
    meta = BAD_METADATA[case]
    refuse(forge(meta))
    refuse(forge(deflated(meta if isinstance(meta, bytes) else json.dumps(meta).encode()), compact=True))


def deflated(text: bytes, binary: bytes = b"") -> bytes:
    """Packed metadata with any text, and any bytes where binary values lie."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=packing.DICTIONARY)
    return deflate.compress(text) + deflate.flush() + binary


def with_raster(raster: str) -> bytes:
    return json.dumps(META | {"r": 0}).replace('"r": 0', f'"r": {raster}').encode()


def test_packed_metadata() -> None:
    """Binary values, escaped keys, and what is refused."""
    good = deflated(with_raster('{"a": {"$": 3}, "$$": [{"$": 0}, {"$$$": 5}], "$$x": {"$": 1}}'), b"abcd")
    data = forge(good, compact=True)
    wanted = {"a": "YWJj", "$": ["", {"$$": 5}], "$x": "ZA"}
    assert Reader(io.BytesIO(data)).header.raster == wanted == mini_reader.read(data)[0]["r"]
    for raster, binary in (
        ('{"a": {"$": 3}}', b"ab"),
        ('{"a": {"$": 3}}', b"abcd"),
        ('{"a": {"$": -1}}', b""),
        ('{"a": {"$": true}}', b"a"),
        ('{"a": {"$": 1.0}}', b"a"),
        ('{"a": {"$": "1"}}', b"a"),
        ('{"a": {"$": 18446744073709551615}}', b"a"),
        ('{"a": {"$": 1, "b": 1}}', b"a"),
        ('{"a": {"$b": 1}}', b""),
        ('{"$": 1}', b"a"),
        ("{}", b"a"),
    ):
        refuse(forge(deflated(with_raster(raster), binary), compact=True))
    refuse(forge(deflated(b'{"$":1}', b"a"), compact=True))
    refuse(forge(json.dumps(META).encode(), compact=True))
    refuse(forge(pack_metadata(META)))
    for cut in range(len(deflated(json.dumps(META).encode()))):
        refuse(forge(deflated(json.dumps(META).encode())[:cut], compact=True))


def test_deflate_bomb() -> None:
    spaces = json.dumps(META).encode() + b" " * (limits.MAX_METADATA - 200)
    bomb = forge(deflated(spaces), compact=True)
    assert len(bomb) < 9000
    with memory_below(48 << 20):
        assert len(by_reader(bomb)) == 6  # allowed, and bounded
    bomb = forge(deflated(spaces * 20), compact=True)
    with memory_below(48 << 20):
        refuse(bomb)


@pytest.mark.parametrize("case", range(len(BAD_VALUES)))
def test_values_the_mini_reader_does_not_judge(case: int) -> None:
    refuse(forge(BAD_VALUES[case]), mini=False)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:4],
        lambda content: content[:5],
        lambda content: b"I" + content[1:],
        lambda content: content[:1] + b"\0\0\0\0" + content[5:],
        lambda content: content[:5] + b"\x03" + content[6:],  # another ordinal
        lambda content: content[:5] + b"\x80" * 9 + content[6:],  # endless varint
        lambda content: content[:5] + bytes([content[5] | 128, 0]) + content[6:],  # not the shortest form
        lambda content: content[:6] + b"\x03" + content[7:],  # one stream more than there is
        lambda content: content[:6] + b"\x01" + content[7:],
        lambda content: content[:6] + b"\xff\xff\xff\xff\x7f" + content[7:],  # 2**35 - 1 streams
        lambda content: content[:7] + b"\x00" + content[8:],  # kind 0
        lambda content: content[:9] + b"\x01" + content[10:],  # the same kind twice
        lambda content: content[:7] + b"\x03" + content[8:],  # descending
        lambda content: content[:10] + b"\x02" + content[11:],  # a length beyond the end
        lambda content: content[:8] + b"\xff\xff\xff\xff\x7f" + content[9:],
        lambda content: content + b"x",
        lambda content: content[:6] + b"\x41" + b"".join(bytes([kind, 0]) for kind in range(1, 66)),
    ],
)
def test_hostile_data_content(spoil: Callable[[bytes], bytes]) -> None:
    messages = refuse(forge(data=lambda ordinal, good: spoil(good) if ordinal == 4 else good))
    assert all(message.startswith("group 4 (rows 256-299, columns 256-511), set 0: ") for message in messages)


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
