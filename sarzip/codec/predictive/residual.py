"""A bound on top of a decoded signal: whole steps from it that bring every measurement within the bound.

The decoder's own signal is the middle of the grid: where its error is within the bound already, which it
mostly is, the step is 0. Steps are twice the bound, in dB or in units of the data; a sample that no step
brings within it (small integers, where rounding takes more than the bound) is sent as it is.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Worst
from sarzip.codec.entropy import binary
from sarzip.codec.predictive.pixels import Promise
from sarzip.codec.signal.radiometry import db_per_neper
from sarzip.container.layout import parse_varint, varint
from sarzip.errors import CorruptError
from sarzip.native import kernel, maths

_ESCAPED = np.iinfo(np.int32).min
_CONTEXTS = 5 * 9 + 1 + 9 + 9 * 18
_MOST_STEP = 1 << 20
_SLACK = 1e-6  # of the bound: for the rounding of floats
_code = kernel(
    "residual_code",
    "int64(int64[::1], uint8[::1], int64, int32[:,::1], const uint8[:,::1], int64, int64, uint16[:,::1],"
    " int64)",
)


def encode(
    base: NDArray[np.float64], samples: NDArray[Any], skip: NDArray[np.uint8], promise: Promise
) -> tuple[bytes, Worst]:
    """What brings `base` (rows, columns; values in units of the samples, as `moved` takes them) within the
    promise, and the worst error that is left. skip: 0 for measurements.
    """
    assert promise.bound is not None
    measured = skip == 0
    original = samples[measured]
    guess = np.rint(_distance(base[measured], original, promise))
    guess = np.clip(np.nan_to_num(guess, nan=0.0), -_MOST_STEP, _MOST_STEP).astype(np.int32)
    best = np.zeros(original.shape, np.int32)
    errors = np.full(original.shape, np.inf)
    # The nearest step first; rounding to integers may ask for one of its neighbours.
    for beside in (0, -1, 1):
        open_ones = np.flatnonzero(errors > promise.bound.size)
        if not open_ones.size:
            break
        tried = guess[open_ones] + np.int32(beside)
        found = moved(base[measured][open_ones], tried, samples.dtype, promise)
        error = promise.errors(original[open_ones], found)
        kept = error <= promise.bound.size
        best[open_ones[kept]], errors[open_ones[kept]] = tried[kept], error[kept]
    escaped = errors > promise.bound.size
    best[escaped], errors[escaped] = _ESCAPED, 0.0
    steps = np.zeros((samples.shape[0] + 2, samples.shape[1] + 6), np.int32)
    steps[2:, 3:-3][measured] = best
    raw = np.ascontiguousarray(original[escaped]).astype(samples.dtype.newbyteorder("<")).tobytes()
    return varint(len(raw)) + raw + _encode_steps(steps, skip), Worst.of(errors, measured)


def _encode_steps(steps: NDArray[np.int32], skip: NDArray[np.uint8]) -> bytes:
    size = 1024 + skip.size // 2
    while True:
        coder, out = binary.new_encoder(), np.zeros(size, np.uint8)
        if _code(coder, out, size, steps, skip, *skip.shape, binary.new_model(_CONTEXTS), 1):
            return binary.finished(coder, out)
        size *= 4


class Residual:
    """The decoded steps of a band of a group. Raises CorruptError."""

    def __init__(self, payload: bytes, skip: NDArray[np.uint8], dtype: np.dtype[Any]) -> None:
        """skip (rows, columns): 0 for measurements."""
        length, at = parse_varint(payload, 0)
        if length % dtype.itemsize or length > len(payload) - at:
            raise CorruptError("residual ends early")
        raw = np.frombuffer(payload[at : at + length], dtype.newbyteorder("<")).astype(dtype)
        coder, data = binary.new_decoder(payload[at + length :])
        steps = np.zeros((skip.shape[0] + 2, skip.shape[1] + 6), np.int32)
        _code(coder, data, data.size, steps, skip, *skip.shape, binary.new_model(_CONTEXTS), 0)
        if not binary.read_to_end(coder, data):
            raise CorruptError("residual is damaged")
        self.steps = steps[2:, 3:-3]
        self._escaped = self.steps == _ESCAPED
        if np.count_nonzero(self._escaped) != raw.size:
            raise CorruptError("residual has samples that no pixel asks for")
        self._raw = raw

    def add(self, base: NDArray[np.float64], inside: tuple[slice, slice], promise: Promise) -> NDArray[Any]:
        """Samples of a part of the group, from its `base`."""
        steps, escaped = self.steps[inside], self._escaped[inside]
        samples = moved(base, np.where(escaped, 0, steps), self._raw.dtype, promise)
        if escaped.any():
            whole = np.zeros(self.steps.shape, self._raw.dtype)
            whole[self._escaped] = self._raw
            samples[escaped] = whole[inside][escaped]
        return samples


def moved(
    base: NDArray[np.float64], steps: NDArray[np.int32], dtype: np.dtype[Any], promise: Promise
) -> NDArray[Any]:
    """Samples that lie so many steps from `base`, rounded to their type."""
    size = _step(promise, dtype)
    values = base if _decibels(promise) or dtype.kind == "f" else np.rint(base)
    with np.errstate(all="ignore"):
        if _decibels(promise):
            values = values * maths.exp(steps * (size / db_per_neper(promise.radiometry.domain)))
        else:
            values = values + steps * size
        if dtype.kind in "iu":
            info = np.iinfo(dtype)
            # Floats do not hold the last numbers of 64 bits.
            low, high = float(info.min), np.nextafter(float(info.max), 0) if dtype.itemsize == 8 else info.max
            return np.clip(np.rint(values), low, high).astype(dtype)
        limit = float(np.finfo(dtype).max)
        return np.clip(values, -limit, limit).astype(dtype)


def _distance(base: NDArray[np.float64], samples: NDArray[Any], promise: Promise) -> NDArray[np.float64]:
    """In steps, not rounded."""
    size, original = _step(promise, samples.dtype), samples.astype(np.float64)
    with np.errstate(all="ignore"):
        if _decibels(promise):
            steps = db_per_neper(promise.radiometry.domain) / size
            return maths.log(np.ascontiguousarray(original / base)) * steps
        return np.asarray((original - base) / size)


def _decibels(promise: Promise) -> bool:
    """Whether steps multiply."""
    assert promise.bound is not None
    return promise.bound.decibels and promise.radiometry.domain != "db"


def _step(promise: Promise, dtype: np.dtype[Any]) -> float:
    bound = promise.bound
    assert bound is not None
    size = bound.size
    if bound.decibels and promise.radiometry.domain == "db":
        size /= abs(promise.radiometry.unit)
    if dtype.kind in "iu" and not _decibels(promise):
        return 2.0 * math.floor(size * (1 + 1e-12)) + 1
    return 2 * size * (1 - _SLACK)
