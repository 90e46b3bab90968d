"""Values in ascending order, numbered: all there are of a type, those of a grid in dB, or those that occur.

A numbering decides what is lost: `numbers` goes from samples to whole numbers, `samples` back. `reals` tells
what numbers stand for on a scale that neighbours can be compared on, and `logarithmic` whether differences or
ratios count there.
"""

from __future__ import annotations

import functools
import math
import struct
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import Radiometry, db_per_neper
from sarzip.codec.streams import byte_planes
from sarzip.errors import CorruptError
from sarzip.native import maths

Numbers = NDArray[np.int64]
_MOST_TABLE = 1 << 16
_LEVEL = 19
_LARGEST_RATIO = 1e9


class Numbering(Protocol):
    """code: its kind in a file. octaves: bits of an octave's values for floats, 0 for integers, whose cells
    grow with them; None where all numbers are equally far apart on the scale.
    """

    code: ClassVar[int]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the samples."""
        ...

    @property
    def logarithmic(self) -> bool:
        """Whether ratios of reals count, not differences."""
        ...

    @property
    def octaves(self) -> int | None:
        """See above."""
        ...

    def numbers(self, samples: NDArray[Any]) -> Numbers:
        """Of samples of the dtype that are measurements."""
        ...

    def samples(self, numbers: Numbers) -> NDArray[Any]:
        """What a decoder makes of numbers; any int64 gives some sample."""
        ...

    def reals(self, numbers: Numbers) -> NDArray[np.float64]:
        """What numbers stand for: data units, or dB."""
        ...

    def pack(self) -> bytes:
        """Its parameters."""
        ...


def signal(numbering: Numbering, reals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reals on the scale that the network looks at; integers below one count as a half."""
    if not numbering.logarithmic:
        return reals
    whole = numbering.dtype.kind in "iu" or numbering.octaves == 0
    least = 0.5 if whole else np.finfo(np.float64).tiny
    return maths.log(np.ascontiguousarray(np.maximum(reals, least)), db_per_neper("power"))


def ordinals(samples: NDArray[Any]) -> Numbers:
    """Samples of any real dtype as int64 in their order; −0 comes right before 0."""
    if samples.dtype.kind in "iu":
        return samples.astype(np.int64)
    bits = np.ascontiguousarray(samples).view(f"i{samples.dtype.itemsize}").astype(np.int64)
    most = (1 << (8 * samples.dtype.itemsize - 1)) - 1
    return np.where(bits < 0, bits ^ most, bits)


def from_ordinals(numbers: Numbers, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Inverse of ordinals; numbers beyond the dtype wrap around."""
    if dtype.kind in "iu":
        return numbers.astype(dtype)
    most = (1 << (8 * dtype.itemsize - 1)) - 1
    bits = np.where(numbers < 0, numbers ^ most, numbers).astype(f"i{dtype.itemsize}")
    return bits.view(dtype)


@dataclass(frozen=True)
class Every:
    """Every value of the dtype, or of integers every `step`th: lossless, or within half a step. shift: low
    bits of floats' patterns that are 0 everywhere.
    """

    code: ClassVar[int] = 1
    dtype: np.dtype[Any]
    logarithmic: bool
    shift: int = 0
    step: int = 1

    @property
    def octaves(self) -> int | None:
        return 0 if self.dtype.kind in "iu" else np.finfo(self.dtype).nmant - self.shift

    def numbers(self, samples: NDArray[Any]) -> Numbers:
        found = ordinals(samples)
        if self.step > 1:
            found = (found + self.step // 2) // self.step
        return found >> self.shift if self.shift else found

    def samples(self, numbers: Numbers) -> NDArray[Any]:
        if self.step > 1:
            info = np.iinfo(self.dtype)
            numbers = np.clip(numbers * self.step, info.min, info.max)
        # Of negative floats the ordinals are inverted, the bits that are always 0 with them.
        low = np.where(numbers < 0, (1 << self.shift) - 1, 0) if self.shift else 0
        return from_ordinals((numbers << self.shift) | low, self.dtype)

    def reals(self, numbers: Numbers) -> NDArray[np.float64]:
        if self.dtype.kind in "iu":
            return numbers.astype(np.float64) * self.step
        return self.samples(numbers).astype(np.float64)

    def pack(self) -> bytes:
        return struct.pack("<BI", self.shift, self.step)

    @classmethod
    def unpack(cls, data: bytes, dtype: np.dtype[Any], logarithmic: bool) -> Every:
        shift, step = _unpack("<BI", data)
        widest = 0 if dtype.kind in "iu" else np.finfo(dtype).nmant
        if shift > widest or not step or (step > 1 and dtype.kind == "f"):
            raise CorruptError("pixels have a numbering that no encoder writes")
        return cls(dtype, logarithmic, shift, step)


@dataclass(frozen=True)
class Grid:
    """Floats on a grid of equal steps: of dB (`domain` amplitude or power), or of the values themselves."""

    code: ClassVar[int] = 2
    dtype: np.dtype[Any]
    step: float
    domain: str = "db"
    logarithmic: bool = False

    @property
    def octaves(self) -> int | None:
        return 0 if self.logarithmic else None

    def numbers(self, samples: NDArray[Any]) -> Numbers:
        values = samples.astype(np.float64)
        if self.domain != "db":
            values = maths.log(np.ascontiguousarray(values), db_per_neper(self.domain))
        with np.errstate(all="ignore"):
            steps = np.clip(np.rint(values / self.step), -(2.0**52), 2.0**52)
        return np.nan_to_num(steps, copy=False).astype(np.int64)

    def samples(self, numbers: Numbers) -> NDArray[Any]:
        values = self.reals(numbers)
        with np.errstate(all="ignore"):
            if self.domain != "db":
                values = maths.exp(values / db_per_neper(self.domain))
            limit = np.finfo(self.dtype).max
            return np.clip(values, -limit, limit).astype(self.dtype)

    def reals(self, numbers: Numbers) -> NDArray[np.float64]:
        with np.errstate(over="ignore"):  # of steps that no encoder writes
            return numbers.astype(np.float64) * self.step

    def pack(self) -> bytes:
        return struct.pack("<dB", self.step, _DOMAINS.index(self.domain))

    @classmethod
    def unpack(cls, data: bytes, dtype: np.dtype[Any], logarithmic: bool) -> Grid:
        step, domain = _unpack("<dB", data)
        if not 0 < step < math.inf or domain >= len(_DOMAINS) or dtype.kind != "f":
            raise CorruptError("pixels have a numbering that no encoder writes")
        return cls(dtype, step, _DOMAINS[domain], logarithmic)


_DOMAINS = ("db", "amplitude", "power")


@dataclass(frozen=True)
class Ratios:
    """Positive integers in intervals that one of them represents within a ratio: each begins where the last
    one ends, and its value lies as high as its least one allows.
    """

    code: ClassVar[int] = 3
    dtype: np.dtype[Any]
    ratio: float
    greatest: int
    logarithmic: bool = True

    @property
    def octaves(self) -> int | None:
        return None

    def numbers(self, samples: NDArray[Any]) -> Numbers:
        if self.dtype.itemsize <= 2:
            whole = np.arange(max(self.greatest, 1) + 1)
            return np.searchsorted(self._intervals[1], whole)[np.clip(samples, 0, self.greatest)]
        return np.searchsorted(self._intervals[1], samples.astype(np.int64))

    def samples(self, numbers: Numbers) -> NDArray[Any]:
        values = self._intervals[0]
        return values[np.clip(numbers, 0, values.size - 1)].astype(self.dtype)

    def reals(self, numbers: Numbers) -> NDArray[np.float64]:
        values = self._intervals[0]
        return values[np.clip(numbers, 0, values.size - 1)].astype(np.float64)

    @functools.cached_property
    def _intervals(self) -> tuple[Numbers, Numbers]:
        """Value and last member of each interval, from 1 on."""
        values, ends, first = [], [], 1
        while first <= self.greatest:
            value = max(first, math.floor(first * self.ratio))
            end = max(value, math.floor(value * self.ratio))
            values.append(min(value, self.greatest))
            ends.append(end)
            first = end + 1
        return np.array(values or [1]), np.array(ends or [1])

    def pack(self) -> bytes:
        return struct.pack("<dQ", self.ratio, self.greatest)

    @classmethod
    def unpack(cls, data: bytes, dtype: np.dtype[Any], logarithmic: bool) -> Ratios:
        ratio, greatest = _unpack("<dQ", data)
        most = np.iinfo(dtype).max if dtype.kind in "iu" else -1
        # Intervals: some of one integer each, then their number grows with the logarithm.
        few = (
            1 < ratio < _LARGEST_RATIO
            and math.log(greatest + 1) / math.log(ratio) + 1 / (ratio - 1) < _MOST_TABLE
        )
        if not few or greatest > most:
            raise CorruptError("pixels have a numbering that no encoder writes")
        return cls(dtype, ratio, greatest)


@dataclass(frozen=True)
class Table:
    """The values that occur. values: of the dtype, ascending by their ordinals, at least one."""

    code: ClassVar[int] = 4
    values: NDArray[Any]
    logarithmic: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def octaves(self) -> int | None:
        return None

    def numbers(self, samples: NDArray[Any]) -> Numbers:
        if self.dtype.kind in "iu" and self.dtype.itemsize <= 2:
            unsigned = f"u{self.dtype.itemsize}"
            places = np.zeros(1 << 8 * self.dtype.itemsize, np.int64)
            places[self.values.view(unsigned)] = np.arange(self.values.size)
            return places[np.ascontiguousarray(samples).view(unsigned)]
        return np.searchsorted(ordinals(self.values), ordinals(samples))

    def samples(self, numbers: Numbers) -> NDArray[Any]:
        return self.values[np.clip(numbers, 0, self.values.size - 1)]

    def reals(self, numbers: Numbers) -> NDArray[np.float64]:
        return self.samples(numbers).astype(np.float64)

    def pack(self) -> bytes:
        return byte_planes.pack(np.diff(ordinals(self.values), prepend=0), _LEVEL)

    @classmethod
    def unpack(cls, data: bytes, dtype: np.dtype[Any], logarithmic: bool) -> Table:
        steps = byte_planes.unpack(data, "<i8", range(8, 8 * _MOST_TABLE + 1, 8), "table of pixels")
        if (steps[1:] <= 0).any():
            raise CorruptError("a table of pixels does not ascend")
        with np.errstate(over="ignore"):
            return cls(from_ordinals(np.cumsum(steps.astype(np.int64)), dtype), logarithmic)


_KINDS = {each.code: each for each in (Every, Grid, Ratios, Table)}


def pack(numbering: Numbering) -> bytes:
    """Kind and parameters: a byte 2 · kind + logarithmic, then these."""
    return bytes([2 * numbering.code + numbering.logarithmic]) + numbering.pack()


def unpack(data: bytes, dtype: np.dtype[Any]) -> Numbering:
    """Inverse of pack; CorruptError for what no encoder writes."""
    kind = _KINDS.get(data[0] >> 1) if data else None
    if kind is None:
        raise CorruptError("pixels have an unknown numbering")
    found: Numbering = kind.unpack(data[1:], dtype, bool(data[0] & 1))  # type: ignore[attr-defined]
    return found


def reaches(numbering: Numbering, least: int, greatest: int) -> bool:
    """Whether floats numbered by octaves can have these numbers; of others too many are harmless."""
    if not numbering.octaves:
        return True
    bits = 8 * numbering.dtype.itemsize - 1 - (np.finfo(numbering.dtype).nmant - numbering.octaves)
    return -(1 << bits) <= least <= greatest < 1 << bits


def _unpack(form: str, data: bytes) -> Any:
    if len(data) != struct.calcsize(form):
        raise CorruptError("pixels have a numbering of a wrong size")
    return struct.unpack(form, data)


def bounded(samples: NDArray[Any], radiometry: Radiometry, bound: Bound, logarithmic: bool) -> Numbering:
    """The coarsest numbering that keeps a bound, up to rounding: samples that break it are the caller's to
    find.

    samples: measurements, 1-D, at least one.
    """
    size, decibels = bound.size, bound.decibels
    dtype = samples.dtype
    whole = dtype.kind in "iu"
    if decibels and radiometry.domain != "db":
        if not whole:
            loose = _rounding(dtype, radiometry.domain)
            return Grid(dtype, 2 * max(size - loose, size / 4), radiometry.domain)
        per = 20.0 if radiometry.domain == "amplitude" else 10.0
        return Ratios(dtype, float(10 ** (size / per) * (1 - 1e-9)), int(samples.max()))
    units = size / abs(radiometry.unit) if decibels else size
    if whole:
        return Every(dtype, logarithmic, 0, 2 * min(math.floor(units * (1 + 1e-12)), 1 << 30) + 1)
    greatest = float(np.abs(samples).max())
    loose = greatest * float(np.finfo(dtype).eps)
    return Grid(dtype, 2 * max(units * (1 - 1e-9) - loose, units / 4), "db", logarithmic)


def _rounding(dtype: np.dtype[Any], domain: str) -> float:
    """dB that rounding to the dtype may take."""
    return float(np.finfo(dtype).eps) * db_per_neper(domain) + 1e-9
