"""The second reader, written from FORMAT.md alone, finds the same place on Earth as the product."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import mini_georeference as mini
from support import mini_reader
from support.metadata import metadata, s1_like_grid

from sarzip.container import BandHeader, Header, SetHeader, Writer, control_points
from sarzip.container.georeference import Gcps, Metadata, decode, encode
from sarzip.errors import CorruptError

OTHERS = [None, True, -1, 2, 2**60, 1.5, "nan", "", "AAAA", "AAAAAAAAAAB", [], [0], {}, {"0": ""}, {"!": 1}]
CONTAINERS = sorted((Path(__file__).parent / "golden").glob("*/container.sarz"))
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*/*-*.sarz"))


def alike(found: mini.Place, meta: Metadata) -> None:
    """Every value the same, NaN and -0.0 and the types of numbers told apart."""
    pairs = [
        (found.crs, meta.crs),
        (found.transform, meta.transform),
        (found.nodata, meta.nodata),
        (found.descriptions, meta.descriptions),
        (found.units, meta.units),
        (found.scales, meta.scales),
        (found.offsets, meta.offsets),
        (found.colours, meta.colours),
        (found.band_tags, [dict(tags) for tags in meta.band_tags]),
        (found.mask, meta.mask),
    ]
    for mine, theirs in pairs:
        assert repr(list(mine) if isinstance(theirs, tuple) else mine) == repr(
            list(theirs) if isinstance(theirs, tuple) else theirs
        )
    assert found.tags == meta.tags
    assert {band: tuple(entries) for band, entries in found.colour_maps.items()} == meta.colormaps
    assert {band: tuple(names) for band, names in found.categories.items()} == meta.categories
    assert found.tables == {
        band: (
            table.kind,
            list(table.columns),
            [list(column) for column in table.values],
            None if table.bins is None else list(table.bins),
        )
        for band, table in meta.tables.items()
    }
    assert (found.points is None) == (meta.gcps is None)
    if found.points is not None and meta.gcps is not None:
        assert np.array(found.points.points).tobytes() == meta.gcps.points.tobytes()
        assert (found.points.ids, found.points.notes) == (list(meta.gcps.ids), list(meta.gcps.infos))
        assert found.points.crs == meta.gcps.crs


def through_a_file(meta: Metadata) -> mini.Place:
    """Written by the product, read by the second reader."""
    bands = (BandHeader("uint8", "exact"),) * meta.count
    header = Header(8, 8, bands, (SetHeader(tuple(range(meta.count)), None),), raster=encode(meta))
    sink = io.BytesIO()
    writer = Writer(sink, header)
    writer.write_frame({})
    writer.finish()
    return mini.place(mini_reader.read(sink.getvalue())[0]["r"], meta.count)


@given(metadata())
@settings(max_examples=100, deadline=None)
def test_any_metadata(meta: Metadata) -> None:
    alike(through_a_file(meta), decode(encode(meta), meta.count))


@pytest.mark.parametrize("shift", [0.0, 1e-7])
def test_points_of_a_grid(shift: float) -> None:
    """Columns of all kinds and orders; x and y that move together are predicted from each other."""
    points = s1_like_grid()
    noise = np.random.default_rng(5).normal(0, 1, len(points)) * shift
    points[:, 2] += noise
    points[:, 3] += noise * (0.3 - 0.001 * np.arange(len(points)))
    names = tuple(f"{k}" for k in range(len(points)))
    meta = Metadata.plain(1)
    meta = Metadata(**{**vars(meta), "gcps": Gcps(points, names, names, "EPSG:4326")})
    assert (base64.b64decode(encode(meta)["g"]["p"] + "===")[0] >> 6 == 3) == (shift > 0)
    alike(through_a_file(meta), meta)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=24, max_size=24),
    st.sampled_from([1, 3, 4, 12]),
    st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_columns_of_any_numbers(values: list[float], width: int, alike_columns: bool) -> None:
    array = np.array(values).reshape(12, 2)
    if alike_columns:
        with np.errstate(over="ignore"):
            array[:, 1] = array[:, 0] * -3.7 + 1
    found = mini.unpacked_columns(control_points.pack(array, width), 2, 12 // width, width)
    assert np.array(found).T.tobytes() == array.tobytes()


@given(st.sampled_from([b"", b"\xc0", b"\xe0"]), st.binary(max_size=60), st.sampled_from([1, 3, 6]))
@settings(max_examples=300, deadline=None)
def test_both_refuse_the_same_columns(begin: bytes, data: bytes, width: int) -> None:
    try:
        expected = control_points.unpack(begin + data, (6, 2), width)
    except ValueError:
        with pytest.raises(mini_reader.Bad):
            mini.unpacked_columns(begin + data, 2, 6 // width, width)
    else:
        found = np.array(mini.unpacked_columns(begin + data, 2, 6 // width, width)).T
        assert found.tobytes() == expected.tobytes()


@given(metadata(), st.data())
@settings(max_examples=300, deadline=None)
def test_both_refuse_the_same_metadata(meta: Metadata, data: st.DataObject) -> None:
    """A value somewhere replaced by another: both readers refuse it, or read the same."""
    stored = json.loads(json.dumps(encode(meta)))
    node: dict | list = stored
    while node:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], (dict, list)) or not node[key] or data.draw(st.booleans()):
            node[key] = data.draw(st.sampled_from(OTHERS))
            break
        node = node[key]
    try:
        expected = decode(stored, meta.count)
    except CorruptError:
        with pytest.raises(mini_reader.Bad):
            mini.place(stored, meta.count)
    else:
        alike(mini.place(stored, meta.count), expected)


@pytest.mark.parametrize("path", CONTAINERS, ids=lambda path: str(path.parent.name))
def test_every_key_of_a_golden_file(path: Path) -> None:
    """Since format 1.2 the container's file has them all; those before have a namespace that is none."""
    stored = mini_reader.read(path.read_bytes())[0]["r"]
    if path.parent.name in ("1.0", "1.1"):
        with pytest.raises(mini_reader.Bad):
            mini.place(stored, 4)
        with pytest.raises(CorruptError):
            decode(stored, 4)
        return
    alike(mini.place(stored, 4), decode(stored, 4))
    assert stored.keys() == set("etgndusocmbpyak")


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_files(path: Path) -> None:
    if path.stem.startswith("bad-"):
        return
    meta, _, _ = mini_reader.read(path.read_bytes())
    found = mini.place(meta["r"], len(meta["b"]))
    alike(found, decode(meta["r"], len(meta["b"])))
    assert found.crs == "EPSG:32633"
    assert found.transform == [10, 0, 5e5, 0, -10, 5e6]
    assert found.tags[""]["made"] == "golden"
    assert found.mask == ("u16-mask" in path.stem)
    if "u16" in path.stem and meta["b"][0]["v"] == [65535]:
        assert found.nodata == [65535]
