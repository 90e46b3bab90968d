"""Cloud optimized GeoTIFFs: a finished GeoTIFF copied through GDAL's COG driver, with overviews."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError

from sarzip.container.georeference import decode
from sarzip.errors import OutputError
from sarzip.raster.compare import metadata_differences
from sarzip.raster.gdal import cause_of, gdal_env, opening
from sarzip.raster.source import RasterSource

_BLOCK = 512


def write_cog(
    source: Path, target: Path, tags: Mapping[str, Any], resampling: str, threads: int = 0
) -> tuple[str, ...]:
    """Copy the GeoTIFF `source` to `target`, a COG with DEFLATE; what of `tags` it could not keep, in words.

    resampling: of the overviews (RMS, AVERAGE, NEAREST). threads 0: all cores. Raises OutputError.
    """
    options = {
        "COMPRESS": "DEFLATE",
        "PREDICTOR": "YES",
        "BLOCKSIZE": str(_BLOCK),
        "BIGTIFF": "IF_SAFER",
        "OVERVIEW_RESAMPLING": resampling,
        "NUM_THREADS": str(threads or "ALL_CPUS"),
    }
    try:
        with gdal_env(threads or None, GDAL_PAM_ENABLED=False), opening():
            rasterio.shutil.copy(source, target, driver="COG", **options)
    except (RasterioError, OSError, ValueError) as error:
        raise OutputError(f"{target}: the COG cannot be written ({cause_of(error)})") from error
    with RasterSource.open(target) as written:
        count = written.info.count
        lost = metadata_differences(decode(tags, count), decode(written.info.tags, count))
    return tuple(f"not kept in COG: {text}" for text in lost)
