"""What must survive beside the pixels, as plain values and as the compact dict that a `.sarz` carries.

`Metadata` is the readable form; `encode` turns it into a dict that JSON keeps exactly, with short keys and no
defaults, and `decode` undoes it. Neither needs rasterio, so a header can be shown without loading GDAL.

Keys of the dict (all optional):
e  CRS: EPSG code (int), or an authority code ("ESRI:54009") or WKT (str)
t  affine transform [a, b, c, d, e, f], pixel to map; absent: none (identity); c and f with many digits as
   base64 of a float64, little-endian
g  ground control points {"n": count, "w": grid width, "p": base64 of columns.pack(row, col, x, y, z),
   "e": CRS, "i": ids when not "1", "2", ..., "f": infos when not all empty}
n  nodata: one value for all bands, or a list; "nan", "inf", "-inf" as text, null for none
d, u, s, o  lists of descriptions, units (null for none), scales, offsets, one per band
c  colour interpretation, GDAL numbers, when not gray, undefined, undefined, ...
m  dataset tags {namespace: {key: value}}; "" is the default namespace
b  band tags, a list of such dicts, trailing empty ones cut
p  colour maps {band: base64 of zlib of int16 little-endian, four planes}
Base64 is without padding, as the container stores it in binary; files of format 1.0 have the padding.
k  1 when the dataset has a mask of its own that neither nodata nor an alpha band explains
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from sarzip.container import control_points as columns
from sarzip.errors import CorruptError

Namespaces = Mapping[str, Mapping[str, str]]
Number = float | int
_T = TypeVar("_T")

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
MAX_GCPS = 1 << 20
_GRAY = 1
_DOUBLE = 11  # characters of base64
_MAX_COLOURS = 1 << 16


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
    """Everything a raster carries beside size, dtypes and pixels; sequences have one entry per band."""

    count: int
    nodata: tuple[Number | None, ...]
    descriptions: tuple[str | None, ...]
    units: tuple[str | None, ...]
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    colours: tuple[int, ...]  # GDAL's colour interpretation numbers
    band_tags: tuple[Namespaces, ...]
    tags: Namespaces = field(default_factory=dict)
    crs: str | None = None  # "EPSG:32631", "ESRI:54009" or WKT
    transform: tuple[float, ...] = IDENTITY
    gcps: Gcps | None = None
    colormaps: Mapping[int, tuple[tuple[int, ...], ...]] = field(
        default_factory=dict
    )  # 0-based band: entries
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


# --- encode -------------------------------------------------------------------------------------------------


def encode(meta: Metadata) -> dict[str, Any]:
    """The compact dict of `meta`; what equals the default is left out."""
    plain = Metadata.plain(meta.count)
    out: dict[str, Any] = {}
    if meta.crs is not None:
        out["e"] = _encode_crs(meta.crs)
    if meta.transform != IDENTITY:
        out["t"] = [
            _encode_number(v) if i % 3 < 2 else _encode_double(v) for i, v in enumerate(meta.transform)
        ]
    if meta.gcps is not None and len(meta.gcps.ids):
        out["g"] = _encode_gcps(meta.gcps)
    if meta.nodata != plain.nodata:
        values = [None if v is None else _encode_number(v) for v in meta.nodata]
        out["n"] = values[0] if all(v == values[0] for v in values) else values
    for key, texts in (("d", meta.descriptions), ("u", meta.units)):
        if any(text is not None for text in texts):
            out[key] = list(texts)
    if meta.colours != plain.colours:
        out["c"] = list(meta.colours)
    for key, numbers, default in (("s", meta.scales, "1.0"), ("o", meta.offsets, "0.0")):
        if any(repr(v) != default for v in numbers):
            out[key] = [_encode_number(v) for v in numbers]
    if any(meta.tags.values()):
        out["m"] = _encode_tags(meta.tags)
    bands = [_encode_tags(tags) for tags in meta.band_tags]
    while bands and not bands[-1]:
        bands.pop()
    if bands:
        out["b"] = bands
    if meta.colormaps:
        out["p"] = {str(band): _encode_colormap(entries) for band, entries in meta.colormaps.items()}
    if meta.mask:
        out["k"] = 1
    return out


def _encode_number(value: Number) -> Number | str:
    """A number that JSON gives back exactly: text for what JSON lacks, integers where they say the same."""
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return repr(value)
    whole = value.is_integer() and abs(value) < 2**53 and not (value == 0 and math.copysign(1, value) < 0)
    return int(value) if whole else value


def _encode_double(value: float) -> Number | str:
    """A number, or its eight bytes where they are shorter."""
    number = _encode_number(value)
    return (
        number if isinstance(number, str) or len(repr(number)) < 13 else _to_base64(struct.pack("<d", value))
    )


def _encode_crs(crs: str) -> int | str:
    head, _, code = crs.partition(":")
    return int(code) if head == "EPSG" and code.isdecimal() and str(int(code)) == code else crs


def _encode_gcps(gcps: Gcps) -> dict[str, Any]:
    n = len(gcps.ids)
    widths = columns.grid_widths(gcps.points[:, 0], gcps.points[:, 1])
    widths = [width for width in widths if 1 < width < n] or widths  # a grid is always worth knowing
    packed, width = min(
        ((columns.pack(gcps.points, w), w) for w in widths), key=lambda item: (len(item[0]), item[1])
    )
    out: dict[str, Any] = {"n": n, "p": _to_base64(packed)}
    if width != n:
        out["w"] = width
    if gcps.crs is not None:
        out["e"] = _encode_crs(gcps.crs)
    if gcps.ids != _plain_ids(n):
        out["i"] = list(gcps.ids)
    if any(gcps.infos):
        out["f"] = list(gcps.infos)
    return out


def _plain_ids(n: int) -> tuple[str, ...]:
    """The ids GDAL gives the points of a GeoTIFF, which itself stores none."""
    return tuple(str(i + 1) for i in range(n))


def _encode_tags(tags: Namespaces) -> dict[str, dict[str, str]]:
    return {name: dict(items) for name, items in tags.items() if items}


def _encode_colormap(entries: tuple[tuple[int, ...], ...]) -> str:
    planes = np.array(entries, "<i2").T.tobytes()
    return _to_base64(zlib.compress(planes, 9))


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii").rstrip("=")


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text if text.endswith("=") else text + "=" * (-len(text) % 4), validate=True)


# --- decode -------------------------------------------------------------------------------------------------


def decode(tags: Mapping[str, Any], count: int) -> Metadata:
    """The metadata of a raster of `count` bands from its compact dict.

    Unknown keys are ignored. Raises CorruptError for a dict that `encode` cannot have written.
    """
    try:
        return _decode(tags, count)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
        struct.error,
        zlib.error,
    ) as error:
        raise CorruptError(f"the stored raster metadata is damaged ({error})") from error


def _decode(tags: Mapping[str, Any], count: int) -> Metadata:
    plain = Metadata.plain(count)
    nodata = tags.get("n")
    listed = nodata if isinstance(nodata, list) else [nodata] * count
    transform = tuple(_decode_double(v) for v in tags.get("t", IDENTITY))
    if len(transform) != 6:
        raise ValueError("a transform has six numbers")
    bands = [_decode_tags(item) for item in tags.get("b", [])]
    if len(bands) > count:
        raise ValueError("more band tags than bands")
    return Metadata(
        count=count,
        nodata=_per_band([None if v is None else _decode_number(v) for v in listed], count),
        descriptions=_per_band(_texts(tags.get("d", plain.descriptions)), count),
        units=_per_band(_texts(tags.get("u", plain.units)), count),
        scales=_per_band([float(_decode_number(v)) for v in tags.get("s", plain.scales)], count),
        offsets=_per_band([float(_decode_number(v)) for v in tags.get("o", plain.offsets)], count),
        colours=_per_band([int(v) for v in tags.get("c", plain.colours)], count),
        band_tags=tuple(bands) + ({},) * (count - len(bands)),
        tags=_decode_tags(tags.get("m", {})),
        crs=None if tags.get("e") is None else _decode_crs(tags["e"]),
        transform=transform,
        gcps=_decode_gcps(tags["g"]) if "g" in tags else None,
        colormaps={int(band): _decode_colormap(text) for band, text in tags.get("p", {}).items()},
        mask=bool(tags.get("k", 0)),
    )


def _per_band(values: Sequence[_T], count: int) -> tuple[_T, ...]:
    if len(values) != count:
        raise ValueError(f"{len(values)} values for {count} bands")
    return tuple(values)


def _texts(values: Sequence[object]) -> list[str | None]:
    if not all(v is None or isinstance(v, str) for v in values):
        raise ValueError("text expected")
    return [cast("str | None", v) for v in values]


def _decode_number(value: object) -> Number:
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"number expected, not {value!r}")
    # GDAL gives every nodata as a double, but for 64-bit integers beyond a double's 53 bits.
    return float(value) if abs(value) < 2**53 else value


def _decode_double(value: object) -> float:
    if isinstance(value, str) and len(value) == _DOUBLE:
        return cast(float, struct.unpack("<d", _from_base64(value))[0])
    return float(_decode_number(value))


def _decode_crs(value: object) -> str:
    if isinstance(value, int):
        return f"EPSG:{value}"
    if not isinstance(value, str):
        raise ValueError("a CRS is a number or a text")
    return value


def _decode_gcps(item: Mapping[str, Any]) -> Gcps:
    n, width = int(item["n"]), int(item.get("w", item["n"]))
    if not 1 <= n <= MAX_GCPS:
        raise ValueError(f"{n} ground control points")
    points = columns.unpack(_from_base64(item["p"]), (n, 5), width)
    ids = _texts(item["i"]) if "i" in item else list(_plain_ids(n))
    infos = _texts(item["f"]) if "f" in item else [""] * n
    crs = _decode_crs(item["e"]) if item.get("e") is not None else None
    return Gcps(points, _per_band([i or "" for i in ids], n), _per_band([i or "" for i in infos], n), crs)


def _decode_tags(item: Mapping[str, Any]) -> Namespaces:
    out = {str(name): dict(values) for name, values in item.items()}
    if not all(isinstance(v, str) for values in out.values() for v in values.values()):
        raise ValueError("tags are texts")
    return out


def _decode_colormap(text: str) -> tuple[tuple[int, ...], ...]:
    inflate = zlib.decompressobj()
    data = inflate.decompress(_from_base64(text), 8 * _MAX_COLOURS)
    if inflate.unconsumed_tail or len(data) % 8:
        raise ValueError("colour map of a wrong size")
    return tuple(tuple(int(v) for v in entry) for entry in np.frombuffer(data, "<i2").reshape(4, -1).T)


# --- for people ---------------------------------------------------------------------------------------------


def describe(tags: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The compact dict in words, JSON-able, for `sarzip info`: control points counted, not listed."""
    meta = decode(tags, count)
    shown: dict[str, Any] = {
        "crs": meta.crs,
        "transform": None if meta.transform == IDENTITY else [_encode_number(v) for v in meta.transform],
        "gcps": None if meta.gcps is None else {"count": len(meta.gcps.ids), "crs": meta.gcps.crs},
        "rpcs": bool(meta.tags.get("RPC")),
        "nodata": [None if v is None else _encode_number(v) for v in meta.nodata],
        "descriptions": list(meta.descriptions),
        "units": list(meta.units),
        "scales": None if set(meta.scales) <= {1.0} else [_encode_number(v) for v in meta.scales],
        "offsets": None if set(meta.offsets) <= {0.0} else [_encode_number(v) for v in meta.offsets],
        "mask": meta.mask,
        "tags": {name: dict(items) for name, items in meta.tags.items()},
        "band_tags": [{name: dict(items) for name, items in band.items()} for band in meta.band_tags],
    }
    return {key: value for key, value in shown.items() if not _is_default(value)}


def _is_default(value: object) -> bool:
    return value in (None, False, {}, [], 0) or (
        isinstance(value, list) and all(v in (None, {}) for v in value)
    )
