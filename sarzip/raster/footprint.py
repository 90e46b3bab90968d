"""Where on the Earth a raster lies: its outline in longitude and latitude."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as warp
from rasterio.warp import transform_geom

from sarzip.container.georeference import IDENTITY, Metadata
from sarzip.raster.gdal import gdal_env
from sarzip.raster.locate import point_transformer
from sarzip.raster.metadata import known_crs

# Parts of each side: what is straight in the raster is curved on the Earth.
_PARTS = 20
_DIGITS = 6  # of degrees: a tenth of a metre
_TOLERANCE = 1e-5  # degrees: how far points may be from the outline that is left without them
_WORLD = CRS.from_epsg(4326)

Ring = NDArray[np.float64]
"""Points (n, 2) of longitude and latitude, the last one the first again."""


@dataclass(frozen=True)
class Footprint:
    """geometry: GeoJSON Polygon, or MultiPolygon where the antimeridian cuts it (RFC 7946), in WGS 84.
    bbox: west, south, east, north; west is east of `east` in that case.
    """

    geometry: dict[str, Any]
    bbox: tuple[float, float, float, float]


def footprint(meta: Metadata, width: int, height: int) -> Footprint | None:
    """The outline of a raster by its transform or its control points; None where neither places it, or its
    coordinate system is not known here.
    """
    rows, columns = _outline(width, height)
    try:
        with gdal_env():
            placed = _place(meta, rows, columns)
            if placed is None:
                return None
            x, y, crs = placed
            if crs.is_geographic:  # longitudes beyond the antimeridian are not cut by GDAL
                x, y = np.array(warp(crs, _WORLD, x.tolist(), y.tolist()), np.float64)
                rings = _cut(np.column_stack([np.unwrap(x, period=360.0), y]))
            else:
                shape = {"type": "Polygon", "coordinates": [np.column_stack([x, y]).tolist()]}
                rings = _rings(transform_geom(crs, _WORLD, shape, antimeridian_cutting=True))
    except Exception:  # rasterio lets GDAL's own errors through, which share no class with its others
        return None
    return _finished(rings)


def _outline(width: int, height: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of points along the sides, as a closed ring that runs counter-clockwise on a map."""
    t = np.linspace(0.0, 1.0, _PARTS + 1)[:-1]
    rows = np.concatenate([t, np.ones(_PARTS), 1 - t, np.zeros(_PARTS), [0.0]]) * height
    columns = np.concatenate([np.zeros(_PARTS), t, np.ones(_PARTS), 1 - t, [0.0]]) * width
    return rows, columns


def _place(
    meta: Metadata, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], CRS] | None:
    """Map coordinates and their system."""
    if meta.gcps is not None and meta.transform == IDENTITY:
        crs = known_crs(meta.gcps.crs)
        return None if crs is None else (*_by_points(meta.gcps.points, crs, rows, columns), crs)
    crs = known_crs(meta.crs)
    if crs is None or meta.transform == IDENTITY or not np.isfinite(meta.transform).all():
        return None
    a, b, c, d, e, f = meta.transform
    return a * columns + b * rows + c, d * columns + e * rows + f, crs


def _by_points(
    points: NDArray[np.float64], crs: CRS, rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """By a thin plate spline; longitudes go on beyond 180 degrees, so that it has no jump."""
    x = points[:, 2]
    if crs.is_geographic and np.ptp(x) > 180:
        x = x % 360
    with point_transformer(np.column_stack([points[:, :2], x, points[:, 3:]])) as transformer:
        found = transformer.xy(rows.tolist(), columns.tolist(), offset="ul")
    return np.array(found[0], np.float64), np.array(found[1], np.float64)


def _cut(ring: Ring) -> list[Ring]:
    """A ring in longitude and latitude, cut where it crosses the antimeridian."""
    ring = ring - [360.0 * np.floor((ring[:, 0].min() + 180) / 360), 0.0]
    if ring[:, 0].max() <= 180:
        return [ring]
    return [_half(ring, -1.0), _half(ring, 1.0) - [360.0, 0.0]]


def _half(ring: Ring, side: float) -> Ring:
    """What of a ring lies west (-1) or east (1) of the antimeridian (Sutherland and Hodgman)."""
    inside, kept = side * (ring[:, 0] - 180) >= 0, []
    for at in range(len(ring) - 1):
        start, end = ring[at], ring[at + 1]
        if inside[at]:
            kept.append(start)
        if inside[at] != inside[at + 1]:
            part = (180 - start[0]) / (end[0] - start[0])
            kept.append(start + part * (end - start))
    return np.array([*kept, kept[0]])


def _rings(geometry: dict[str, Any]) -> list[Ring]:
    """The outer rings of a polygon or of several; none for what a projection made nothing of."""
    found = {"Polygon": [geometry["coordinates"]], "MultiPolygon": geometry["coordinates"]}
    return [np.array(polygon[0], np.float64) for polygon in found.get(geometry["type"], []) if polygon]


def _finished(rings: list[Ring]) -> Footprint | None:
    """With its box; counter-clockwise, as RFC 7946 wants outer rings."""
    if not rings or not all(len(ring) > 3 and np.isfinite(ring).all() for ring in rings):
        return None
    rings = [_simple(ring if _area(ring) > 0 else ring[::-1]).round(_DIGITS) for ring in rings]
    boxes = np.array([(*ring.min(0), *ring.max(0)) for ring in rings])
    west, east = boxes[:, 0].min(), boxes[:, 2].max()
    if len(rings) > 1 and (west, east) == (-180.0, 180.0):
        begin, end = boxes[boxes[:, 2] == 180.0, 0].min(), boxes[boxes[:, 0] == -180.0, 2].max()
        west, east = (begin, end) if begin > end else (west, east)
    single = len(rings) == 1
    coordinates = [[ring.tolist()] for ring in rings]
    return Footprint(
        {"type": "Polygon", "coordinates": coordinates[0]}
        if single
        else {"type": "MultiPolygon", "coordinates": coordinates},
        (float(west), float(boxes[:, 1].min()), float(east), float(boxes[:, 3].max())),
    )


def _area(ring: Ring) -> float:
    """Twice the area of a ring, below zero where it runs clockwise."""
    x, y = ring.T
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


def _simple(ring: Ring) -> Ring:
    """Less the points that lie on lines between others (Douglas and Peucker)."""
    far = int(np.abs(ring - ring[0]).sum(1).argmax())  # a ring has no ends: begin with two of its points
    keep, spans = {0, far, len(ring) - 1}, [(0, far), (far, len(ring) - 1)]
    while spans:
        first, last = spans.pop()
        along, between = ring[last] - ring[first], ring[first + 1 : last] - ring[first]
        if not len(between):
            continue
        away = np.abs(along[0] * between[:, 1] - along[1] * between[:, 0]) / max(np.hypot(*along), 1e-12)
        if away.max() > _TOLERANCE:
            middle = first + 1 + int(away.argmax())
            keep.add(middle)
            spans += [(first, middle), (middle, last)]
    return ring[sorted(keep)]
