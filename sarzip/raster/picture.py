"""Small images as PNG in memory: gray, or with a palette."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from sarzip.raster.gdal import gdal_env, opening


def png_bytes(plane: NDArray[np.uint8], palette: Mapping[int, tuple[int, int, int]] | None = None) -> bytes:
    """PNG of uint8 (rows, columns). palette: red, green and blue of each value; without one, gray."""
    rows, columns = plane.shape
    with gdal_env(GDAL_PAM_ENABLED=False), MemoryFile() as memory:
        with (
            opening(),
            memory.open(driver="PNG", width=columns, height=rows, count=1, dtype="uint8", zlevel=9) as image,
        ):
            image.write(plane, 1)
            if palette is not None:
                image.write_colormap(1, palette)
        return bytes(memory.read())
