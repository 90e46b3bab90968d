"""Field by field: does one raster carry everything beside the pixels that another one does?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from sarzip.container.georeference import OWN_TAGS, STATISTICS, Gcps, Metadata, Namespaces, decode
from sarzip.grid import Window
from sarzip.raster.metadata import known_crs
from sarzip.raster.source import RasterSource

_STRIP_ROWS = 1024
_UNDEFINED, _GRAY = 0, 1


def compare_structure(path_a: str | Path, path_b: str | Path, masks: bool = True) -> list[str]:
    """Differences, one text each, in all of `path_a` that must survive in `path_b`; empty when the same.

    With `masks` the masks GDAL derives (nodata, alpha, the dataset's own) are compared pixel by pixel, in
    strips. Pixel values are not compared. Raises InputError when one of them cannot be read.
    """
    with RasterSource.open(path_a) as a, RasterSource.open(path_b) as b:
        out = []
        for name in ("width", "height", "count", "dtypes"):
            left, right = getattr(a.info, name), getattr(b.info, name)
            if left != right:
                out.append(f"{name}: {_short(left)} became {_short(right)}")
        if a.info.count != b.info.count:
            return out
        out += metadata_differences(decode(a.info.tags, a.info.count), decode(b.info.tags, b.info.count))
        kinds_a, kinds_b = a.mask_kinds(), b.mask_kinds()
        if kinds_a != kinds_b:
            out.append(f"mask kind: {_short(kinds_a)} became {_short(kinds_b)}")
        elif masks and (a.info.width, a.info.height) == (b.info.width, b.info.height):
            out += _mask_differences(a, b, kinds_a)
    return out


def metadata_differences(a: Metadata, b: Metadata) -> list[str]:
    """Differences, one text each, between the metadata of two rasters of equally many bands."""
    out = []
    if not same_crs(a.crs, b.crs):
        out.append(f"CRS: {_short(a.crs)} became {_short(b.crs)}")
    if a.transform != b.transform:
        out.append(f"transform: {_short(a.transform)} became {_short(b.transform)}")
    out += _gcp_differences(a.gcps, b.gcps)
    for name in ("nodata", "descriptions", "units", "scales", "offsets", "colours"):
        for band, (left, right) in enumerate(zip(getattr(a, name), getattr(b, name), strict=True)):
            # repr: NaN equals NaN, and -0.0 is not 0.0. A first band that says nothing is gray to GDAL.
            if repr(left) != repr(right) and (name, left, right) != ("colours", _UNDEFINED, _GRAY):
                out.append(f"band {band + 1} {name}: {_short(left)} became {_short(right)}")
    out += _tag_differences("tag", a.tags, b.tags)
    for band, (tags_a, tags_b) in enumerate(zip(a.band_tags, b.band_tags, strict=True)):
        out += _tag_differences(f"band {band + 1} tag", tags_a, tags_b)
    for what in ("colormaps", "categories", "tables"):
        left, right = getattr(a, what), getattr(b, what)
        changed = [band for band in sorted({*left, *right}) if left.get(band) != right.get(band)]
        out += [f"band {band + 1} {_NAMES[what]}: {_state(left, right, band)}" for band in changed]
    if a.mask != b.mask:
        out.append(f"mask of the dataset: {a.mask} became {b.mask}")
    return out


_NAMES = {"colormaps": "colour map", "categories": "category names", "tables": "attribute table"}


def _state(left: Mapping[int, object], right: Mapping[int, object], band: int) -> str:
    return "differs" if band in left and band in right else "missing" if band in left else "is new"


def same_crs(a: str | None, b: str | None) -> bool:
    """True when both texts name the same coordinate reference system, or neither names one."""
    if a is None or b is None or a == b:
        return a == b
    left, right = known_crs(a), known_crs(b)
    return left is not None and left == right


def _gcp_differences(a: Gcps | None, b: Gcps | None) -> list[str]:
    if a is None or b is None:
        return [] if a is b else [f"ground control points: {_points(a)} became {_points(b)}"]
    out = []
    if len(a.ids) != len(b.ids):
        return [f"ground control points: {_points(a)} became {_points(b)}"]
    if a.points.tobytes() != b.points.tobytes():
        worst = np.max(np.abs(a.points - b.points), axis=0)
        out.append(f"ground control points moved by up to {_short(worst.tolist())} (row, col, x, y, z)")
    if a.ids != b.ids:
        out.append("ids of ground control points differ")
    if a.infos != b.infos:
        out.append("infos of ground control points differ")
    if not same_crs(a.crs, b.crs):
        out.append(f"CRS of ground control points: {_short(a.crs)} became {_short(b.crs)}")
    return out


def _points(gcps: Gcps | None) -> str:
    return "none" if gcps is None else str(len(gcps.ids))


def _tag_differences(what: str, a: Namespaces, b: Namespaces) -> Iterator[str]:
    for space in sorted({*a, *b} - {OWN_TAGS}):
        left, right = a.get(space, {}), b.get(space, {})
        for key in sorted({*left, *right}):
            if key not in right and key.startswith(STATISTICS):
                continue  # of other pixels: dropped on purpose
            if left.get(key) != right.get(key) and not (space == "RPC" and _same_numbers(left, right, key)):
                name = f"{space}:{key}" if space else key
                yield f"{what} {name}: {_short(left.get(key))} became {_short(right.get(key))}"


def _same_numbers(a: Mapping[str, str], b: Mapping[str, str], key: str) -> bool:
    """RPCs are numbers written as text; other formats than GeoTIFF write them in other ways."""
    try:
        return [float(v) for v in a[key].split()] == [float(v) for v in b[key].split()]
    except (KeyError, ValueError):
        return False


def _mask_differences(a: RasterSource, b: RasterSource, kinds: tuple[str, ...]) -> list[str]:
    bands = [band for band, kind in enumerate(kinds) if kind != "all_valid"]
    changed = dict.fromkeys(bands, 0)
    for row in range(0, a.info.height, _STRIP_ROWS) if bands else ():
        rows = min(_STRIP_ROWS, a.info.height - row)
        for band in bands:
            place = Window(row, 0, rows, a.info.width)
            changed[band] += int(
                np.count_nonzero(a.read_band_mask(band, place) != b.read_band_mask(band, place))
            )
    return [f"band {band + 1} mask differs in {n} pixels" for band, n in changed.items() if n]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
