"""Layer 5, rasterio only: reads windows and everything that must survive; writes GeoTIFF.

rasterio is imported when the first of the names below is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sarzip.raster.compare import compare_structure
    from sarzip.raster.sink import RasterSink
    from sarzip.raster.source import RasterInfo, RasterSource

__all__ = ["RasterInfo", "RasterSink", "RasterSource", "compare_structure"]

_WHERE = {
    "RasterInfo": "source",
    "RasterSource": "source",
    "RasterSink": "sink",
    "compare_structure": "compare",
}


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
