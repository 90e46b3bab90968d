"""Container: every kind of damage is a CorruptError, soon and in little memory."""

from __future__ import annotations

import dataclasses
import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import mini_reader
from support.containers import parts_of, write
from support.forge import FILE, FRAMES, HEADER, by_reader, by_stream, forge, payloads, refuse

from sarzip.container import (
    Reader,
    StreamReader,
)
from sarzip.container.layout import HEAD_SIZE
from sarzip.container.salvage import SalvageReader
from sarzip.errors import CorruptError


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
        seen: list[dict[int, bytes]] = []
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
    with pytest.raises(CorruptError, match="group 4"):
        reader.read_frame(4)


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
