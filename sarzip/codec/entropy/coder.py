"""Coefficients to bytes and back: quantisation and entropy coding of one group behind one small interface.

An `EntropyModel` holds static tables for K scale classes and codes float coefficients, in units of the
quantisation step, given the class of each. Stream (little-endian; varint: 7 bits per byte, low first, high
bit set when more follow):

    byte    number of trellis states: 1 (uniform quantiser), 4, 8, 16, 32 or 64
    varint  number of exceptions; per exception: varint distance from the last position (the first from -1)
    less one,
            varint lattice point t as 2 |t| - (t < 0)
    varint  number of raw bytes
    bytes   states and words of rans.py, then the raw bytes

Coefficients are coded class by class, from the first coded class up, within a class in their order in the
array: one table at a time stays in the cache, and the trellis, whose paths run through coefficients of like
scale, saves more than in an order that mixes them. Coefficients of classes below `zero_below` are practically
always zero and are not coded. The encoder lists those that are outliers all the same as exceptions, so that a
point target survives where the scale was predicted wrongly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy.coding_order import (
    CENTROIDS,
    gather,
    histogram,
    scatter,
    scatter_values,
    uniform,
    values_of,
)
from sarzip.codec.entropy.rans import LANES, MACHINES, decode_indices, encode_indices, encode_rows, plan
from sarzip.codec.entropy.tables import CodeTables
from sarzip.codec.entropy.trellis import LIMIT, lattice_points, quantise_clean, uniform_thresholds
from sarzip.container.layout import parse_varint, varint
from sarzip.errors import CorruptError, ModelError

SHIFT_UNIT = 1.0 / 128  # of the lattice spacing
EXCEPTION_BITS = 40.0  # what an exception costs, about: position and value


@dataclass(frozen=True, eq=False)
class _Order:
    """Coding order. classes: uint8 (m,) of the coded coefficients. start: int64 (256,) where each class
    starts; m for those that are not coded.
    """

    classes: NDArray[np.uint8]
    start: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Quantised:
    """index int32 (m,) of the coded coefficients in coding order; lattice int32 (n,) of all; bits: estimated
    length of the stream."""

    index: NDArray[np.int32]
    lattice: NDArray[np.int32]
    bits: float


@dataclass(frozen=True, eq=False)
class EntropyModel:
    """Everything static that coding a group needs; immutable, shared between threads.

    n_states: 1, 4, 8, 16, 32 or 64. spacing: lattice spacing in steps. lam: default Lagrange multiplier in
    squared spacings per bit. zero_below: first coded class. centroids: int8 (K, 4): shift of the
    reconstruction at |t| = 1, 2, 3, >= 4 in SHIFT_UNIT lattice spacings, away from zero when positive.
    """

    tables: CodeTables
    n_states: int
    spacing: float
    lam: float
    zero_below: int
    centroids: NDArray[np.int8]

    def __post_init__(self) -> None:
        if self.n_states not in MACHINES or self.tables.quantisers != (1 if self.n_states == 1 else 2):
            raise ModelError(f"entropy model: {self.n_states} trellis states do not fit the tables")
        if not (0.0 < self.spacing < 100.0 and 0.0 <= self.lam < 100.0 and 0 <= self.zero_below <= 256):
            raise ModelError("entropy model: spacing, lambda or zero classes out of bounds")
        if self.centroids.shape != (self.tables.classes, CENTROIDS) or self.centroids.dtype != np.int8:
            raise ModelError("entropy model: centroid shifts of the wrong shape")

    def quantise(
        self, coef: NDArray[np.float32], cls: NDArray[np.uint8], lam: float | None = None
    ) -> Quantised:
        """Quantise coef float32 (n,) in steps with classes uint8 (n,); lam overrides the default
        multiplier."""
        lam = self.lam if lam is None else lam
        order = self._order(cls)
        index, exceptions = self._search(coef, cls, order, lam)
        bits = plan(index, order.classes, self.tables, self.n_states).bits + 8 * 19
        bits += EXCEPTION_BITS * len(exceptions)
        return Quantised(index, self._place(index, cls, order, exceptions), bits)

    def encode(self, coef: NDArray[np.float32], cls: NDArray[np.uint8], lam: float | None = None) -> bytes:
        """Quantise and code coef float32 (n,) in steps with classes uint8 (n,); b'' when n is 0."""
        return self.code(coef, cls, lam=lam)[0]

    def code(
        self, coef: NDArray[np.float32], cls: NDArray[np.uint8], step: float = 1.0, lam: float | None = None
    ) -> tuple[bytes, NDArray[np.float32]]:
        """What encode gives, and what decode will make of it, times the step."""
        if coef.size == 0:
            return b"", np.empty(0, np.float32)
        order = self._order(cls)
        lam = self.lam if lam is None else lam
        if self.n_states == 1:
            words, raw, exceptions, values = self._code_uniform(coef, cls, order, lam, step)
        else:
            index, exceptions = self._search(coef, cls, order, lam)
            words, raw = encode_indices(index, order.classes, self.tables, self.n_states)
            values = self._reconstruct(index, cls, order, exceptions, step)
        head = bytearray([self.n_states])
        head += varint(len(exceptions))
        last = -1
        for position, point in exceptions:
            head += varint(position - last - 1)
            head += varint(2 * abs(point) - (point < 0))
            last = position
        head += varint(len(raw))
        return bytes(head) + words + raw, values

    def _code_uniform(
        self, coef: NDArray[np.float32], cls: NDArray[np.uint8], order: _Order, lam: float, step: float
    ) -> tuple[bytes, bytes, list[tuple[int, int]], NDArray[np.float32]]:
        """Words, raw bits, exceptions and values with a uniform quantiser, which needs no path through all
        coefficients: three times as fast as one step after the other.
        """
        tables, outlier = self.tables, _outlier(lam)
        rows, index = np.empty(order.classes.size, np.uint32), np.empty(order.classes.size, np.int32)
        values, counts = np.empty(cls.size, np.float32), np.empty(2, np.int64)
        scale, spacing = np.float32(1.0 / self.spacing), np.float32(self.spacing * step)
        rounding, dead = uniform_thresholds(tables, lam)
        limits = (scale, outlier, rounding, dead, rounding.shape[1])
        coded = (coef, cls, cls.size, order.start, self.zero_below, *limits)
        symbols = (tables.base, tables.table_half, tables.shift, tables.order)
        uniform(*coded, *symbols, spacing, self._shifts(), rows, index, values, counts)
        exceptions = self._exceptions(coef, cls, outlier) if counts[0] else []
        self._replace(values, cls, exceptions, spacing)
        words, raw = encode_rows(rows, int(counts[1]), index, order.classes, tables)
        return words, raw, exceptions, values

    def decode_lattice(self, data: bytes, cls: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Exact lattice points int32 (n,) of a stream for classes uint8 (n,); CorruptError when
        undecodable."""
        order = self._order(cls)
        index, exceptions = self._decode(data, cls, order)
        return self._place(index, cls, order, exceptions)

    def decode(self, data: bytes, cls: NDArray[np.uint8], step: float = 1.0) -> NDArray[np.float32]:
        """Coefficients float32 (n,) in steps, times `step`, of a stream for classes uint8 (n,); CorruptError
        when undecodable."""
        order = self._order(cls)
        index, exceptions = self._decode(data, cls, order)
        return self._reconstruct(index, cls, order, exceptions, step)

    def _decode(
        self, data: bytes, cls: NDArray[np.uint8], order: _Order
    ) -> tuple[NDArray[np.int32], list[tuple[int, int]]]:
        """Indices in coding order; exceptions (position, lattice point)."""
        if cls.size == 0:
            if data:
                raise CorruptError("entropy coded data where there are no coefficients")
            return np.empty(0, np.int32), []
        if not data or data[0] != self.n_states:
            raise CorruptError("entropy coded data is for another quantiser than the model's")
        exceptions, at = _get_exceptions(data, cls.size)
        count, at = parse_varint(data, at)
        if count > len(data) - at:
            raise CorruptError("entropy coded data is truncated")
        split = len(data) - count
        view = memoryview(data)
        index = decode_indices(view[at:split], view[split:], order.classes, self.tables, self.n_states)
        if index.size and max(int(index.max()), -int(index.min())) > LIMIT:
            raise CorruptError("entropy coded data holds impossible values")
        for position, _ in exceptions:
            if cls[position] >= self.zero_below:
                raise CorruptError("an exception replaces a coded coefficient")
        return index, exceptions

    def _reconstruct(
        self,
        index: NDArray[np.int32],
        cls: NDArray[np.uint8],
        order: _Order,
        exceptions: list[tuple[int, int]],
        step: float,
    ) -> NDArray[np.float32]:
        """Coefficients (n,) in steps, times `step`, of indices in coding order."""
        spacing = np.float32(self.spacing * step)
        values = np.zeros(index.size + 1, np.float32)
        machine = MACHINES[self.n_states].arguments
        values_of(index, order.classes, index.size, *machine, spacing, self._shifts(), values)
        out = np.empty(cls.size, np.float32)
        scatter_values(values, np.ascontiguousarray(cls), cls.size, order.start, self.zero_below, out)
        self._replace(out, cls, exceptions, spacing)
        return out

    def _shifts(self) -> NDArray[np.float32]:
        """Shifts of the reconstruction (K, CENTROIDS + 1) in lattice spacings, none at 0."""
        shifts = np.zeros((self.tables.classes, CENTROIDS + 1), np.float32)
        shifts[:, 1:] = self.centroids * np.float32(SHIFT_UNIT)
        return shifts

    def _replace(
        self,
        values: NDArray[np.float32],
        cls: NDArray[np.uint8],
        exceptions: list[tuple[int, int]],
        spacing: np.float32,
    ) -> None:
        """Put exceptions in their places."""
        shifts = self._shifts()
        for position, point in exceptions:
            shift = shifts[cls[position], min(abs(point), CENTROIDS)]
            values[position] = spacing * np.copysign(np.float32(abs(point)) + shift, np.float32(point))

    def to_arrays(self, prefix: str = "entropy.") -> dict[str, NDArray[np.generic]]:
        """The arrays that define the model, for a model file."""
        head = np.array([self.n_states, self.spacing, self.lam, self.zero_below], np.float64)
        own: dict[str, NDArray[np.generic]] = {prefix + "head": head, prefix + "centroids": self.centroids}
        return {**self.tables.to_arrays(prefix), **own}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], prefix: str = "entropy.") -> EntropyModel:
        """Inverse of `to_arrays`; ModelError when arrays are missing or inconsistent."""
        try:
            head, centroids = np.asarray(arrays[prefix + "head"]), np.asarray(arrays[prefix + "centroids"])
        except KeyError as missing:
            raise ModelError(f"entropy model: array {missing} is missing in the model") from None
        if head.shape != (4,) or head.dtype != np.float64 or not np.isfinite(head).all():
            raise ModelError("entropy model: head of the wrong type in the model")
        tables = CodeTables.from_arrays(arrays, prefix)
        return cls(tables, int(head[0]), float(head[1]), float(head[2]), int(head[3]), centroids)

    def _check(self, cls: NDArray[np.uint8]) -> None:
        if cls.dtype != np.uint8 or cls.ndim != 1 or (cls.size and int(cls.max()) >= self.tables.classes):
            raise ValueError(f"classes must be uint8 (n,) below {self.tables.classes}")

    def _order(self, cls: NDArray[np.uint8]) -> _Order:
        """The coding order for classes uint8 (n,)."""
        self._check(cls)
        parts = np.zeros((4, 256), np.int64)
        histogram(np.ascontiguousarray(cls), cls.size, parts)
        counts = parts.sum(axis=0)
        counts[: self.zero_below] = 0
        start = np.cumsum(counts) - counts
        start[: self.zero_below] = counts.sum()
        return _Order(np.repeat(np.arange(256, dtype=np.uint8), counts), start)

    def _search(
        self, coef: NDArray[np.float32], cls: NDArray[np.uint8], order: _Order, lam: float
    ) -> tuple[NDArray[np.int32], list[tuple[int, int]]]:
        """Indices in coding order; exceptions (position, lattice point)."""
        if coef.dtype != np.float32 or coef.shape != cls.shape:
            raise ValueError("coefficients must be float32 of the shape of their classes")
        m = order.classes.size
        padded = -(-m // LANES) * LANES
        u = np.zeros(padded + 1, np.float32)
        active = np.full(padded, self.tables.classes - 1, np.uint8)
        active[:m] = order.classes
        scale = np.float32(1.0 / self.spacing)
        outlier = _outlier(lam)
        source = np.ascontiguousarray(coef)
        places = (np.ascontiguousarray(cls), cls.size, order.start, self.zero_below)
        outliers = gather(source, *places, scale, outlier, u)
        u[m:] = 0.0
        index = quantise_clean(u[:padded], active, self.tables, self.n_states, lam)[:m]
        return index, self._exceptions(coef, cls, outlier) if outliers else []

    def _exceptions(
        self, coef: NDArray[np.float32], cls: NDArray[np.uint8], outlier: np.float32
    ) -> list[tuple[int, int]]:
        """Positions and lattice points of the outliers among coefficients that are not coded."""
        scale = np.float32(1.0 / self.spacing)
        scaled = np.clip(np.nan_to_num(coef.astype(np.float64) * float(scale)), -LIMIT, LIMIT)
        positions = np.flatnonzero((cls < self.zero_below) & (np.abs(scaled) > outlier))
        return [(int(p), round(float(scaled[p]))) for p in positions]

    def _place(
        self,
        index: NDArray[np.int32],
        cls: NDArray[np.uint8],
        order: _Order,
        exceptions: list[tuple[int, int]],
    ) -> NDArray[np.int32]:
        """Lattice points int32 (n,) of indices in coding order."""
        points = np.zeros(index.size + 1, np.int32)
        points[:-1] = lattice_points(index, self.n_states)
        out = np.empty(cls.size, np.int32)
        scatter(points, np.ascontiguousarray(cls), cls.size, order.start, self.zero_below, out)
        for position, point in exceptions:
            out[position] = point
        return out


def _outlier(lam: float) -> np.float32:
    """Magnitude in spacings from which an exception pays: coding t instead of 0 saves at most its square."""
    return np.float32(max(np.sqrt(EXCEPTION_BITS * lam), 1.0))


def peek_states(data: bytes) -> int:
    """Number of trellis states that a stream was written with; CorruptError when there is no such number."""
    if not data or data[0] not in MACHINES:
        raise CorruptError("entropy coded data names no known quantiser")
    return data[0]


def _get_exceptions(data: bytes, n: int) -> tuple[list[tuple[int, int]], int]:
    count, at = parse_varint(data, 1)
    if count > n:
        raise CorruptError("more exceptions than coefficients")
    out = []
    last = -1
    for _ in range(count):
        gap, at = parse_varint(data, at)
        code, at = parse_varint(data, at)
        last += gap + 1
        point = (code + 1) >> 1
        if last >= n or point > LIMIT:
            raise CorruptError("an exception lies outside the coefficients")
        out.append((last, -point if code & 1 else point))
    return out, at
