"""Writing small images as PNG through GDAL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from sarzip.errors import OutputError
from sarzip.raster.gdal import cause_of, gdal_env, opening


def write_png(path: Path, channels: NDArray[np.uint8]) -> None:
    """Write uint8 (channels, rows, columns): gray, gray and alpha, RGB or RGBA. Raises OutputError."""
    count, height, width = channels.shape
    try:
        # Without PAM there is no .aux.xml beside the image.
        with (
            gdal_env(GDAL_PAM_ENABLED=False),
            opening(),
            rasterio.open(
                path, "w", driver="PNG", width=width, height=height, count=count, dtype="uint8"
            ) as image,
        ):
            image.write(channels)
    except Exception as error:  # when the disk is full GDAL's own come through, which rasterio keeps private
        raise OutputError(f"{path}: cannot be written ({cause_of(error)})") from error
