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
from sarzip.raster.gdal import cause_of, gdal_env, opening
from sarzip.raster.pam import Outcome, complete
from sarzip.raster.source import RasterSource

_BLOCK = 512


def write_cog(
    source: Path, target: Path, tags: Mapping[str, Any], resampling: str, threads: int = 0
) -> Outcome:
    """Copy the GeoTIFF `source` to `target`, a COG with DEFLATE; what of `tags` is beside it or lost, in
    words.

    resampling: of the overviews (RMS, AVERAGE, NEAREST). threads 0: all cores. Raises OutputError.
    """
    options = {
        "COMPRESS": "DEFLATE",
        "PREDICTOR": "YES",
        "BLOCKSIZE": str(_BLOCK),
        "BIGTIFF": "IF_SAFER",
        "OVERVIEW_RESAMPLING": resampling,
        "COPY_SRC_MDD": "YES",  # all namespaces of tags; GDAL before 3.8 has a few in any case
        "NUM_THREADS": str(threads or "ALL_CPUS"),
    }
    try:
        with gdal_env(threads or None, GDAL_PAM_ENABLED=False), opening():
            rasterio.shutil.copy(source, target, driver="COG", **options)
    except (RasterioError, OSError, ValueError) as error:
        raise OutputError(f"{target}: the COG cannot be written ({cause_of(error)})") from error
    with RasterSource.open(target) as written:
        count = written.info.count
    return complete(target, decode(tags, count))
