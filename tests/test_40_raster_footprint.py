"""Where rasters lie on the Earth: outlines by transform, by points, at the antimeridian, at a pole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform

from sarzip.container.georeference import Gcps, Metadata
from sarzip.raster.footprint import footprint

PLAIN = Metadata.plain(1)


def placed(crs: str, *place: float) -> Metadata:
    return replace(PLAIN, crs=crs, transform=place)


def points(west: float) -> Metadata:
    """Control points of a descending scene of 1000x1000 pixels, 5 degrees wide, tilted."""
    grid = [(row, column) for row in range(0, 1001, 250) for column in range(0, 1001, 250)]
    table = np.array(
        [
            (r, c, (west + c / 200 - r / 1000 + 180) % 360 - 180, 50 - r / 500 + c / 2000, 90.0)
            for r, c in grid
        ]
    )
    names = ("",) * len(grid)
    return replace(PLAIN, gcps=Gcps(table, names, names, "EPSG:4326"))


def rings(geometry: dict) -> list[np.ndarray]:
    each = geometry["coordinates"]
    return [np.array(ring[0]) for ring in ([each] if geometry["type"] == "Polygon" else each)]


def area(ring: np.ndarray) -> float:
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) / 2


@pytest.mark.parametrize(
    "meta", [placed("EPSG:32632", 10, 0, 399960, 0, -10, 5900040), points(10.0), points(177.0)]
)
def test_rings_are_closed_and_run_counter_clockwise(meta) -> None:
    found = footprint(meta, 1000, 1000)
    for ring in rings(found.geometry):
        np.testing.assert_array_equal(ring[0], ring[-1])
        assert area(ring) > 0 and len(ring) < 30
    west, south, east, north = found.bbox
    assert south < north and (west < east) == (found.geometry["type"] == "Polygon")


def test_by_transform_it_goes_through_the_corners() -> None:
    meta = placed("EPSG:32632", 10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)
    ring = rings(footprint(meta, 10_000, 9_000).geometry)[0]
    x, y = transform(CRS.from_epsg(32632), CRS.from_epsg(4326), [399960, 499960], [5900040, 5810040])
    for corner in zip(x, y, strict=True):
        assert np.abs(ring - corner).max(1).min() < 1e-5
    # A hundred kilometres of a straight line are curved on the Earth; points between the corners follow it.
    assert len(ring) > 7


def test_over_the_antimeridian() -> None:
    for meta in (
        placed("EPSG:32601", 100.0, 0.0, 250000.0, 0.0, -100.0, 5900040.0),
        placed("EPSG:4326", 0.001, 0.0, 179.5, 0.0, -0.001, 50.0),
        placed("EPSG:4326", 0.001, 0.0, -180.5, 0.0, -0.001, 50.0),
        points(177.0),
    ):
        found = footprint(meta, 1000, 1000)
        assert found.geometry["type"] == "MultiPolygon" and found.bbox[0] > 170 and found.bbox[2] < -170
        east, west = sorted(rings(found.geometry), key=lambda ring: -ring[:, 0].max())
        assert east[:, 0].min() > 170 and west[:, 0].max() < -170


def test_around_a_pole_and_around_the_world() -> None:
    pole = footprint(placed("EPSG:3413", 4000.0, 0.0, -2e6, 0.0, -4000.0, 2e6), 1000, 1000)
    assert pole.bbox[::2] == (-180.0, 180.0) and pole.bbox[3] == 90.0
    world = footprint(placed("EPSG:4326", 0.36, 0.0, -180.0, 0.0, -0.18, 90.0), 1000, 1000)
    assert world.bbox == (-180.0, -90.0, 180.0, 90.0) and world.geometry["type"] == "Polygon"
    shifted = footprint(placed("EPSG:4326", 0.36, 0.0, 0.0, 0.0, -0.18, 90.0), 1000, 1000)
    assert shifted.bbox == (-180.0, -90.0, 180.0, 90.0)


def test_nowhere() -> None:
    assert footprint(PLAIN, 10, 10) is None
    assert footprint(replace(PLAIN, crs="EPSG:32632"), 10, 10) is None
    assert footprint(placed("EPSG:99999", 1.0, 0.0, 5.0, 0.0, -1.0, 5.0), 10, 10) is None
    assert footprint(placed("EPSG:32632", 10.0, 0.0, float("inf"), 0.0, -10.0, float("nan")), 10, 10) is None
    assert footprint(placed("EPSG:32632", 1e30, 0.0, 5e5, 0.0, -1e30, 5e6), 10, 10) is None
    flat = points(10.0)
    flat.gcps.points[:, 2:4] = 0.0
    assert footprint(flat, 1000, 1000) is None
    unknown = replace(points(10.0), gcps=replace(points(10.0).gcps, crs=None))
    assert footprint(unknown, 1000, 1000) is None


@settings(max_examples=40)
@given(st.floats(-179, 179), st.floats(-70, 70), st.floats(-180, 180), st.floats(0.001, 0.02))
def test_any_turn_keeps_the_area(west, north, turn, size) -> None:
    cos, sin = size * np.cos(np.radians(turn)), size * np.sin(np.radians(turn))
    found = footprint(placed("EPSG:4326", cos, sin, west, sin, -cos, north), 100, 200)
    assert sum(map(area, rings(found.geometry))) == pytest.approx(size * size * 20_000, rel=0.02)
    assert -180 <= found.bbox[0] <= 180 and -180 <= found.bbox[2] <= 180
