"""From stored values to the signal the networks see, and back.

Speckle multiplies: its spread is constant in dB, not in amplitude. The signal is therefore

    signal = 10·log10(power + floor²) − centre        amplitude a: power = a², floor in amplitude units
    signal = 10·log10(power + floor)  − centre        power p: floor in power units
    signal = value·unit − centre                      dB data

`floor` (the noise floor) bends the logarithm to a line near zero, so that the steps between DN 0, 1, 2 and
the deepest speckle fades do not cost bits without end; `centre` is the median dB of the band. All four
parameters travel in the header. The inverse subtracts the floor again, never below a sixteenth of it for
floating-point data (so that no decoded measurement is zero) and rounds for integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.integer_rounding import level_round
from sarzip.native import kernel, maths
from sarzip.system import buffers

DOMAINS = ("amplitude", "power", "db")

# 10 / ln 10. What db_per_neper gives is the double below it; files have been made with either.
_DB_PER_NEPER = 4.342944819032518
# Above this a squared float32 overflows; such data takes the float64 path.
_SAFE_AMPLITUDE = 1e18
_SAFE_POWER_DB = 360.0
# Rounding turns a true value below half a DN into zero: that half is the floor of integer amplitudes.
_INTEGER_FLOOR = 0.5
# The floor of floating-point data lies 30 dB under its first percentile: only fades deeper than that bend.
_FLOOR_BELOW_PERCENTILE = 1e-3

_take_bytes = kernel("look_up_bytes", "void(const float32[::1], const uint8[::1], int64, float32[::1])")
_take_words = kernel("look_up_words", "void(const float32[::1], const uint16[::1], int64, float32[::1])")


def db_per_neper(domain: str) -> float:
    """dB that a natural logarithm grows by with each 1: of amplitudes 20 / ln 10, of powers 10 / ln 10."""
    return (20.0 if domain == "amplitude" else 10.0) / math.log(10.0)


@dataclass(frozen=True)
class Radiometry:
    """The invertible transform of one band.

    domain: 'amplitude', 'power' or 'db'. floor: in units of the data (amplitude or power), unused for dB.
    centre: dB. unit: dB per stored unit, used for dB data only.
    """

    domain: str
    floor: float = 0.0
    centre: float = 0.0
    unit: float = 1.0

    def forward(self, values: NDArray[Any]) -> NDArray[np.float32]:
        """Stored values (any real dtype, any shape) to float32 signal in dB about the centre.

        Negative amplitudes and powers count as zero; non-finite values give non-finite signal and must be
        replaced by the caller (see inpaint.fill).
        """
        if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
            info = np.iinfo(values.dtype)
            table = self._forward_float(np.arange(info.min, info.max + 1).astype(np.float64))
            # Negative indices count from the end of the table: rolled, it needs no offset.
            return _look_up(np.roll(table, info.min), values)
        return self._forward_float(values)

    def _forward_float(self, values: NDArray[Any]) -> NDArray[np.float32]:
        if self.domain == "db":
            return (values * np.float64(self.unit) - self.centre).astype(np.float32, copy=False)
        wide = values.dtype.itemsize > 4 or (values.size and float(np.max(np.abs(values))) > _SAFE_AMPLITUDE)
        with np.errstate(all="ignore"):
            work = buffers.empty(values.shape, np.float64 if wide else np.float32)
            np.maximum(values, 0, out=work, casting="same_kind")
            if self.domain == "amplitude":
                np.multiply(work, work, out=work)
            work += work.dtype.type(self._power_floor)
            work = maths.log(work, _DB_PER_NEPER, -self.centre)
        return work.astype(np.float32, copy=False)

    def inverse(
        self,
        signal: NDArray[np.float32],
        dtype: np.dtype[Any] | str,
        classes: NDArray[np.uint8] | None = None,
        level: bool = False,
    ) -> NDArray[Any]:
        """float32 signal to stored values of `dtype`; integers are rounded and clipped to their range.

        level: round amplitudes and powers (rows, columns) so that the power of cells stays; classes: not 0
        for pixels that do not count there.
        """
        target = np.dtype(dtype)
        wide = target.itemsize > 4 or (signal.size > 0 and signal.max() + self.centre > _SAFE_POWER_DB)
        work: NDArray[Any] = signal.astype(np.float64 if wide else np.float32)
        if self.domain == "db":
            work += work.dtype.type(self.centre)
            if self.unit != 1.0:
                work /= work.dtype.type(self.unit)
        else:
            work += work.dtype.type(self.centre)
            work *= work.dtype.type(1.0 / _DB_PER_NEPER)
            with np.errstate(over="ignore"):
                work = maths.exp(work)
            work -= work.dtype.type(self._power_floor)
            lowest = 0.0 if target.kind in "iu" else self._power_floor / 16
            np.maximum(work, work.dtype.type(lowest), out=work)
            if self.domain == "amplitude":
                np.sqrt(work, out=work)
        if target.kind in "iu":
            info = np.iinfo(target)
            if level and self.domain != "db":
                work = work.astype(np.float32, copy=False)
                level_round(work, classes, self.domain == "amplitude")
            np.rint(work, out=work)
            np.clip(work, info.min, info.max, out=work)
        elif target.kind == "f":
            limit = np.finfo(target).max
            np.clip(work, -limit, limit, out=work)
        return work.astype(target, copy=False)

    @property
    def relative_floor(self) -> float:
        """Noise floor as power relative to the centre: 10^(signal/10) minus this is the relative power."""
        return 0.0 if self.domain == "db" else self._power_floor * 10 ** (-self.centre / 10)

    @property
    def _power_floor(self) -> float:
        return self.floor**2 if self.domain == "amplitude" else self.floor


def _look_up(table: NDArray[np.float32], values: NDArray[Any]) -> NDArray[np.float32]:
    """table[values] of integers of 8 or 16 bits; numpy would widen every index to 64 bits."""
    found: NDArray[np.float32] = buffers.empty(values.shape, np.float32)
    flat = np.ascontiguousarray(values).reshape(-1).view(f"u{values.dtype.itemsize}")
    take = _take_bytes if values.dtype.itemsize == 1 else _take_words
    take(np.ascontiguousarray(table), flat, flat.size, found.reshape(-1))
    return found


def fit_radiometry(
    values: NDArray[Any], domain: str, *, unit: float = 1.0, floor: float | None = None
) -> Radiometry:
    """Choose floor and centre from a sample of valid values (1-D, native dtype; may be empty).

    The floor is 0.5 DN for integer amplitudes, 0.25 for integer powers, and for floats 30 dB below the
    first percentile of the positive sample. `floor` overrules it, in the units of the data.
    """
    if domain == "db":
        centre = _median(values.astype(np.float64)) * unit if values.size else 0.0
        return Radiometry("db", 0.0, _header_float(centre), unit)
    if floor is None:
        floor = _default_floor(values, domain)
    rough = Radiometry(domain, _header_float(floor), 0.0)
    centre = _median(rough.forward(values)) if values.size else 0.0
    return Radiometry(domain, rough.floor, _header_float(centre))


def _median(values: NDArray[Any]) -> float:
    """Of one value or more. numpy's own looks for masks first, and imports what it needs for it."""
    middle = [(values.size - 1) // 2, values.size // 2]
    return float(np.partition(values, middle, axis=None)[middle].mean())


def _default_floor(values: NDArray[Any], domain: str) -> float:
    amplitude = domain == "amplitude"
    if values.dtype.kind in "iu":
        return _INTEGER_FLOOR if amplitude else _INTEGER_FLOOR**2
    positive = values[values > 0]
    if not positive.size:
        return 1.0
    first = float(np.percentile(positive.astype(np.float64), 1))
    return first * (_FLOOR_BELOW_PERCENTILE**0.5 if amplitude else _FLOOR_BELOW_PERCENTILE)


def _header_float(value: float) -> float:
    """Round to four significant digits: parameters cost header bytes and need no more precision."""
    return float(f"{value:.4g}")
