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

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.integer_rounding import level_round
from sarzip.jit.compile import compiled

DOMAINS = ("amplitude", "power", "db")

_DB_PER_NEPER = 10.0 / np.log(10.0)
# Above this a squared float32 overflows; such data takes the float64 path.
_SAFE_AMPLITUDE = 1e18
_SAFE_POWER_DB = 360.0
# Rounding turns a true value below half a DN into zero: that half is the floor of integer amplitudes.
_INTEGER_FLOOR = 0.5
# The floor of floating-point data lies 30 dB under its first percentile: only fades deeper than that bend.
_FLOOR_BELOW_PERCENTILE = 1e-3


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
        replaced by the caller (see validity.fill).
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
        wide = values.dtype.itemsize > 4 or (values.size and np.max(np.abs(values)) > _SAFE_AMPLITUDE)
        with np.errstate(all="ignore"):
            work = np.maximum(values, 0).astype(np.float64 if wide else np.float32)
            if self.domain == "amplitude":
                np.multiply(work, work, out=work)
            work += work.dtype.type(self._power_floor)
            np.log(work, out=work)
            work *= work.dtype.type(_DB_PER_NEPER)
            work -= work.dtype.type(self.centre)
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
                np.exp(work, out=work)
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
    found = np.empty(values.shape, np.float32)
    flat = np.ascontiguousarray(values).reshape(-1).view(f"u{values.dtype.itemsize}")
    _take(np.ascontiguousarray(table), flat.astype(np.uint16, copy=False), found.reshape(-1))
    return found


@compiled("void(float32[::1], uint16[::1], float32[::1])")
def _take(table, values, out):  # type: ignore[no-untyped-def]
    for i in range(values.shape[0]):
        out[i] = table[values[i]]


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


@dataclass(frozen=True)
class Detection:
    """The domain found for a band and the evidence, in words for a person."""

    domain: str
    reason: str


_HINTS = (
    ("db", re.compile(r"(?<![a-z])(db|decibels?)(?![a-z])|[_\-\s](db)$")),
    ("power", re.compile(r"intensity|power|(?<![a-z])(int|pwr)(?![a-z])")),
    ("amplitude", re.compile(r"amplitude|magnitude|(?<![a-z])(amp|mag|dn|grdh?|grdm|grdf)(?![a-z])")),
    ("power", re.compile(r"(sigma|gamma|beta)[_\s-]?(0|nought|naught)")),
)
# A dB image of the Earth lies here; linear measurements of it cannot be negative.
_DB_RANGE = (-100.0, 60.0)
_MANY_NEGATIVE = 0.05
# Single-look speckle has 5.57 dB standard deviation whether computed as 20·log10 of amplitude or 10·log10 of
# power (Ulaby & Dobson 1989); data read as amplitude that is rougher than 1.5 times this must be power.
_SINGLE_LOOK_STD_DB = 5.57


def detect_domain(values: NDArray[Any], hints: str = "") -> Detection:
    """Tell amplitude, power and dB apart from a sample of valid values and what the file says of itself.

    values: valid pixels in image order (1-D or 2-D rows of neighbours), native dtype.
    hints: band description, unit, tags and file name, in any case.
    The rules, first match wins: many negative values mean dB; integers of 8 or 16 bits mean amplitude; then
    the text; then the roughness; then the magnitude.
    """
    if not values.size:
        return Detection("amplitude", "no valid pixels; amplitude is the default")
    low, high = float(values.min()), float(values.max())
    said = _hinted(hints)
    negative = float(np.mean(values < 0))
    if negative > _MANY_NEGATIVE:
        if values.dtype.kind == "f" and _DB_RANGE[0] <= low and high <= _DB_RANGE[1]:
            return Detection(
                "db", f"{negative:.0%} of the values are negative, range {low:.4g} to {high:.4g}"
            )
        if said and said[0] == "db":
            return Detection("db", f"'{said[1]}' in the file's own description, negative values")
        return Detection("db", f"{negative:.0%} of the values are negative, so they are logarithmic")
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        # Detected products in 8 or 16 bits are square-rooted to fit, whatever the band was called before.
        return Detection("amplitude", f"{values.dtype} without negative values: digital numbers")
    if said:
        return Detection(said[0], f"'{said[1]}' in the file's own description")
    if values.dtype.kind in "iu":
        return Detection("amplitude", f"{values.dtype} without negative values: digital numbers")
    spread = _local_spread_db(values)
    if spread > 1.5 * _SINGLE_LOOK_STD_DB:
        return Detection("power", f"local spread {spread:.1f} dB is more than amplitude speckle can have")
    median = _median(values)
    if median < 1.0:
        return Detection("power", f"median {median:.3g} is typical of calibrated backscatter")
    return Detection("amplitude", f"non-negative values, median {median:.3g}, local spread {spread:.1f} dB")


def _hinted(hints: str) -> tuple[str, str] | None:
    text = re.sub(r"[_/.\-]+", " ", hints.lower())
    for domain, pattern in _HINTS:
        found = pattern.search(text)
        if found:
            return domain, found.group(0).strip()
    return None


def _local_spread_db(values: NDArray[Any]) -> float:
    """Standard deviation of 20·log10 within short runs of neighbours, median over the runs, in dB."""
    flat = values.reshape(-1).astype(np.float64)
    flat = flat[flat > 0]
    runs = flat[: flat.size // 16 * 16].reshape(-1, 16)
    if not runs.size:
        return 0.0
    return _median(np.std(20 * np.log10(runs), axis=1, ddof=1))
