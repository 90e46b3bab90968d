"""Static integer frequency tables of the entropy coder: one per scale class and quantiser.

A coefficient's quantisation index k is coded with the table of its scale class c (0..K-1, rising sigma/step)
and, with dependent quantisation, of the quantiser q (0 or 1) that the trellis state selects: table c * Q + q.

A table has 2 * half[c] + 2 symbols: symbol 0 is the escape, symbol s in 1..2*half+1 is the value s-1-half.
What is coded is k rounded down to a multiple of 2**shift[c] (shift is 0 except in very wide classes): value =
(k + 2**shift // 2) >> shift, the remaining `shift` bits follow raw. Values beyond +-half follow the escape as
a sign and an exponential-Golomb number. Frequencies are integers >= 1 with the sum 2**bits, symmetric in the
sign.

Everything a decoder needs is integer: two machines with the same arrays decode the same bytes to the same
indices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import ModelError
from sarzip.native.maths import log2

MAX_HALF = 127  # 2 * 127 + 2 symbols: a symbol fits into one byte of the decoder's look-up table
MAX_SHIFT = 12
MIN_BITS, MAX_BITS = 10, 15
COUNTED = 256  # magnitudes that fitting counts one by one; the last bin takes the rest


@dataclass(frozen=True, eq=False)
class CodeTables:
    """Frequencies of all classes and quantisers, and what encoder and decoder derive from them.

    bits: precision, the frequencies of each table sum to 2**bits.
    quantisers: Q, 1 (uniform quantiser) or 2 (dependent quantisation).
    half: uint8 (K,), largest value that has its own symbol, 1..127.
    shift: uint8 (K,), raw low bits of each index.
    order: uint8 (K,), order of the exponential-Golomb code behind an escape.
    magnitudes: uint16 (sum over tables of half + 2,), per table: escape, value 0, values 1..half (each sign).
    """

    bits: int
    quantisers: int
    half: NDArray[np.uint8]
    shift: NDArray[np.uint8]
    order: NDArray[np.uint8]
    magnitudes: NDArray[np.uint16]

    def __post_init__(self) -> None:
        half = self.half.astype(np.int64)
        if not MIN_BITS <= self.bits <= MAX_BITS or self.quantisers not in (1, 2):
            raise ModelError(
                f"entropy tables: {self.bits} bits, {self.quantisers} quantisers are not supported"
            )
        if half.ndim != 1 or not 1 <= half.size <= 256 or half.min() < 1 or half.max() > MAX_HALF:
            raise ModelError("entropy tables: symbol ranges out of bounds")
        if self.shift.shape != half.shape or self.shift.max() > MAX_SHIFT:
            raise ModelError("entropy tables: raw bits out of bounds")
        if self.order.shape != half.shape or self.order.max() > 16:
            raise ModelError("entropy tables: escape orders out of bounds")
        if self.magnitudes.shape != (int((half + 2).sum()) * self.quantisers,) or self.magnitudes.min() < 1:
            raise ModelError("entropy tables: frequencies are missing or zero")
        sums = np.add.reduceat(self.frequencies.astype(np.int64), self.base.astype(np.int64))
        if np.any(sums != 1 << self.bits):
            raise ModelError("entropy tables: frequencies do not sum to the table size")

    @property
    def classes(self) -> int:
        """Number of scale classes K."""
        return int(self.half.size)

    @cached_property
    def table_half(self) -> NDArray[np.int32]:
        """int32 (K*Q,): half of each table."""
        return np.repeat(self.half, self.quantisers).astype(np.int32)

    @cached_property
    def base(self) -> NDArray[np.uint32]:
        """uint32 (K*Q,): row of each table's escape symbol in the flat symbol arrays."""
        sizes = 2 * self.table_half + 2
        return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.uint32)

    @cached_property
    def frequencies(self) -> NDArray[np.uint32]:
        """uint32 (rows,): frequency of every symbol of every table."""
        parts = []
        start = 0
        for h in self.table_half:
            m = self.magnitudes[start : start + h + 2].astype(np.uint32)
            parts += [m[:1], m[:1:-1], m[1:]]
            start += h + 2
        return np.concatenate(parts)

    @cached_property
    def intervals(self) -> NDArray[np.uint32]:
        """uint32 (rows,): frequency << 16 | first slot, what both coder directions load per symbol."""
        f = self.frequencies
        before = np.cumsum(f, dtype=np.uint64) - f
        return ((f << np.uint32(16)) | (before & np.uint64((1 << self.bits) - 1)).astype(np.uint32)).astype(
            np.uint32
        )

    @cached_property
    def reciprocals(self) -> NDArray[np.uint64]:
        """uint64 (rows,): ceil(2**(32 + bits) / frequency), see rans.py for why this divides exactly."""
        f = self.frequencies.astype(np.uint64)
        return (np.uint64(1 << (32 + self.bits)) + f - np.uint64(1)) // f

    @cached_property
    def slots(self) -> NDArray[np.uint8]:
        """uint8 (K*Q * 2**bits,): symbol of every slot of every table."""
        sizes = 2 * self.table_half + 2
        symbol = np.concatenate([np.arange(s, dtype=np.uint8) for s in sizes])
        return np.repeat(symbol, self.frequencies)

    @cached_property
    def lengths(self) -> NDArray[np.float32]:
        """float32 (rows,): code length of each symbol in bits, without raw bits."""
        return (self.bits - log2(self.frequencies.astype(np.float64))).astype(np.float32)

    def magnitude_lengths(self, count: int) -> NDArray[np.float32]:
        """Code length in bits of indices of magnitude 0..count-1, raw bits and escapes included: (K, Q,
        count)."""
        k = np.arange(count, dtype=np.int64)[None, :]
        shift = self.shift.astype(np.int64)[:, None]
        value = (k + ((1 << shift) >> 1)) >> shift
        half = self.half.astype(np.int64)[:, None]
        order = self.order.astype(np.int64)[:, None]
        excess = np.maximum(value - half - 1, 0) + (np.int64(1) << order)
        digits = np.frexp(excess.astype(np.float64))[1].astype(np.int64) - 1
        raw = shift + np.where(value > half, 2 + 2 * digits - order, 0)
        out = np.empty((self.classes, self.quantisers, count), np.float32)
        for q in range(self.quantisers):
            base = self.base[q :: self.quantisers].astype(np.int64)[:, None]
            row = np.where(value > half, base, base + 1 + half + np.minimum(value, half))
            out[:, q] = self.lengths[row] + raw
        return out

    def prior_sigma(self) -> NDArray[np.float64]:
        """Standard deviation of the indices that the tables themselves imply, per class: float64 (K,)."""
        count = int((self.half.astype(np.int64) << self.shift).max()) + 1
        p = np.exp2(-self.magnitude_lengths(count).astype(np.float64)).mean(axis=1)
        k = np.arange(count)
        mass = p[:, 0] + 2 * p[:, 1:].sum(axis=1)
        # rounding to integers added a variance of about 1/12
        return np.sqrt(np.maximum(2 * (p * k**2).sum(axis=1) / mass - 1 / 12, 4e-4))

    def to_arrays(self, prefix: str = "") -> dict[str, NDArray[np.generic]]:
        """The arrays that define the tables, for a model file."""
        head = np.array([self.bits, self.quantisers], np.uint8)
        return {
            prefix + "tables": head,
            prefix + "half": self.half,
            prefix + "shift": self.shift,
            prefix + "order": self.order,
            prefix + "magnitudes": self.magnitudes,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], prefix: str = "") -> CodeTables:
        """Inverse of `to_arrays`; ModelError when arrays are missing or inconsistent."""
        try:
            head = np.asarray(arrays[prefix + "tables"])
            named = {n: np.asarray(arrays[prefix + n]) for n in ("half", "shift", "order", "magnitudes")}
        except KeyError as missing:
            raise ModelError(f"entropy tables: array {missing} is missing in the model") from None
        if head.shape != (2,) or any(a.dtype != np.uint8 for n, a in named.items() if n != "magnitudes"):
            raise ModelError("entropy tables: arrays of the wrong type in the model")
        if named["magnitudes"].dtype != np.uint16 or any(a.ndim != 1 or a.size == 0 for a in named.values()):
            raise ModelError("entropy tables: arrays of the wrong type in the model")
        return cls(
            int(head[0]), int(head[1]), named["half"], named["shift"], named["order"], named["magnitudes"]
        )


def integer_frequencies(weights: NDArray[np.float64], bits: int) -> NDArray[np.uint16]:
    """Best integer frequencies of one table.

    weights: float64 (half + 2,): probability (any scale) of escape, of value 0 and of each of +-1..+-half
    (one sign). Returns uint16 (half + 2,) with escape + zero + 2 * rest = 2**bits, all >= 1, that nearly
    minimise the expected code length: the remainder after rounding down goes to where one more unit shortens
    the code most.
    """
    copies = np.full(weights.size, 2, np.int64)
    copies[:2] = 1
    total = 1 << bits
    p = np.maximum(np.asarray(weights, np.float64), 0.0)
    p = p / max(float((p * copies).sum()), 1e-300)
    f = np.maximum(np.floor(p * total).astype(np.int64), 1)
    while True:
        left = total - int((f * copies).sum())
        if left == 0:
            return f.astype(np.uint16)
        # cost of one unit less, gain of one unit more, per slot spent; a gap of one slot can only be closed
        # by the singles
        if left < 0:
            room = np.where(f > 1, p * np.log2(f / np.maximum(f - 1, 1)), np.inf)
            if left == -1:
                room[2:] = np.inf
            f[int(np.argmin(room))] -= 1
        else:
            gain = p * np.log2((f + 1) / f)
            if left == 1:
                gain[2:] = -1.0
            f[int(np.argmax(gain))] += 1


def generalised_gaussian(
    sigma: float, spread: float, shape: float, edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Probability mass of a zero-mean generalised Gaussian between successive positive `edges` (same unit as
    sigma).

    shape 2 is the Gaussian, 1 the Laplacian. `spread` widens sigma (heavier start tables). Integrated on a
    fine grid: only relative accuracy of a start value is needed.
    """
    scale = sigma * spread * math.sqrt(math.gamma(1.0 / shape) / math.gamma(3.0 / shape))
    norm = shape / (2.0 * scale * math.gamma(1.0 / shape))
    steps = 16
    fractions = (np.arange(steps) + 0.5) / steps
    width = np.diff(edges)[:, None]
    points = edges[:-1, None] + width * fractions[None, :]
    return (norm * np.exp(-((points / scale) ** shape)) * width / steps).sum(axis=1)


def parametric_weights(sigma: float, spacing: float, half: int, shape: float) -> NDArray[np.float64]:
    """Weights (escape, 0, 1..half) of a uniform quantiser of the given spacing on a generalised Gaussian plus
    a thin wide tail, so that no symbol of the alphabet is thought impossible."""
    first = max(spacing / 2, 1e-9)
    fine: NDArray[np.float64] = np.linspace(0.0, first, 9, dtype=np.float64)
    edges = ((np.arange(half + 1) + 0.5) * spacing).astype(np.float64)
    out = np.zeros(half + 2)
    for share, spread, exponent in ((0.99, 1.0, shape), (0.01, 2.5, 1.0)):
        zero = 2.0 * generalised_gaussian(sigma, spread, exponent, fine).sum()
        mass = generalised_gaussian(sigma, spread, exponent, edges)
        out[1] += share * zero
        out[2:] += share * mass
        out[0] += share * max(1.0 - zero - 2.0 * float(mass.sum()), 0.0)
    out[0] += 1e-6
    return out


def layout(
    index_sigma: NDArray[np.float64], counts: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]:
    """Alphabet of each class: half, shift, order (uint8 each).

    index_sigma: float64 (K,), standard deviation of the indices. Without counts the alphabet reaches 5 sigma;
    with counts (see `build_tables`) as far as all but about one in 2000 observations.
    """
    sigma = np.maximum(np.asarray(index_sigma, np.float64), 0.02)
    shift = np.clip(np.ceil(np.log2(np.maximum(5.0 * sigma, 2.0) / MAX_HALF)), 0, MAX_SHIFT).astype(np.uint8)
    value = sigma / (1 << shift.astype(np.int64))
    half = np.clip(np.ceil(5.0 * value), 2, MAX_HALF)
    if counts is not None:
        seen = counts.sum(axis=1)
        number = np.maximum(seen.sum(axis=1, keepdims=True), 1)
        beyond = 1.0 - np.cumsum(seen, axis=1) / number
        reach = np.argmax(beyond <= 5e-4, axis=1)
        half = np.where(number[:, 0] >= 1000, np.clip(reach, 2, MAX_HALF), half)
    order = np.clip(np.round(np.log2(np.maximum(half / 6.0, 1.0))), 0, 16).astype(np.uint8)
    return half.astype(np.uint8), shift, order


def build_tables(
    index_sigma: NDArray[np.float64],
    quantisers: int,
    bits: int,
    shape: float,
    counts: NDArray[np.int64] | None = None,
) -> CodeTables:
    """Tables for classes whose indices have the given standard deviations, optionally fitted to counts.

    index_sigma: float64 (K,): standard deviation of the indices per class, sets prior and raw bits.
    shape: of the prior, 2 Gaussian, 1 Laplacian. The prior weighs as much as 32 observations.
    counts: int64 (K, Q, COUNTED) or None: how often |value| (after the shift) was seen in training.
    """
    half, shift, order = layout(index_sigma, counts)
    parts = []
    for c in range(half.size):
        h = int(half[c])
        sigma = float(max(index_sigma[c], 0.02)) / (1 << int(shift[c]))
        prior = parametric_weights(sigma, 1.0, h, shape)
        prior /= prior[0] + prior[1] + 2 * prior[2:].sum()
        for q in range(quantisers):
            weights = prior
            if counts is not None:
                seen = counts[c, q].astype(np.float64)
                observed = np.concatenate([[seen[h + 1 :].sum()], seen[:1], seen[1 : h + 1] / 2])
                weights = observed + 32.0 * prior
            parts.append(integer_frequencies(weights, bits))
    return CodeTables(bits, quantisers, half, shift, order, np.concatenate(parts))
