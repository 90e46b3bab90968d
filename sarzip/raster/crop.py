"""The metadata of a part of a raster: some of its bands, a window of its pixels, at a reduced resolution.

All of it is arithmetic on the plain values of container.georeference. A sample of the part covers scale×scale
pixels, the first of them the window's upper left corner; boxes cut by the right and lower border keep that
spacing, so that the transform holds everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sarzip.container.georeference import (
    IDENTITY,
    Gcps,
    Metadata,
    Namespaces,
    default_colours,
    without_statistics,
)

_UNDEFINED = 0
_T = TypeVar("_T")


@dataclass(frozen=True)
class Part:
    """What is kept. row, column: of the first pixel kept. scale: pixels per sample. bands: 0-based."""

    row: int
    column: int
    scale: int
    bands: tuple[int, ...]

    @property
    def moved(self) -> bool:
        """Whether samples stand for other pixels than before."""
        return (self.row, self.column, self.scale) != (0, 0, 1)


def crop_metadata(meta: Metadata, part: Part) -> Metadata:
    """The metadata of a part: georeferencing (transform, control points, RPCs, geolocation arrays) moved and
    scaled with it, that of the bands picked. Statistics of the whole are dropped.
    """
    bands = part.bands
    colours = tuple(meta.colours[band] for band in bands)
    if colours[0] == _UNDEFINED:
        # What was undefined as a further band is gray as the first, by GDAL's own rule.
        colours = default_colours(1) + colours[1:]
    picked = replace(
        meta,
        count=len(bands),
        nodata=tuple(meta.nodata[band] for band in bands),
        descriptions=tuple(meta.descriptions[band] for band in bands),
        units=tuple(meta.units[band] for band in bands),
        scales=tuple(meta.scales[band] for band in bands),
        offsets=tuple(meta.offsets[band] for band in bands),
        colours=colours,
        band_tags=tuple(meta.band_tags[band] for band in bands),
        colormaps=_picked(meta.colormaps, bands),
        categories=_picked(meta.categories, bands),
        tables=_picked(meta.tables, bands),
    )
    if not part.moved:
        return picked
    fresh = without_statistics(picked, range(len(bands)))
    return replace(
        fresh,
        transform=_moved_transform(meta, part),
        gcps=None if meta.gcps is None else _moved_gcps(meta.gcps, part),
        tags=_moved_tags(fresh.tags, part),
    )


def _picked(values: Mapping[int, _T], bands: tuple[int, ...]) -> dict[int, _T]:
    return {new: values[old] for new, old in enumerate(bands) if old in values}


def _moved_transform(meta: Metadata, part: Part) -> tuple[float, ...]:
    a, b, c, d, e, f = meta.transform
    if meta.transform == IDENTITY and (meta.crs is None or meta.gcps is not None or "RPC" in meta.tags):
        return IDENTITY  # none at all: the raster is not georeferenced, or by other means
    s, column, row = part.scale, part.column, part.row
    return a * s, b * s, c + a * column + b * row, d * s, e * s, f + d * column + e * row


def _moved_gcps(gcps: Gcps, part: Part) -> Gcps:
    """Points are given in pixels from the corner of the raster; those outside the part keep serving it."""
    points = gcps.points.copy()
    points[:, :2] = (points[:, :2] - np.array([part.row, part.column], np.float64)) / part.scale
    return replace(gcps, points=points)


def _moved_tags(tags: Namespaces, part: Part) -> dict[str, Mapping[str, str]]:
    out = dict(tags)
    for space, move in (("RPC", _moved_rpc), ("GEOLOCATION", _moved_geolocation)):
        if space in out:
            out[space] = move(out[space], part)
    return out


def _moved_rpc(items: Mapping[str, str], part: Part) -> dict[str, str]:
    """RPCs count from the centre of the first pixel (RPC00B): half a pixel of the corner."""
    out = dict(items)
    for axis, first in (("LINE", part.row), ("SAMP", part.column)):
        offset, size = _number(items.get(f"{axis}_OFF")), _number(items.get(f"{axis}_SCALE"))
        if offset is not None and size is not None:
            out[f"{axis}_OFF"] = repr((offset + 0.5 - first) / part.scale - 0.5)
            out[f"{axis}_SCALE"] = repr(size / part.scale)
    return out


def _moved_geolocation(items: Mapping[str, str], part: Part) -> dict[str, str]:
    """GDAL's geolocation arrays: element k stands for pixel OFFSET + k·STEP."""
    out = dict(items)
    for axis, first in (("LINE", part.row), ("PIXEL", part.column)):
        offset, step = _number(items.get(f"{axis}_OFFSET")), _number(items.get(f"{axis}_STEP"))
        if offset is not None and step is not None:
            out[f"{axis}_OFFSET"] = repr((offset - first) / part.scale)
            out[f"{axis}_STEP"] = repr(step / part.scale)
    return out


def _number(text: str | None) -> float | None:
    """The number at the start of a text such as '16201.25 pixels'."""
    try:
        return float((text or "").split()[0])
    except (ValueError, IndexError):
        return None
