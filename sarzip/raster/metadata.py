"""Between a rasterio dataset and everything that must survive beside the pixels.

What a GeoTIFF cannot hold is found by reading the written file back and goes into a file beside it (see
`pam`). Not kept at all: masks that differ between bands, nodata outside the dtype's range, empty tag values
and leading blanks of tags, `json:` documents of bands, colour interpretation "undefined" of the first band;
notes say so. Overviews and histograms, which are made from the pixels, are not read.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import CRSError, RasterioError
from rasterio.transform import Affine

from sarzip.container.georeference import IDENTITY, Gcps, Metadata, Namespaces
from sarzip.raster.gdal import gdal_env
from sarzip.raster.vrt import VrtDescription

# Domains that describe how the file is coded, what GDAL derives from it, or where its parts lie.
_NOT_CONTENT = {
    "IMAGE_STRUCTURE",
    "DERIVED_SUBDATASETS",
    "SUBDATASETS",
    "TIFF",
    "LocationInfo",
    "vrt_sources",
    "new_vrt_sources",
    "xml:VRT",
    "_temporary_",
    "__DEBUG__",
}
_AREA = {"AREA_OR_POINT": "Area"}


def read_metadata(dataset: Any, about: VrtDescription | None) -> Metadata:
    """Everything that must survive of an open rasterio `dataset`; about: what only GDAL's XML tells of it.

    Raises UnicodeDecodeError for texts that are not UTF-8 where there is no XML.
    """
    count = dataset.count
    colours = tuple(int(c) for c in dataset.colorinterp)
    transform = dataset.transform
    if about is not None and about.legacy:
        descriptions, units = about.texts("Description"), about.texts("UnitType")
        tags, band_tags = _content(about.tags()), [_content(about.tags(band)) for band in range(count)]
    else:
        descriptions = tuple(d or None for d in dataset.descriptions)
        units = tuple(u or None for u in dataset.units)
        tags = {**_read_namespaces(dataset, 0), **(about.documents() if about is not None else {})}
        band_tags = [_read_namespaces(dataset, band) for band in dataset.indexes]
    return Metadata(
        count=count,
        nodata=tuple(dataset.nodatavals),
        descriptions=descriptions,
        units=units,
        scales=tuple(float(v) for v in dataset.scales),
        offsets=tuple(float(v) for v in dataset.offsets),
        colours=colours,
        band_tags=tuple(band_tags),
        tags=tags,
        crs=crs_text(dataset.crs),
        transform=tuple(float(v) for v in transform)[:6] if transform else IDENTITY,
        gcps=_read_gcps(dataset),
        colormaps=about.colormaps() if about is not None else {},
        categories=about.categories() if about is not None else {},
        tables=about.tables() if about is not None else {},
        mask=has_own_mask(dataset),
    )


def crs_text(crs: CRS | None) -> str | None:
    """The shortest text that stands for exactly `crs`: "EPSG:code", another authority's code, or WKT."""
    if not crs:
        return None
    candidates: list[str] = []
    try:
        code = crs.to_epsg()
        candidates += [f"EPSG:{code}"] if code is not None else []
        authority = crs.to_authority()
        candidates += [":".join(authority)] if authority is not None else []
    except (CRSError, RasterioError):
        pass
    wkt = [crs.to_wkt(), crs.to_wkt(version="WKT2_2019")]
    for text in candidates + sorted(wkt, key=len):
        try:
            if CRS.from_user_input(text) == crs:
                return text
        except CRSError:
            continue
    return wkt[-1]


def known_crs(text: str | None) -> CRS | None:
    """The coordinate system that a text names; None for none, and for one that this GDAL does not know."""
    if not text:
        return None
    try:
        with gdal_env():  # where GDAL keeps quiet
            return CRS.from_user_input(text)
    except (CRSError, RasterioError, RecursionError):  # of JSON nested without end
        return None


def mask_kinds(dataset: Any) -> tuple[str, ...]:
    """For each band what its mask comes from: all_valid, nodata, alpha, per_dataset or per_band."""
    kinds = []
    for flags in dataset.mask_flag_enums:
        if MaskFlags.all_valid in flags:
            kinds.append("all_valid")
        elif MaskFlags.nodata in flags:
            kinds.append("nodata")
        elif MaskFlags.alpha in flags:
            kinds.append("alpha")
        elif MaskFlags.per_dataset in flags or dataset.count == 1:
            kinds.append("per_dataset")
        else:
            kinds.append("per_band")
    return tuple(kinds)


def has_own_mask(dataset: Any) -> bool:
    """True when the dataset has one mask of its own, neither nodata nor alpha."""
    return "per_dataset" in mask_kinds(dataset)


def _read_namespaces(dataset: Any, band: int) -> Namespaces:
    """All tag namespaces of the dataset (band 0) or of a band; "" is the default one."""
    names = ["", *dataset.tag_namespaces(band)]
    return _content(
        {name: dict(dataset.tags(band, ns=name or None)) for name in names if not name.startswith("json:")}
    )


def _content(spaces: Namespaces) -> Namespaces:
    """Tags less what describes the file, and less defaults."""
    out: dict[str, dict[str, str]] = {}
    for name, items in spaces.items():
        if name in _NOT_CONTENT:
            continue
        kept = dict(items)
        if name == "" and kept.get("AREA_OR_POINT") == "Area":
            del kept["AREA_OR_POINT"]  # the default, which GDAL adds to georeferenced GeoTIFFs by itself
        if kept:
            out[name] = kept
    return out


def _read_gcps(dataset: Any) -> Gcps | None:
    points, crs = dataset.gcps
    if not points:
        return None
    values = np.array([(p.row, p.col, p.x, p.y, p.z or 0.0) for p in points], np.float64)
    return Gcps(values, tuple(p.id or "" for p in points), tuple(p.info or "" for p in points), crs_text(crs))


def creation_options(meta: Metadata) -> dict[str, Any]:
    """What of the metadata has to be said to GDAL (and to rasterio.open) when the GeoTIFF is created."""
    out: dict[str, Any] = {}
    crs = known_crs(meta.crs)
    if crs is not None and meta.gcps is None:
        out["crs"] = crs
    if meta.transform != IDENTITY:
        out["transform"] = _stored_transform(meta)
    # A GeoTIFF has one nodata for all bands: one that a band does not have would take measurements away.
    if None not in meta.nodata:
        out["nodata"] = meta.nodata[0]
    return out


def apply_metadata(dataset: Any, meta: Metadata) -> None:
    """Write the metadata to a rasterio `dataset` just created with `creation_options`, before any pixel.

    Where it says AREA_OR_POINT=Point the dataset has to be written, to the end, under GTIFF_POINT_GEO_IGNORE.
    """
    if tuple(int(c) for c in dataset.colorinterp) != meta.colours:
        known = {int(each) for each in ColorInterp}
        dataset.colorinterp = [ColorInterp(c if c in known else 0) for c in meta.colours]
    for band, entries in meta.colormaps.items():
        if meta.count == 1 and dataset.dtypes[0] in ("uint8", "uint16"):
            dataset.write_colormap(band + 1, dict(enumerate(entries)))
    if meta.gcps is not None and meta.transform == IDENTITY:
        dataset.gcps = _stored_gcps(meta)
    if meta.scales != (1.0,) * meta.count:
        dataset.scales = meta.scales
    if meta.offsets != (0.0,) * meta.count:
        dataset.offsets = meta.offsets
    for band in range(meta.count):
        if meta.descriptions[band]:
            dataset.set_band_description(band + 1, meta.descriptions[band])
        if meta.units[band]:
            dataset.set_band_unit(band + 1, meta.units[band])
        _write_namespaces(dataset, band + 1, meta.band_tags[band])
    _write_namespaces(dataset, 0, meta.tags)


def _write_namespaces(dataset: Any, band: int, namespaces: Namespaces) -> None:
    for name, items in namespaces.items():
        if name.startswith("xml:"):
            # rasterio writes "key=value", GDAL takes the line for the document: cut it at its first "=".
            head, equals, rest = items.get(name, "").partition("=")
            if equals:
                dataset.update_tags(band, ns=name, **{head: rest})
        elif not name.startswith("json:"):
            dataset.update_tags(band, ns=name or None, **items)


def is_point(meta: Metadata) -> bool:
    """True when the pixel's centre, not its corner, is what the GeoTIFF's coordinates refer to."""
    return meta.tags.get("", {}).get("AREA_OR_POINT") == "Point"


def _stored_transform(meta: Metadata) -> Affine:
    """The transform as the file has to hold it so that GDAL reads `meta.transform` to the bit.

    For AREA_OR_POINT=Point GDAL subtracts half a pixel from the origin it reads (and rounds); the origin is
    sought whose rounded difference is the one wanted. Without that it would creep by a bit at every copy.
    """
    a, b, c, d, e, f = meta.transform
    if is_point(meta):
        c, f = _before_subtraction(c, a * 0.5 + b * 0.5), _before_subtraction(f, d * 0.5 + e * 0.5)
    return Affine(a, b, c, d, e, f)


def _before_subtraction(wanted: float, shift: float) -> float:
    """The float near wanted + shift from which subtracting `shift` rounds to `wanted`, if there is one."""
    first = low = high = wanted + shift
    for _ in range(8):
        for value in (low, high):
            if value - shift == wanted:
                return value
        low, high = math.nextafter(low, -math.inf), math.nextafter(high, math.inf)
    return first


def _stored_gcps(meta: Metadata) -> tuple[list[GroundControlPoint], CRS]:
    """Control points as the file has to hold them: for Point GDAL adds half a pixel when it reads them."""
    assert meta.gcps is not None
    shift = 0.5 if is_point(meta) else 0.0
    points = [
        GroundControlPoint(
            _before_subtraction(row, -shift), _before_subtraction(col, -shift), x, y, z, gcp_id, info
        )
        for (row, col, x, y, z), gcp_id, info in zip(
            meta.gcps.points.tolist(), meta.gcps.ids, meta.gcps.infos, strict=True
        )
    ]
    return points, known_crs(meta.gcps.crs) or CRS()
