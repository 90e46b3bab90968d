"""Container: what is written is read back, by both readers, the mini reader and the stock zstd tool."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import shutil
import subprocess
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support import mini_reader
from support.containers import MODEL, noise, realistic, write

from sarzip.container import (
    BandHeader,
    Header,
    ModelRef,
    Reader,
    SetHeader,
    StreamKind,
    StreamReader,
    Writer,
    limits,
    require_known,
)
from sarzip.container.header import DTYPES, INTEGER_RANGES
from sarzip.container.layout import parse_varint, varint
from sarzip.container.metadata import encode_header, parse_header
from sarzip.errors import CorruptError, InputError


def finite() -> st.SearchStrategy[float]:
    return st.floats(allow_nan=False, allow_infinity=False)


def json_objects() -> st.SearchStrategy[dict[str, Any]]:
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    leaf = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | finite() | text
    tree = st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
    )
    # A key that begins with "!" must be understood, or the file is refused.
    return st.dictionaries(text.filter(lambda key: not key.startswith("!")), tree, max_size=4)


@st.composite
def bands(draw: st.DrawFn) -> BandHeader:
    dtype = draw(st.sampled_from(sorted(DTYPES)))
    if dtype in INTEGER_RANGES:
        special: st.SearchStrategy[int | float] = st.integers(*INTEGER_RANGES[dtype])
    elif dtype in ("complex_int16", "complex_int32"):
        special = st.integers(-(2**15), 2**15 - 1)
    else:
        special = st.floats(width={"float16": 16, "float64": 64, "complex128": 64}.get(dtype, 32))
    specials = tuple(draw(st.lists(special, max_size=5, unique_by=lambda v: repr(v).lower())))
    domain = draw(st.sampled_from(["amplitude", "power", "db", "complex"]))
    floor, centre = draw(st.floats(0, 1e150)), draw(st.floats(-3e3, 3e3))
    return BandHeader(dtype, domain, floor, centre, specials, draw(json_objects()))


@st.composite
def headers(draw: st.DrawFn) -> Header:
    all_bands = tuple(draw(st.lists(bands(), min_size=1, max_size=4)))
    names = draw(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,9}", fullmatch=True), max_size=3))
    models = tuple(ModelRef(name, draw(st.binary(min_size=32, max_size=32)).hex()) for name in names)
    order = draw(st.permutations(range(len(all_bands))))
    cut = draw(st.integers(1, len(order)))
    choice = st.none() | st.integers(0, len(models) - 1) if models else st.none()
    positive = st.floats(0, 1e4)
    sets = tuple(
        SetHeader(tuple(part), draw(choice), draw(positive), draw(json_objects()))
        for part in (order[:cut], order[cut:])
        if part
    )
    return Header(
        width=draw(st.integers(1, 1400)),
        height=draw(st.integers(1, 1400)),
        bands=all_bands,
        sets=sets,
        models=models,
        group=draw(st.sampled_from([256, 512, 1024])),
        parts=draw(st.integers(1, 3)),
        raster=draw(json_objects()),
        creator=draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=20)),
    )


def frame_streams() -> st.SearchStrategy[dict[int, bytes]]:
    payload = st.binary(max_size=300) | st.binary(min_size=1, max_size=1).map(lambda b: b * 5000)
    return st.dictionaries(st.integers(1, 255), payload, max_size=4)


@settings(max_examples=50, deadline=None)
@given(headers())
def test_header_survives_json(header: Header) -> None:
    data = encode_header(header)
    again = parse_header(data)
    assert again == header
    # -0.0 == 0.0 and 1 == 1.0 in Python: the exact values and types have to survive too.
    exact = [[(type(v), repr(v)) for v in band.specials] for band in header.bands]
    assert [[(type(v), repr(v)) for v in band.specials] for band in again.bands] == exact
    assert encode_header(again) == data


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_round_trip_in_all_readers(data: st.DataObject) -> None:
    header = data.draw(headers())
    pool = data.draw(st.lists(frame_streams(), min_size=1, max_size=4))
    frames = [pool[ordinal % len(pool)] for ordinal in range(header.frame_count)]
    summary = data.draw(st.none() | json_objects())
    file = write(header, frames, summary)

    reader = Reader(io.BytesIO(file))
    assert reader.header == header
    assert reader.summary == summary
    assert list(reader) == list(enumerate(frames))
    assert reader.overhead + sum(reader.frame_sizes) == len(file) == reader.file_size
    for ordinal in data.draw(st.permutations(range(min(4, header.frame_count)))):
        assert reader.read_frame(ordinal) == frames[ordinal]

    stream = StreamReader(io.BytesIO(file))
    assert stream.header == header
    assert list(stream) == list(enumerate(frames))
    assert stream.summary == summary
    assert stream.bytes_read == len(file)

    meta, mini_frames, mini_summary = mini_reader.read(file)
    assert (mini_frames, mini_summary) == (frames, summary)
    assert (meta["w"], meta["h"], meta["g"], meta["p"]) == (
        header.width,
        header.height,
        header.group,
        header.parts,
    )
    assert meta["r"] == header.raster
    assert [each["q"] for each in meta["s"]] == [each.step for each in header.sets]
    assert [band["t"] for band in meta["b"]] == [band.dtype for band in header.bands]


@given(st.integers(0, 2**35 - 1), st.binary(max_size=3))
def test_varint(value: int, tail: bytes) -> None:
    data = varint(value)
    assert parse_varint(data + tail, 0) == (value, len(data)) == mini_reader.varint(data + tail, 0)


def test_ordinals_and_windows() -> None:
    band = BandHeader("float32", "power", specials=(math.nan,))
    header = Header(
        2500, 1030, (band,) * 3, (SetHeader((0, 2), None), SetHeader((1,), None)), group=1024, parts=2
    )
    assert (header.grid.rows, header.grid.columns) == (2, 3)
    assert header.frame_count == 2 * 3 * 2 * 2
    expected = [
        (group, each, part) for group in range(6) for each in range(2) for part in range(2)
    ]  # for group: for set: for part
    assert [tuple(header.address(ordinal)) for ordinal in range(header.frame_count)] == expected
    assert [header.ordinal(*address) for address in expected] == list(range(header.frame_count))
    assert header.window(0) == (0, 0, 1024, 1024)
    assert header.window(5) == (1024, 2048, 6, 452)
    assert header.describe_frame(13) == "group 3 (rows 1024-1029, columns 0-1023), set 0, part 1"
    pixels = sum(window.rows * window.columns for window in map(header.window, range(6)))
    assert pixels == header.width * header.height
    with pytest.raises(IndexError):
        header.window(6)
    with pytest.raises(IndexError):
        header.address(header.frame_count)
    with pytest.raises(IndexError):
        header.ordinal(0, 2)


def test_overhead_of_a_small_scene() -> None:
    payloads = {1: b"\0", 2: noise(1, 9000), 3: noise(2, 300), 4: noise(3, 64)}
    summary = {"rmse_db": 1.2345678, "max_db": 9.8765432, "sets": [9365], "bias_db": [0.0123, 0.0456]}
    file = write(realistic(), [payloads], summary)
    assert len(file) - sum(map(len, payloads.values())) < 290
    assert len(write(realistic(), [payloads])) - sum(map(len, payloads.values())) < 205


def test_incompressible_payload_does_not_grow() -> None:
    header = dataclasses.replace(realistic(2048, 1024), group=1024)
    payload = noise(4, 2_000_000)
    file = write(header, [{2: payload}, {2: b""}])
    size = Reader(io.BytesIO(file)).frame_sizes[0]
    assert size - len(payload) < 100


def test_compressible_payload_shrinks() -> None:
    file = write(realistic(), [{2: bytes(100_000)}])
    assert len(file) < 500


def test_stock_zstd_accepts_the_file(tmp_path: Any) -> None:
    frames = [{1: bytes(40), 2: noise(ordinal, 3_000_000)} for ordinal in range(2)]
    header = dataclasses.replace(realistic(4096, 1500), group=2048)
    path = tmp_path / "scene.sarz"
    path.write_bytes(write(header, frames, {"rmse_db": 1.0}))
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as all_,
    ):
        content = all_.read()
    metadata = encode_header(header)
    assert content.startswith(metadata)
    tool = shutil.which("zstd")
    if tool is None:
        pytest.skip("the zstd tool is not installed")
    done = subprocess.run([tool, "-t", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tool, "-dc", str(path)], capture_output=True, check=True).stdout == content


def test_stream_is_read_once() -> None:
    stream = StreamReader(io.BytesIO(write(realistic(), [{}])))
    assert stream.summary is None
    list(stream)
    with pytest.raises(ValueError, match="once"):
        list(stream)


@pytest.mark.parametrize(
    "streams",
    [
        {0: b""},
        {256: b""},
        {-1: b""},
        dict.fromkeys(range(1, 66), b""),
        {2: bytes(limits.FRAME_SLACK + 5000)},
    ],
)
def test_writer_refuses_streams_beyond_the_limits(streams: dict[int, bytes]) -> None:
    header = dataclasses.replace(realistic(10, 10))
    sink = io.BytesIO()
    writer = Writer(sink, header)
    with pytest.raises(InputError):
        writer.write_frame(streams)
    writer.write_frame({2: b"x"})
    writer.finish()
    assert Reader(io.BytesIO(sink.getvalue())).read_frame(0) == {2: b"x"}


BAND = BandHeader("uint16", "amplitude")


@pytest.mark.parametrize(
    "make",
    [
        lambda: dataclasses.replace(realistic(), width=0),
        lambda: dataclasses.replace(realistic(), height=2**31),
        lambda: dataclasses.replace(realistic(), width=1.5),
        lambda: dataclasses.replace(realistic(), group=1000),
        lambda: dataclasses.replace(realistic(), group=16384),
        lambda: dataclasses.replace(realistic(), parts=0),
        lambda: dataclasses.replace(realistic(), parts=33),
        lambda: dataclasses.replace(realistic(), models=()),
        lambda: dataclasses.replace(realistic(), models=(MODEL,) * 65),
        lambda: dataclasses.replace(realistic(), bands=()),
        lambda: dataclasses.replace(realistic(), bands=(BAND, BAND)),
        lambda: dataclasses.replace(realistic(), sets=(SetHeader((0,)), SetHeader(()))),
        lambda: dataclasses.replace(realistic(), sets=(SetHeader((0,)), SetHeader((0,)))),
        lambda: dataclasses.replace(realistic(), sets=(SetHeader((0,), -1),)),
        lambda: dataclasses.replace(realistic(), creator="x" * 257),
        lambda: Header(2**31 - 1, 2**31 - 1, (BAND,), (SetHeader((0,), None),), group=256),
        lambda: Header(9, 9, (BAND,) * 4097, (SetHeader(tuple(range(4097)), None),)),
        lambda: ModelRef("../evil", MODEL.sha256),
        lambda: ModelRef("", MODEL.sha256),
        lambda: ModelRef("a", MODEL.sha256[:-1]),
        lambda: ModelRef("a", MODEL.sha256.upper()),
        lambda: BandHeader("object", "power"),
        lambda: BandHeader("uint8", "Power"),
        lambda: BandHeader("uint8", "power", floor=math.nan),
        lambda: BandHeader("uint8", "power", centre=math.inf),
        lambda: BandHeader("uint8", "power", specials=(256,)),
        lambda: BandHeader("uint8", "power", specials=(0.5,)),
        lambda: BandHeader("uint8", "power", specials=(True,)),
        lambda: BandHeader("uint16", "power", specials=tuple(range(256))),
        lambda: BandHeader("int8", "power", specials=(1, 1)),
        lambda: BandHeader("float32", "power", specials=(0.1,)),
        lambda: BandHeader("float32", "power", specials=(1e300,)),
        lambda: BandHeader("float64", "power", specials=(2**63 - 1,)),
        lambda: BandHeader("float64", "power", specials=("nan",)),
        lambda: BandHeader("float64", "power", specials=(math.nan, -math.nan)),
        lambda: SetHeader((0,), 0, -1.0),
        lambda: SetHeader((0,), 0, math.nan),
        lambda: SetHeader((0.5,), 0),  # type: ignore[arg-type]
    ],
)
def test_headers_that_the_format_cannot_hold(make: Any) -> None:
    with pytest.raises(InputError):
        make()


@pytest.mark.parametrize(
    "raster",
    [
        {"a": math.nan},
        {"a": math.inf},
        {"a": 2**64},
        {"a": -(2**63) - 1},
        {"a": b"bytes"},
        {"a": "\ud800"},
        {"\udfff": 1},
        {1: "one", "1": "two"},
        {"a": "x" * (limits.MAX_METADATA + 1)},
        {"a": [0] * limits.MAX_JSON_VALUES},
        {"a": [[]] * limits.MAX_JSON_CONTAINERS},
        json.loads('{"a":' + "[" * 31 + "]" * 31 + "}"),
    ],
)
def test_raster_json_that_cannot_be_stored(raster: dict[Any, Any]) -> None:
    with pytest.raises(InputError):
        Writer(io.BytesIO(), dataclasses.replace(realistic(), raster=raster))


def test_raster_json_just_within_the_limits() -> None:
    deep = json.loads('{"a":' + "[" * 30 + "]" * 30 + "}")
    raster = {
        "deep": deep["a"],
        "brackets": '[{,"\\' * 50,
        "least": -(2**63),
        "most": 2**64 - 1,
        "low": 5e-324,
    }
    with pytest.raises(InputError):  # one level is taken by the file's own object
        encode_header(dataclasses.replace(realistic(), raster={"r": deep}))
    header = dataclasses.replace(realistic(), raster=raster)
    assert parse_header(encode_header(header)) == header


def test_kinds_that_must_be_understood() -> None:
    known = [StreamKind.MASK, StreamKind.LATENTS]
    require_known({1: b"", 2: b"", 128: b"", 255: b""}, known)
    with pytest.raises(CorruptError, match="newer sarzip: stream of unknown kind 7"):
        require_known({1: b"", 7: b""}, known)
