"""A file whose head or metadata are lost: found again from the copy at its end, and by its data frames."""

from __future__ import annotations

import base64
import dataclasses
import io
import random
import struct
from pathlib import Path

import pytest
from support import mini_reader
from support.damage import parts_of

from sarzip.container import BandHeader, Header, Reader, SetHeader, StreamReader, Writer
from sarzip.container.layout import HEAD_SIZE
from sarzip.container.salvage import SalvageReader
from sarzip.errors import CorruptError

GOLDEN = Path(__file__).parent / "golden"
HEADER = Header(
    600, 500, (BandHeader("uint8", "exact"),), (SetHeader((0,), None),), group=256, raster={"e": 32633}
)


def file_of(size: int, summary: dict | None = None, header: Header = HEADER) -> tuple[bytes, list[bytes]]:
    """A file with so many bytes in each of its data frames, and their payloads."""
    source = random.Random(size)
    payloads = [source.randbytes(size) for _ in range(header.frame_count)]
    sink = io.BytesIO()
    writer = Writer(sink, header)
    for payload in payloads:
        writer.write_frame({2: payload})
    assert writer.finish(summary) == len(sink.getvalue())
    return sink.getvalue(), payloads


def salvaged(data: bytes) -> tuple[SalvageReader, list[bytes]]:
    reader = SalvageReader(io.BytesIO(data))
    return reader, [reader.read_frame(ordinal)[2] for ordinal in range(reader.header.frame_count)]


def test_the_copy_costs_less_than_a_two_thousandth() -> None:
    """Large files have it, small ones do not, and no reader shows it as part of the summary."""
    for size, copied in ((100, False), (1000, False), (200_000, True)):
        for summary in (None, {"asked": "bpp 1"}):
            data, payloads = file_of(size, summary)
            metadata = base64.b64encode(parts_of(data)[1]).rstrip(b"=")
            assert (metadata in data) == copied
            assert data.count(b'"metadata"') == copied
            assert not copied or len(metadata) < len(data) / 2000
            assert Reader(io.BytesIO(data)).summary == summary
            stream = StreamReader(io.BytesIO(data))
            assert [streams[2] for _, streams in stream] == payloads and stream.summary == summary
            _, frames, found = mini_reader.read(data)
            assert [streams[2] for streams in frames] == payloads
            assert {**(found or {})} == {
                **(summary or {}),
                **({"metadata": metadata.decode()} if copied else {}),
            }


@pytest.mark.parametrize("summary", [None, {"asked": "bpp 1", "note": '"metadata":"AAAA"}'}])
@pytest.mark.parametrize("first", [0, 30])
def test_lost_metadata_come_back(first: int, summary: dict | None) -> None:
    data, payloads = file_of(200_000, summary)
    end = HEAD_SIZE + len(parts_of(data)[1])
    for spoiled in (bytes(end - first), b"\xff" * (end - first), random.Random(1).randbytes(end - first)):
        reader, found = salvaged(data[:first] + spoiled + data[end:])
        assert found == payloads and reader.header == HEADER and reader.problems


def test_the_beginning_is_cut_off() -> None:
    """What is left is found wherever it lies; what is gone is lost."""
    data, payloads = file_of(200_000)
    reader = SalvageReader(io.BytesIO(data[100_000:]))
    assert [reader.why_lost(ordinal) is None for ordinal in range(6)] == [False] + [True] * 5
    assert reader.read_frame(5) == {2: payloads[5]}
    assert "belong to no intact frame" in "".join(reader.problems)


def test_without_a_copy_lost_metadata_are_lost() -> None:
    small, _ = file_of(100)
    large, _ = file_of(200_000)
    for data in (small, large[:-1], large[:-1] + b"\0"):
        for first in (0, 40):
            with pytest.raises(CorruptError, match="nothing can be salvaged"):
                salvaged(bytes(first) + data[:0] + bytes(60 - first) + data[60:])


def test_a_copy_of_another_file_is_not_believed() -> None:
    """The trailer's checksum tells: the copy must be of the metadata that the file began with."""
    data, _ = file_of(200_000)
    other, _ = file_of(200_000, header=dataclasses.replace(HEADER, creator="another"))
    mine, theirs = (base64.b64encode(parts_of(each)[1]).rstrip(b"=") for each in (data, other))
    assert mine != theirs
    forged = bytes(60) + data[60:].replace(mine, theirs)
    with pytest.raises(CorruptError, match="nothing can be salvaged"):
        salvaged(forged)


def test_hostile_ends() -> None:
    """Whatever lies where a trailer would be: an error, soon."""
    source = random.Random(3)
    data, _ = file_of(200_000)
    for _ in range(200):
        end = bytearray(data[-600:])
        for _ in range(source.randint(1, 3)):
            end[source.randrange(len(end))] = source.randrange(256)
        at = source.randrange(400)
        with pytest.raises(CorruptError):
            salvaged(
                bytes(64) + bytes(end[:at]) + struct.pack("<I", source.randrange(700)) + bytes(end[at:-4])
            )


@pytest.mark.parametrize(
    "path", sorted(GOLDEN.glob("*/container.sarz")), ids=lambda path: str(path.parent.name)
)
@pytest.mark.parametrize("end", [0, 40])
def test_a_lost_head_is_that_of_its_version(path: Path, end: int) -> None:
    """Of files of every version, with and without trailer: the tag of the data frames decides."""
    data = path.read_bytes()
    good = [streams for _, streams in Reader(io.BytesIO(data))]
    damaged = bytes(HEAD_SIZE) + (data[HEAD_SIZE:-end] if end else data[HEAD_SIZE:])
    reader = SalvageReader(io.BytesIO(damaged))
    assert [reader.read_frame(ordinal) for ordinal in range(len(good))] == good
    assert reader.problems
