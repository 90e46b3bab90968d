"""Doors under attack: forked and threaded readers, files that close, servers that do not keep to it."""

from __future__ import annotations

import dataclasses
import io
import multiprocessing
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import MaskFlags
from support.damage import read_raster
from support.scenes import speckled

import sarzip
from sarzip.container import BandHeader, Header, Reader, SetHeader, Writer
from sarzip.errors import CorruptError, InputError, SarzipError, UsageError

ROWS, COLUMNS = 300, 700


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    values = np.stack([speckled(ROWS, COLUMNS, seed=seed) for seed in (1, 2)])
    path = tmp_path_factory.mktemp("open") / "a.sarz"
    sarzip.write(path, values, sarzip.CompressOptions(group=256, device="cpu"))
    return path


def _in_a_child(dataset, good: np.ndarray, number: int, said) -> None:
    rng = np.random.default_rng(number)
    try:
        for _ in range(15):
            row, column = rng.integers(0, ROWS - 20), rng.integers(0, COLUMNS - 20)
            part = dataset.read(window=((row, row + 20), (column, column + 20)))
            np.testing.assert_array_equal(part, good[:, row : row + 20, column : column + 20])
        said.put("fine")
    except BaseException as error:
        said.put(repr(error))


def test_chunks_that_hold_something_else_are_not_decoded():
    """A store may hold anything; what it costs is bounded by the array that is read."""
    numcodecs_codec = pytest.importorskip("sarzip.integrations.numcodecs_codec")
    codec = numcodecs_codec.SarzipCompressor(lossless=True)
    data = codec.encode(np.zeros((3, 2048, 2048), np.uint8))
    assert len(data) < 10_000
    for out in (np.empty((64, 64), np.uint8), np.empty((3, 2048, 2048), np.int8)):
        with pytest.raises(CorruptError, match="chunk: holds"):
            codec.decode(data, out)
    zarr = pytest.importorskip("zarr")
    from sarzip.integrations.zarr_codec import SarzipCodec

    store = zarr.storage.MemoryStore()
    about = {"shape": (64, 64), "chunks": (64, 64), "dtype": "uint8", "compressors": None}
    array = zarr.create_array(store, serializer=SarzipCodec(lossless=True), **about)
    array[:] = 7
    key = next(key for key in store._store_dict if key.startswith("c/"))
    store._store_dict[key] = store._store_dict[key].from_bytes(data)
    with pytest.raises(CorruptError, match="chunk: holds"):
        array[:]


def test_samples_that_numpy_does_not_have(tmp_path):
    """They are in the format, for later."""
    header = Header(40, 30, (BandHeader("complex_int16", "exact"),), (SetHeader((0,), None),), group=256)
    with (tmp_path / "a.sarz").open("wb") as sink:
        writer = Writer(sink, header)
        writer.write_frame({2: b""})
        writer.finish()
    with sarzip.open(tmp_path / "a.sarz") as dataset:
        assert dataset.nodata is None and dataset.dtypes == ("complex_int16",)
        with pytest.raises(InputError, match="cannot restore"):
            dataset.read()
    xarray = pytest.importorskip("xarray")
    with pytest.raises(InputError, match="which numpy does not have"):
        xarray.open_dataset(tmp_path / "a.sarz", engine="sarzip")


def test_forked_processes_share_a_dataset(packed):
    """They share the position in the file, too, which nobody may rely on."""
    context = multiprocessing.get_context("fork")
    said, good = context.Queue(), sarzip.decode(packed.read_bytes())
    with sarzip.open(packed, cache_bytes=0) as dataset:
        children = [context.Process(target=_in_a_child, args=(dataset, good, n, said)) for n in range(3)]
        for child in children:
            child.start()
        assert [said.get(timeout=60) for _ in children] == ["fine"] * 3
        for child in children:
            child.join()


def test_a_dataset_that_is_closed_while_it_is_read(packed):
    dataset, heard = sarzip.open(packed, cache_bytes=0), []

    def read() -> None:
        try:
            while True:
                dataset.read(1, window=((0, 20), (0, 20)))
        except SarzipError as error:
            heard.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    dataset.close()
    for thread in threads:
        thread.join(60)
    assert len(heard) == 3 and all(isinstance(each, UsageError) and "closed" in str(each) for each in heard)


def test_a_mask_of_the_dataset_counts_before_nodata(tmp_path):
    """As GDAL has it, of the raster and of what comes back."""
    values = speckled(64, 64)[None]
    values[:, :, :9] = 0
    mask = np.full((64, 64), 255, np.uint8)
    mask[:20] = 0
    profile = {"width": 64, "height": 64, "count": 1, "dtype": "uint16", "nodata": 0}
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **profile) as dataset,
    ):
        dataset.write(values)
        dataset.write_mask(mask)
    sarzip.compress(tmp_path / "a.tif", tmp_path / "a.sarz")
    with rasterio.open(tmp_path / "a.tif") as theirs, sarzip.open(tmp_path / "a.sarz") as ours:
        assert theirs.mask_flag_enums[0] == [MaskFlags.per_dataset]
        both = [np.ma.getmaskarray(each.read(1, masked=True)) for each in (theirs, ours)]
    np.testing.assert_array_equal(*both)
    np.testing.assert_array_equal(both[0], mask == 0)


@pytest.mark.parametrize(
    ("dtype", "nodata", "held"),
    [
        ("uint8", -9999, None),
        ("uint16", float("nan"), None),
        ("float32", 1e300, None),
        ("float32", -3.40282346638529e38, -3.40282346638529e38),  # rounded to a float32, as tags have it
        ("float32", -9999.1, -9999.1),
        ("int16", -9999, -9999),
    ],
)
def test_nodata_that_no_sample_can_be_is_none(dtype, nodata, held, tmp_path):
    values = speckled(40, 40).astype(dtype)
    if held is not None:
        values[3, 4] = held
    with np.errstate(over="ignore"):
        sarzip.write(tmp_path / "a.sarz", values, nodata=nodata)
    with sarzip.open(tmp_path / "a.sarz") as dataset:
        assert dataset.nodata == held
        found = np.ma.getmaskarray(dataset.read(1, masked=True))
        assert found.sum() == (held is not None) == found[3, 4]
        beyond = dataset.read(1, window=((-2, 9), (0, 9)), boundless=True)[0, 0]
        assert beyond == np.float64(held or 0).astype(dtype)


def test_rational_polynomials_that_are_not_complete(tmp_path):
    sarzip.write(tmp_path / "a.sarz", speckled(40, 40))
    data = (tmp_path / "a.sarz").read_bytes()
    for tags in ({"LINE_OFF": "1"}, {"LINE_OFF": ""}, {"LINE_OFF": "x"}):
        reader, sink = Reader(io.BytesIO(data)), io.BytesIO()
        writer = Writer(sink, dataclasses.replace(reader.header, raster={"m": {"RPC": tags}}))
        for _, streams in reader:
            writer.write_frame(streams)
        writer.finish()
        with sarzip.open(sink) as dataset:
            assert dataset.rpcs is None and dataset.read(1).shape == (40, 40)


class _Server(BaseHTTPRequestHandler):
    """Serves `data`, and does what `mode` says instead."""

    protocol_version = "HTTP/1.1"
    data, mode, asked = b"", "", 0

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        """As GET, without the bytes."""
        self._answer(False)

    def do_GET(self) -> None:
        """Bytes or a range of them."""
        self._answer(True)

    def _answer(self, wanted: bool) -> None:
        kind = type(self)
        kind.asked += 1
        if kind.mode.isdigit() or (kind.mode == "fails later" and kind.asked > 3):
            return self._send(int(kind.mode) if kind.mode.isdigit() else 500, b"", {}, wanted)
        if kind.mode == "circle":
            return self._send(302, b"", {"Location": f"/{kind.asked}"}, wanted)
        span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if span is None or kind.mode == "no ranges":
            return self._send(200, kind.data, {}, wanted)
        first, last = int(span[1]), min(int(span[2] or len(kind.data)), len(kind.data) - 1)
        if kind.mode == "beside":
            first, last = max(0, first - 3), last - 3
        piece = kind.data[first : last + 1]
        if kind.mode == "changes" and kind.asked > 2:
            piece = piece[::-1]
        about = {"Content-Range": f"bytes {first}-{last}/{len(kind.data)}"}
        self._send(206, piece, about, wanted, 99 if kind.mode == "cut" else 0)
        return None

    def _send(self, code: int, body: bytes, about: dict[str, str], wanted: bool, more: int = 0) -> None:
        self.send_response(code)
        for name, value in {**about, "Content-Length": str(len(body) + more)}.items():
            self.send_header(name, value)
        self.end_headers()
        if wanted:
            self.wfile.write(body)
        self.close_connection = bool(more)


@pytest.fixture(scope="module")
def server(packed) -> Iterator[str]:
    pytest.importorskip("aiohttp")
    _Server.data = packed.read_bytes()
    running = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}/a.sarz"
    running.shutdown()


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("401", InputError, "not allowed without credentials"),
        ("403", InputError, "not allowed without credentials"),
        ("404", InputError, "nothing is there"),
        ("503", InputError, "the server answered 503"),
        ("circle", InputError, "the server answered TooManyRedirects"),
        ("fails later", InputError, "cannot be read"),
        ("cut", InputError, "cannot be read"),
        ("beside", CorruptError, "does not end with a trailer"),
        ("changes", CorruptError, "damaged|mismatch"),
    ],
)
def test_servers_that_do_not_keep_to_it(mode, kind, words, server, monkeypatch):
    monkeypatch.setattr(_Server, "mode", mode)
    monkeypatch.setattr(_Server, "asked", 0)
    with pytest.raises(kind, match=words) as raised, sarzip.open(server) as dataset:
        dataset.read()
    assert "\n" not in str(raised.value)


def test_a_server_that_knows_no_ranges(server, packed, monkeypatch, tmp_path):
    """It tells a size, as Python's own does: all is fetched then."""
    monkeypatch.setattr(_Server, "mode", "no ranges")
    with sarzip.open(server) as dataset:
        np.testing.assert_array_equal(dataset.read(), sarzip.decode(packed.read_bytes()))
    sarzip.decompress(server, tmp_path / "a.tif")
    assert read_raster(tmp_path / "a.tif").shape == (2, ROWS, COLUMNS)
