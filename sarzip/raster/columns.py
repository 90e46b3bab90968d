"""Exact, compact packing of columns of float64 that vary smoothly over a grid (ground control points).

Every column is turned into integers without loss (decimal or binary fixed point, or the ordered bit
pattern), differenced along and across the grid modulo 2**64, and the remainders are Rice coded (R. F. Rice,
"Some practical universal noiseless coding techniques", JPL 79-22, 1979), one parameter for each order of
difference: the first rows and columns of the grid, where differences are of lower order, are large, the
inside is small. All of it is integer arithmetic, so what comes out is bit for bit what went in.

Stream, most significant bit first, for each column:
kind 2 bits (0 bit pattern, 1 binary, 2 decimal) | exponent 12 bits (two's complement; only kinds 1 and 2)
| order along the grid row 3 bits | then for each strip j = 0..along, the grid column j (the last strip: all
columns from `along` on): order across rows 3 bits | for each region i = 0..across, the strip's row i (the
last: all rows from `across` on): parameter k 6 bits (63: all zero, nothing follows), then its values in
raster order. A value v is mapped to u = 2v or -2v-1 and written as u >> k ones, a zero and k low bits; 24
ones announce 64 raw bits instead.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import cast

import numpy as np
from numpy.typing import NDArray

_KIND_BITS, _KIND_BINARY, _KIND_DECIMAL = 0, 1, 2
_MAX_ALONG, _MAX_ACROSS = 4, 3
_ALL_ZERO = 63
_ESCAPE = 24  # a quotient this large is written as 64 raw bits
_LIMIT = 1 << 62  # integers stay below this, so that a zigzag fits 64 bits
_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)


def pack(columns: NDArray[np.float64], width: int) -> bytes:
    """Pack float64 `columns` of shape (n, k), n a multiple of the grid `width`, into bytes, exactly."""
    n = columns.shape[0]
    if width < 1 or n == 0 or n % width:
        raise ValueError(f"{n} points do not fill a grid of width {width}")
    bits = "".join(_pack_column(columns[:, c], width) for c in range(columns.shape[1]))
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def unpack(data: bytes, shape: tuple[int, int], width: int) -> NDArray[np.float64]:
    """Undo `pack`: float64 of `shape` (n, k). Raises ValueError for bytes that `pack` cannot have written."""
    n, k = shape
    if width < 1 or n < 1 or n % width:
        raise ValueError(f"{n} points do not fill a grid of width {width}")
    reader = _BitReader(data)
    out = np.empty((n, k), np.float64)
    for c in range(k):
        out[:, c] = _unpack_column(reader, n, width)
    return out


def grid_widths(row: NDArray[np.float64], col: NDArray[np.float64]) -> list[int]:
    """Candidates for the width of the grid that points at `row`, `col` (both (n,)) form; n is one of them."""
    n = len(row)
    found = {n}
    for axis in (row, col):
        changes = 1 + np.flatnonzero(axis[1:] != axis[0])  # NaN differs even from itself
        if len(changes) and n % int(changes[0]) == 0:
            found.add(int(changes[0]))
    return sorted(found)


# --- floats to integers -------------------------------------------------------------------------------------


def _as_bits(values: NDArray[np.float64]) -> tuple[NDArray[np.uint64], int]:
    """Bit patterns in the order of the numbers (negative ones mirrored); exact for NaN and -0.0 too."""
    raw = np.ascontiguousarray(values).view(np.int64)
    return np.where(raw < 0, raw ^ _SIGN, raw).view(np.uint64), 0


def _as_binary(values: NDArray[np.float64]) -> tuple[NDArray[np.uint64], int] | None:
    """Integers n with value = n * 2**exponent, or None where they do not fit."""
    if not np.isfinite(values).all() or (np.signbit(values) & (values == 0)).any():
        return None
    ratios = [float(v).as_integer_ratio() for v in values]
    exponents = [
        1 - den.bit_length() if den > 1 else (num & -num).bit_length() - 1 for num, den in ratios if num
    ]
    exponent = min(exponents, default=0)
    if exponent < -2048:
        return None
    numbers = [num << -exponent if exponent < 0 else num >> exponent for num, _ in ratios]
    numbers = [n // den for n, (_, den) in zip(numbers, ratios, strict=True)]
    return _fit(numbers, exponent)


def _as_decimal(values: NDArray[np.float64]) -> tuple[NDArray[np.uint64], int] | None:
    """Integers n with value = float(n * 10**-exponent), correctly rounded, or None where they do not fit."""
    if not np.isfinite(values).all() or (np.signbit(values) & (values == 0)).any():
        return None
    decimals = [Decimal(repr(float(v))) for v in values]
    exponent = max(0, *(-int(cast(int, d.normalize().as_tuple().exponent)) for d in decimals))
    if exponent > 2047:
        return None
    numbers = [int(d.scaleb(exponent)) if d.adjusted() + exponent < 19 else _LIMIT for d in decimals]
    return _fit(numbers, exponent)


def _fit(numbers: list[int], exponent: int) -> tuple[NDArray[np.uint64], int] | None:
    if any(abs(n) >= _LIMIT for n in numbers):
        return None
    return np.array(numbers, np.int64).view(np.uint64), exponent


def _to_floats(kind: int, numbers: NDArray[np.uint64], exponent: int) -> NDArray[np.float64]:
    signed = numbers.view(np.int64)
    if kind == _KIND_BITS:
        return np.where(signed < 0, signed ^ _SIGN, signed).view(np.float64)
    try:
        if kind == _KIND_BINARY:
            return np.array([math.ldexp(int(n), exponent) for n in signed])
        return np.array([float(f"{int(n)}e{-exponent}") for n in signed])
    except OverflowError as error:
        raise ValueError("a packed number is out of range") from error


# --- differences --------------------------------------------------------------------------------------------


def _difference(grid: NDArray[np.uint64], order: int) -> NDArray[np.uint64]:
    """Differences modulo 2**64 of `order` between the rows of a 2-D array; row t < order has order t."""
    out = grid.copy()
    for t in range(order):
        out[t + 1 :] = out[t + 1 :] - out[t:-1]
    return out


def _integrate(grid: NDArray[np.uint64], order: int) -> NDArray[np.uint64]:
    out = grid.copy()
    for t in reversed(range(order)):
        out[t:] = np.cumsum(out[t:], axis=0, dtype=np.uint64)
    return out


def _parts(length: int, order: int) -> list[slice]:
    """The stretches of an axis whose differences are of one order each: 0, 1, ..., the rest."""
    return [slice(i, i + 1) for i in range(order)] + [slice(order, length)]


def _zigzag(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    signed = values.view(np.int64)
    return ((signed << np.int64(1)) ^ (signed >> np.int64(63))).view(np.uint64)


def _rice(values: NDArray[np.uint64]) -> tuple[int, int]:
    """The cheapest Rice parameter of unsigned `values` and the bits they then cost."""
    if not values.any():
        return 0, _ALL_ZERO
    typical = int(np.median(values)).bit_length()
    candidates = {min(max(typical + d, 0), 62) for d in (-2, -1, 0, 1)} | {
        min(int(values.max()).bit_length(), 62)
    }
    best = (1 << 62, 0)
    for k in sorted(candidates):
        quotient = values >> np.uint64(k)
        cost = np.where(quotient < _ESCAPE, quotient + np.uint64(1 + k), np.uint64(_ESCAPE + 64))
        best = min(best, (int(cost.sum()), k))
    return best


# --- one column ---------------------------------------------------------------------------------------------


def _pack_column(values: NDArray[np.float64], width: int) -> str:
    rows = len(values) // width
    best: tuple[int, str] | None = None
    for kind, convert in ((_KIND_BITS, _as_bits), (_KIND_BINARY, _as_binary), (_KIND_DECIMAL, _as_decimal)):
        form = convert(values)
        if form is None:
            continue
        exponent = f"{form[1] & 0xFFF:012b}" if kind != _KIND_BITS else ""
        for along in range(min(_MAX_ALONG, width - 1) + 1):
            grid = _difference(form[0].reshape(rows, width).T, along).T
            strips = [_pack_strip(grid[:, part]) for part in _parts(width, along)]
            bits = f"{kind:02b}{exponent}{along:03b}" + "".join(strips)
            best = min(best or (len(bits), bits), (len(bits), bits))
    assert best is not None  # bit patterns always fit
    return best[1]


def _pack_strip(strip: NDArray[np.uint64]) -> str:
    rows = len(strip)
    best: tuple[int, int, list[tuple[NDArray[np.uint64], int]]] | None = None
    for across in range(min(_MAX_ACROSS, rows - 1) + 1):
        coded = _zigzag(_difference(strip, across))
        regions = [coded[part].ravel() for part in _parts(rows, across)]
        costs = [_rice(region) for region in regions]
        total = sum(6 + cost for cost, _ in costs)
        if best is None or total < best[0]:
            best = (total, across, [(region, k) for region, (_, k) in zip(regions, costs, strict=True)])
    assert best is not None
    out = [f"{best[1]:03b}"]
    for region, k in best[2]:
        out.append(f"{k:06b}")
        if k != _ALL_ZERO:
            out.extend(_rice_bits(int(u), k) for u in region)
    return "".join(out)


def _rice_bits(value: int, k: int) -> str:
    quotient = value >> k
    if quotient >= _ESCAPE:
        return "1" * _ESCAPE + f"{value:064b}"
    low = f"{value & ((1 << k) - 1):0{k}b}" if k else ""
    return "1" * quotient + "0" + low


class _BitReader:
    def __init__(self, data: bytes) -> None:
        self._bits = f"{int.from_bytes(data, 'big'):0{len(data) * 8}b}" if data else ""
        self._at = 0

    def take(self, count: int) -> int:
        """The next `count` bits as an unsigned integer; ValueError past the end."""
        text = self._bits[self._at : self._at + count]
        if len(text) != count:
            raise ValueError("packed columns end early")
        self._at += count
        return int(text, 2) if count else 0

    def rice(self, k: int) -> int:
        end = self._bits.find("0", self._at, self._at + _ESCAPE)
        if end < 0:
            self.take(_ESCAPE)
            return self.take(64)
        quotient = end - self._at
        self._at = end + 1
        value = (quotient << k) | self.take(k)
        if value >> 64:
            raise ValueError("a packed number is out of range")
        return value


def _unpack_column(reader: _BitReader, n: int, width: int) -> NDArray[np.float64]:
    kind = reader.take(2)
    if kind > _KIND_DECIMAL:
        raise ValueError(f"unknown kind {kind} of packed column")
    exponent = reader.take(12) if kind != _KIND_BITS else 0
    exponent -= (exponent & 0x800) << 1
    rows, along = n // width, reader.take(3)
    if along >= width:
        raise ValueError("order of differences exceeds the grid")
    grid = np.zeros((rows, width), np.uint64)
    for part in _parts(width, along):
        grid[:, part] = _unpack_strip(reader, grid[:, part])
    return _to_floats(kind, _integrate(grid.T, along).T.ravel(), exponent)


def _unpack_strip(reader: _BitReader, strip: NDArray[np.uint64]) -> NDArray[np.uint64]:
    across = reader.take(3)
    if across >= len(strip):
        raise ValueError("order of differences exceeds the grid")
    for part in _parts(len(strip), across):
        k = reader.take(6)
        if k != _ALL_ZERO:
            target = strip[part]
            coded = np.array([reader.rice(k) for _ in range(target.size)], np.uint64)
            strip[part] = ((coded >> np.uint64(1)) ^ (np.uint64(0) - (coded & np.uint64(1)))).reshape(
                target.shape
            )
    return _integrate(strip, across)
