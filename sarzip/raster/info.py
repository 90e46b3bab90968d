"""What a raster is, beside its pixels; known without GDAL, so that an array can say the same of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sarzip.container.georeference import Metadata, Number, encode
from sarzip.kinds import Evidence

_TAG_LENGTH = 300
# GDAL's numbers of colour interpretations, as words of kinds.Evidence.
_COLOURS = {
    1: "gray",
    2: "palette",
    3: "red",
    4: "green",
    5: "blue",
    6: "alpha",
    7: "hue",
    8: "saturation",
    9: "lightness",
    10: "cyan",
    11: "magenta",
    12: "yellow",
    13: "black",
}


@dataclass(frozen=True)
class RasterInfo:
    """Size, types, and everything that must survive.

    `tags` is the compact dict of it (see `container.georeference`); `evidence` tells of each band what it may
    hold; `has_mask`: the dataset has a mask of its own, neither nodata nor alpha; `notes` names what cannot
    be kept.
    """

    width: int
    height: int
    count: int
    dtypes: tuple[str, ...]
    nodata: tuple[Number | None, ...]
    tags: dict[str, Any]
    evidence: tuple[Evidence, ...]
    has_mask: bool
    block_shape: tuple[int, int] = (1, 1)
    driver: str = ""
    notes: tuple[str, ...] = ()


def describe(meta: Metadata, size: tuple[int, int], dtypes: tuple[str, ...], name: str) -> RasterInfo:
    """What a raster with this metadata is. size: width, height. name: of the file, without folders."""
    return RasterInfo(
        width=size[0],
        height=size[1],
        count=meta.count,
        dtypes=dtypes,
        nodata=meta.nodata,
        tags=encode(meta),
        evidence=tuple(_evidence(meta, band, dtypes[band], name) for band in range(meta.count)),
        has_mask=meta.mask,
    )


def _evidence(meta: Metadata, band: int, dtype: str, name: str) -> Evidence:
    return Evidence(
        dtype=dtype,
        nodata=meta.nodata[band],
        unit=meta.units[band] or "",
        description=meta.descriptions[band] or "",
        band_tags=_short(meta.band_tags[band].get("", {})),
        dataset_tags=_short(meta.tags.get("", {})),
        file_name=name,
        scale=meta.scales[band],
        offset=meta.offsets[band],
        colour=_COLOURS.get(meta.colours[band], ""),
        categories=band in meta.colormaps or band in meta.categories,
        band=band,
        descriptions=tuple(text or "" for text in meta.descriptions),
    )


def _short(tags: Any) -> dict[str, str]:
    return {key: value[:_TAG_LENGTH] for key, value in tags.items()}
