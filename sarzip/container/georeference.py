"""What must survive beside the pixels, as plain values and as the compact dict that a `.sarz` carries.

`Metadata` is the readable form; `encode` turns it into a dict that JSON keeps exactly, with short keys and no
defaults, and `decode` undoes it: FORMAT.md 5.5 tells each key. Neither needs rasterio, so a header can be
shown without loading GDAL.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container import control_points
from sarzip.container.metadata_values import (
    AttributeTable,
    Colours,
    Number,
    by_band,
    decode_colours,
    decode_crs,
    decode_double,
    decode_number,
    decode_table,
    encode_colours,
    encode_crs,
    encode_double,
    encode_number,
    encode_table,
    from_base64,
    integer,
    items,
    known,
    mapping,
    optional_text,
    same,
    text,
    to_base64,
)
from sarzip.errors import CorruptError

Namespaces = Mapping[str, Mapping[str, str]]

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
RED, GREEN, BLUE, ALPHA = 3, 4, 5, 6
"""Of the colours of Metadata, which are GDAL's colour interpretation."""
MAX_GCPS = 1 << 20
_GRAY = 1
_MOST_COLOUR = 255
OWN_TAGS = "SARZIP"
"""The namespace of what sarzip says of bands in the files that it decompresses."""
STATISTICS = "STATISTICS_"
"""How the keys of tags begin that tell of the pixels (GDAL)."""


@dataclass(frozen=True)
class Gcps:
    """Ground control points: `points` float64 (n, 5) of row, col, x, y, z; ids and infos of length n."""

    points: NDArray[np.float64]
    ids: tuple[str, ...]
    infos: tuple[str, ...]
    crs: str | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Gcps):
            return NotImplemented
        same = self.points.tobytes() == other.points.tobytes()
        return same and (self.ids, self.infos, self.crs) == (other.ids, other.infos, other.crs)


@dataclass(frozen=True)
class Metadata:
    """Everything a raster carries beside size, dtypes and pixels; sequences have one entry per band, mappings
    by band have 0-based keys.

    crs: "EPSG:32631", "ESRI:54009" or WKT. transform: pixel to map, from the upper left corner. mask: the
    dataset has a mask of its own that neither nodata nor an alpha band explains.
    """

    count: int
    nodata: tuple[Number | None, ...]
    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    colours: tuple[int, ...]  # GDAL's colour interpretation numbers
    band_tags: tuple[Namespaces, ...]
    tags: Namespaces = field(default_factory=dict)
    crs: str | None = None
    transform: tuple[float, ...] = IDENTITY
    gcps: Gcps | None = None
    colormaps: Mapping[int, Colours] = field(default_factory=dict)
    categories: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    tables: Mapping[int, AttributeTable] = field(default_factory=dict)
    mask: bool = False

    @staticmethod
    def plain(count: int) -> Metadata:
        """The metadata of a raster of `count` bands that carries none."""
        return Metadata(
            count=count,
            nodata=(None,) * count,
            descriptions=(None,) * count,
            units=(None,) * count,
            scales=(1.0,) * count,
            offsets=(0.0,) * count,
            colours=default_colours(count),
            band_tags=({},) * count,
        )


def default_colours(count: int) -> tuple[int, ...]:
    """Colour interpretation of a raster that says nothing: gray, then undefined."""
    return (_GRAY,) + (0,) * (count - 1)


def without_namespace(meta: Metadata, name: str) -> Metadata:
    """`meta` less one namespace of the dataset's tags."""
    return replace(meta, tags={key: items for key, items in meta.tags.items() if key != name})


def without_statistics(meta: Metadata, bands: Collection[int]) -> Metadata:
    """`meta` less the STATISTICS_* of some bands and, if there are any, of the dataset: the pixels that they
    tell of are others now.
    """
    if not bands:
        return meta
    kept = [_not_statistics(tags) if band in bands else tags for band, tags in enumerate(meta.band_tags)]
    return replace(meta, tags=_not_statistics(meta.tags), band_tags=tuple(kept))


def drop_statistics(stored: Mapping[str, Any], bands: Collection[int]) -> dict[str, Any]:
    """The same for the compact dict; one that breaks the rules stays as it is."""
    out = dict(stored)
    if not bands:
        return out
    try:
        dataset = _not_statistics(stored.get("m", {}))
        tags = [
            _not_statistics(each) if band in bands else each for band, each in enumerate(stored.get("b", []))
        ]
    except (AttributeError, TypeError):
        return out
    while tags and not tags[-1]:
        tags.pop()
    for key, kept in (("m", dataset), ("b", tags)):
        if kept:
            out[key] = kept
        else:
            out.pop(key, None)
    return out


def with_band_tags(
    stored: Mapping[str, Any], namespace: str, told: Mapping[int, Mapping[str, str]]
) -> dict[str, Any]:
    """The compact dict with more tags in a namespace of some bands (0-based); one that breaks the rules stays
    as it is.
    """
    if not told:
        return dict(stored)
    try:
        tags = [dict(each) for each in stored.get("b", [])]
        tags += [{} for _ in range(max(told) + 1 - len(tags))]
        for band, pairs in told.items():
            tags[band][namespace] = {**tags[band].get(namespace, {}), **pairs}
    except (AttributeError, TypeError, ValueError):
        return dict(stored)
    return {**stored, "b": tags}


def _not_statistics(spaces: Namespaces) -> Namespaces:
    kept = {
        space: {key: value for key, value in entries.items() if not key.startswith(STATISTICS)}
        for space, entries in spaces.items()
    }
    return {space: entries for space, entries in kept.items() if entries or not spaces[space]}


# --- encode -------------------------------------------------------------------------------------------------


def encode(meta: Metadata) -> dict[str, Any]:
    """The compact dict of `meta`; what equals the default is left out."""
    plain = Metadata.plain(meta.count)
    out: dict[str, Any] = {}
    if meta.crs is not None:
        out["e"] = encode_crs(meta.crs)
    if meta.transform != IDENTITY:
        out["t"] = [encode_number(v) if i % 3 < 2 else encode_double(v) for i, v in enumerate(meta.transform)]
    if meta.gcps is not None and len(meta.gcps.ids):
        out["g"] = _encode_gcps(meta.gcps)
    if meta.nodata != plain.nodata:
        values = [None if v is None else encode_number(v) for v in meta.nodata]
        out["n"] = values[0] if same(values) else values
    for key, texts in (("d", meta.descriptions), ("u", meta.units)):
        if any(each is not None for each in texts):
            out[key] = list(texts)
    if meta.colours != plain.colours:
        out["c"] = list(meta.colours)
    for key, numbers, default in (("s", meta.scales, "1.0"), ("o", meta.offsets, "0.0")):
        if any(repr(v) != default for v in numbers):
            out[key] = [encode_number(v) for v in numbers]
    if any(meta.tags.values()):
        out["m"] = _encode_tags(meta.tags)
    bands = [_encode_tags(tags) for tags in meta.band_tags]
    while bands and not bands[-1]:
        bands.pop()
    if bands:
        out["b"] = bands
    for key, found in (
        ("p", {band: encode_colours(entries) for band, entries in meta.colormaps.items()}),
        ("y", {band: list(names) for band, names in meta.categories.items()}),
        ("a", {band: encode_table(table) for band, table in meta.tables.items()}),
    ):
        if found:
            out[key] = {str(band): value for band, value in found.items()}
    if meta.mask:
        out["k"] = 1
    return out


def _encode_gcps(gcps: Gcps) -> dict[str, Any]:
    n = len(gcps.ids)
    widths = control_points.grid_widths(gcps.points[:, 0], gcps.points[:, 1])
    widths = [width for width in widths if 1 < width < n] or widths  # a grid is always worth knowing
    packed, width = min(
        ((control_points.pack(gcps.points, w), w) for w in widths), key=lambda item: (len(item[0]), item[1])
    )
    out: dict[str, Any] = {"n": n, "p": to_base64(packed)}
    if width != n:
        out["w"] = width
    if gcps.crs is not None:
        out["e"] = encode_crs(gcps.crs)
    if gcps.ids != _plain_ids(n):
        out["i"] = list(gcps.ids)
    if any(gcps.infos):
        out["f"] = list(gcps.infos)
    return out


def _plain_ids(n: int) -> tuple[str, ...]:
    """The ids GDAL gives the points of a GeoTIFF, which itself stores none."""
    return tuple(str(i + 1) for i in range(n))


def _encode_tags(tags: Namespaces) -> dict[str, dict[str, str]]:
    return {name: dict(entries) for name, entries in tags.items() if entries}


# --- decode -------------------------------------------------------------------------------------------------


def decode(stored: Mapping[str, Any], count: int) -> Metadata:
    """The metadata of a raster of `count` bands from its compact dict.

    Unknown keys are ignored, but for those that begin with "!". Raises CorruptError for a dict that breaks a
    rule of FORMAT.md 5.5.
    """
    try:
        return _decode(known(stored), count)
    except (ValueError, TypeError, KeyError, OverflowError, struct.error, zlib.error) as error:
        raise CorruptError(f"the stored raster metadata is damaged ({error})") from error


def _decode(stored: dict[str, Any], count: int) -> Metadata:
    plain = Metadata.plain(count)
    nodata = stored.get("n")
    bands = items(stored.get("b", []), _decode_tags)
    if len(bands) > count:
        raise ValueError("more band tags than bands")
    return Metadata(
        count=count,
        nodata=items(nodata if isinstance(nodata, list) else [nodata] * count, _decode_nodata, count),
        descriptions=items(stored.get("d", plain.descriptions), optional_text, count),
        units=items(stored.get("u", plain.units), optional_text, count),
        scales=items(stored.get("s", plain.scales), _decode_float, count),
        offsets=items(stored.get("o", plain.offsets), _decode_float, count),
        colours=items(stored.get("c", plain.colours), lambda v: integer(v, 0, _MOST_COLOUR), count),
        band_tags=bands + ({},) * (count - len(bands)),
        tags=_decode_tags(stored.get("m", {})),
        crs=None if stored.get("e") is None else decode_crs(stored["e"]),
        transform=items(stored.get("t", IDENTITY), decode_double, 6),
        gcps=_decode_gcps(known(stored["g"])) if "g" in stored else None,
        colormaps=by_band(stored.get("p", {}), decode_colours, count),
        categories=by_band(stored.get("y", {}), lambda names: items(names, text), count),
        tables=by_band(stored.get("a", {}), decode_table, count),
        mask=integer(stored.get("k", 0), 0, 1) == 1,
    )


def _decode_nodata(value: object) -> Number | None:
    return None if value is None else decode_number(value)


def _decode_float(value: object) -> float:
    return float(decode_number(value))


def _decode_gcps(stored: dict[str, Any]) -> Gcps:
    n = integer(stored["n"], 1, MAX_GCPS)
    width = integer(stored.get("w", n), 1, n)
    points = control_points.unpack(from_base64(stored["p"]), (n, 5), width)
    ids = items(stored["i"], text, n) if "i" in stored else _plain_ids(n)
    infos = items(stored["f"], text, n) if "f" in stored else ("",) * n
    crs = None if stored.get("e") is None else decode_crs(stored["e"])
    return Gcps(points, ids, infos, crs)


def _decode_tags(value: object) -> Namespaces:
    return {
        name: {key: text(entry) for key, entry in mapping(entries).items()}
        for name, entries in mapping(value).items()
    }
