"""The JSON of the metadata frame: short keys, defaults left out, unknown keys judged by FORMAT.md's rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from sarzip.container import limits
from sarzip.container.header import BandHeader, Header, ModelRef, SetHeader
from sarzip.container.jsonsafe import load_json
from sarzip.container.metadata_values import from_base64, to_base64
from sarzip.container.packing import pack_metadata, unpack_metadata
from sarzip.errors import CorruptError, InputError

_HEADER_KEYS = ("w", "h", "g", "p", "m", "b", "s", "r", "c")
_BAND_KEYS = ("t", "d", "f", "c", "v", "x")
_SET_KEYS = ("b", "m", "q", "x")
_HASH_DIGITS = 43
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

T = TypeVar("T")


def encode_header(header: Header) -> bytes:
    """Packed JSON of a header; InputError if it exceeds a limit or holds what is no plain JSON."""
    return pack_metadata(header_json(header))


def header_json(header: Header) -> dict[str, Any]:
    """The JSON object of a header."""
    value: dict[str, Any] = {"w": header.width, "h": header.height}
    _put(value, "g", header.group, 1024)
    _put(value, "p", header.parts, 1)
    _put(value, "m", [[model.id, to_base64(bytes.fromhex(model.sha256))] for model in header.models], [])
    value["b"] = [_encode_band(band) for band in header.bands]
    value["s"] = [_encode_set(each, header) for each in header.sets]
    _put(value, "r", header.raster, {})
    _put(value, "c", header.creator, "")
    return value


def parse_header(data: bytes, packed: bool = True, newer: bool = False) -> Header:
    """The header in the metadata frame's content; CorruptError when it breaks a rule.

    `packed`: as pack_metadata makes it, else plain JSON. `newer` says that the file's minor version is above
    this reader's: unknown keys are then ignored.
    """
    value = unpack_metadata(data) if packed else load_json(data, limits.MAX_METADATA, "metadata")
    try:
        return _parse(value, newer)
    except InputError as error:
        raise CorruptError(f"metadata: {error}") from None


def _parse(value: dict[str, Any], newer: bool) -> Header:
    _check_keys(value, _HEADER_KEYS, ("w", "h", "b", "s"), newer)
    everything = list(range(len(_typed(value["b"], list))))
    return Header(
        width=_integer(value["w"]),
        height=_integer(value["h"]),
        group=_integer(value.get("g", 1024)),
        parts=_integer(value.get("p", 1)),
        models=_list(value.get("m", []), limits.MAX_MODELS, _parse_model),
        bands=_list(value["b"], limits.MAX_BANDS, lambda item: _parse_band(item, newer)),
        sets=_list(value["s"], limits.MAX_BANDS, lambda item: _parse_set(item, everything, newer)),
        raster=_typed(value.get("r", {}), dict),
        creator=_typed(value.get("c", ""), str),
    )


def _encode_band(band: BandHeader) -> dict[str, Any]:
    value: dict[str, Any] = {"t": band.dtype}
    _put(value, "d", band.domain, "amplitude")
    _put(value, "f", band.floor, 0.0)
    _put(value, "c", band.centre, 0.0)
    _put(value, "v", [_encode_special(special) for special in band.specials], [])
    _put(value, "x", band.extra, {})
    return value


def _parse_band(item: object, newer: bool) -> BandHeader:
    value = _typed(item, dict)
    _check_keys(value, _BAND_KEYS, ("t",), newer)
    dtype = _typed(value["t"], str)
    return BandHeader(
        dtype=dtype,
        domain=_typed(value.get("d", "amplitude"), str),
        floor=_number(value.get("f", 0.0)),
        centre=_number(value.get("c", 0.0)),
        specials=_list(value.get("v", []), limits.MAX_SPECIALS, _parse_special),
        extra=_extra(value.get("x", {})),
    )


def _encode_set(each: SetHeader, header: Header) -> dict[str, Any]:
    value: dict[str, Any] = {}
    _put(value, "b", list(each.bands), list(range(len(header.bands))))
    _put(value, "m", each.model, 0)
    _put(value, "q", each.step, 0.0)
    _put(value, "x", each.extra, {})
    return value


def _parse_set(item: object, everything: list[int], newer: bool) -> SetHeader:
    value = _typed(item, dict)
    _check_keys(value, _SET_KEYS, (), newer)
    model = value.get("m", 0)
    return SetHeader(
        bands=_list(value.get("b", everything), limits.MAX_BANDS, _integer),
        model=None if model is None else _integer(model),
        step=_number(value.get("q", 0.0)),
        extra=_extra(value.get("x", {})),
    )


def _extra(item: object) -> dict[str, Any]:
    """Further parameters: unknown keys may be ignored, but for those that begin with "!"."""
    value = _typed(item, dict)
    _check_keys(value, (), (), newer=True)
    return value


def _parse_model(item: object) -> ModelRef:
    pair = _typed(item, list)
    if len(pair) != 2:
        raise InputError("a model is not a pair of id and hash")
    name, text = _typed(pair[0], str), _typed(pair[1], str)
    try:
        raw = from_base64(text)
    except ValueError:
        raise InputError(f"the hash of model {name[:80]!r} is not base64") from None
    if len(text) != _HASH_DIGITS:
        raise InputError(f"the hash of model {name[:80]!r} has a wrong length")
    return ModelRef(name, raw.hex())


def _encode_special(value: int | float) -> int | float | str:
    if isinstance(value, int) or math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _parse_special(item: object) -> int | float:
    if isinstance(item, str) and item in _NOT_FINITE:
        return _NOT_FINITE[item]
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise InputError("a special value is not a number")
    return item


def _check_keys(value: dict[str, Any], known: Collection[str], need: Collection[str], newer: bool) -> None:
    for key in value.keys() - set(known):
        if key.startswith("!"):
            raise CorruptError(f"metadata: written by a newer sarzip (key {key[:32]!r} must be understood)")
        if not newer:
            raise InputError(f"unknown key {key[:32]!r}")
    for key in need:
        if key not in value:
            raise InputError(f"key {key!r} is missing")


def _put(value: dict[str, Any], key: str, item: object, default: object) -> None:
    if item != default:
        value[key] = item


def _typed(item: object, kind: type[T]) -> T:
    if not isinstance(item, kind):
        raise InputError(f"a value that must be of type {kind.__name__} is {type(item).__name__}")
    return item


def _integer(item: object) -> int:
    if isinstance(item, bool) or not isinstance(item, int):
        raise InputError("a value that must be an integer is not")
    return item


def _number(item: object) -> float:
    if isinstance(item, bool) or not isinstance(item, (int, float)):
        raise InputError("a value that must be a number is not")
    return float(item)


def _list(item: object, most: int, parse: Callable[[object], T]) -> tuple[T, ...]:
    items = _typed(item, list)
    if len(items) > most:
        raise InputError(f"a list has {len(items)} entries; at most {most} are allowed")
    return tuple(parse(each) for each in items)
