"""Rasters made with plain rasterio, copied through source and sink, and compared through its attributes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rasterio

from sarzip.grid import Window
from sarzip.raster import RasterSink, RasterSource, compare_structure


def make(path: Path, setup: Callable[[Any], None] | None = None, **options: Any) -> np.ndarray:
    """Write a GeoTIFF with plain rasterio, independently of the sink under test."""
    profile = {"driver": "GTiff", "width": 40, "height": 30, "count": 1, "dtype": "uint16", **options}
    rng = np.random.default_rng(3)
    data = rng.integers(0, 200, (profile["count"], profile["height"], profile["width"])).astype(
        profile["dtype"]
    )
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **profile) as dataset:
        if setup:
            setup(dataset)
        dataset.write(data)
    return data


def copy(source: Path, target: Path, rows: int = 7, **options: Any) -> tuple[str, ...]:
    """Copy through RasterSource, JSON and RasterSink in strips; the sink's notes and warnings."""
    with RasterSource.open(source) as raster:
        info = raster.info
        tags = json.loads(json.dumps(info.tags, allow_nan=False))
        with RasterSink.create(target, info.width, info.height, info.dtypes, tags, **options) as sink:
            for row in range(0, info.height, rows):
                strip = Window(row, 0, min(rows, info.height - row), info.width)
                if info.has_mask:
                    sink.write_mask(row, 0, raster.read_mask(strip))
                for band in range(info.count):
                    sink.write(band, row, 0, raster.read([band], strip)[0])
    return sink.notes + sink.warnings


def check(source: Path, folder: Path, **options: Any) -> Any:
    """Copy, demand identity of structure, pixels and masks and no file but the one; the open copy."""
    target = folder / "copy" / "copy.tif"
    target.parent.mkdir(exist_ok=True)
    assert copy(source, target, **options) == ()
    assert compare_structure(source, target) == []
    assert list(target.parent.iterdir()) == [target]
    with rasterio.open(source) as a, rasterio.open(target) as b:
        assert np.array_equal(a.read(), b.read(), equal_nan=True)
        independent(a, b)
    return rasterio.open(target)


def independent(a: Any, b: Any) -> None:
    """The same through rasterio's own attributes, in case the comparison under test is blind."""
    for name in (
        "shape",
        "count",
        "dtypes",
        "crs",
        "transform",
        "descriptions",
        "units",
        "scales",
        "offsets",
    ):
        assert getattr(a, name) == getattr(b, name), name
    assert repr(a.nodatavals) == repr(b.nodatavals)
    assert a.colorinterp == b.colorinterp
    assert a.mask_flag_enums == b.mask_flag_enums
    assert [p.asdict() | {"id": ""} for p in a.gcps[0]] == [p.asdict() | {"id": ""} for p in b.gcps[0]]
    assert a.gcps[1] == b.gcps[1]
    assert a.rpcs == b.rpcs
    assert a.tags() == b.tags()
    skipped = {"IMAGE_STRUCTURE", "DERIVED_SUBDATASETS"}
    assert set(a.tag_namespaces()) - skipped == set(b.tag_namespaces()) - skipped
    for space in set(a.tag_namespaces()) - skipped:
        assert a.tags(ns=space) == b.tags(ns=space)
    for band in a.indexes:
        for space in [None, *(set(a.tag_namespaces(band)) - skipped)]:
            assert a.tags(band, ns=space) == b.tags(band, ns=space)


VRT_BAND = (
    '<VRTRasterBand dataType="{dtype}" band="{band}">{extra}'
    '<SimpleSource><SourceFilename relativeToVRT="1">{file}</SourceFilename></SimpleSource></VRTRasterBand>'
)


def vrt(path: Path, bands: list[str], extra: str = "") -> Path:
    """Write a VRT of 40 × 30 pixels of such bands."""
    path.write_text(f'<VRTDataset rasterXSize="40" rasterYSize="30">{extra}{"".join(bands)}</VRTDataset>')
    return path
