"""Section 9.11 of FORMAT.md, by that page alone: pixels of the family `predictive`, one after the other."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import zstandard

from support.mini_reader import need, varint
from support.mini_streams import coded_mask, exact_plane
from support.reference_binary import Decoder, Model

TAPS = [
    *((-3, c) for c in range(-1, 2)),
    *((-2, c) for c in range(-2, 3)),
    *((-1, c) for c in range(-3, 4)),
    *((0, c) for c in range(-3, 0)),
]
WEIGHTS = [20, 22, 20, 25, 40, 49, 40, 25, 20, 40, 99, 198, 99, 40, 20, 22, 49, 196]
TOTAL = 1 << 22
MANTISSA = {2: 10, 4: 23, 8: 52}
BIAS = {2: 15, 4: 127, 8: 1023}


def clip(value: Any, low: Any, high: Any) -> Any:
    return min(max(value, low), high)


def divide(a: int, b: int) -> int:
    """Towards zero."""
    return abs(a) // b * (1 if a >= 0 else -1)


class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        need(self.at + size <= len(self.data), "pixels end early")
        self.at += size
        return self.data[self.at - size : self.at]

    def leb(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def svarint(self) -> int:
        value = self.leb()
        return value // 2 if value % 2 == 0 else -(value // 2) - 1

    def block(self) -> bytes:
        size, self.at = varint(self.data, self.at)
        return self.take(size)


def band(payload: bytes, rows: int, columns: int, dtype: str, model: dict[str, Any]) -> Any:
    """Samples (rows, columns) of one band's payload."""
    kind = np.dtype(dtype)
    method, rest = payload[0], payload[1:]
    unsigned = f"<u{kind.itemsize}"
    if method == 0:
        return exact_plane(rest, rows, columns, dtype)
    if method == 1:
        differences = exact_plane(rest, rows, columns, dtype).view(unsigned)
        return np.add.accumulate(np.add.accumulate(differences, 0, unsigned), 1, unsigned).view(dtype)
    if method == 2:
        count = rest[0]
        patterns = np.frombuffer(rest[1 : 1 + count * kind.itemsize], unsigned)
        return patterns[coded_mask(rest[1 + count * kind.itemsize :], rows, columns, count - 1)].view(dtype)
    need(method == 3, "method")
    return network(Bytes(rest), rows, columns, kind, model)


def network(data: Bytes, rows: int, columns: int, kind: Any, model: dict[str, Any]) -> Any:
    unsigned = f"<u{kind.itemsize}"
    count = data.take(1)[0]
    patterns = np.frombuffer(data.take(count * kind.itemsize), unsigned)
    classes = coded_mask(data.block(), rows, columns, count + 1)
    squeezed = data.block()
    raw = zstandard.ZstdDecompressor().decompress(squeezed) if squeezed else b""
    raw_samples = np.frombuffer(raw, np.uint8).reshape(kind.itemsize, -1).T.copy().view(unsigned).ravel()
    values = numbering(data.block(), kind)
    least = data.svarint()
    greatest = least + data.svarint()
    (fine,) = struct.unpack("<h", data.take(2))
    (unit,) = struct.unpack("<f", data.take(4))
    coefficients = struct.unpack("<18h", data.take(36))
    statistics = struct.unpack("<10b", data.take(10))
    origin, repeats = data.svarint(), data.take(1)[0]
    cells = make_cells(values, least, greatest, fine, unit, origin)
    biases = [int(each) for each in model["biases"]]
    for at in range(32):
        biases[at] += sum(int(a) * b for a, b in zip(model["statistics"][at], statistics, strict=True))
    net = Net(model, biases, coefficients)
    index = np.full((rows, columns), -1)
    for top in range(0, rows, 128):
        coded = classes[top : top + 128] == 0
        index[top : top + 128] = strip(data.block(), coded, net, cells, bool(repeats & 1))
    numbers = with_low_bits(data, index, cells, bool(repeats & 2))
    bits = np.zeros((rows, columns), unsigned)
    for place, number in numbers.items():
        bits[place] = values.sample(clip(number, least, greatest))
    for number, pattern in enumerate(patterns, start=1):
        bits[classes == number] = pattern
    bits[classes == count + 1] = raw_samples
    return bits.view(kind.newbyteorder("<"))


def with_low_bits(data: Bytes, index: Any, cells: Cells, repeats: bool) -> dict[tuple[int, ...], int]:
    some = any(wide for _, wide in cells.runs)
    decisions = Decoder(data.block()) if some and repeats else None
    low = int.from_bytes(data.data[data.at :], "little")
    model, last = Model(8, 255), [0, 0]
    numbers: dict[tuple[int, ...], int] = {}
    for i, j in np.ndindex(index.shape):
        if index[i, j] < 0:
            continue
        first, wide = cells.runs[index[i, j]]
        near = [(i, j - 1), (i - 1, j)]
        same = [min(p) >= 0 and index[p] == index[i, j] for p in near]
        if wide and decisions and any(same):
            kind = same.index(True)
            bit = decisions.bit(model, 4 * kind + last[kind])
            last[kind] = (2 * last[kind] + bit) % 4
            if bit:
                numbers[i, j] = numbers[near[kind]]
                continue
        numbers[i, j] = first + (low & ((1 << wide) - 1))
        low >>= wide
    need(low == 0, "low bits")
    return numbers


@dataclass
class Values:
    """real and sample (its pattern) of a number."""

    kind: Any
    ratios: bool
    number: int
    parameters: Any

    def value(self, number: int) -> Any:
        """The sample, as a Python or numpy number."""
        kind, given = self.kind, self.parameters
        if self.number == 1 and kind.kind in "iu":
            info = np.iinfo(kind)
            return kind.type(clip(number * given[1], int(info.min), int(info.max)))
        if self.number == 1:
            ordinal = (number << given[0]) | ((1 << given[0]) - 1 if number < 0 else 0)
            return from_ordinal(ordinal, kind)
        if self.number == 2:
            real = number * given[0]
            return kind.type(real if given[1] == 0 else 10 ** (real / (20 if given[1] == 1 else 10)))
        table = given
        return kind.type(table[clip(number, 0, len(table) - 1)])

    def sample(self, number: int) -> int:
        value = np.array([self.value(number)], self.kind.newbyteorder("<"))
        return int(value.view(f"<u{self.kind.itemsize}")[0])

    def real(self, number: int) -> float:
        if self.number == 2:
            return number * float(self.parameters[0])
        if self.number == 1 and self.kind.kind in "iu":
            return float(number * self.parameters[1])
        return float(self.value(number))


def from_ordinal(ordinal: int, kind: Any) -> Any:
    most = (1 << (8 * kind.itemsize - 1)) - 1
    pattern = ordinal ^ most if ordinal < 0 else ordinal
    return np.array([pattern], f"i{kind.itemsize}").view(kind)[0]


def numbering(block: bytes, kind: Any) -> Values:
    number, ratios, rest = block[0] >> 1, bool(block[0] & 1), block[1:]
    if number == 1:
        return Values(kind, ratios, 1, struct.unpack("<BI", rest))
    if number == 2:
        return Values(kind, ratios, 2, struct.unpack("<dB", rest))
    if number == 3:
        ratio, top = struct.unpack("<dQ", rest)
        table, a = [], 1
        while a <= top:
            v = max(a, math.floor(a * ratio))
            table.append(min(v, top))
            a = max(v, math.floor(v * ratio)) + 1
        return Values(kind, True, 3, table or [1])
    need(number == 4, "numbering")
    planes = np.frombuffer(zstandard.ZstdDecompressor().decompress(rest), np.uint8)
    sums = np.cumsum(planes.reshape(8, -1).T.copy().view("<i8").ravel())
    if kind.kind in "iu":
        return Values(kind, ratios, 4, [int(each) for each in sums])
    return Values(kind, ratios, 4, [from_ordinal(int(each), kind) for each in sums])


@dataclass
class Cells:
    """runs: first number and raw bits of each cell."""

    runs: list[tuple[int, int]]
    levels: list[int]
    edges: list[int]


def octaves(values: Values, least: int, greatest: int) -> list[tuple[int, int, int, int]]:
    """First and last number, size and exponent."""
    found = []
    floating = values.number == 1 and values.kind.kind == "f"
    size = MANTISSA[values.kind.itemsize] - values.parameters[0] if floating else 0
    for sign in (-1, 1):
        low, high = (least, greatest) if sign > 0 else (-1 - greatest, -1 - least)
        part = []
        for e in range(((max(high, 0) >> size) + 1) if floating else max(high, 0).bit_length() + 1):
            if floating:
                first, wide = e << size, size
            else:
                first, wide = (0, 0) if e == 0 else (1 << (e - 1), e - 1)
            last = first + (1 << wide) - 1
            if high >= 0 and last >= max(low, 0) and first <= high:
                part.append((max(first, low, 0), min(last, high), wide, e))
        if sign < 0:
            part = [(-1 - b, -1 - a, wide, e) for a, b, wide, e in reversed(part)]
        found += part
    return found


def make_cells(values: Values, least: int, greatest: int, fine: int, unit: float, origin: int) -> Cells:
    whole = values.number == 1 and values.kind.kind in "iu"
    if values.number in (3, 4) or (not values.ratios and (values.number == 2 or whole)):
        parts = [(least, greatest, clip(fine, 0, 62))]
    else:
        parts = []
        for first, last, size, e in octaves(values, least, greatest):
            if values.ratios:
                parts.append((first, last, max(0, size - fine)))
            else:
                bias = BIAS[values.kind.itemsize]
                parts.append((first, last, clip(fine - max(e, 1) + bias + size, 0, size)))
    runs = [(n << b, b) for first, last, b in parts for n in range(first >> b, (last >> b) + 1)]
    tiny = 0.5 if values.kind.kind in "iu" or values.number == 2 else 2.0**-1022

    def f(real: float) -> float:
        return 4.342944819032518 * log(max(real, tiny)) + 0.0 if values.ratios else real

    low = [values.real(max(first, least)) for first, _ in runs]
    high = [values.real(min(first + (1 << b) - 1, greatest)) for first, b in runs]
    levels = [f((a + b) / 2) for a, b in zip(low, high, strict=True)]
    edges = [f((a + b) / 2) for a, b in zip(high[:-1], low[1:], strict=True)]
    zero = levels[origin]
    return Cells(
        runs,
        [clip(round((each - zero) / unit), -(1 << 18), 1 << 18) for each in levels],
        [clip(round((each - zero) / unit * 64), -(1 << 24), 1 << 24) for each in edges],
    )


def log(x: float) -> float:
    (bits,) = struct.unpack("<q", struct.pack("<d", x))
    k = (bits - 0x3FE6A09E667F3BCD) >> 52
    f = float(Fraction(x) / Fraction(2) ** k) - 1.0
    s = f / (2.0 + f)
    q, h, p = s * s, 0.5 * f * f, 2.0 / 21
    for a in range(19, 2, -2):
        p = p * q + 2.0 / a
    low = s * (h + q * p) + k * 1.90821492927058770002e-10
    return k * 0.693147180369123816490 - ((h - low) - f)


class Net:
    def __init__(self, model: dict[str, Any], biases: list[int], coefficients: tuple[int, ...]) -> None:
        self.coefficients = coefficients
        self.layers, at, start = [], 0, 0
        for inputs, outputs in ((24, 32), (32, 32), (32, 4)):
            part = np.asarray(model["weights"][at : at + inputs * outputs], np.int64)
            matrix = part.reshape(inputs // 2, outputs, 2).transpose(1, 0, 2).reshape(outputs, inputs)
            self.layers.append((matrix, np.array(biases[start : start + outputs])))
            at, start = at + inputs * outputs, start + outputs
        tables = np.asarray(model["tables"], np.int64)
        self.cumulative = tables[: 12 * 769].reshape(12, 769)
        self.factors = tables[12 * (769 + 1025) :][:48]

    def outputs(self, x: list[int]) -> list[int]:
        values = np.array(x)
        for number, (matrix, bias) in enumerate(self.layers):
            values = (bias + matrix @ values) >> 7
            if number < 2:
                values = np.clip(values, 0, 255)
        return [int(each) for each in values[:3]]


def strip(data: bytes, coded: Any, net: Net, cells: Cells, repeats: bool) -> Any:
    rows, width = coded.shape
    planes: list[dict[tuple[int, int], int]] = [{} for _ in range(6)]  # S, G1, G2, D1, D2, cells

    def at(plane: int, i: int, j: int) -> int:
        if i >= 0 and j < 0:
            i, j = i - 1, 0
        if i < 0:
            return (0, 0, 0, 160, 160, -1)[plane]
        return planes[plane][i, min(j, width - 1)]

    states = list(struct.unpack("<4Q", data[:32]))
    words = [int(each) for each in np.frombuffer(data[32:], "<u4")]
    chances, done, count, used = [2048] * 64, 0, len(cells.levels), 0
    offsets, seen = [0] * 48, [0] * 48
    order = sorted(np.ndindex(rows, width), key=lambda p: (p[1] + 4 * p[0], p[0]))
    for i, j in order:
        taps = [at(0, i + di, j + dj) for di, dj in TAPS]
        rho = (512 + sum(w * tap for w, tap in zip(WEIGHTS, taps, strict=True))) >> 10
        x = [clip(tap - rho, -255, 255) for tap in taps]
        x.append(clip((64 + sum(c * v for c, v in zip(net.coefficients, x, strict=True))) >> 7, -255, 255))
        x.append(min(sum(map(abs, x[:18])) >> 4, 255))
        pi = rho + x[18]
        mu = [
            (at(k, i, j - 1) + at(k, i - 1, j) + at(k, i - 1, j + 1) + at(k, i - 1, j - 1)) >> 2
            for k in range(1, 5)
        ]
        x += [clip((mu[k] >> 3) - (rho if k < 2 else 0), -255, 255) for k in range(4)]
        if not coded[i, j]:
            planes[0][i, j], planes[5][i, j] = rho, -1
            for k in range(4):
                planes[k + 1][i, j] = mu[k]
            continue
        out = net.outputs(x)
        mean, raw, h = 64 * pi + 16 * out[0], clip(out[1] + 32, 0, 47), clip(out[2], 0, 11)
        c = clip(((raw << 16) + offsets[raw] + 32768) >> 16, 0, 47)
        candidate, context, extra = -1, 0, 0
        if repeats:
            w, ww, n = at(5, i, j - 1), at(5, i, j - 2), at(5, i - 1, j)
            nw, ne = at(5, i - 1, j - 1), at(5, i - 1, j + 1)
            a, aw, ae = (at(5, i - 2, j + d) for d in (0, -1, 1))
            context = (w == ww) + 2 * (n == nw) + 4 * (ne == n) + 8 * (w == nw)
            context += 16 * (a == aw) + 32 * (ae == a)
            candidate = n if w == nw and n != nw else w
            if candidate >= 0 and chances[context] >= 512:
                extra = ((TOTAL - count) * chances[context]) >> 16
        spread = TOTAL - count - extra

        def part(k: int, c: int = c) -> int:
            if k == 0 or k == count:
                return 0 if k == 0 else spread + count  # noqa: B023
            z = ((cells.edges[k - 1] - mean) * int(net.factors[c]) >> 12) + 114688  # noqa: B023
            if z <= 0 or z >= 196608:
                share = 0 if z <= 0 else 1 << 20
            else:
                a, b = (int(net.cumulative[h, (z >> 8) + d]) for d in (0, 1))  # noqa: B023
                share = a + ((b - a) * (z % 256) >> 8)
            return (share * spread >> 20) + k  # noqa: B023

        state = states[done % 4]
        slot = state % TOTAL
        for k in range(count):
            start = part(k) + (extra if candidate >= 0 and k > candidate else 0)
            own = part(k + 1) - part(k)
            size = own + (extra if k == candidate else 0)
            if start <= slot < start + size:
                break
        state = size * (state // TOTAL) + slot - start
        if state < 1 << 31:
            state, used = (state << 32) + words[used], used + 1
        states[done % 4], done = state, done + 1
        if candidate >= 0:
            p = chances[context]
            r = (p << 16) // (p + (own >> 6)) if k == candidate else 0
            chances[context] = clip(p + ((r - p + 16) >> 5), 16, 65519)
        if (j + 4 * i) % 2 and not (extra and k == candidate):
            wider, narrower = (part(k + 1, clip(c + d, 0, 47)) - part(k, clip(c + d, 0, 47)) for d in (1, -1))
            change = divide(65536 * (wider - narrower), wider + narrower)
            offsets[raw] = clip(offsets[raw] + divide(change * 8, seen[raw] + 8), -48 * 65536, 48 * 65536)
            seen[raw] = min(seen[raw] + 1, 120)
        y = cells.levels[k]
        planes[0][i, j], planes[5][i, j] = y, k
        e = min(abs(y - pi), 255)
        for number, value in enumerate((8 * y, 8 * y, 8 * e, 8 * e)):
            planes[number + 1][i, j] = mu[number] + ((value - mu[number]) >> (4 if number % 2 else 2))
    need(used == len(words) and all(state == 1 << 31 for state in states), "end of a strip")
    found = np.full(coded.shape, -1)
    for place, k in planes[5].items():
        found[place] = k
    return found
