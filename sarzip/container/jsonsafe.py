"""Strict JSON: what `.sarz` metadata and summaries may contain, checked when written and when read.

Stricter than RFC 8259: UTF-8 without byte order mark, one object at the top, no duplicate keys, no NaN or
infinities, integers within 64 bits, no lone surrogates, and bounds on depth and on the number of values.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

from sarzip.container import limits
from sarzip.errors import CorruptError, InputError

_NOT_STRUCTURE = bytes(set(range(256)) - set(b"[]{},"))


class _BrokenRule(ValueError):
    """A rule of strict JSON is broken; the message says which."""


def dump_json(value: dict[str, Any], limit: int, what: str) -> bytes:
    """Compact UTF-8 JSON of `value`, at most `limit` bytes; InputError if it cannot be written strictly.

    The bytes are read back by the strict parser, so what is written is always accepted when read.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        data = text.encode("utf-8")
        _parse(data, limit)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{what} cannot be stored: {error}") from None
    return data


def load_json(data: bytes, limit: int, what: str) -> dict[str, Any]:
    """The JSON object in `data`; CorruptError, naming `what`, when a rule of strict JSON is broken."""
    try:
        return _parse(data, limit)
    except (ValueError, RecursionError) as error:
        raise CorruptError(f"{what}: {error}") from None


def _parse(data: bytes, limit: int) -> dict[str, Any]:
    if len(data) > limit:
        raise _BrokenRule(f"{len(data)} bytes of JSON exceed the limit of {limit}")
    _check_structure(data)
    value = json.loads(
        data.decode("utf-8"),
        object_pairs_hook=_unique,
        parse_int=_bounded_int,
        parse_float=_finite_float,
        parse_constant=_no_constant,
    )
    if not isinstance(value, dict):
        raise _BrokenRule("the top of the JSON is not an object")
    if b"\\u" in data:
        # Only an escape can bring a lone surrogate in; it could not be encoded again.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _check_structure(data: bytes) -> None:
    """Bounds depth and counts before any Python object is made.

    In valid JSON a backslash occurs only inside strings, so that escapes and then strings can be cut out.
    What is cut wrongly from invalid JSON does not matter: the parser stops at the same byte.
    """
    bare = re.sub(rb'"[^"]*"', b"", re.sub(rb"\\.", b"", data, flags=re.DOTALL))
    structure = bare.translate(None, _NOT_STRUCTURE)
    containers = structure.count(b"[") + structure.count(b"{")
    if containers > limits.MAX_JSON_CONTAINERS or structure.count(b",") >= limits.MAX_JSON_VALUES:
        raise _BrokenRule("too many values in the JSON")
    depth = 0
    for byte in structure.replace(b",", b""):
        depth += 1 if byte in b"[{" else -1
        if depth > limits.MAX_JSON_DEPTH:
            raise _BrokenRule(f"the JSON is nested deeper than {limits.MAX_JSON_DEPTH} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _BrokenRule("duplicate keys in the JSON")
    return result


def _bounded_int(text: str) -> int:
    if len(text) > 20 or not -(2**63) <= int(text) < 2**64:
        raise _BrokenRule("an integer in the JSON exceeds 64 bits")
    return int(text)


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _BrokenRule("a number in the JSON is not finite")
    return value


def _no_constant(text: str) -> NoReturn:
    raise _BrokenRule(f"{text} is not a JSON number")
