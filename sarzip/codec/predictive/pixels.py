"""The network's way of a band of a group: special values, numbers, cells, strips, low bits.

Its payload, specified in FORMAT.md 9.11, has these parts in this order.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Worst
from sarzip.codec.predictive import low_bits
from sarzip.codec.predictive import numbering as numberings
from sarzip.codec.predictive.cells import MOST_CELLS, Cells, build, build_count, fineness
from sarzip.codec.predictive.contexts import STRIP_ROWS
from sarzip.codec.predictive.fit import STATISTICS, TAPS, Fit, fit
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.predictive.numbering import Every, Numbering, Numbers, Table, ordinals, signal
from sarzip.codec.predictive.payload import Reading, block, number
from sarzip.codec.predictive.strips import StripCoder
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import DOMAINS, Radiometry
from sarzip.codec.streams import byte_planes, class_map
from sarzip.errors import CorruptError

_MOST_SPECIALS = 13
_LEAST_SPECIAL = 16
_BORDER = 0.005  # of all pixels: a value that comes so often, mostly in rows, is no noise
_MOST_BITS = 56
_SPREAD = 4.0  # between the fifth and the 95th percentile: where ratios count
_TRIED_ROWS = 64
_MODEL_LIMIT = 1 << 15
_RAW_LEVEL = 9  # of zstd
_LARGEST = 1e30  # of the signal: sums of it stay finite, in float32, too
_WIDEST, _FARTHEST = 1 << 61, (1 << 63) - (1 << 57)  # of numbers: sums of them stay within 64 bits
_FIT = struct.Struct(f"<f{TAPS}h{STATISTICS}b")


@dataclass(frozen=True)
class _Cut:
    """Which pixels the network codes. classes: 0 for those; k: pattern k - 1; one more: raw, in raster order.
    Patterns and raw samples as unsigned integers of the sample's size.
    """

    classes: NDArray[np.uint8]
    patterns: NDArray[Any]
    raw: NDArray[Any]


@dataclass(frozen=True)
class Promise:
    """What is promised of decoded measurements. radiometry: what dB means. bound: None for bit for bit.
    limits: what they do not leave. specials: what they do not become.
    """

    radiometry: Radiometry
    bound: Bound | None = None
    limits: tuple[float, float] | None = None
    specials: tuple[float | int, ...] = ()

    def errors(self, original: NDArray[Any], decoded: NDArray[Any]) -> NDArray[np.float64]:
        """Errors in the bound's unit, infinite where one of the other promises is broken."""
        assert self.bound is not None
        errors = self.bound.errors(original, decoded, self.radiometry)
        changed = original != decoded
        if self.limits is not None:
            errors[changed & ((decoded < self.limits[0]) | (decoded > self.limits[1]))] = np.inf
        for special in self.specials:
            if special == special:
                errors[changed & (decoded == decoded.dtype.type(special))] = np.inf
        return errors


class Coded(NamedTuple):
    """The payload of a band, and the worst error of a measurement where there is a bound."""

    payload: bytes
    worst: Worst = Worst()


@dataclass(frozen=True)
class Numbered:
    """Samples as the network sees them. inside: which it codes; numbers: of those, in raster order; index:
    cell of each pixel, -1 outside; origin: the cell whose level is 0.
    """

    inside: NDArray[np.bool_]
    numbering: Numbering
    numbers: Numbers
    fine: int
    cells: Cells
    index: NDArray[np.int32]
    origin: int
    fit: Fit
    worst: Worst


def prepare(samples: NDArray[Any], measured: NDArray[np.bool_], promise: Promise) -> Numbered | None:
    """Decide what is lost, and what the network sees; None where nothing is left for it."""
    bound = promise.bound
    logarithmic = _logarithmic(samples[measured], promise.radiometry)
    inside = measured & _ordinary(samples, logarithmic, bound)
    values = samples[inside]
    if not values.size or (values.dtype == np.uint64 and values.max() > np.iinfo(np.int64).max):
        return None
    worst = Worst()
    if bound is None:
        found = _lossless(values, logarithmic)
        numbers = found.numbers(values)
    else:
        found = numberings.bounded(values, promise.radiometry, bound, logarithmic)
        numbers = found.numbers(values)
        errors = promise.errors(values, found.samples(numbers))
        kept = errors <= bound.size
        if not kept.all():
            numbers, errors, inside[inside] = numbers[kept], errors[kept], kept
        worst = Worst.of(errors, inside)
    if not numbers.size:
        return None
    least, greatest = int(numbers.min()), int(numbers.max())
    if greatest - least >= _WIDEST or max(-least, greatest) > _FARTHEST:
        return None
    reals = np.zeros(samples.shape)
    reals[inside] = signal(found, found.reals(numbers))
    if float(np.abs(reals).max()) > _LARGEST:
        return None
    model = fit(reals, inside.view(np.uint8))
    fine = fineness(found, model.deviation, least, greatest)
    cells = build(found, fine, least, greatest)
    if int(cells.bits.max()) > _MOST_BITS or not cells.ordered:
        return None
    index = np.full(samples.shape, -1, np.int32)
    index[inside] = within = cells.index(numbers)
    origin = int(np.partition(within, within.size // 2)[within.size // 2])
    model = model.with_step(cells.width(origin))
    return Numbered(inside, found, numbers, fine, cells, index, origin, model, worst)


def encode(
    samples: NDArray[Any], measured: NDArray[np.bool_], promise: Promise, network: PixelNetwork
) -> Coded | None:
    """Samples (rows, columns) to a payload; None where nothing is left for the network.

    measured: where the promise counts; all other samples come back bit for bit.
    """
    ready = prepare(samples, measured, promise)
    if ready is None:
        return None
    numbers, cells, index, model = ready.numbers, ready.cells, ready.index, ready.fit
    coder = _coder(StripCoder(network, model, cells.tables(model.unit, ready.origin), False), index)
    plane = np.zeros(samples.shape, np.int64)
    plane[ready.inside] = numbers
    again = low_bits.repeated(plane, index, cells)
    least, greatest = int(numbers.min()), int(numbers.max())
    parts = (
        _pack_cut(_cut(samples, ready.inside)),
        block(numberings.pack(ready.numbering)),
        number(least) + number(greatest - least) + struct.pack("<h", ready.fine),
        _FIT.pack(model.unit, *model.coefficients, *model.statistics),
        number(ready.origin) + bytes([coder.repeats + 2 * again]),
        *map(block, coder.encode(index)),
        low_bits.encode(plane, index, cells, again),
    )
    return Coded(b"".join(parts), ready.worst)


def decode(
    payload: bytes, shape: tuple[int, int], dtype: np.dtype[Any], network: PixelNetwork
) -> NDArray[Any]:
    """Inverse of encode. Raises CorruptError."""
    reading = Reading(payload)
    cut = _read_cut(reading, shape, dtype)
    found = numberings.unpack(reading.block(), dtype)
    least, span = reading.number(), reading.number()
    (fine,) = struct.unpack("<h", reading.take(2))
    unit, *rest = _FIT.unpack(reading.take(_FIT.size))
    origin, repeats = reading.number(), reading.take(1)[0]
    if not 0 <= span < _WIDEST or not -_FARTHEST <= least <= _FARTHEST - span or repeats > 3:
        raise CorruptError("pixels have parameters that no encoder writes")
    if not numberings.reaches(found, least, least + span):
        raise CorruptError("pixels have numbers beyond those of their type")
    if build_count(found, fine, least, least + span) > MOST_CELLS:
        raise CorruptError("pixels have too many cells")
    if not 0 < unit < np.inf:
        raise CorruptError("pixels have a unit that no encoder writes")
    cells = build(found, fine, least, least + span)
    if not 0 <= origin < cells.levels.size or not cells.ordered or int(cells.bits.max()) > _MOST_BITS:
        raise CorruptError("pixels have cells that no encoder writes")
    model = Fit(unit, np.array(rest[:TAPS], np.int32), np.array(rest[TAPS:], np.int32))
    coder = StripCoder(network, model, cells.tables(unit, origin), bool(repeats & 1))
    inside = cut.classes == 0
    index = np.where(inside, 0, -1).astype(np.int32)
    for top in range(0, shape[0], STRIP_ROWS):
        coder.decode(reading.block(), index[top : top + STRIP_ROWS])
    numbers = low_bits.decode(reading, index, cells, bool(repeats & 2))[inside]
    bits = np.empty(shape, f"u{dtype.itemsize}")
    bits[inside] = found.samples(np.clip(numbers, least, least + span)).view(bits.dtype)
    for place, pattern in enumerate(cut.patterns, start=1):
        bits[cut.classes == place] = pattern
    bits[cut.classes == len(cut.patterns) + 1] = cut.raw
    return bits.view(dtype)


def _logarithmic(values: NDArray[Any], radiometry: Radiometry) -> bool:
    """Whether ratios count: in backscatter that is no dB, and in what is spread over more than an octave."""
    if radiometry.domain in DOMAINS:
        return radiometry.domain != "db"
    some = values[:: max(1, values.size >> 16)]
    some = some[np.isfinite(some)]
    if not some.size or some.min() < 0:
        return False
    low, high = (float(each) for each in np.sort(some)[[some.size // 20, -1 - some.size // 20]])
    return low > 0 and high > _SPREAD * low


def _ordinary(samples: NDArray[Any], logarithmic: bool, bound: Bound | None) -> NDArray[np.bool_]:
    """Which samples the network can do something with: finite, positive where ratios count, and no border."""
    whole = samples.dtype.kind in "iu"
    keep = np.ones(samples.shape, bool) if whole else np.isfinite(samples)
    if logarithmic:
        keep &= samples >= 0 if whole and not (bound and bound.decibels) else samples > 0
    if keep.any():
        values = samples[keep]
        for value in {values.min(), values.max(), values.dtype.type(0)}:
            hit = samples == value
            count = int(np.count_nonzero(hit))
            often = count > max(_LEAST_SPECIAL, _BORDER * samples.size)
            if often and 2 * np.count_nonzero(hit[:, 1:] & hit[:, :-1]) > count:
                keep &= ~hit
    return keep


def _lossless(values: NDArray[Any], logarithmic: bool) -> Numbering:
    """All values of the type, or those that occur where these are few."""
    dtype = values.dtype
    found = ordinals(values)
    shift = 0
    if dtype.kind == "f":
        whole = int(np.bitwise_or.reduce(np.abs(values).view(f"u{dtype.itemsize}")))
        shift = min((whole & -whole).bit_length() - 1 if whole else 0, np.finfo(dtype).nmant)
    every = Every(dtype, logarithmic, shift)
    some = np.unique(found[:: max(1, found.size >> 15)])
    span = int(found.max()) - int(found.min())
    if some.size > min(found.size, 1 << 15) // 2:
        return every
    distinct = np.unique(found)
    # A table takes two or three bytes a value; without it a value that is one of `span` costs more bits.
    gain = np.log2(max(span >> shift, 1) / distinct.size) if dtype.kind in "iu" else np.finfo(dtype).nmant / 2
    if distinct.size < 2 or distinct.size > _MODEL_LIMIT or gain * found.size < 24 * distinct.size:
        return every
    return Table(numberings.from_ordinals(distinct, dtype), logarithmic)


def _coder(coder: StripCoder, index: NDArray[np.int32]) -> StripCoder:
    """With repeats, where a few rows are smaller with them."""
    top = len(index) // 2 // STRIP_ROWS * STRIP_ROWS
    some = index[top : top + _TRIED_ROWS]
    other = StripCoder(coder.network, coder.fit, coder.cells, True)
    sizes = [sum(map(len, each.encode(some))) for each in (coder, other)]
    return other if sizes[1] < 0.997 * sizes[0] else coder


def _cut(samples: NDArray[Any], inside: NDArray[np.bool_]) -> _Cut:
    """What is not inside: the patterns that come most often by classes of their own, others raw."""
    bits = np.ascontiguousarray(samples).view(f"u{samples.dtype.itemsize}")
    classes = np.zeros(samples.shape, np.uint8)
    if inside.all():
        return _Cut(classes, bits[:0, 0], bits[:0, 0])
    outside = bits[~inside]
    patterns, counts = np.unique(outside, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_SPECIALS]
    order = order[counts[order] >= min(_LEAST_SPECIAL, outside.size)]
    chosen = np.sort(patterns[order])
    rank = np.full(outside.shape, chosen.size + 1, np.uint8)
    if chosen.size:
        place = np.minimum(np.searchsorted(chosen, outside), chosen.size - 1)
        rank = np.where(chosen[place] == outside, place + 1, rank).astype(np.uint8)
    classes[~inside] = rank
    return _Cut(classes, chosen, outside[rank == chosen.size + 1])


def _pack_cut(cut: _Cut) -> bytes:
    patterns = cut.patterns.astype(cut.patterns.dtype.newbyteorder("<"))
    head = bytes([patterns.size]) + patterns.tobytes()
    raw = byte_planes.pack(cut.raw, _RAW_LEVEL) if cut.raw.size else b""
    return head + block(class_map.encode_classes(cut.classes)) + block(raw)


def _read_cut(reading: Reading, shape: tuple[int, int], dtype: np.dtype[Any]) -> _Cut:
    count = reading.take(1)[0]
    if count > _MOST_SPECIALS:
        raise CorruptError("pixels have too many special values")
    unsigned = f"u{dtype.itemsize}"
    patterns = np.frombuffer(reading.take(count * dtype.itemsize), f"<{unsigned}").astype(unsigned)
    classes = class_map.decode_classes(reading.block(), shape, count + 1)
    if classes is None:
        classes = np.zeros(shape, np.uint8)
    size = int(np.count_nonzero(classes == count + 1)) * dtype.itemsize
    packed, raw = reading.block(), patterns[:0]
    if bool(size) != bool(packed):
        raise CorruptError("raw samples of pixels: wrong size")
    if packed:
        raw = byte_planes.unpack(packed, f"<{unsigned}", (size,), "raw samples of pixels").astype(unsigned)
    return _Cut(classes, patterns, raw)
