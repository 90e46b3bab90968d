"""Single values of the raster metadata as JSON keeps them exactly, and back (FORMAT.md 5.5).

Whatever is read is checked: ValueError for what the format does not allow.
"""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numpy as np

Number = float | int
Colours = tuple[tuple[int, ...], ...]
"""Entries of a colour map: four numbers each, -32768 to 32767."""

_NOT_FINITE = ("nan", "inf", "-inf")
_DOUBLE = 11  # characters of base64
_SHORT = 12  # numbers of at most so many characters are written as text
_MAX_COLOURS = 1 << 16
_MAX_CODE = (1 << 31) - 1
_T = TypeVar("_T")


# --- numbers ------------------------------------------------------------------------------------------------


def encode_number(value: Number) -> Number | str:
    """A number that JSON gives back exactly: text for what JSON lacks, integers where they say the same."""
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return repr(value)
    whole = value.is_integer() and abs(value) < 2**53 and not (value == 0 and math.copysign(1, value) < 0)
    return int(value) if whole else value


def decode_number(value: object) -> Number:
    """A float, but an int where a 64-bit integer lies beyond the 53 bits of a float."""
    if isinstance(value, str) and value in _NOT_FINITE:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"number expected, not {value!r:.40}")
    return float(value) if abs(value) < 2**53 else value


def encode_double(value: float) -> Number | str:
    """A number, or its eight bytes where they are shorter."""
    number = encode_number(value)
    return (
        number
        if isinstance(number, str) or len(repr(number)) <= _SHORT
        else to_base64(struct.pack("<d", value))
    )


def decode_double(value: object) -> float:
    """Inverse of encode_double."""
    if isinstance(value, str) and len(value) == _DOUBLE:
        return cast(float, struct.unpack("<d", from_base64(value))[0])
    return float(decode_number(value))


def integer(value: object, least: int, most: int) -> int:
    """The value, when it is an integer within these bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"integer from {least} to {most} expected, not {value!r:.40}")
    return value


# --- texts and lists ----------------------------------------------------------------------------------------


def text(value: object) -> str:
    """The value, when it is a text."""
    if not isinstance(value, str):
        raise ValueError(f"text expected, not {value!r:.40}")
    return value


def optional_text(value: object) -> str | None:
    """The value, when it is a text or None."""
    return None if value is None else text(value)


def items(value: object, parse: Callable[[object], _T], count: int | None = None) -> tuple[_T, ...]:
    """The parsed elements of a list, of so many when a count is given."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"list expected, not {value!r:.40}")
    if count is not None and len(value) != count:
        raise ValueError(f"{len(value)} values where {count} belong")
    return tuple(parse(each) for each in value)


def by_band(value: object, parse: Callable[[object], _T], count: int) -> dict[int, _T]:
    """An object whose keys are 0-based bands in decimal digits."""
    found: dict[int, _T] = {}
    for key, each in mapping(value).items():
        band = int(key) if key.isascii() and key.isdecimal() and len(key) < 5 else count
        if band >= count or str(band) != key:
            raise ValueError(f"there is no band {key[:40]!r}")
        found[band] = parse(each)
    return found


def mapping(value: object) -> dict[str, Any]:
    """The value, when it is an object with texts as keys, none of which a reader would have to understand."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"object expected, not {value!r:.40}")
    return value


def known(value: object) -> dict[str, Any]:
    """An object of FORMAT.md's own keys: unknown ones may be ignored but for those that begin with '!'."""
    for key in mapping(value):
        if key.startswith("!"):
            raise ValueError(f"written by a newer sarzip: key {key[:40]!r} must be understood")
    return mapping(value)


# --- base64, coordinate systems, colours --------------------------------------------------------------------


def to_base64(data: bytes) -> str:
    """Base64 without padding, as the container stores it in binary."""
    return base64.b64encode(data).decode("ascii").rstrip("=")


def from_base64(value: object) -> bytes:
    """Bytes of base64; files of format 1.0 have the padding."""
    digits = text(value)
    padded = digits if digits.endswith("=") else digits + "=" * (-len(digits) % 4)
    data = base64.b64decode(padded, validate=True)
    if base64.b64encode(data).decode("ascii") != padded:
        raise ValueError("base64 with bits that are not 0")
    return data


def encode_crs(crs: str) -> int | str:
    """An EPSG code as a number, other codes and WKT as they are."""
    head, _, code = crs.partition(":")
    plain = head == "EPSG" and code.isascii() and code.isdecimal() and str(int(code)) == code
    return int(code) if plain and 0 < int(code) <= _MAX_CODE else crs


def decode_crs(value: object) -> str:
    """Inverse of encode_crs."""
    return value if isinstance(value, str) else f"EPSG:{integer(value, 1, _MAX_CODE)}"


def encode_colours(entries: Colours) -> str:
    """A colour map as base64 of zlib of four planes of int16."""
    return to_base64(zlib.compress(np.array(entries, "<i2").T.tobytes(), 9))


def decode_colours(value: object) -> Colours:
    """Inverse of encode_colours; never inflates more than the largest colour map."""
    inflate = zlib.decompressobj()
    data = inflate.decompress(from_base64(value), 8 * _MAX_COLOURS)
    if inflate.unconsumed_tail or inflate.unused_data or not inflate.eof or len(data) % 8:
        raise ValueError("colour map of a wrong size")
    return tuple(tuple(int(v) for v in entry) for entry in np.frombuffer(data, "<i2").reshape(4, -1).T)


# --- attribute tables ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AttributeTable:
    """A raster attribute table as GDAL has it. kind: "thematic", "athematic" or "" for untold.

    columns: name, GDAL's numbers of type (0 integer, 1 real, 2 string) and usage. values: of each column, the
    cells as texts. bins: least value of the first row and size of every row, as texts, or None.
    """

    kind: str
    columns: tuple[tuple[str, int, int], ...]
    values: tuple[tuple[str, ...], ...]
    bins: tuple[str, str] | None = None


def encode_table(table: AttributeTable) -> dict[str, Any]:
    """Its JSON."""
    out: dict[str, Any] = {"c": [list(each) for each in table.columns], "v": [list(v) for v in table.values]}
    if table.kind:
        out["k"] = table.kind
    if table.bins is not None:
        out["b"] = list(table.bins)
    return out


def decode_table(value: object) -> AttributeTable:
    """Inverse of encode_table."""
    stored = known(value)
    columns = items(stored.get("c"), _column)
    values = items(stored.get("v"), lambda each: items(each, text), len(columns))
    if len({len(each) for each in values}) > 1:
        raise ValueError("columns of an attribute table differ in length")
    bins = items(stored["b"], text, 2) if "b" in stored else None
    return AttributeTable(text(stored.get("k", "")), columns, values, cast("tuple[str, str] | None", bins))


def _column(value: object) -> tuple[str, int, int]:
    name, kind, usage = items(value, lambda each: each, 3)
    return text(name), integer(kind, 0, 255), integer(usage, 0, 255)


def same(values: Sequence[object]) -> bool:
    """Whether all are equal, NaN to itself and 0.0 not to -0.0."""
    return len({repr(each) for each in values}) <= 1
