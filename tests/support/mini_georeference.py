"""The raster metadata of a `.sarz` by FORMAT.md 5.5 and 5.6 alone, in plain Python.

`place` turns the object `r` into CRS, transform, control points, nodata, tags and the rest. Numbers in
comments are sections of FORMAT.md.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from support.mini_reader import Bad, need

Tags = dict[str, dict[str, str]]


@dataclass
class Points:
    """Ground control points: (row, column, x, y, z) of each."""

    crs: str | None
    points: list[tuple[float, ...]]
    ids: list[str]
    notes: list[str]


@dataclass
class Place:
    """What lies beside the samples; lists by band, dictionaries by 0-based band."""

    crs: str | None
    transform: list[float]
    points: Points | None
    nodata: list[float | int | None]
    descriptions: list[str | None]
    units: list[str | None]
    scales: list[float]
    offsets: list[float]
    colours: list[int]
    tags: Tags
    band_tags: list[Tags]
    colour_maps: dict[int, list[tuple[int, ...]]]
    categories: dict[int, list[str]]
    tables: dict[int, Any]
    mask: bool


def place(stored: Any, count: int) -> Place:  # 5.5
    """The raster metadata of a scene with so many bands."""
    known(stored)
    nodata = stored.get("n")
    band_tags = [tags(each) for each in listed(stored.get("b", []))]
    need(len(band_tags) <= count, "tags of more bands than there are")
    return Place(
        crs=crs(stored.get("e")),
        transform=per(listed(stored.get("t", [1, 0, 0, 0, 1, 0])), 6, double),
        points=points(stored["g"]) if "g" in stored else None,
        nodata=per(nodata if isinstance(nodata, list) else [nodata] * count, count, nodata_value),
        descriptions=per(stored.get("d", [None] * count), count, text_or_null),
        units=per(stored.get("u", [None] * count), count, text_or_null),
        scales=per(stored.get("s", [1] * count), count, real),
        offsets=per(stored.get("o", [0] * count), count, real),
        colours=per(stored.get("c", [1] + [0] * (count - 1)), count, lambda v: whole(v, 0, 255)),
        tags=tags(stored.get("m", {})),
        band_tags=band_tags + [{}] * (count - len(band_tags)),
        colour_maps=by_band(stored.get("p", {}), count, colour_map),
        categories=by_band(stored.get("y", {}), count, lambda v: per(v, None, text)),
        tables=by_band(stored.get("a", {}), count, table),
        mask=whole(stored.get("k", 0), 0, 1) == 1,
    )


# --- values -------------------------------------------------------------------------------------------------


def known(value: Any) -> None:
    need(type(value) is dict and not any(key.startswith("!") for key in value), "an object with known keys")


def listed(value: Any) -> list[Any]:
    need(type(value) is list, "a list")
    return value  # type: ignore[no-any-return]


def per(value: Any, count: int | None, parse: Callable[[Any], Any]) -> list[Any]:
    need(count is None or len(listed(value)) == count, "entries of a list")
    return [parse(each) for each in listed(value)]


def by_band(value: Any, count: int, parse: Callable[[Any], Any]) -> dict[int, Any]:
    need(type(value) is dict and value.keys() <= {str(band) for band in range(count)}, "bands of an object")
    return {int(band): parse(each) for band, each in value.items()}


def text(value: Any) -> str:
    need(type(value) is str, "a text")
    return value  # type: ignore[no-any-return]


def text_or_null(value: Any) -> str | None:
    return None if value is None else text(value)


def whole(value: Any, least: int, most: int) -> int:
    need(type(value) is int and least <= value <= most, "an integer within its range")
    return value  # type: ignore[no-any-return]


def real(value: Any) -> float:
    if value in ("nan", "inf", "-inf"):
        return float(value)
    need(type(value) in (int, float), "a number")
    return float(value)


def nodata_value(value: Any) -> float | int | None:
    large = type(value) is int and abs(value) >= 1 << 53
    return value if value is None or large else real(value)


def double(value: Any) -> float:
    if type(value) is str and len(value) == 11:
        return float(struct.unpack("<d", raw(value))[0])
    return real(value)


def raw(value: Any) -> bytes:  # 1; files of 1.0 have the padding
    digits = text(value).rstrip("=") if text(value)[-2:].endswith("=") else text(value)
    try:
        data = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except binascii.Error:
        raise Bad("base64") from None
    need(base64.b64encode(data).decode().rstrip("=") == digits, "base64")
    return data


def crs(value: Any) -> str | None:
    return f"EPSG:{whole(value, 1, 2**31 - 1)}" if type(value) is int else text_or_null(value)


def tags(value: Any) -> Tags:
    need(type(value) is dict and all(type(items) is dict for items in value.values()), "tags")
    return {space: {key: text(each) for key, each in items.items()} for space, items in value.items()}


def colour_map(value: Any) -> list[tuple[int, ...]]:
    inflate = zlib.decompressobj()
    try:
        planes = inflate.decompress(raw(value), 8 << 16)
    except zlib.error:
        raise Bad("colour map") from None
    need(inflate.eof and not inflate.unused_data and len(planes) % 8 == 0, "size of a colour map")
    n = len(planes) // 8
    numbers = struct.unpack(f"<{4 * n}h", planes)
    return [numbers[i::n] for i in range(n)]


def table(value: Any) -> tuple[Any, ...]:
    known(value)
    columns = [per(each, 3, lambda v: v) for each in listed(value.get("c"))]
    cells = per(value.get("v"), len(columns), lambda column: per(column, None, text))
    need(len({len(each) for each in cells}) < 2, "columns of a table")
    bins = per(value["b"], 2, text) if "b" in value else None
    described = [(text(name), whole(kind, 0, 255), whole(usage, 0, 255)) for name, kind, usage in columns]
    return text(value.get("k", "")), described, cells, bins


def points(value: Any) -> Points:
    known(value)
    n = whole(value.get("n"), 1, 1 << 20)
    width = whole(value.get("w", n), 1, n)
    need(n % width == 0, "a grid that is full")
    columns = unpacked_columns(raw(value.get("p")), 5, n // width, width)
    ids = per(value.get("i", [str(k + 1) for k in range(n)]), n, text)
    return Points(
        crs(value.get("e")), list(zip(*columns, strict=True)), ids, per(value.get("f", [""] * n), n, text)
    )


# --- packed columns -----------------------------------------------------------------------------------------

WORD = 1 << 64
Grid = list[list[int]]


class Bits:
    """Bits of bytes, the highest of each first."""

    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, count: int) -> int:
        need(self.at + count <= len(self.text), "packed columns cut off")
        self.at += count
        return int("0" + self.text[self.at - count : self.at], 2)

    def signed(self, count: int) -> int:
        value = self.take(count)
        return value - (1 << count) if value >> (count - 1) else value

    def value(self, k: int) -> int:
        q = 0
        while q < 24 and self.take(1):
            q += 1
        u = self.take(64) if q == 24 else (q << k) + self.take(k)
        need(u < WORD, "size of a value")
        return -(u + 1) // 2 if u & 1 else u // 2


def unpacked_columns(data: bytes, count: int, h: int, w: int) -> list[list[float]]:  # 5.6
    bits = Bits(data)
    predicted = bits.text[:2] == "11"
    bits.at = 2 * predicted
    columns: list[list[float]] = []
    before: Grid | None = None
    for _ in range(count):
        column, before = unpacked_column(bits, h, w, before if predicted else None)
        columns.append(column)
    rest = bits.text[bits.at :]
    need(len(rest) < 8 and "1" not in rest, "bytes after the columns")
    return columns


def unpacked_column(bits: Bits, h: int, w: int, before: Grid | None) -> tuple[list[float], Grid]:
    kind = bits.take(2)
    need(kind < 3, "kind of a column")
    exponent = bits.signed(12) if kind else 0
    along = bits.take(3)
    need(along < w, "order along rows")
    guide = None if before is None else transposed(differenced(transposed(before), along))
    grid: Grid = [[0] * w for _ in range(h)]
    for first, last in [(j, j + 1) for j in range(along)] + [(along, w)]:
        part = None if guide is None else [row[first:last] for row in guide]
        for row, values in zip(grid, strip(bits, h, last - first, part), strict=True):
            row[first:last] = values
    grid = transposed(summed(transposed(grid), along))
    return [number(kind, exponent, value) for row in grid for value in row], grid


def strip(bits: Bits, h: int, length: int, guide: Grid | None) -> Grid:
    across = bits.take(3)
    need(across < h, "order across rows")
    factors = [bits.signed(40) for _ in range(bits.take(2))] if guide is not None else []
    rows: Grid = []
    for region in [1] * across + [h - across]:
        k = bits.take(6)
        rows += [[0 if k == 63 else bits.value(k) for _ in range(length)] for _ in range(region)]
    if guide is not None and factors:
        guide = differenced(guide, across)
        k0, k1, k2 = (*factors, 0, 0)[:3]
        for i in range(h - across):
            for j in range(length):
                product = as_signed(guide[across + i][j] * (k0 + k1 * j + k2 * i))
                rows[across + i][j] += product >> 24
    return summed(rows, across)


def transposed(grid: Grid) -> Grid:
    return [list(row) for row in zip(*grid, strict=True)]


def differenced(rows: Grid, order: int) -> Grid:
    rows = [list(row) for row in rows]
    for t in range(order):
        for r in reversed(range(t + 1, len(rows))):
            rows[r] = [(a - b) % WORD for a, b in zip(rows[r], rows[r - 1], strict=True)]
    return rows


def summed(rows: Grid, order: int) -> Grid:
    rows = [[value % WORD for value in row] for row in rows]
    for t in reversed(range(order)):
        for r in range(t + 1, len(rows)):
            rows[r] = [(a + b) % WORD for a, b in zip(rows[r], rows[r - 1], strict=True)]
    return rows


def as_signed(value: int) -> int:
    value %= WORD
    return value - WORD if value >> 63 else value


def number(kind: int, exponent: int, value: int) -> float:
    n = as_signed(value)
    if kind == 0:
        bits = n if n >= 0 else n ^ ((1 << 63) - 1)
        return float(struct.unpack("<d", struct.pack("<q", bits))[0])
    try:
        nearest = float(n * (Fraction(2) ** exponent if kind == 1 else Fraction(10) ** -exponent))
    except OverflowError:
        raise Bad("a number out of range") from None
    need(math.isfinite(nearest), "a number out of range")
    return nearest
