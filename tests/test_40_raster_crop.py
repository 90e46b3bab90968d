"""Metadata of a part: a sample lies where its pixels lay, by whatever means a raster is georeferenced."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarzip.container import BandHeader, Header, SetHeader
from sarzip.container.georeference import Gcps, Metadata, decode, encode
from sarzip.grid import Window
from sarzip.pipeline.selection import SCALES, Selection, resolve
from sarzip.raster.crop import Part, crop_metadata
from sarzip.raster.locate import pixel_bounds
from sarzip.simulate import ground_points, preset

NUMBERS = st.floats(-1e3, 1e3).filter(lambda value: abs(value) > 1e-3)
PARTS = st.builds(Part, st.integers(0, 900), st.integers(0, 900), st.sampled_from(SCALES), st.just((0,)))


def placed(transform: tuple[float, ...]) -> Metadata:
    return replace(Metadata.plain(1), crs="EPSG:32633", transform=transform)


def on_map(meta: Metadata, column: float, row: float) -> np.ndarray:
    a, b, c, d, e, f = meta.transform
    return np.array([a * column + b * row + c, d * column + e * row + f])


@given(st.tuples(*[NUMBERS] * 6), PARTS, st.floats(0, 500), st.floats(0, 500))
def test_transforms(transform, part, column, row):
    meta = placed(transform)
    moved = crop_metadata(meta, part)
    at = part.column + part.scale * column, part.row + part.scale * row
    np.testing.assert_allclose(on_map(moved, column, row), on_map(meta, *at), rtol=1e-9, atol=1e-4)
    assert (moved == meta) == (not part.moved)


@given(PARTS, PARTS, st.integers(0, 99))
def test_control_points_rpcs_and_geolocation_arrays(first, second, seed):
    rng = np.random.default_rng(seed)
    points = Gcps(rng.uniform(0, 1000, (5, 5)), tuple("12345"), ("",) * 5, "EPSG:4326")
    rpc = {
        "LINE_OFF": "500.25",
        "LINE_SCALE": "510",
        "SAMP_OFF": "700 pixels",
        "SAMP_SCALE": "7e2",
        "ERR_BIAS": "1",
    }
    arrays = {"LINE_OFFSET": "0.5", "LINE_STEP": "10", "PIXEL_OFFSET": "3", "PIXEL_STEP": "20", "SRS": "x"}
    meta = replace(Metadata.plain(1), gcps=points, tags={"RPC": rpc, "GEOLOCATION": arrays, "": {"A": "b"}})
    moved = crop_metadata(meta, first)
    corner = np.array([first.row, first.column])
    np.testing.assert_allclose(moved.gcps.points[:, :2], (points.points[:, :2] - corner) / first.scale)
    np.testing.assert_array_equal(moved.gcps.points[:, 2:], points.points[:, 2:])
    if first.moved:
        # An RPC's own unit lies at OFF and OFF + SCALE, half a pixel from the corner of the pixel it names.
        for axis, start in (("LINE", first.row), ("SAMP", first.column)):
            old = [float(rpc[f"{axis}_{key}"].split()[0]) for key in ("OFF", "SCALE")]
            new = [float(moved.tags["RPC"][f"{axis}_{key}"]) for key in ("OFF", "SCALE")]
            assert new[0] + 0.5 == pytest.approx((old[0] + 0.5 - start) / first.scale)
            assert new[1] == pytest.approx(old[1] / first.scale)
        assert moved.tags["RPC"]["ERR_BIAS"] == "1" and moved.tags["GEOLOCATION"]["SRS"] == "x"
    # A part of a part is a part.
    twice = crop_metadata(moved, second)
    whole = Part(
        first.row + first.scale * second.row,
        first.column + first.scale * second.column,
        first.scale * second.scale,
        (0,),
    )
    at_once = crop_metadata(meta, whole)
    np.testing.assert_allclose(twice.gcps.points, at_once.gcps.points)
    for space, key in [("RPC", "LINE_OFF"), ("RPC", "SAMP_SCALE"), ("GEOLOCATION", "PIXEL_OFFSET")]:
        values = [float(each.tags[space][key].split()[0]) for each in (twice, at_once)]
        assert values[0] == pytest.approx(values[1])
    assert decode(encode(twice), 1) == twice


def test_what_is_not_georeferenced_stays_so():
    part = Part(10, 20, 4, (0,))
    assert crop_metadata(Metadata.plain(1), part).transform == Metadata.plain(1).transform
    tagged = replace(Metadata.plain(1), tags={"RPC": {"LINE_OFF": "nonsense"}, "": {"STATISTICS_MEAN": "1"}})
    assert crop_metadata(tagged, part).tags == {"RPC": {"LINE_OFF": "nonsense"}}
    # A map of pixels with a coordinate system is one.
    assert crop_metadata(placed(Metadata.plain(1).transform), part).transform == (
        4.0,
        0.0,
        20.0,
        0.0,
        4.0,
        10.0,
    )


def test_bands_are_picked_in_order():
    meta = replace(
        Metadata.plain(3),
        nodata=(0.0, 1.0, None),
        descriptions=("a", "b", None),
        band_tags=({"": {"k": "1"}}, {"": {"k": "2"}}, {}),
        colours=(1, 0, 6),
        colormaps={1: ((0, 0, 0, 255),)},
    )
    picked = crop_metadata(meta, Part(0, 0, 1, (1, 0)))
    assert picked.nodata == (1.0, 0.0) and picked.descriptions == ("b", "a") and picked.count == 2
    assert picked.band_tags == ({"": {"k": "2"}}, {"": {"k": "1"}}) and picked.colours == (1, 1)
    assert picked.colormaps == {0: ((0, 0, 0, 255),)}


@given(st.tuples(*[NUMBERS] * 6), *[st.floats(0, 1000)] * 4)
def test_boxes_hold_the_pixels_that_made_them(transform, column, row, width, height):
    a, b, _, d, e, _ = transform
    if abs(a * e - b * d) < 1e-2 * max(abs(a * e), abs(b * d)) or min(width, height) < 1:
        return
    meta = placed(transform)
    corners = np.array([on_map(meta, column + w, row + h) for w in (0, width) for h in (0, height)])
    box = (*corners.min(axis=0), *corners.max(axis=0))
    first_row, first_column, last_row, last_column = pixel_bounds(meta, box)
    slack = 1e-4 * (width + height)
    assert first_row <= row + slack and first_column <= column + slack
    assert last_row >= row + height - slack and last_column >= column + width - slack
    if b == d == 0:
        assert last_row - first_row == pytest.approx(height, abs=slack)


def test_control_points_are_interpolated_to_a_quarter_of_a_pixel():
    """Each point of a Sentinel-1 geometry that is not near its border is found from the others."""
    points = np.array(
        [(p.row, p.column, p.longitude, p.latitude, p.height) for p in ground_points(preset("s1-grdh"))]
    )
    inner = [k for k in range(len(points)) if 1 < k // 21 < 8 and 1 < k % 21 < 19][::9]
    for left_out in inner:
        rest = np.delete(points, left_out, axis=0)
        names = tuple(map(str, range(len(rest))))
        meta = replace(Metadata.plain(1), gcps=Gcps(rest, names, names, "EPSG:4326"))
        row, column, x, y, _ = points[left_out]
        box = (x - 1e-7, y - 1e-7, x + 1e-7, y + 1e-7)
        first_row, first_column, last_row, last_column = pixel_bounds(meta, box)
        assert (first_row + last_row) / 2 == pytest.approx(row, abs=0.25)
        assert (first_column + last_column) / 2 == pytest.approx(column, abs=0.25)
        assert last_row - first_row < 0.01


@given(st.integers(1, 3000), st.integers(1, 3000), st.data(), st.sampled_from(SCALES))
def test_regions_are_whole_samples_around_what_was_asked(width, height, data, scale):
    column, row = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    size = data.draw(st.integers(1, width - column)), data.draw(st.integers(1, height - row))
    header = Header(width, height, (BandHeader("uint8", "exact"),), (SetHeader((0,), None),))
    region = resolve(Selection((column, row, *size), scale=scale), header)
    window = region.window
    assert window.row % scale == window.column % scale == 0
    assert window.row <= row < row + size[1] <= window.row + window.rows <= height
    assert window.column <= column < column + size[0] <= window.column + window.columns <= width
    assert region.rows == -(-window.rows // scale) and region.rows * scale < size[1] + 2 * scale
    if scale == 1:
        assert window == Window(row, column, size[1], size[0])
