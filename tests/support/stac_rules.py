"""What STAC's extensions ask of items, as JSON schemas written from their specifications; nothing is fetched.

Of each extension the fields that items of sarzip may have, in properties, assets or bands: others with its
prefix are refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

URI = "https://stac-extensions.github.io/{}/schema.json"
_POSITIVE = {"type": "integer", "minimum": 1}
_NAME = {"type": "string", "minLength": 1}
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_OR_NULL = {"type": ["string", "null"]}
_SAR = {
    "sar:instrument_mode": _NAME,
    "sar:frequency_band": {"enum": ["P", "L", "S", "C", "X", "Ku", "K", "Ka"]},
    "sar:polarizations": {
        "type": "array", "minItems": 1, "uniqueItems": True, "items": {"enum": ["HH", "VV", "HV", "VH"]},
    },
    "sar:center_frequency": {"type": "number", "exclusiveMinimum": 0},
    "sar:product_type": _NAME,
    "sar:observation_direction": {"enum": ["left", "right"]},
}  # fmt: skip
_SAT = {
    "sat:orbit_state": {"enum": ["ascending", "descending"]},
    "sat:absolute_orbit": _POSITIVE,
    "sat:relative_orbit": _POSITIVE,
}
_PROJECTION = {
    "proj:code": _OR_NULL,
    "proj:wkt2": _OR_NULL,
    "proj:bbox": {**_NUMBERS, "minItems": 4, "maxItems": 4},
    "proj:shape": {"type": "array", "items": _POSITIVE, "minItems": 2, "maxItems": 2},
    "proj:transform": {**_NUMBERS, "minItems": 6, "maxItems": 6},
}
_RASTER = {
    "raster:sampling": {"enum": ["area", "point"]},
    "raster:scale": {"type": "number"},
    "raster:offset": {"type": "number"},
}
_FILE = {
    "file:size": {"type": "integer", "minimum": 0},
    "file:checksum": {"type": "string", "pattern": "^1220[a-f0-9]{64}$"},
}
_PROCESSING = {
    "processing:level": {"type": "string", "pattern": "^L[0-4][A-C]?$"},
    "processing:lineage": _NAME,
    "processing:software": {"type": "object", "additionalProperties": {"type": "string"}},
}


def _rules(version: str, fields: Mapping[str, Any], required: Sequence[str] = ()) -> tuple[str, Any]:
    prefix = next(iter(fields)).partition(":")[0]
    known = {"if": {"pattern": f"^{prefix}:"}, "then": {"enum": list(fields)}}
    place = {"type": "object", "properties": dict(fields), "propertyNames": known}
    asset = {**place, "properties": {**fields, "bands": {"type": "array", "items": place}}}
    return URI.format(version), {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": URI.format(version),
        "type": "object",
        "required": ["stac_extensions", "properties", "assets"],
        "properties": {
            "stac_extensions": {"contains": {"const": URI.format(version)}},
            "properties": {**place, "required": list(required)},
            "assets": {"type": "object", "additionalProperties": asset},
        },
    }


SCHEMAS = dict(
    (
        _rules("file/v2.1.0", _FILE),
        _rules("projection/v2.0.0", _PROJECTION, ["proj:shape"]),
        _rules("raster/v2.0.0", _RASTER),
        _rules("processing/v1.1.0", _PROCESSING, ["processing:software"]),
        _rules("sar/v1.1.0", _SAR, ["sar:instrument_mode", "sar:frequency_band", "sar:polarizations"]),
        _rules("sar/v1.3.0", _SAR),
        _rules("sat/v1.1.0", _SAT),
    )
)


def validate(item: Mapping[str, Any]) -> Any:
    """The item as pystac reads it, after pystac has validated it: core by its own schemas, which it brings,
    extensions by those above.
    """
    import pystac
    from pystac.validation.stac_validator import JsonSchemaSTACValidator

    validator = JsonSchemaSTACValidator()
    validator.schema_cache.update(SCHEMAS)
    found = pystac.Item.from_dict(dict(item))
    assert len(found.validate(validator)) == 1 + len(item["stac_extensions"])
    return found
