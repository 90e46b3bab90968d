"""The raster metadata of a `.sarz` in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sarzip.container.georeference import IDENTITY, decode
from sarzip.container.metadata_values import encode_number


def describe(stored: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The compact dict (`georeference`) in words, JSON-able, for `sarzip info`: what is long is counted."""
    meta = decode(stored, count)
    shown: dict[str, Any] = {
        "crs": meta.crs,
        "transform": None if meta.transform == IDENTITY else [encode_number(v) for v in meta.transform],
        "gcps": None if meta.gcps is None else {"count": len(meta.gcps.ids), "crs": meta.gcps.crs},
        "rpcs": bool(meta.tags.get("RPC")),
        "nodata": [None if v is None else encode_number(v) for v in meta.nodata],
        "descriptions": list(meta.descriptions),
        "units": list(meta.units),
        "scales": None if set(meta.scales) <= {1.0} else [encode_number(v) for v in meta.scales],
        "offsets": None if set(meta.offsets) <= {0.0} else [encode_number(v) for v in meta.offsets],
        "colours": {band + 1: len(entries) for band, entries in meta.colormaps.items()},
        "categories": {band + 1: list(names) for band, names in meta.categories.items()},
        "attribute_tables": {
            band + 1: [name for name, _, _ in table.columns] for band, table in meta.tables.items()
        },
        "mask": meta.mask,
        "tags": {name: dict(items) for name, items in meta.tags.items()},
        "band_tags": [{name: dict(items) for name, items in band.items()} for band in meta.band_tags],
    }
    return {key: value for key, value in shown.items() if not _is_default(value)}


def _is_default(value: object) -> bool:
    return value in (None, False, {}, [], 0) or (
        isinstance(value, list) and all(v in (None, {}) for v in value)
    )
