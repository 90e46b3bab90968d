"""Raster metadata as a compact dict: exact, JSON-able, safe against damage. No rasterio here."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from support.metadata import metadata

from sarzip.container.describe import describe
from sarzip.container.georeference import Metadata, decode, default_colours, encode
from sarzip.errors import CorruptError


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
