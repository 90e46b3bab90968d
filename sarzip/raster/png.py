"""Writing small images, PNG and JPEG, through GDAL."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from sarzip.errors import OutputError
from sarzip.raster.gdal import cause_of, gdal_env, opening


def write_png(path: Path, channels: NDArray[np.uint8]) -> None:
    """Write uint8 (channels, rows, columns): gray, gray and alpha, RGB or RGBA. Raises OutputError."""
    _write(path, channels, "PNG")


def write_jpeg(path: Path, channels: NDArray[np.uint8], quality: int = 90) -> None:
    """Write uint8 (channels, rows, columns): gray or RGB; alpha is left out. Raises OutputError."""
    _write(path, channels[: 1 if len(channels) < 3 else 3], "JPEG", quality=quality)


def png_bytes(plane: NDArray[np.uint8], palette: Mapping[int, tuple[int, int, int]] | None = None) -> bytes:
    """A PNG in memory of uint8 (rows, columns): gray, or with red, green and blue of each value."""
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


def _write(path: Path, channels: NDArray[np.uint8], driver: str, **options: Any) -> None:
    count, height, width = channels.shape
    shape = {"width": width, "height": height, "count": count, "dtype": "uint8"}
    try:
        # Without PAM there is no .aux.xml beside the image.
        with (
            gdal_env(GDAL_PAM_ENABLED=False),
            opening(),
            rasterio.open(path, "w", driver=driver, **shape, **options) as image,
        ):
            image.write(channels)
    except Exception as error:  # when the disk is full GDAL's own come through, which rasterio keeps private
        raise OutputError(f"{path}: cannot be written ({cause_of(error)})") from error
