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
from sarzip.native import kernel

STATES = 4
LANES = 16
_LOW = 1 << 16


@dataclass(frozen=True, eq=False)
class StateMachine:
    """next: uint8 (2 * n_states,), next[2 * state + parity]; quantiser: uint8 (n_states,), 0 or 1."""

    next: NDArray[np.uint8]
    quantiser: NDArray[np.uint8]

    @property
    def arguments(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8], int]:
        """The machine as kernels take it: next, quantiser and the number of states."""
        return self.next, self.quantiser, self.quantiser.size


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


_rows = kernel(
    "rans_rows",
    "int64(const int32[::1], const uint8[::1], int64, const uint32[::1], const int32[::1], const uint8[::1],"
    " const uint8[::1], const uint8[::1], const uint8[::1], int64, uint32[::1])",
)
_put_raw = kernel(
    "rans_put_raw",
    "void(const int32[::1], const uint8[::1], const uint32[::1], int64, const uint8[::1], const uint8[::1],"
    " const uint8[::1], const uint8[::1], uint8[::1])",
)
_encode = kernel(
    "rans_encode",
    "int64(const uint32[::1], int64, const uint64[::1], const uint32[::1], int64, uint16[::1], uint32[::1])",
)
_decode = kernel(
    "rans_decode",
    "int64(const uint16[::1], int64, const uint8[::1], int64, const uint32[::1], const uint8[::1], int64,"
    " const uint8[::1], const uint32[::1], const int32[::1], const uint32[::1], int64, const uint8[::1],"
    " const uint8[::1], const uint8[::1], const uint8[::1], int64, int32[::1])",
)


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
        _put_raw(index, cls, rows, index.size, escape, tables.half, tables.shift, tables.order, raw)
    words = np.empty(index.size + 1, np.uint16)
    states = np.empty(STATES, np.uint32)
    first = _encode(rows, rows.size, tables.reciprocals, tables.intervals, tables.bits, words, states)
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
    index = np.empty(cls.size, np.int32)
    raw_bytes = np.frombuffer(raw, np.uint8)
    code = _decode(
        words,
        count,
        raw_bytes,
        raw_bytes.size,
        states,
        cls,
        cls.size,
        tables.slots,
        tables.base,
        tables.table_half,
        tables.intervals,
        tables.bits,
        tables.shift,
        tables.order,
        *MACHINES[n_states].arguments,
        index,
    )
    if code < 0:
        raise CorruptError("entropy coded data is damaged")
    return index


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
    rows = np.empty(index.size, np.uint32)
    symbols = (tables.base, tables.table_half, tables.shift, tables.order)
    return rows, _rows(index, cls, index.size, *symbols, *MACHINES[n_states].arguments, rows)
