"""Pictures on the map: where their pixels lie, north up or as the scene is stored, and files that say so.

PNG and JPEG hold no place on the map: a world file beside them has the transform, and an .aux.xml (GDAL's)
transform or control points and the coordinate system. A GeoTIFF has it all in itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.transform import Affine
from rasterio.warp import calculate_default_transform, reproject
from rasterio.warp import transform as to_other_crs

from sarzip.container.georeference import IDENTITY, Gcps, Metadata, encode
from sarzip.errors import UsageError
from sarzip.grid import Window
from sarzip.picture.draw import OPAQUE, with_alpha
from sarzip.raster.cog import write_cog
from sarzip.raster.gdal import cause_of, gdal_env
from sarzip.raster.metadata import known_crs
from sarzip.raster.pam import sidecar, sidecar_of
from sarzip.raster.png import write_jpeg, write_png
from sarzip.raster.sink import RasterSink
from sarzip.system.parts import part_path, world_file

_PLANE = CRS.from_epsg(3857)  # any: where both sides have it, nothing is projected
_NORTH_POLAR, _SOUTH_POLAR = 3413, 3031  # NSIDC's and the Antarctic's polar stereographic maps
_UTM_SOUTH, _UTM_NORTH = -80.0, 84.0
# A thin plate spline through n points is solved in n³ operations; as for windows (see locate).
_MOST_SPLINE_POINTS = 2000
_COLOURS = {
    1: (ColorInterp.gray,),
    2: (ColorInterp.gray, ColorInterp.alpha),
    3: (ColorInterp.red, ColorInterp.green, ColorInterp.blue),
    4: (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha),
}


@dataclass(frozen=True)
class Place:
    """Where the pixels of a picture lie on the map: by a transform, by control points, or nowhere.

    crs: "EPSG:code" or WKT, of the transform or of the points; None if unknown. transform: pixel to map, from
    the upper left corner.
    """

    crs: str | None = None
    transform: tuple[float, ...] | None = None
    gcps: Gcps | None = None

    @property
    def north_up(self) -> bool:
        """Whether rows go south and columns go east."""
        if self.transform is None:
            return False
        a, b, _, d, e, _ = self.transform
        return b == d == 0 and a > 0 > e

    def metadata(self, channels: int) -> Metadata:
        """As a raster of so many channels carries it."""
        return replace(
            Metadata.plain(channels),
            colours=tuple(int(each) for each in _COLOURS[channels]),
            crs=self.crs if self.gcps is None else None,
            transform=self.transform or IDENTITY,
            gcps=self.gcps,
        )


def place_of(meta: Metadata, window: Window, shape: tuple[int, int]) -> Place:
    """The place of a picture (rows, columns) of a window of a scene, by its transform or control points."""
    down, across = window.rows / shape[0], window.columns / shape[1]
    if meta.transform != IDENTITY or (meta.crs and meta.gcps is None and "RPC" not in meta.tags):
        a, b, c, d, e, f = meta.transform
        left = c + a * window.column + b * window.row
        top = f + d * window.column + e * window.row
        return Place(meta.crs, (a * across, b * down, left, d * across, e * down, top))
    if meta.gcps is None:
        return Place()
    points = meta.gcps.points.copy()
    points[:, 0] = (points[:, 0] - window.row) / down
    points[:, 1] = (points[:, 1] - window.column) / across
    return Place(meta.gcps.crs, gcps=replace(meta.gcps, points=points))


@dataclass(frozen=True)
class Target:
    """A picture north up: its place, rows and columns, and how many pixels of the scene one of its has along
    an axis.
    """

    place: Place
    shape: tuple[int, int]
    factor: float


def north_up_target(place: Place, shape: tuple[int, int], size: int) -> Target:
    """Of a window of a scene (its place at full resolution, rows, columns): all of it, north up, its longer
    side `size` pixels, or fewer where the scene has no more.

    A scene with a transform stays in its coordinate system; one with control points gets the UTM zone of its
    middle (beyond 84° N and 80° S a polar stereographic map), since pixels of degrees are no squares. Raises
    UsageError where there is no place on the map.
    """
    if place.transform is not None:
        crs, (left, top, right, bottom), (rows, columns) = place.crs, *_around(place.transform, shape)
    elif place.gcps is not None:
        crs, (left, top, right, bottom), (rows, columns) = _around_points(place, shape)
    else:
        raise UsageError("`north_up`: the scene has neither a transform nor control points")
    factor = max(1.0, max(rows, columns) / size)
    high, wide = max(1, round(rows / factor)), max(1, round(columns / factor))
    transform = ((right - left) / wide, 0.0, left, 0.0, (bottom - top) / high, top)
    return Target(Place(crs, transform), (high, wide), factor)


def to_north_up(
    pixels: NDArray[np.uint8], place: Place, target: Target, smooth: bool = True
) -> NDArray[np.uint8]:
    """A picture (channels, rows, columns, with or without alpha) put north up; alpha says where there is
    none. smooth: not for labels. Raises UsageError where control points define no map.
    """
    if place.transform is not None and place.transform[1] == place.transform[3] == 0:
        a, e = place.transform[0], place.transform[4]
        flipped = pixels[:, :: -1 if e > 0 else 1, :: -1 if a < 0 else 1]
        if flipped.shape[1:] == target.shape:
            return np.ascontiguousarray(flipped)
    if len(pixels) in (1, 3):
        pixels = np.concatenate([pixels, np.full((1, *pixels.shape[1:]), OPAQUE, np.uint8)])
    alpha, out = len(pixels), np.zeros((len(pixels), *target.shape), np.uint8)
    plane = known_crs(target.place.crs) or _PLANE
    assert target.place.transform is not None
    with _warping():
        reproject(
            pixels,
            out,
            src_crs=plane,
            dst_crs=plane,
            dst_transform=Affine(*target.place.transform),
            resampling=Resampling.bilinear if smooth else Resampling.nearest,
            src_alpha=alpha,
            dst_alpha=alpha,
            **_source(place, target.place.crs),
        )
    return with_alpha(out[:-1], out[-1] > 0) if np.isin(out[-1], (0, OPAQUE)).all() else out


def write_picture(path: Path, kind: str, pixels: NDArray[np.uint8], place: Place, threads: int = 0) -> None:
    """Write a picture uint8 (1 to 4 channels, rows, columns) as PNG, JPEG (without alpha) or COG, with its
    place on the map: beside the first two in NAME.aux.xml and a world file. Raises OutputError.
    """
    if kind == "COG":
        _write_cog(path, pixels, place, threads)
        return
    if kind == "JPEG":
        write_jpeg(path, pixels)
    else:
        write_png(path, pixels)
    wanted = place.metadata(len(pixels))
    beside = sidecar(wanted, replace(Metadata.plain(len(pixels)), colours=wanted.colours))
    if beside is not None:
        sidecar_of(path).write_bytes(beside)
    world = world_file(path)
    if world is not None and place.transform is not None:
        world.write_text(_world(place.transform), "ascii")


def _write_cog(path: Path, pixels: NDArray[np.uint8], place: Place, threads: int) -> None:
    count, rows, columns = pixels.shape
    tags, plain = encode(place.metadata(count)), part_path(path)
    try:
        with RasterSink.create(plain, columns, rows, ("uint8",) * count, tags) as sink:
            for channel, levels in enumerate(pixels):
                sink.write(channel, 0, 0, levels)
        sidecar_of(plain).unlink(missing_ok=True)
        write_cog(plain, path, tags, "AVERAGE", threads)
    finally:
        plain.unlink(missing_ok=True)


def _world(transform: tuple[float, ...]) -> str:
    """Six lines: steps along columns and rows, then the centre of the first pixel."""
    a, b, c, d, e, f = transform
    return "".join(f"{value!r}\n" for value in (a, d, b, e, c + a / 2 + b / 2, f + d / 2 + e / 2))


def _around(
    transform: tuple[float, ...], shape: tuple[int, int]
) -> tuple[tuple[float, float, float, float], tuple[float, float]]:
    """Left, top, right, bottom on the map of what a transform covers, and its rows and columns north up, of
    pixels as large as the scene's.
    """
    a, b, c, d, e, f = transform
    corners = [(column, row) for column in (0, shape[1]) for row in (0, shape[0])]
    x = [a * column + b * row + c for column, row in corners]
    y = [d * column + e * row + f for column, row in corners]
    left, top, right, bottom = min(x), max(y), max(x), min(y)
    if b == d == 0:
        return (left, top, right, bottom), shape
    side = math.sqrt(abs(a * e - b * d))
    return (left, top, right, bottom), ((top - bottom) / side, (right - left) / side)


def _around_points(
    place: Place, shape: tuple[int, int]
) -> tuple[str | None, tuple[float, float, float, float], tuple[float, float]]:
    """The same for control points, and the coordinate system."""
    with _warping():
        crs = _map_of(place)
        plane = known_crs(crs) or _PLANE
        points = _points(place, crs)
        found, columns, rows = calculate_default_transform(plane, plane, shape[1], shape[0], gcps=points)
    left, top = found.c, found.f
    return crs, (left, top, left + found.a * columns, top + found.e * rows), (rows, columns)


def _map_of(place: Place) -> str | None:
    """Points in a projected system stay there; else the UTM zone of their middle, or a polar map."""
    source = known_crs(place.crs)
    if source is None or source.is_projected:
        return place.crs
    points = _points(place, "EPSG:4326")
    latitude = float(np.mean([point.y for point in points]))
    if not _UTM_SOUTH <= latitude <= _UTM_NORTH:
        return f"EPSG:{_NORTH_POLAR if latitude > 0 else _SOUTH_POLAR}"
    # The mean of longitudes on both sides of the antimeridian is there, and not at 0.
    turns = np.exp(1j * np.radians([point.x for point in points]))
    zone = int((math.degrees(float(np.angle(turns.mean()))) + 180) // 6) % 60 + 1
    return f"EPSG:{(32700 if latitude < 0 else 32600) + zone}"


@contextmanager
def _warping() -> Iterator[None]:
    """GDAL's errors as one of usage; its messages may quote all control points."""
    try:
        with gdal_env():
            yield
    except Exception as error:  # GDAL's own come through, which rasterio keeps private
        raise UsageError(
            f"`north_up`: the scene cannot be put on the map ({cause_of(error):.200})"
        ) from error


def _source(place: Place, crs: str | None) -> dict[str, object]:
    """Where a picture lies on a map, for GDAL's warper."""
    if place.transform is not None:
        return {"src_transform": Affine(*place.transform)}
    points = _points(place, crs)
    return {"gcps": points, "METHOD": "GCP_TPS" if len(points) <= _MOST_SPLINE_POINTS else "GCP_POLYNOMIAL"}


def _points(place: Place, crs: str | None) -> list[GroundControlPoint]:
    """The control points in another coordinate system, without heights: in degrees no surface could be fitted
    across the antimeridian or a pole.
    """
    assert place.gcps is not None
    rows, columns, x, y, _ = place.gcps.points.T.tolist()
    source, target = known_crs(place.crs), known_crs(crs)
    if source is not None and target is not None and source != target:
        x, y = to_other_crs(source, target, x, y)[:2]
    if not np.isfinite([x, y]).all():
        raise ValueError("its control points do not exist there")
    return [GroundControlPoint(*point, 0.0) for point in zip(rows, columns, x, y, strict=True)]
