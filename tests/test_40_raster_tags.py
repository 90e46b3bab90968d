"""Raster metadata as a compact dict: exact, JSON-able, safe against damage. No rasterio here."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.container import control_points as columns
from sarzip.container.describe import describe
from sarzip.container.georeference import Gcps, Metadata, decode, default_colours, encode
from sarzip.errors import CorruptError

any_double = st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(max_size=20)
namespaces = st.dictionaries(texts, st.dictionaries(texts, texts, min_size=1, max_size=4), max_size=3)


def s1_like_grid(rows: int = 10, width: int = 21) -> np.ndarray:
    """Control points as a Sentinel-1 GRD has them: regular in the image, smooth and noisy on the ground."""
    rng = np.random.default_rng(1)
    i, j = (a.ravel().astype(float) for a in np.mgrid[0:rows, 0:width])
    row, col = np.minimum(i * 100.44199785177229, 836.95), j * 64.02249033618367
    lon = 78.2 - 0.1147 * j - 0.0378 * i + 1e-5 * i * j + rng.normal(0, 1e-9, i.size)
    lat = 10.7 + 0.023 * j - 0.18 * i - 2e-5 * j**2 + rng.normal(0, 1e-9, i.size)
    return np.stack([row, col, lon, lat, np.round(250 + 30 * i + rng.normal(0, 1e-4, i.size), 9)], axis=1)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and a.tobytes() == b.tobytes()


@given(st.lists(st.tuples(any_double, any_double, any_double), min_size=1, max_size=24), st.data())
@settings(max_examples=150, deadline=None)
def test_columns_are_exact_for_any_doubles(values: list[tuple[float, ...]], data: st.DataObject) -> None:
    array = np.array(values, np.float64)
    width = data.draw(st.sampled_from([w for w in range(1, len(values) + 1) if len(values) % w == 0]))
    assert same_bits(columns.unpack(columns.pack(array, width), array.shape, width), array)


@pytest.mark.parametrize(
    "column",
    [
        [0.0] * 12,
        [-0.0, 0.0] * 6,
        [math.nan, math.inf, -math.inf] * 4,
        [1e308, -1e308, 5e-324] * 4,
        list(np.arange(12) * 1292.0),
        list(np.round(np.linspace(7, 8, 12), 6)),
        [float(2**62), 1.0] * 6,
    ],
)
def test_columns_are_exact_for_awkward_doubles(column: list[float]) -> None:
    array = np.array(column)[:, None]
    for width in (1, 4, 12):
        assert same_bits(columns.unpack(columns.pack(array, width), (12, 1), width), array)


def test_columns_of_a_regular_grid_are_a_third_of_their_raw_size() -> None:
    points = s1_like_grid()
    assert columns.grid_widths(points[:, 0], points[:, 1]) == [1, 21, 210]
    packed = columns.pack(points, 21)
    assert same_bits(columns.unpack(packed, points.shape, 21), points)
    assert len(packed) < points.nbytes / 3
    assert len(packed) < len(columns.pack(points, 210)) * 0.8  # the grid is worth knowing


def first_format(points: np.ndarray, width: int) -> bytes:
    """As format 1.0 packs columns: none is predicted from another."""
    bits = "".join(columns._pack_column(points[:, c], width)[0] for c in range(points.shape[1]))
    return int(bits + "0" * (-len(bits) % 8), 2).to_bytes(-(-len(bits) // 8), "big")


def test_noise_that_moves_points_along_a_line_is_coded_once() -> None:
    """x and y of points that lie a little too far along the line of sight, whose direction changes slowly."""
    rng = np.random.default_rng(3)
    row, col = (each.ravel() for each in np.mgrid[:14, :21])
    shift = rng.normal(0, 1e-7, row.size)
    x = 10 + 0.03 * row + 0.04 * col + 1e-5 * row * col + shift
    y = 50 - 0.01 * row + 0.02 * col + 2e-6 * col**2 - shift * (0.5 + 0.002 * row - 0.003 * col)
    points = np.stack([1.0 * row, 1.0 * col, x, y, np.zeros(row.size)], 1)
    packed, plain = columns.pack(points, 21), first_format(points, 21)
    assert same_bits(columns.unpack(packed, points.shape, 21), points)
    assert same_bits(columns.unpack(plain, points.shape, 21), points)
    assert packed[0] >> 6 == 3 and plain[0] >> 6 < 3
    assert len(packed) < 0.9 * len(plain)
    for cut in range(len(packed) - 1):
        with pytest.raises(ValueError, match=r"end early|unknown kind|order of|out of range"):
            columns.unpack(packed[:cut], points.shape, 21)


@given(st.lists(any_double, min_size=24, max_size=24), st.sampled_from([1, 3, 4, 12]), st.booleans())
@settings(max_examples=100, deadline=None)
def test_predicted_columns_are_exact_for_awkward_doubles(values: list[float], width: int, same: bool) -> None:
    array = np.array(values).reshape(12, 2)
    if same:
        array[:, 1] = array[:, 0] * -3.7 + 1
    for pack in (columns.pack, first_format):
        assert same_bits(columns.unpack(pack(array, width), (12, 2), width), array)


@given(st.binary(max_size=60), st.sampled_from([1, 3, 6]))
@settings(max_examples=300, deadline=None)
def test_predicted_columns_from_arbitrary_bytes(data: bytes, width: int) -> None:
    with contextlib.suppress(ValueError):
        assert columns.unpack(b"\xc0" + data, (6, 2), width).shape == (6, 2)
    with contextlib.suppress(ValueError):
        assert columns.unpack(b"\xe0" + data, (6, 3), width).shape == (6, 3)


@given(st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_columns_from_arbitrary_bytes_give_an_array_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert columns.unpack(data, (6, 2), 3).shape == (6, 2)


def test_columns_cut_short_are_refused() -> None:
    packed = columns.pack(s1_like_grid(), 21)
    with pytest.raises(ValueError, match="end early"):
        columns.unpack(packed[:-2], (210, 5), 21)


@st.composite
def metadata(draw: st.DrawFn) -> Metadata:
    count = draw(st.integers(1, 3))

    def per_band(values: st.SearchStrategy) -> tuple:
        return tuple(draw(st.lists(values, min_size=count, max_size=count)))

    n = draw(st.integers(0, 6))
    points = np.array(draw(st.lists(any_double, min_size=5 * n, max_size=5 * n)), np.float64).reshape(n, 5)
    names = tuple(draw(st.lists(texts, min_size=n, max_size=n)))
    crs = st.sampled_from([None, "EPSG:32631", "ESRI:54009", 'PROJCS["x"]'])
    finite = st.floats(allow_nan=False, allow_infinity=False)
    return Metadata(
        count=count,
        nodata=per_band(st.none() | any_double | st.integers(2**53, 2**64 - 1)),
        descriptions=per_band(st.none() | st.text(min_size=1, max_size=9)),
        units=per_band(st.none() | st.text(min_size=1, max_size=9)),
        scales=per_band(any_double),
        offsets=per_band(any_double),
        colours=per_band(st.integers(0, 37)),
        band_tags=per_band(namespaces),
        tags=draw(namespaces),
        crs=draw(crs),
        transform=tuple(draw(st.lists(finite, min_size=6, max_size=6))),
        gcps=Gcps(points, names, names, draw(crs)) if n else None,
        colormaps={0: ((1, 2, 3, 255), (0, 0, 0, 0))} if draw(st.booleans()) else {},
        mask=draw(st.booleans()),
    )


@given(metadata())
@settings(max_examples=60, deadline=None)
def test_metadata_survives_json(meta: Metadata) -> None:
    again = decode(json.loads(json.dumps(encode(meta), allow_nan=False)), meta.count)
    assert repr(again) == repr(meta)  # repr tells NaN, -0.0 and the types of numbers apart
    assert (again.gcps is None) == (meta.gcps is None)
    assert again.gcps is None or again.gcps == meta.gcps
    json.dumps(describe(encode(meta), meta.count), allow_nan=False)


def test_origins_with_many_digits_are_stored_in_binary() -> None:
    plain = Metadata.plain(1)
    for transform in (
        (10.0, 0.0, 617301.8198784497, 0.0, -10.0, 9625098.22745184),
        (0.1, 0.2, 5e5, -0.3, 0.0, -7.5),
    ):
        meta = dataclasses.replace(plain, transform=transform)
        stored = encode(meta)["t"]
        assert [type(v) is str for v in stored] == [len(repr(v)) > 12 for v in transform]
        assert decode(json.loads(json.dumps({"t": stored})), 1).transform == transform
    assert decode({"t": list(transform)}, 1).transform == transform  # as format 1.0 has them


def test_metadata_of_a_plain_raster_is_empty() -> None:
    assert encode(Metadata.plain(3)) == {}
    assert decode({}, 3) == Metadata.plain(3)
    assert default_colours(3) == (1, 0, 0)


@pytest.mark.parametrize(
    "tags",
    [
        {"t": [1, 0, 0]},
        {"t": "abcdef"},
        {"t": [1, 0, "AAAAAAAAAA", 0, 1, 0]},
        {"t": [1, 0, "AAAAAAAAA?A", 0, 1, 0]},
        {"t": [1, 0, "AAAAAAAAA==", 0, 1, 0]},
        {"n": [0, 0, 0]},
        {"n": "none"},
        {"d": ["a", 3]},
        {"s": [1.0]},
        {"m": {"": {"a": 1}}},
        {"b": [{}, {}, {}]},
        {"g": {"n": 2}},
        {"g": {"n": 1 << 40, "p": ""}},
        {"g": {"n": 4, "w": 3, "p": "AAAA"}},
        {"g": {"n": 4, "p": "not base64!"}},
        {"p": {"0": "AAAA"}},
        {"c": ["gray", "undefined"]},
        {"e": [1]},
    ],
)
def test_damaged_metadata_is_corrupt(tags: dict) -> None:
    with pytest.raises(CorruptError, match="metadata"):
        decode(tags, 2)


def test_colour_map_cannot_inflate_without_bound() -> None:
    import base64
    import zlib

    bomb = base64.b64encode(zlib.compress(bytes(8 * 65537))).decode()
    with pytest.raises(CorruptError, match="colour map"):
        decode({"p": {"0": bomb}}, 1)


def test_metadata_needs_neither_rasterio_nor_torch() -> None:
    code = (
        "import sys, sarzip.container.georeference; print('rasterio' in sys.modules, 'torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False False\n"
    )
