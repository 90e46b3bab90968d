"""Files made to do harm: all checksums are right, and yet they cost neither memory nor time."""

from __future__ import annotations

import base64
import dataclasses
import io
import struct
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import zstandard
from support.damage import parts_of, read_raster
from support.scenes import speckled

import sarzip
import sarzip.usecases.salvage
from sarzip.cli import run
from sarzip.container import BandHeader, Header, Reader, SetHeader, Writer
from sarzip.container.metadata import encode_header
from sarzip.container.zframe import compress_frame
from sarzip.errors import CorruptError
from sarzip.pipeline.coders import load_coders

Frames = list[dict[int, bytes]]
BOMB = zstandard.ZstdCompressor(level=19).compress(bytes(1 << 28))


@pytest.fixture(scope="module")
def good(tiny_model, tmp_path_factory):
    """Header and streams of a file with nodata and radiometric corrections, of one group."""
    import rasterio

    folder = tmp_path_factory.mktemp("good")
    values = speckled(80, 90)
    values[:30, :33] = 0
    profile = {"width": 90, "height": 80, "count": 1, "dtype": "uint16", "nodata": 0}
    with rasterio.open(folder / "a.tif", "w", driver="GTiff", **profile) as dataset:
        dataset.write(values[None])
    options = sarzip.CompressOptions(
        sarzip.usecases.compress.Fidelity("quality", 20.0), model=str(tiny_model), device="cpu"
    )
    sarzip.compress(folder / "a.tif", folder / "a.sarz", options)
    reader = Reader(io.BytesIO((folder / "a.sarz").read_bytes()))
    return reader.header, [streams for _, streams in reader]


def packed(header: Header, frames: Frames) -> bytes:
    sink = io.BytesIO()
    writer = Writer(sink, header)
    for streams in frames:
        writer.write_frame(streams)
    writer.finish()
    return sink.getvalue()


def outcome(data: bytes, model: Path, folder: Path, capfd, limit: int = 0) -> tuple[int, str]:
    """Exit code and message of decompressing and verifying; checks time, memory (where a
    limit is given), and that nothing is left."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)
    path = folder / "in" / "a.sarz"
    path.write_bytes(data)
    options = ["--model", str(model), "--device", "cpu"]
    codes, messages = [], []
    if limit:
        tracemalloc.start()
    started = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            for command in (
                ["decompress", str(path), "-o", str(folder / "out" / "a.tif"), *options, "--quiet"],
                ["verify", str(path), "--deep", *options, "--quiet"],
            ):
                codes.append(run(command))
                messages.append(capfd.readouterr().err)
        assert not limit or tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 30
    assert codes[0] == codes[1], messages
    assert all(message.count("\n") == (1 if codes[0] else 0) for message in messages), messages
    left = [entry.name for entry in folder.rglob("*") if entry.is_file() and entry != path]
    assert left == ([] if codes[0] else ["a.tif"])
    return codes[0], messages[0]


def joined(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload)) + payload


def without(streams: dict[int, bytes], kind: int) -> dict[int, bytes]:
    return {key: payload for key, payload in streams.items() if key != kind}


BAD_STREAMS: dict[str, Callable[[dict[int, bytes]], dict[int, bytes]]] = {
    "no latents": lambda streams: {k: v for k, v in streams.items() if k != 2},
    "empty latents": lambda streams: streams | {2: b""},
    "noise for latents": lambda streams: streams | {2: b"\x28\xb5\x2f\xfd" + bytes(range(60))},
    "latents cut": lambda streams: streams | {2: streams[2][:-1]},
    "latents continued": lambda streams: streams | {2: streams[2] + b"x"},
    "bomb for latents": lambda streams: streams | {2: BOMB},
    "bomb for a mask": lambda streams: streams | {7: b"\xff" * 60_000},
    "bomb for a mask of 1.0": lambda streams: without(streams, 7) | {1: joined(b"\x01\x01" + BOMB)},
    "bomb for corrections": lambda streams: streams | {8: b"\xff" * 60_000},
    "bomb for corrections of 1.0": lambda streams: (
        without(streams, 8) | {4: joined(b"\0\0\x0b" + b"\xff" * 60_000)}
    ),
    "mask of a class that is not there": lambda streams: (
        without(streams, 7) | {1: joined(b"\x01\x09" + BOMB)}
    ),
    "mask of class 0": lambda streams: without(streams, 7) | {1: joined(b"\x01\x00" + BOMB)},
    "mask of 200 classes": lambda streams: without(streams, 7) | {1: joined(bytes([200, *range(1, 201)]))},
    "mask continued by zeros": lambda streams: streams | {7: streams[7] + b"\0"},
    "two masks": lambda streams: streams | {1: b""},
    "two corrections": lambda streams: streams | {4: b""},
    "length of 4 GiB": lambda streams: without(streams, 7) | {1: b"\xff\xff\xff\xff" + streams[7]},
    "stream of a later version": lambda streams: streams | {77: b"x"},
    "mask of a dataset without one": lambda streams: streams | {9: b""},
    "endless Rice code": lambda streams: without(streams, 8) | {4: joined(b"\0\0\0" + b"\xff" * 2000)},
}


@pytest.mark.parametrize("name", BAD_STREAMS)
def test_streams(name, good, tiny_model, tmp_path, capfd):
    header, frames = good
    bad = [BAD_STREAMS[name](streams) for streams in frames]
    limit = 96 << 20 if "bomb" in name else 0
    code, message = outcome(packed(header, bad), tiny_model, tmp_path, capfd, limit)
    assert code == 4 and "a.sarz" in message


def test_streams_that_may_be_skipped(good, tiny_model, tmp_path, capfd):
    header, frames = good
    assert (
        outcome(packed(header, [f | {200: b"x" * 999} for f in frames]), tiny_model, tmp_path, capfd)[0] == 0
    )


def exact_file(payload: bytes, **more: object) -> bytes:
    header = Header(512, 512, (BandHeader("uint16", "exact"),), (SetHeader((0,), None),), **more)
    return packed(header, [{2: joined(payload)}])


def test_bombs_for_exact_planes_and_the_dataset_mask(tiny_model, tmp_path, capfd):
    plane = zstandard.ZstdCompressor().compress(bytes(512 * 512 * 2))
    assert outcome(exact_file(BOMB), tiny_model, tmp_path, capfd, 96 << 20)[0] == 4
    header = Header(512, 512, (BandHeader("uint16", "exact"),), (SetHeader((0,), None),), raster={"k": 1})
    data = packed(header, [{2: joined(plane), 6: BOMB}])
    assert outcome(data, tiny_model, tmp_path, capfd, 96 << 20)[0] == 4


@pytest.mark.parametrize("masks", [({}, {}), ({9: b""}, {9: b""})], ids=["nowhere", "twice"])
def test_a_mask_is_where_the_metadata_tells_of_one(masks, tiny_model, tmp_path, capfd):
    """Behind the door of datasets, too, where memory would show that nobody filled."""
    bands, sets = (BandHeader("uint16", "exact"),) * 2, (SetHeader((0,), None), SetHeader((1,), None))
    plane = joined(zstandard.ZstdCompressor().compress(bytes(512 * 512 * 2)))
    header = Header(512, 512, bands, sets, raster={"k": 1})
    data = packed(header, [{2: plane} | mask for mask in masks])
    assert outcome(data, tiny_model, tmp_path, capfd)[0] == 4
    with pytest.raises(CorruptError, match="mask of the dataset"):
        sarzip.decode(data)


@pytest.mark.parametrize(
    ("domain", "dtype", "floor", "centre"),
    [
        ("amplitude", "uint16", 1e150, -3e3),
        ("amplitude", "float32", 1e150, 3e3),
        ("amplitude", "float64", 1e-300, 3e3),
        ("power", "uint16", 0.0, 3e3),
        ("power", "float32", 1e150, -3e3),
        ("db", "float32", 0.0, 3e3),
        ("db", "uint16", 0.0, -3e3),
    ],
)
def test_absurd_parameters_of_the_transform(domain, dtype, floor, centre, good, tiny_model, tmp_path, capfd):
    """Just within the limits of the format: a raster of clipped values, without a warning."""
    header, frames = good
    band = BandHeader(dtype, domain, floor, centre, (0,))
    bad = dataclasses.replace(header, bands=(band,), raster={})
    assert outcome(packed(bad, frames), tiny_model, tmp_path, capfd)[0] == 0
    assert np.isfinite(read_raster(tmp_path / "out" / "a.tif")).all()


@pytest.mark.parametrize("step", [0.0, 5e-324, 1e-30, 1e4])
def test_absurd_steps(step, good, tiny_model, tmp_path, capfd):
    header, frames = good
    bad = dataclasses.replace(header, sets=(SetHeader((0,), 0, step),))
    assert outcome(packed(bad, frames), tiny_model, tmp_path, capfd)[0] in (0, 4)


@pytest.mark.parametrize("dtype", ["complex_int16", "complex64", "int64", "float16"])
def test_sample_types_that_are_not_decoded(dtype, good, tiny_model, tmp_path, capfd):
    """The format knows them, this version may not."""
    header, frames = good
    bad = dataclasses.replace(header, bands=(BandHeader(dtype, "amplitude"),), raster={})
    assert outcome(packed(bad, frames), tiny_model, tmp_path, capfd)[0] in (0, 3, 4)


@pytest.mark.parametrize("extra", [{"unit": "1"}, {"unit": 0}, {"unit": 1e30}, {"unit": [1]}, {"unit": None}])
def test_absurd_units(extra, good, tiny_model, tmp_path, capfd):
    header, frames = good
    bad = dataclasses.replace(header, bands=(BandHeader("float32", "db", 0.0, 0.0, (), extra),))
    assert outcome(packed(bad, frames), tiny_model, tmp_path, capfd)[0] == 4


def text(size: int) -> str:
    return base64.b64encode(zlib.compress(bytes(size), 9)).decode()


@pytest.mark.parametrize(
    "raster",
    [
        {"p": {"0": text(1 << 28)}},
        {"g": {"n": 1 << 40, "w": 1, "p": text(1000)}},
        {"g": {"n": 4, "w": 2, "p": text(1 << 28)}},
        {"t": [1, 2]},
        {"t": ["nan"] * 6},
        {"n": [0, 0, 0]},
        {"m": 3},
        {"e": "PROJCS[" * 5000},
        {"d": ["x"] * 99},
    ],
)
def test_absurd_raster_tags(raster, good, tiny_model, tmp_path, capfd):
    header, frames = good
    bad = dataclasses.replace(header, raster=raster)
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "a.sarz"
    path.write_bytes(packed(bad, frames))
    tracemalloc.start()
    code = run(["decompress", str(path), "-o", str(tmp_path / "a.tif"), "--model", str(tiny_model), "-q"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code in (1, 4) or (code == 0 and raster.keys() & {"e", "t", "n"})
    assert capfd.readouterr().err.count("\n") == (1 if code else 0)
    assert peak < 96 << 20 and (code == 0 or list(tmp_path.iterdir()) == [tmp_path / "in"])


def test_paths_in_tags_stay_text(good, tiny_model, tmp_path, capfd):
    """Names, paths and URLs in tags are written into the raster and nowhere else."""
    header, frames = good
    names = ["../../escaped", str(tmp_path / "absolute"), "/vsicurl/http://localhost/x", "$(touch x)"]
    tags = {name: name for name in names}
    bad = dataclasses.replace(header, raster={"n": 0, "m": {"": tags, "../IMD": tags}, "d": ["../../band"]})
    assert outcome(packed(bad, frames), tiny_model, tmp_path, capfd)[0] in (0, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_scenes_far_larger_than_the_file(tiny_model, tmp_path, capfd):
    """What the header announces is believed only as far as the file has frames for it."""
    band, sets = (BandHeader("uint16", "amplitude"),), (SetHeader((0,), None),)
    for side, group in ((2**31 - 1, 8192), (2**20, 512), (400_000, 256)):
        try:
            header = Header(side, side, band, sets, (), group)
        except sarzip.SarzipError:
            continue  # more frames than the format allows
        frame = compress_frame(encode_header(header), 3)
        start = struct.pack("<II4sBBHII", 0x184D2A53, 20, b"SARZ", 1, 1, 1, len(frame), crc32(frame))
        data = start + struct.pack("<I", crc32(start)) + frame
        tail = b"".join(parts_of(exact_file(b""))[2:])
        for more in (b"", tail):
            code, _ = outcome(data + more, tiny_model, tmp_path, capfd, 16 << 20)
            assert code == 4


def test_rows_of_groups_that_do_not_fit_into_memory(good, tiny_model, tmp_path, monkeypatch):
    """Groups of zeros take next to nothing in the file; what they unfold to is known beforehand."""
    from sarzip.codec.ae16 import planes
    from sarzip.errors import InputError
    from sarzip.pipeline import memory

    header = dataclasses.replace(good[0], width=8192 * 40, height=8192, group=8192)
    zeros = planes.pack(np.zeros((8, 512, 512), np.int32))
    data = packed(header, [{2: zeros}] * 40)
    assert len(data) < 8000
    path = tmp_path / "a.sarz"
    path.write_bytes(data)
    wanted = 8 * 4 * 512 * 512 * 40
    monkeypatch.setattr(memory, "available_memory", lambda: wanted - 1)
    tracemalloc.start()
    options = sarzip.DecompressOptions("cpu", 1, model=str(tiny_model))
    for call in (
        lambda: sarzip.decompress(path, tmp_path / "a.tif", options),
        lambda: sarzip.usecases.salvage.salvage(path, tmp_path / "a.tif", options),
        lambda: sarzip.verify(path, sarzip.VerifyOptions(True, "cpu", 1, str(tiny_model))),
    ):
        with pytest.raises(InputError, match=r"needs about 0.3 GB of memory .* a `window`"):
            call()
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()
    assert list(tmp_path.iterdir()) == [path]


def test_a_good_file_passes(good, tiny_model, tmp_path, capfd):
    """What all of the above is made from."""
    assert 7 in good[1][0] and 8 in good[1][0]
    assert outcome(packed(*good), tiny_model, tmp_path, capfd)[0] == 0
    assert np.ptp(read_raster(tmp_path / "out" / "a.tif")) > 0


def test_groups_in_several_parts_are_of_a_newer_version():
    """The container holds them, no codec of this version makes them."""
    header = Header(8, 8, (BandHeader("uint8", "exact"),), (SetHeader((0,), None),), parts=2)
    with pytest.raises(CorruptError, match="newer sarzip"):
        load_coders(header, range(len(header.bands)))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "GEOGCS[", "+init=/etc/passwd", "\0"])
def test_coordinate_systems_that_are_none(text, good, tiny_model, tmp_path, capfd):
    header, frames = good
    data = packed(dataclasses.replace(header, raster={"e": text}), frames)
    assert outcome(data, tiny_model, tmp_path, capfd)[0] == 0
