"""A part of an array on another raster of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEAREST = 0


def resampled(
    values: NDArray[Any],
    part: tuple[float, float, float, float],
    shape: tuple[int, int],
    resampling: int = NEAREST,
    nodata: float | None = None,
) -> NDArray[Any]:
    """values (bands, rows, columns) in a part of them (row, column, rows, columns; fractions of pixels), as
    (bands, *shape). resampling: rasterio's number. nodata: left out of means.
    """
    row, column, rows, columns = part
    if resampling == NEAREST:
        down = np.floor(row + (np.arange(shape[0]) + 0.5) * rows / shape[0]).astype(int)
        across = np.floor(column + (np.arange(shape[1]) + 0.5) * columns / shape[1]).astype(int)
        down, across = np.minimum(down, values.shape[1] - 1), np.minimum(across, values.shape[2] - 1)
        return np.ascontiguousarray(values[:, down[:, None], across])
    from rasterio.crs import CRS
    from rasterio.enums import Resampling
    from rasterio.transform import Affine
    from rasterio.warp import reproject

    u = 10.0  # metres: GDAL takes pixels of 1 at the origin for no georeferencing
    out, place = np.zeros((len(values), *shape), values.dtype), CRS.from_epsg(3857)  # any: both have it
    reproject(
        values,
        out,
        src_transform=Affine(u, 0.0, u, 0.0, -u, -u),
        dst_transform=Affine(
            u * columns / shape[1], 0.0, u * (1 + column), 0.0, -u * rows / shape[0], -u * (1 + row)
        ),
        src_crs=place,
        dst_crs=place,
        src_nodata=nodata,
        dst_nodata=nodata,
        resampling=Resampling(resampling),
    )
    return out


def held_nodata(nodata: float | None, dtype: str) -> float | None:
    """A nodata where samples of a type can have it; a float's may be rounded."""
    if nodata is None or dtype.startswith("complex"):
        return nodata
    kind = np.dtype(dtype)
    if not np.isfinite(nodata):
        return nodata if kind.kind == "f" else None
    if kind.kind == "f":
        with np.errstate(over="ignore"):
            return nodata if np.isfinite(kind.type(nodata)) else None
    limits = np.iinfo(kind)
    return nodata if limits.min <= nodata <= limits.max else None
