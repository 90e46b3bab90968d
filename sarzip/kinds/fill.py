"""Values that are no measurements although nobody declared them, and maxima where the sensor saturated.

A value is fill when it is one extreme of the band, stands apart from all others, or forms long runs in a band
whose other pixels do not. Ordinary dark and bright pixels do neither: the smallest DN of speckled water comes
in runs of a few pixels, and its neighbours in value are as frequent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT_MAX = float(np.finfo(np.float32).max)
# What programs write where there is nothing. FLT_MAX: GDAL, ArcGIS, SAGA; 9.96921e36: NC_FILL_FLOAT of
# netCDF; 1e20: CF and CMIP; -9999, -99999, -32768: DEMs, GAMMA, ENVI; -32767: netCDF short.
_SENTINELS: dict[float, str] = {
    -_FLOAT_MAX: "-FLT_MAX",
    _FLOAT_MAX: "FLT_MAX",
    -float(np.finfo(np.float64).max): "-DBL_MAX",
    float(np.finfo(np.float64).max): "DBL_MAX",
    float(np.float32(9.96921e36)): "netCDF fill",
    9.969209968386869e36: "netCDF fill",
    1e20: "1e20",
    float(np.float32(1e20)): "1e20",
    -1e20: "-1e20",
    float(np.float32(-1e20)): "-1e20",
    -1e10: "-1e10",
    -9999.0: "-9999",
    9999.0: "9999",
    -99999.0: "-99999",
    99999.0: "99999",
    -999.0: "-999",
    -9998.0: "-9998",
    -32768.0: "-32768",
    -32767.0: "-32767",
    -2147483648.0: "-2147483648",
}
# A gap of so many times the spread of all other values (1st to 99th percentile) sets a value apart.
_GAP = 3.0
_GAP_SENTINEL = 0.5
# Runs: of its pixels so many have a neighbour to the right of the same value …
_IN_RUNS = 0.9
# … and one run is at least so long, or as wide as the sample.
_RUN = 16
# Less than this of the sample is no run worth a special value, unless it stands apart.
_LEAST_SHARE = 1e-3
_LEAST_SATURATED = 3
_PILE = 5.0
_MOST_LOOKED_AT = 4
_THINNED = 1 << 15


@dataclass(frozen=True)
class SpecialValue:
    """A value to be kept bit for bit. role: 'nodata', 'fill' or 'saturated'; reason: one line."""

    value: float | int
    role: str
    name: str
    reason: str
    share: float = 0.0


def find_specials(sample: NDArray[Any], nodata: float | int | None) -> tuple[SpecialValue, ...]:
    """Undeclared fill and saturated maxima of a band.

    sample: (rows, columns) pixels as stored, rows of neighbours, any real dtype. nodata: as declared; it is
    returned first where the sample holds it. NaN and ±inf are never measurements and not returned.
    """
    # Any values may come, and extremes of them overflow in sums and differences.
    with np.errstate(all="ignore"):
        return tuple(_find(sample, nodata))


def _find(sample: NDArray[Any], nodata: float | int | None) -> list[SpecialValue]:
    found: list[SpecialValue] = []
    if nodata is not None and not math.isnan(nodata):
        share = float(np.mean(sample == nodata)) if _fits(nodata, sample.dtype) else 0.0
        if share:
            stored = sample.dtype.type(nodata).item()  # a float's may be rounded, as -9999.1 is in float32
            found.append(SpecialValue(stored, "nodata", f"{nodata:.9g}", "declared as nodata", share))
    band = _Band(sample, [each.value for each in found])
    for _ in range(_MOST_LOOKED_AT):
        special = band.lowest() or band.highest() or band.zeros()
        if special is None:
            break
        found.append(special)
        band.take_out(special.value)
    return found


def _fits(value: float | int, dtype: np.dtype[Any]) -> bool:
    if dtype.kind == "f":
        return True
    info = np.iinfo(dtype)
    return math.isfinite(value) and float(value).is_integer() and info.min <= value <= info.max


class _Band:
    """The sample with what was found already taken out."""

    def __init__(self, sample: NDArray[Any], known: list[float | int]) -> None:
        self._sample = sample
        self._left: NDArray[Any] = sample.reshape(-1)
        if sample.dtype.kind == "f":
            self._left = self._left[np.isfinite(self._left)]
        self._size = max(1, sample.size)
        for value in known:
            self.take_out(value)

    def take_out(self, value: float | int) -> None:
        self._left = self._left[self._left != self._left.dtype.type(value)]

    def lowest(self) -> SpecialValue | None:
        return self._fill(self._left.min()) if self._left.size else None

    def highest(self) -> SpecialValue | None:
        if not self._left.size:
            return None
        value = self._left.max()
        return self._fill(value) or self._saturated(value)

    def zeros(self) -> SpecialValue | None:
        """Runs of exact zeros in floats, wherever zero lies in the range: in dB it is no extreme."""
        if self._sample.dtype.kind != "f" or not (self._left == 0).any():
            return None
        return self._fill(self._left.dtype.type(0))

    def _fill(self, value: Any) -> SpecialValue | None:
        hit = self._left == value
        count = int(np.count_nonzero(hit))
        rest = self._left[~hit]
        if not rest.size:
            return None
        share, number = count / self._size, value.item()
        name = _SENTINELS.get(float(number), f"{number:.9g}")
        gap = _gap(float(number), rest)
        sentinel = float(number) in _SENTINELS
        apart = "far from all other values"
        if sentinel and gap > _GAP_SENTINEL:
            return SpecialValue(
                number, "fill", name, f"{name} is a common fill value and lies {apart}", share
            )
        if share < _LEAST_SHARE or (self._sample.dtype.kind in "iu" and number == 0):
            # Zeros of integers: runs of them are borders in any case, and single ones are dark pixels.
            return None
        if np.unique(_thin(rest)[:8192]).size <= 16:
            # A mask or classes: each value comes in runs.
            return None
        run, clustered = _runs(self._sample == value, count)
        long = run >= min(_RUN, self._sample.shape[1]) and clustered > _IN_RUNS
        if long and (gap > _GAP or number == 0 or self._piled(number, count, rest)):
            return SpecialValue(number, "fill", name, f"{name} fills runs of {run} pixels and more", share)
        if gap > _GAP and share > _LEAST_SHARE and count >= _RUN and self._sample.dtype.kind == "f":
            return SpecialValue(number, "fill", name, f"{name} is repeated {count} times, {apart}", share)
        return None

    def _piled(self, number: float, count: int, rest: NDArray[Any]) -> bool:
        """Far more pixels have this value than its neighbours in value would let expect."""
        if self._sample.dtype.kind == "f" and len(np.unique(_thin(rest)[:4096])) > 64:
            # Measured floats do not repeat: anything that does was written by a program.
            return True
        near = rest[np.abs(rest.astype(np.float64) - number) <= 8]
        return count > 8 * _PILE * max(1, near.size) / 8

    def _saturated(self, value: Any) -> SpecialValue | None:
        count = int(np.count_nonzero(self._left == value))
        if count < _LEAST_SATURATED:
            return None
        number = value.item()
        rest = self._left[self._left != value]
        if not rest.size or len(np.unique(_thin(rest)[:8192])) <= 64:
            return None
        if self._sample.dtype.kind == "f":
            piled = count > 2 * int(np.count_nonzero(rest == rest.max()))
            at_top = False
        else:
            piled = count >= _PILE * max(1.0, np.count_nonzero(rest > number - 17) / 16)
            at_top = number == np.iinfo(self._sample.dtype).max
        if not (piled or at_top):
            return None
        why = f"the maximum {number:.9g} is repeated {count} times: saturated"
        return SpecialValue(number, "saturated", f"{number:.9g}", why, count / self._size)


def _gap(number: float, rest: NDArray[Any]) -> float:
    """Distance from the nearest other value, in units of the spread of the others."""
    thin = _thin(rest).astype(np.float64)
    nearest = float(rest.max()) if number > float(rest.max()) else float(rest.min())
    low, high = np.percentile(thin, [1, 99])
    with np.errstate(over="ignore"):
        distance = abs(number / 2 - nearest / 2) * 2
        spread = max(high - low, 1e-3 * abs(nearest), float(np.finfo(np.float32).tiny))
    return min(distance / spread, 1e300)


def _thin(values: NDArray[Any]) -> NDArray[Any]:
    return values[:: max(1, values.size // _THINNED)]


def _runs(hit: NDArray[np.bool_], count: int) -> tuple[int, float]:
    """Longest horizontal run, and the share of pixels that continue to the right (or end at the border)."""
    same = np.count_nonzero(hit[:, 1:] & hit[:, :-1]) + np.count_nonzero(hit[:, -1])
    padded = np.zeros((hit.shape[0], hit.shape[1] + 2), np.int8)
    padded[:, 1:-1] = hit
    edges = np.flatnonzero(np.diff(padded.reshape(-1)))
    longest = int((edges[1::2] - edges[::2]).max()) if edges.size else 0
    return longest, same / max(1, count)
