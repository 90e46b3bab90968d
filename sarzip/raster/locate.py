"""Where a rectangle on the map lies in a raster: by its transform or by its ground control points."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import GCPTransformer
from rasterio.warp import transform as warp

from sarzip.container.georeference import IDENTITY, Metadata
from sarzip.errors import UsageError
from sarzip.raster.gdal import cause_of, gdal_env

# Points along each side of the rectangle: what is straight on one map is curved on another.
_POINTS = 21
# A thin plate spline through n points is solved in n³ operations.
_MOST_SPLINE_POINTS = 2000

Bounds = tuple[float, float, float, float]


def pixel_bounds(meta: Metadata, bounds: Bounds, crs: str | None = None) -> Bounds:
    """First row, first column, last row, last column (exclusive, floating point) of the pixels that cover the
    rectangle `bounds` (west, south, east, north) in `crs` (None: the raster's own). May lie outside it.

    With ground control points the map is the thin plate spline through them (where there are more than 2000,
    the polynomial that GDAL fits), evaluated along the rectangle's sides: exact at the points; between them
    it knows neither relief nor anything else finer than their spacing. Left out one at a time, the points of
    a simulated Sentinel-1 GRD geometry are found from the others to a quarter of a pixel inside their grid,
    and to a pixel and a half next to its corners.

    Raises UsageError where the rectangle is impossible or the raster has no georeferencing.
    """
    west, south, east, north = bounds
    if not all(map(math.isfinite, bounds)) or west >= east or south >= north:
        raise UsageError(
            f"`bbox` {west:g},{south:g},{east:g},{north:g}: expected W,S,E,N with W < E and S < N "
            "(two boxes where it crosses the antimeridian)"
        )
    t = np.linspace(0.0, 1.0, _POINTS)
    x = np.concatenate(
        [west + (east - west) * t, np.full(_POINTS, east), east - (east - west) * t, np.full(_POINTS, west)]
    )
    y = np.concatenate(
        [
            np.full(_POINTS, south),
            south + (north - south) * t,
            np.full(_POINTS, north),
            north - (north - south) * t,
        ]
    )
    own = meta.gcps.crs if meta.gcps is not None else meta.crs
    if crs is not None:
        x, y = _reproject(x, y, crs, own)
    rows, columns = _to_pixels(meta, x, y)
    return float(rows.min()), float(columns.min()), float(rows.max()), float(columns.max())


def _reproject(
    x: NDArray[np.float64], y: NDArray[np.float64], crs: str, own: str | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if own is None:
        raise UsageError(f"`bbox_crs` {crs}: the scene names no coordinate system of its own; leave it out")
    try:
        with gdal_env():
            source = CRS.from_user_input(crs)
            found: Sequence[Any] = warp(source, CRS.from_user_input(own), x.tolist(), y.tolist())
    except (CRSError, RasterioError, ValueError) as error:
        raise UsageError(f"`bbox_crs` {crs}: cannot be used for `bbox` ({cause_of(error)})") from error
    moved = np.array(found[0], np.float64), np.array(found[1], np.float64)
    if not (np.isfinite(moved[0]).all() and np.isfinite(moved[1]).all()):
        raise UsageError(f"`bbox` in {crs}: parts of it do not exist in the scene's coordinate system")
    return moved


def _to_pixels(
    meta: Metadata, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if meta.gcps is not None and meta.transform == IDENTITY:
        return _by_points(meta, x, y)
    a, b, c, d, e, f = meta.transform
    size = a * e - b * d
    if size == 0 or (meta.transform == IDENTITY and meta.crs is None):
        raise UsageError(
            "`bbox`: the scene is not georeferenced by a transform or control points; use `window`"
        )
    return (a * (y - f) - d * (x - c)) / size, (e * (x - c) - b * (y - f)) / size


def _by_points(
    meta: Metadata, x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    assert meta.gcps is not None
    try:
        with gdal_env(), point_transformer(meta.gcps.points) as transformer:
            rows, columns = transformer.rowcol(x.tolist(), y.tolist(), op=float)
    except (RasterioError, ValueError) as error:
        raise UsageError(
            f"`bbox`: the scene's control points do not define a map ({cause_of(error)})"
        ) from error
    return np.array(rows, np.float64), np.array(columns, np.float64)


@contextmanager
def point_transformer(points: NDArray[np.float64]) -> Iterator[GCPTransformer]:
    """The map through control points (n, 5), as pixel_bounds describes it. ValueError where they define none:
    rasterio lets GDAL's own errors through, which share no class with its others.
    """
    known = [GroundControlPoint(*each) for each in points.tolist()]
    try:
        transformer = GCPTransformer(known, tps=len(known) <= _MOST_SPLINE_POINTS)
    except Exception as error:
        raise ValueError(cause_of(error)) from error
    with transformer:
        yield transformer
