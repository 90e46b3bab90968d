"""Folders that are one raster to GDAL: Zarr stores, and products that come as folders. No rasterio."""

from __future__ import annotations

from pathlib import Path

_MARKS = (".zgroup", ".zarray", ".zmetadata", "zarr.json", "manifest.safe", "product.xml")
"""Files at the top of Zarr stores (2 and 3), Sentinel-1 SAFE and RADARSAT-2 products."""


def is_dataset(folder: Path) -> bool:
    """Whether a path is a folder that is opened as a whole, not a folder of rasters."""
    return folder.is_dir() and any((folder / mark).is_file() for mark in _MARKS)
