"""The pixel function that GDAL calls for the bands of a VRT that `vrt` wrote; it needs no rasterio.

GDAL imports it where GDAL_VRT_ENABLE_PYTHON=TRUSTED_MODULES and
GDAL_VRT_PYTHON_TRUSTED_MODULES=sarzip.integrations.gdal_pixels are set.
"""

from __future__ import annotations

import functools
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.system.remote import is_url
from sarzip.usecases.open import SarzFile, open_file

_MOST_FILES = 8


def pixels(
    in_ar: Any,
    out_ar: NDArray[Any],
    xoff: int,
    yoff: int,
    xsize: int,
    ysize: int,
    raster_xsize: int,
    raster_ysize: int,
    buf_radius: int,
    gt: Any,
    **about: Any,
) -> None:
    """Fill out_ar (rows, columns) with a window; its size may be less than the window's, as for overviews.

    about: path, and band from 1, or 0 for the mask of the dataset.
    """
    path, band = _text(about["path"]), int(_text(about["band"]))
    window = ((yoff, yoff + ysize), (xoff, xoff + xsize))
    found = _opened(path, _state(path)).read(
        band or 1, window=window, out_shape=out_ar.shape, masked=band == 0
    )
    if band:
        out_ar[:] = found
    else:
        out_ar[:] = np.where(np.ma.getmaskarray(found), 0, 255)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _state(path: str) -> int:
    """What changes when the file is written anew."""
    return 0 if is_url(path) else os.stat(path).st_mtime_ns  # noqa: PTH116


@functools.lru_cache(_MOST_FILES)
def _opened(path: str, state: int) -> SarzFile:
    return open_file(path)
