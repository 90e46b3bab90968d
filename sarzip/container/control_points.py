"""Exact, compact packing of columns of float64 that vary smoothly over a grid (ground control points).

Every column is turned into integers without loss (decimal or binary fixed point, or the ordered bit
pattern), differenced along and across the grid modulo 2**64, and the remainders are Rice coded (R. F. Rice,
"Some practical universal noiseless coding techniques", JPL 79-22, 1979), one parameter for each order of
difference: the first rows and columns of the grid, where differences are of lower order, are large, the
inside is small. All of it is integer arithmetic, so what comes out is bit for bit what went in.

Where a column's noise goes with that of the column before (the x and y of points that move along the orbit or
the line of sight), its differences are predicted from those. FORMAT.md 5.6 specifies the stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import cast

import numpy as np
from numpy.typing import NDArray

_KIND_BITS, _KIND_BINARY, _KIND_DECIMAL = 0, 1, 2
_MAX_ALONG, _MAX_ACROSS = 4, 3
_ALL_ZERO = 63
_ESCAPE = 24  # a quotient this large is written as 64 raw bits
_LIMIT = 1 << 62  # integers stay below this, so that a zigzag fits 64 bits
_PREDICTED = "11"
_FRACTION, _COEFFICIENT = 24, 40
_MOST_COEFFICIENTS = 3
_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)


def pack(columns: NDArray[np.float64], width: int) -> bytes:
    """Pack float64 `columns` of shape (n, k), n a multiple of the grid `width`, into bytes, exactly."""
    n = columns.shape[0]
    if width < 1 or n == 0 or n % width:
        raise ValueError(f"{n} points do not fill a grid of width {width}")
    plain = [_pack_column(columns[:, c], width) for c in range(columns.shape[1])]
    bits = min("".join(column for column, _ in plain), _pack_predicted(columns, width, plain), key=len)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def _pack_predicted(
    columns: NDArray[np.float64], width: int, plain: list[tuple[str, NDArray[np.uint64]]]
) -> str:
    """With columns predicted from those before, in the kinds that are best without (else it takes long)."""
    bits, before = _PREDICTED, None
    for c, (column, _) in enumerate(plain):
        column, before = _pack_column(columns[:, c], width, before, (int(column[:2], 2),))
        bits += column
    return bits


def unpack(data: bytes, shape: tuple[int, int], width: int) -> NDArray[np.float64]:
    """Undo `pack`: float64 of `shape` (n, k). Raises ValueError for bytes that `pack` cannot have written."""
    n, k = shape
    if width < 1 or n < 1 or n % width:
        raise ValueError(f"{n} points do not fill a grid of width {width}")
    reader = _BitReader(data)
    out = np.empty((n, k), np.float64)
    predicting, before = reader.starts_with(_PREDICTED), None
    for c in range(k):
        out[:, c], numbers = _unpack_column(reader, n, width, before)
        before = numbers if predicting else None
    reader.finish()
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
            values = np.array([math.ldexp(int(n), exponent) for n in signed])
        else:
            values = np.array([float(f"{int(n)}e{-exponent}") for n in signed])
    except OverflowError as error:
        raise ValueError("a packed number is out of range") from error
    if not np.isfinite(values).all():
        raise ValueError("a packed number is out of range")
    return values


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


def _pack_column(
    values: NDArray[np.float64],
    width: int,
    before: NDArray[np.uint64] | None = None,
    kinds: tuple[int, ...] = (_KIND_BITS, _KIND_BINARY, _KIND_DECIMAL),
) -> tuple[str, NDArray[np.uint64]]:
    """Bits of a column and its integers; `before`: those of the column to predict from."""
    rows = len(values) // width
    best: tuple[str, NDArray[np.uint64]] | None = None
    for kind in kinds:
        form = (_as_bits, _as_binary, _as_decimal)[kind](values)
        if form is None:
            continue
        exponent = f"{form[1] & 0xFFF:012b}" if kind != _KIND_BITS else ""
        for along in range(min(_MAX_ALONG, width - 1) + 1):
            grid = _along(form[0], (rows, width), along)
            known = None if before is None else _along(before, (rows, width), along)
            strips = [
                _pack_strip(grid[:, part], None if known is None else known[:, part])
                for part in _parts(width, along)
            ]
            bits = f"{kind:02b}{exponent}{along:03b}" + "".join(strips)
            if best is None or (len(bits), bits) < (len(best[0]), best[0]):
                best = bits, form[0]
    assert best is not None  # bit patterns always fit
    return best


def _along(numbers: NDArray[np.uint64], shape: tuple[int, int], order: int) -> NDArray[np.uint64]:
    return _difference(numbers.reshape(shape).T, order).T


def _pack_strip(strip: NDArray[np.uint64], known: NDArray[np.uint64] | None) -> str:
    rows = len(strip)
    best: tuple[int, str, list[tuple[NDArray[np.uint64], int]]] | None = None
    for across in range(min(_MAX_ACROSS, rows - 1) + 1):
        differences = _difference(strip, across)
        for head, residuals in _predictions(differences, known, across):
            coded = _zigzag(residuals)
            regions = [coded[part].ravel() for part in _parts(rows, across)]
            costs = [_rice(region) for region in regions]
            total = len(head) + sum(6 + cost for cost, _ in costs)
            if best is None or total < best[0]:
                ks = [k for _, k in costs]
                best = (total, f"{across:03b}{head}", list(zip(regions, ks, strict=True)))
    assert best is not None
    out = [best[1]]
    for region, k in best[2]:
        out.append(f"{k:06b}")
        if k != _ALL_ZERO:
            out.extend(_rice_bits(int(u), k) for u in region)
    return "".join(out)


def _predictions(
    differences: NDArray[np.uint64], known: NDArray[np.uint64] | None, across: int
) -> Iterator[tuple[str, NDArray[np.uint64]]]:
    """Ways to predict a strip: bits of the coefficients, and what is left of the differences."""
    if known is None:
        yield "", differences
        return
    yield "00", differences
    guide = _difference(known, across)[across:]
    for count in range(1, _MOST_COEFFICIENTS + 1):
        coefficients = _fitted(differences[across:], guide, count)
        if coefficients is not None:
            rest = differences.copy()
            rest[across:] -= _predicted(guide, coefficients)
            words = [f"{value & (1 << _COEFFICIENT) - 1:0{_COEFFICIENT}b}" for value in coefficients]
            yield f"{count:02b}" + "".join(words), rest


def _fitted(target: NDArray[np.uint64], guide: NDArray[np.uint64], count: int) -> list[int] | None:
    """Coefficients by least squares, then once more without the outliers; None where there are none."""
    wanted, given = (numbers.view(np.int64).astype(np.float64) for numbers in (target, guide))
    size = np.abs(given).max()
    flat = given.shape[1] == 1 if count == 2 else 1 in given.shape if count == 3 else False
    if size == 0 or given.size <= 2 * count or flat:
        return None
    terms = np.stack([(given / size * place).ravel() for place in _places(given.shape)[:count]], 1)
    wanted = (wanted / size).ravel()
    found = np.linalg.lstsq(terms, wanted, rcond=None)[0]
    left = np.abs(wanted - terms @ found)
    usual = left <= 8 * np.median(left)
    if usual.sum() > 2 * count:
        found = np.linalg.lstsq(terms[usual], wanted[usual], rcond=None)[0]
    scaled = found * (1 << _FRACTION)
    if not np.all(np.abs(scaled) < 1 << (_COEFFICIENT - 1)):
        return None
    return [int(value) for value in np.rint(scaled)]


def _predicted(guide: NDArray[np.uint64], coefficients: list[int]) -> NDArray[np.uint64]:
    slope = np.zeros(guide.shape, np.int64)
    for value, place in zip(coefficients, _places(guide.shape), strict=False):
        slope += value * place
    return ((guide.view(np.int64) * slope) >> np.int64(_FRACTION)).view(np.uint64)


def _places(shape: tuple[int, ...]) -> list[NDArray[np.int64]]:
    """What the coefficients go with: one, the column, the row."""
    row, column = np.indices(shape, np.int64)
    return [np.ones(shape, np.int64), column, row]


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

    def starts_with(self, bits: str) -> bool:
        """Whether these bits come next; they are then taken."""
        found = self._bits.startswith(bits, self._at)
        self._at += len(bits) if found else 0
        return found

    def finish(self) -> None:
        """ValueError unless what follows fills the last byte with zeros."""
        rest = self._bits[self._at :]
        if len(rest) > 7 or "1" in rest:
            raise ValueError("bytes follow the packed columns")

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


def _unpack_column(
    reader: _BitReader, n: int, width: int, before: NDArray[np.uint64] | None
) -> tuple[NDArray[np.float64], NDArray[np.uint64]]:
    kind = reader.take(2)
    if kind > _KIND_DECIMAL:
        raise ValueError(f"unknown kind {kind} of packed column")
    exponent = reader.take(12) if kind != _KIND_BITS else 0
    exponent -= (exponent & 0x800) << 1
    rows, along = n // width, reader.take(3)
    if along >= width:
        raise ValueError("order of differences exceeds the grid")
    known = None if before is None else _along(before, (rows, width), along)
    grid = np.zeros((rows, width), np.uint64)
    for part in _parts(width, along):
        grid[:, part] = _unpack_strip(reader, grid[:, part], None if known is None else known[:, part])
    numbers = _integrate(grid.T, along).T.ravel()
    return _to_floats(kind, numbers, exponent), numbers


def _unpack_strip(
    reader: _BitReader, strip: NDArray[np.uint64], known: NDArray[np.uint64] | None
) -> NDArray[np.uint64]:
    across = reader.take(3)
    if across >= len(strip):
        raise ValueError("order of differences exceeds the grid")
    count = 0 if known is None else reader.take(2)
    half = 1 << (_COEFFICIENT - 1)
    coefficients = [(reader.take(_COEFFICIENT) ^ half) - half for _ in range(count)]
    for part in _parts(len(strip), across):
        k = reader.take(6)
        if k != _ALL_ZERO:
            target = strip[part]
            coded = np.array([reader.rice(k) for _ in range(target.size)], np.uint64)
            strip[part] = ((coded >> np.uint64(1)) ^ (np.uint64(0) - (coded & np.uint64(1)))).reshape(
                target.shape
            )
    if known is not None and count:
        strip[across:] += _predicted(_difference(known, across)[across:], coefficients)
    return _integrate(strip, across)
