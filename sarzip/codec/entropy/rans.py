"""Interleaved rANS over the static tables of tables.py, with the state machine of dependent quantisation
inside.

Four 32-bit states take turns (coefficient i belongs to state i % 4), share one stream of 16-bit words and
stay in [2**16, 2**32). The step for a symbol with frequency f and first slot b, M = 2**bits, is the usual one
(J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; interleaving: F. Giesen, arXiv:1402.3392):

    encode: while x >= f * 2**(32 - bits): put the low word, x >>= 16;   x = (x // f) * M + b + x % f
    decode: slot = x % M; x = f * (x // M) + slot - b;                    if x < 2**16: x = x * 2**16 + next
    word

At most one word moves per symbol. x // f is x * ceil(2**(32+bits) / f) >> (32+bits) in 64 bits: with x < f *
2**(32-bits) and e = f * ceil(..) - 2**(32+bits) < f <= M the error x * e / f stays below 2**(32+bits) / f,
and the product stays below 2**64 because e * f < 2**(2 * bits); so the quotient is exact.

The state of dependent quantisation belongs to 16 lanes (coefficient i to lane i % 16), starts at 0 in each,
and follows the parity of the indices: independent lanes hide the latency of the chain index -> state -> table
-> index.

Byte layout of one stream (little-endian): 4 states (uint32), words (uint16) in decoding order, raw bits
(escapes and low bits of wide classes, LSB first). The caller keeps the number of raw bytes. After the last
symbol every state must be 2**16, all words and raw bytes be used up and spare raw bits be zero; else the
stream is corrupt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy.tables import CodeTables
from sarzip.errors import CorruptError
from sarzip.jit.compile import compiled, inlined

STATES = 4
LANES = 16
_LOW = 1 << 16

_U1 = np.uint64(1)
_U16 = np.uint64(16)
_U32 = np.uint64(32)
_UWORD = np.uint64(0xFFFF)
_ULOW = np.uint64(_LOW)


@dataclass(frozen=True, eq=False)
class StateMachine:
    """next: uint8 (2 * n_states,), next[2 * state + parity]; quantiser: uint8 (n_states,), 0 or 1."""

    next: NDArray[np.uint8]
    quantiser: NDArray[np.uint8]


def _machine(bits: int, feedback: int, select: int) -> StateMachine:
    """Shift register of `bits` bits: the new bit is the parity of the index xor the parity of state &
    feedback; the quantiser is bit `select` of the state. Two paths merge in each state, with the same
    quantiser before both."""
    n = 1 << bits
    following = [
        ((s << 1) | (p ^ (bin(s & feedback).count("1") & 1))) & (n - 1) for s in range(n) for p in (0, 1)
    ]
    chosen = [bin(s & select).count("1") & 1 for s in range(n)]
    return StateMachine(np.array(following, np.uint8), np.array(chosen, np.uint8))


# 4 states: the machine of VVC (ITU-T H.266), renumbered. The others: the best of the shift-register machines
# with linear feedback and quantiser choice (for 64 states, of a quarter of them), by mean squared error at
# high rate: 1.09, 1.16, 1.22, 1.27 dB below a uniform quantiser of the same rate (4 states: 1.00).
MACHINES = {
    1: StateMachine(np.zeros(2, np.uint8), np.zeros(1, np.uint8)),
    4: _machine(2, 0b10, 0b1),
    8: _machine(3, 0b111, 0b10),
    16: _machine(4, 0b1001, 0b100),
    32: _machine(5, 0b10010, 0b1100),
    64: _machine(6, 0b101111, 0b11001),
}


@inlined
def symbol(k, c, t, base, half, shift, order):  # type: ignore[no-untyped-def]
    """Symbol row (uint32) of an index of class c in table t, and the number of raw bits that go with it."""
    s = np.int64(shift[c])
    value = (k + ((1 << s) >> 1)) >> s
    h = np.int64(half[t])
    raw = s
    if value > h or value < -h:
        row = base[t]
        v = abs(value) - h - 1 + (np.int64(1) << np.int64(order[c]))
        digits = np.int64(0)
        while v > 1:
            v >>= 1
            digits += 1
        raw += 2 + 2 * digits - np.int64(order[c])
    else:
        row = base[t] + np.uint32(value + h + 1)
    return row, raw


@compiled(
    "int64(int32[::1], uint8[::1], uint32[::1], int32[::1], uint8[::1], uint8[::1], uint8[::1], uint8[::1],"
    " uint32[::1])"
)
def _rows(index, cls, base, half, shift, order, following, quantiser, rows):  # type: ignore[no-untyped-def]
    """Symbol row of every index (uint32 out) and the number of raw bits needed."""
    quantisers = np.int64(1 if quantiser.shape[0] == 1 else 2)
    state = np.zeros(LANES, np.uint8)
    total = np.int64(0)
    for i in range(index.shape[0]):
        lane = i & (LANES - 1)
        c = np.int64(cls[i])
        t = c * quantisers + np.int64(quantiser[state[lane]])
        k = np.int64(index[i])
        rows[i], raw = symbol(k, c, t, base, half, shift, order)
        total += raw
        state[lane] = following[(np.int64(state[lane]) << 1) | (k & 1)]
    return total


@inlined
def _put(out, at, value, count):  # type: ignore[no-untyped-def]
    """Append `count` low bits of value, LSB first, at bit position `at`; returns the new position."""
    for b in range(count):
        out[at >> 3] |= np.uint8(((value >> np.uint64(b)) & _U1) << np.uint64(at & 7))
        at += 1
    return at


@compiled("void(int32[::1], uint8[::1], uint32[::1], uint8[::1], uint8[::1], uint8[::1], uint8[::1])")
def _put_raw(index, cls, rows, escape, half, shift_order, out):  # type: ignore[no-untyped-def]
    """Raw bits: per index the low `shift` bits, then for escapes sign, unary length and digits of the
    excess."""
    at = np.int64(0)
    classes = half.shape[0]
    for i in range(index.shape[0]):
        c = np.int64(cls[i])
        s = np.int64(shift_order[c])
        is_escape = escape[rows[i]]
        if s == 0 and is_escape == 0:
            continue
        k = np.int64(index[i]) + ((1 << s) >> 1)
        at = _put(out, at, np.uint64(k & ((1 << s) - 1)), s)
        if is_escape:
            value = k >> s
            order = np.int64(shift_order[classes + c])
            at = _put(out, at, np.uint64(1 if value < 0 else 0), np.int64(1))
            v = abs(value) - np.int64(half[c]) - 1 + (np.int64(1) << order)
            digits = np.int64(0)
            while (v >> (digits + 1)) > 0:
                digits += 1
            at = _put(out, at, np.uint64((np.int64(1) << (digits - order)) - 1), digits - order + 1)
            at = _put(out, at, np.uint64(v & ((np.int64(1) << digits) - 1)), digits)


@inlined
def _encode_one(x, words, at, row, reciprocals, intervals, bits):  # type: ignore[no-untyped-def]
    pair = np.uint64(intervals[row])
    f = pair >> _U16
    full = x >= (f << (_U32 - bits))
    words[at] = np.uint16(x & _UWORD)
    at = at - np.uint64(full)
    x = x >> _U16 if full else x
    quotient = (x * reciprocals[row]) >> (_U32 + bits)
    return x + (pair & _UWORD) + quotient * ((_U1 << bits) - f), at


@compiled("int64(uint32[::1], uint64[::1], uint32[::1], int64, uint16[::1], uint32[::1])")
def _encode(rows, reciprocals, intervals, bits_, words, states):  # type: ignore[no-untyped-def]
    """Write words from the end of `words` (n + 1 long); returns the position of the first and fills the four
    states."""
    bits = np.uint64(bits_)
    at = np.uint64(words.shape[0] - 1)
    x0 = _ULOW
    x1 = _ULOW
    x2 = _ULOW
    x3 = _ULOW
    n = np.uint64(rows.shape[0])
    i = n & ~np.uint64(3)
    rest = n - i
    if rest > np.uint64(2):
        x2, at = _encode_one(x2, words, at, rows[i + np.uint64(2)], reciprocals, intervals, bits)
    if rest > np.uint64(1):
        x1, at = _encode_one(x1, words, at, rows[i + _U1], reciprocals, intervals, bits)
    if rest > np.uint64(0):
        x0, at = _encode_one(x0, words, at, rows[i], reciprocals, intervals, bits)
    while i > np.uint64(0):
        i -= np.uint64(4)
        x3, at = _encode_one(x3, words, at, rows[i + np.uint64(3)], reciprocals, intervals, bits)
        x2, at = _encode_one(x2, words, at, rows[i + np.uint64(2)], reciprocals, intervals, bits)
        x1, at = _encode_one(x1, words, at, rows[i + _U1], reciprocals, intervals, bits)
        x0, at = _encode_one(x0, words, at, rows[i], reciprocals, intervals, bits)
    states[0] = np.uint32(x0)
    states[1] = np.uint32(x1)
    states[2] = np.uint32(x2)
    states[3] = np.uint32(x3)
    return np.int64(at + _U1)


@inlined
def _get(raw, at, count):  # type: ignore[no-untyped-def]
    """Next `count` (<= 62) bits; position -1 when they are not there."""
    if at < 0 or at + count > raw.shape[0] * 8:
        return np.int64(0), np.int64(-1)
    value = np.int64(0)
    for b in range(count):
        value |= np.int64((raw[at >> 3] >> np.uint8(at & 7)) & 1) << b
        at += 1
    return value, at


@inlined
def _get_index(raw, at, value, half, shift, order):  # type: ignore[no-untyped-def]
    """Index from its coded value (value < -half means escape) and raw bits; position -1 when corrupt."""
    low, at = _get(raw, at, shift)
    if value < -half:
        sign, at = _get(raw, at, np.int64(1))
        digits = order
        while at >= 0:
            one, at = _get(raw, at, np.int64(1))
            if one == 0:
                break
            digits += 1
            if digits > 33:
                return np.int64(0), np.int64(-1)
        rest, at = _get(raw, at, digits)
        value = (np.int64(1) << digits) + rest - (np.int64(1) << order) + half + 1
        value = -value if sign else value
    k = (value << shift) + low - ((np.int64(1) << shift) >> 1)
    if k > 2147483647 or k < -2147483648:
        return np.int64(0), np.int64(-1)
    return k, at


@inlined
def _decode_one(x, words, at, table, slots, base, intervals, bits):  # type: ignore[no-untyped-def]
    slot = x & ((_U1 << bits) - _U1)
    symbol = np.uint64(slots[(np.uint64(table) << bits) | slot])
    pair = np.uint64(intervals[np.uint64(base[table]) + symbol])
    x = (pair >> _U16) * (x >> bits) + slot - (pair & _UWORD)
    low = x < _ULOW
    x = (x << _U16) | np.uint64(words[at]) if low else x
    return x, at + np.uint64(low), symbol


@compiled(
    "int64(uint16[::1], uint8[::1], uint32[::1], uint8[::1], uint8[::1], uint32[::1], int32[::1],"
    " uint32[::1], int64, uint8[::1], uint8[::1], uint8[::1], int32[::1])"
)
def _decode(  # type: ignore[no-untyped-def]
    words, raw, states, cls, slots, base, half, intervals, bits_, shift_order, following, quantiser, index
):
    """Decode len(cls) indices; 0 when the stream was exact, -1 when it is corrupt. `words` carries LANES
    spare words at its end, and the position is checked once per LANES symbols, each of which takes at most
    one word."""
    bits = np.uint64(bits_)
    quantisers = np.uint64(1 if quantiser.shape[0] == 1 else 2)
    classes = shift_order.shape[0] // 2
    state = np.zeros(LANES, np.uint8)
    limit = np.uint64(words.shape[0] - LANES)
    x = np.zeros(4, np.uint64)
    x0 = np.uint64(states[0])
    x1 = np.uint64(states[1])
    x2 = np.uint64(states[2])
    x3 = np.uint64(states[3])
    at = np.uint64(0)
    bit = np.int64(0)
    n = cls.shape[0]
    for start in range(0, n, LANES):
        if at > limit:
            return -1
        for lane in range(min(LANES, n - start)):
            c = np.uint64(cls[start + lane])
            s = state[lane]
            t = c * quantisers + np.uint64(quantiser[s])
            # the four states rotate through x0..x3, so that they stay in registers
            x0, at, symbol = _decode_one(x0, words, at, t, slots, base, intervals, bits)
            x0, x1, x2, x3 = x1, x2, x3, x0
            h = np.int64(half[t])
            k = np.int64(symbol) - 1 - h
            if symbol == np.uint64(0) or shift_order[c] > 0:
                k, bit = _get_index(
                    raw, bit, k, h, np.int64(shift_order[c]), np.int64(shift_order[classes + c])
                )
                if bit < 0:
                    return -1
            index[start + lane] = np.int32(k)
            state[lane] = following[(np.uint64(s) << _U1) | np.uint64(k & 1)]
    x[0] = x0
    x[1] = x1
    x[2] = x2
    x[3] = x3
    for j in range(4):
        if x[j] != _ULOW:
            return -1
    if at != limit or (bit + 7) >> 3 != raw.shape[0]:
        return -1
    if bit & 7 and raw[bit >> 3] >> np.uint8(bit & 7):
        return -1
    return 0


@dataclass(frozen=True, eq=False)
class Plan:
    """What encoding will write: symbol rows uint32 (n,), raw bits, and the ideal length of the whole stream
    in bits."""

    rows: NDArray[np.uint32]
    raw_bits: int
    bits: float


def plan(index: NDArray[np.int32], cls: NDArray[np.uint8], tables: CodeTables, n_states: int) -> Plan:
    """Symbols of `index` int32 (n,) with classes uint8 (n,) < K: the part of encoding that tells the rate."""
    rows, raw_bits = _symbols(index, cls, tables, n_states)
    ideal = np.take(tables.lengths, rows, mode="clip").sum(dtype=np.float64)
    return Plan(rows, raw_bits, float(ideal) + raw_bits)


def encode_indices(
    index: NDArray[np.int32], cls: NDArray[np.uint8], tables: CodeTables, n_states: int
) -> tuple[bytes, bytes]:
    """Code any int32 indices (n,): (states and words, raw bits) as bytes; both empty when n is 0."""
    return encode_rows(*_symbols(index, cls, tables, n_states), index, cls, tables)


def encode_rows(
    rows: NDArray[np.uint32],
    raw_bits: int,
    index: NDArray[np.int32],
    cls: NDArray[np.uint8],
    tables: CodeTables,
) -> tuple[bytes, bytes]:
    """The same for indices whose symbol rows (n,) and number of raw bits are known."""
    if index.size == 0:
        return b"", b""
    raw = np.zeros((raw_bits + 7) // 8, np.uint8)
    if raw_bits:
        escape = np.zeros(tables.frequencies.size, np.uint8)
        escape[tables.base] = 1
        _put_raw(index, cls, rows, escape, tables.half, _shift_order(tables), raw)
    words = np.empty(index.size + 1, np.uint16)
    states = np.empty(STATES, np.uint32)
    first = int(_encode(rows, tables.reciprocals, tables.intervals, tables.bits, words, states))
    return states.astype("<u4").tobytes() + words[first:].astype("<u2").tobytes(), raw.tobytes()


def decode_indices(
    data: bytes | memoryview,
    raw: bytes | memoryview,
    cls: NDArray[np.uint8],
    tables: CodeTables,
    n_states: int,
) -> NDArray[np.int32]:
    """Inverse of `encode_indices`; CorruptError for anything that it did not write for these classes."""
    _check(cls, tables)
    if cls.size == 0:
        if len(data) or len(raw):
            raise CorruptError("entropy coded data where there are no coefficients")
        return np.empty(0, np.int32)
    count = (len(data) - 4 * STATES) // 2
    if len(data) < 4 * STATES or len(data) % 2 or count > cls.size:
        raise CorruptError("entropy coded data has an impossible length")
    states = np.frombuffer(data, "<u4", STATES).astype(np.uint32)
    if states.min() < _LOW:
        raise CorruptError("entropy coded data starts with an impossible state")
    words = np.zeros(count + LANES, np.uint16)
    words[:count] = np.frombuffer(data, "<u2", count, 4 * STATES)
    machine = MACHINES[n_states]
    index = np.empty(cls.size, np.int32)
    code = _decode(
        words,
        np.frombuffer(raw, np.uint8).copy(),
        states,
        cls,
        tables.slots,
        tables.base,
        tables.table_half,
        tables.intervals,
        tables.bits,
        _shift_order(tables),
        machine.next,
        machine.quantiser,
        index,
    )
    if code < 0:
        raise CorruptError("entropy coded data is damaged")
    return index


def _shift_order(tables: CodeTables) -> NDArray[np.uint8]:
    return np.concatenate([tables.shift, tables.order])


def _check(cls: NDArray[np.uint8], tables: CodeTables) -> None:
    if cls.dtype != np.uint8 or cls.ndim != 1 or (cls.size and int(cls.max()) >= tables.classes):
        raise ValueError(f"classes must be uint8 (n,) below {tables.classes}")


def _symbols(
    index: NDArray[np.int32], cls: NDArray[np.uint8], tables: CodeTables, n_states: int
) -> tuple[NDArray[np.uint32], int]:
    """Row of every symbol uint32 (n,) and the number of raw bits."""
    _check(cls, tables)
    if index.dtype != np.int32 or index.shape != cls.shape:
        raise ValueError("indices must be int32 of the shape of their classes")
    machine = MACHINES[n_states]
    rows = np.empty(index.size, np.uint32)
    args = (tables.base, tables.table_half, tables.shift, tables.order, machine.next, machine.quantiser)
    return rows, int(_rows(index, cls, *args, rows))
