"""Entropy coder and dependent quantiser again, in plain Python from their description: slow, obvious.

Shares nothing with sarzip.codec but the arrays that define tables (bits, quantisers, half, shift, order,
magnitudes).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

LANES = 16
STATES = 4
# feedback and quantiser masks of the shift-register state machines
MASKS = {
    4: (0b10, 0b1),
    8: (0b111, 0b10),
    16: (0b1001, 0b100),
    32: (0b10010, 0b1100),
    64: (0b101111, 0b11001),
}


def odd(value: int) -> int:
    return bin(value).count("1") & 1


NEXT = {1: [(0, 0)]}
QUANTISER = {1: [0]}
for _n, (_feedback, _select) in MASKS.items():
    NEXT[_n] = [((2 * s + odd(s & _feedback)) % _n, (2 * s + 1 - odd(s & _feedback)) % _n) for s in range(_n)]
    QUANTISER[_n] = [odd(s & _select) for s in range(_n)]


class Corrupt(Exception):
    pass


def table(tables: Any, cls: int, quantiser: int) -> list[int]:
    """Frequencies of one table: escape, -half..half."""
    t = cls * tables.quantisers + quantiser
    start = sum(int(h) + 2 for h in np.repeat(tables.half, tables.quantisers)[:t])
    m = [int(v) for v in tables.magnitudes[start : start + int(tables.half[cls]) + 2]]
    return [m[0], *reversed(m[2:]), *m[1:]]


class Bits:
    def __init__(self, data: bytes = b"") -> None:
        self.bits = [(byte >> b) & 1 for byte in data for b in range(8)]
        self.at = 0

    def put(self, value: int, count: int) -> None:
        self.bits += [(value >> b) & 1 for b in range(count)]

    def get(self, count: int) -> int:
        if self.at + count > len(self.bits):
            raise Corrupt("raw bits are missing")
        self.at += count
        return sum(bit << b for b, bit in enumerate(self.bits[self.at - count : self.at]))

    def data(self) -> bytes:
        padded = self.bits + [0] * (-len(self.bits) % 8)
        return bytes(sum(padded[i + b] << b for b in range(8)) for i in range(0, len(padded), 8))


def encode(index: Any, cls: Any, tables: Any, n_states: int) -> tuple[bytes, bytes]:
    if len(index) == 0:
        return b"", b""
    lanes = [0] * LANES
    steps = []
    raw = Bits()
    for i, (k, c) in enumerate(zip((int(v) for v in index), (int(v) for v in cls), strict=True)):
        frequencies = table(tables, c, QUANTISER[n_states][lanes[i % LANES]])
        half, shift, order = int(tables.half[c]), int(tables.shift[c]), int(tables.order[c])
        moved = k + ((1 << shift) >> 1)
        value = moved >> shift
        raw.put(moved & ((1 << shift) - 1), shift)
        if abs(value) > half:
            symbol = 0
            excess = abs(value) - half - 1 + (1 << order)
            digits = excess.bit_length() - 1
            raw.put(int(value < 0), 1)
            for _ in range(digits - order):
                raw.put(1, 1)
            raw.put(0, 1)
            raw.put(excess & ((1 << digits) - 1), digits)
        else:
            symbol = value + half + 1
        steps.append((frequencies[symbol], sum(frequencies[:symbol])))
        lanes[i % LANES] = NEXT[n_states][lanes[i % LANES]][k & 1]
    states = [1 << 16] * STATES
    words = []
    for i in reversed(range(len(steps))):
        f, first = steps[i]
        x = states[i % STATES]
        if x >= f << (32 - tables.bits):
            words.append(x & 0xFFFF)
            x >>= 16
        states[i % STATES] = ((x // f) << tables.bits) + first + x % f
    body = struct.pack(f"<{STATES}I", *states) + struct.pack(f"<{len(words)}H", *reversed(words))
    return body, raw.data()


def decode(data: bytes, raw: bytes, cls: Any, tables: Any, n_states: int) -> list[int]:
    if len(cls) == 0:
        if data or raw:
            raise Corrupt("data without coefficients")
        return []
    if len(data) < 4 * STATES or len(data) % 2:
        raise Corrupt("impossible length")
    states = list(struct.unpack(f"<{STATES}I", data[: 4 * STATES]))
    words = list(struct.unpack(f"<{len(data) // 2 - 2 * STATES}H", data[4 * STATES :]))
    if min(states) < 1 << 16:
        raise Corrupt("impossible state")
    bits = Bits(raw)
    lanes = [0] * LANES
    out = []
    at = 0
    for i, c in enumerate(int(v) for v in cls):
        frequencies = table(tables, c, QUANTISER[n_states][lanes[i % LANES]])
        half, shift, order = int(tables.half[c]), int(tables.shift[c]), int(tables.order[c])
        x = states[i % STATES]
        slot = x & ((1 << tables.bits) - 1)
        symbol, first = 0, 0
        while slot >= first + frequencies[symbol]:
            first += frequencies[symbol]
            symbol += 1
        x = frequencies[symbol] * (x >> tables.bits) + slot - first
        if x < 1 << 16:
            if at == len(words):
                raise Corrupt("words are missing")
            x = x << 16 | words[at]
            at += 1
        states[i % STATES] = x
        low = bits.get(shift)
        value = symbol - 1 - half
        if symbol == 0:
            negative = bits.get(1)
            digits = order
            while bits.get(1):
                digits += 1
                if digits > 33:
                    raise Corrupt("endless escape")
            value = (1 << digits) + bits.get(digits) - (1 << order) + half + 1
            value = -value if negative else value
        k = (value << shift) + low - ((1 << shift) >> 1)
        if not -(1 << 31) <= k < 1 << 31:
            raise Corrupt("index beyond 32 bits")
        out.append(k)
        lanes[i % LANES] = NEXT[n_states][lanes[i % LANES]][k & 1]
    used = bits.at
    if (
        states != [1 << 16] * STATES
        or at != len(words)
        or (used + 7) // 8 != len(raw)
        or any(bits.bits[used:])
    ):
        raise Corrupt("left-overs")
    return out


def code_length(tables: Any, cls: int, quantiser: int, k: int) -> float:
    """Bits of index k: table and raw bits."""
    half, shift, order = int(tables.half[cls]), int(tables.shift[cls]), int(tables.order[cls])
    value = (k + ((1 << shift) >> 1)) >> shift
    frequencies = table(tables, cls, quantiser)
    f = frequencies[value + half + 1] if abs(value) <= half else frequencies[0]
    bits = tables.bits - float(np.log2(f)) + shift
    if abs(value) > half:
        digits = (abs(value) - half - 1 + (1 << order)).bit_length() - 1
        bits += 2 + 2 * digits - order
    return bits


def point(k: int, quantiser: int) -> int:
    return 2 * k - ((k > 0) - (k < 0)) * quantiser


def viterbi(u: Any, cls: Any, tables: Any, n_states: int, lam: float, reach: int = 4) -> float:
    """Least cost of one lane over all indices within `reach` of the value, by the complete search."""
    best = {0: 0.0}
    for x, c in zip((float(v) for v in u), (int(v) for v in cls), strict=True):
        after: dict[int, float] = {}
        middle = round(x / 2)
        for state, cost in best.items():
            q = QUANTISER[n_states][state]
            for k in {0, *range(middle - reach, middle + reach + 1)}:
                total = cost + (x - point(k, q)) ** 2 + lam * code_length(tables, c, q, k)
                to = NEXT[n_states][state][k & 1]
                after[to] = min(after.get(to, float("inf")), total)
        best = after
    return min(best.values())


def cost(u: Any, index: Any, cls: Any, tables: Any, n_states: int, lam: float) -> float:
    """Cost of one lane's indices."""
    state, total = 0, 0.0
    for x, k, c in zip((float(v) for v in u), (int(v) for v in index), (int(v) for v in cls), strict=True):
        q = QUANTISER[n_states][state]
        total += (x - point(k, q)) ** 2 + lam * code_length(tables, c, q, k)
        state = NEXT[n_states][state][k & 1]
    return total
