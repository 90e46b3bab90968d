"""Numbers that tell kinds of bands apart, from a sample of pixels.

Everything about noise is taken within small windows of neighbours, so that the texture of a scene does not
count as speckle, and then as a median over windows, so that edges and point targets do not either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.native.maths import log

WINDOW = (4, 16)
"""Rows and columns of the windows; a sample made of strips of 4 rows keeps its neighbours."""
_MOST_WINDOWS = 1024
_LEAST_WINDOWS = 4
_MOST_DISTINCT = 1 << 15


@dataclass(frozen=True)
class ValueStatistics:
    """What the measured values of a band look like; NaN where the sample does not tell.

    count: measured pixels looked at. distinct: different values among at most 32768 of them.
    negative, zero: shares. steps: ratio of the squared difference of horizontal neighbours to the variance
    within windows: 2 for white noise, towards 0 for smooth fields. equal: share of horizontal neighbours with
    one value. noise: median standard deviation within windows. noise_slope: growth of the logarithm of that
    with the logarithm of the window's mean: 1 for multiplicative noise, 0 for additive noise as in dB. skew:
    skewness within windows. log_variance, log_skew: of the natural logarithm within windows.
    """

    count: int
    minimum: float = math.nan
    maximum: float = math.nan
    median: float = math.nan
    p01: float = math.nan
    p99: float = math.nan
    mean: float = math.nan
    negative: float = 0.0
    zero: float = 0.0
    distinct: int = 0
    integer: bool = False
    steps: float = math.nan
    equal: float = 0.0
    noise: float = math.nan
    noise_slope: float = math.nan
    skew: float = math.nan
    log_variance: float = math.nan
    log_skew: float = math.nan

    @property
    def looks_as_power(self) -> float:
        """Equivalent number of looks that the log variance has if the values are power."""
        return looks_of(self.log_variance)

    @property
    def looks_as_amplitude(self) -> float:
        """The same if they are amplitude, whose logarithm varies by a quarter."""
        return looks_of(4 * self.log_variance)


def measure(sample: NDArray[Any], measured: NDArray[np.bool_]) -> ValueStatistics:
    """sample: (rows, columns) as stored, rows of neighbours; measured: same shape, False for what is nodata,
    fill or not finite.
    """
    with np.errstate(all="ignore"):
        return _measure(sample, measured)


def _measure(sample: NDArray[Any], measured: NDArray[np.bool_]) -> ValueStatistics:
    values = sample.reshape(-1) if measured.all() else sample[measured]
    if not values.size:
        return ValueStatistics(0)
    thin = values[:: max(1, values.size // _MOST_DISTINCT)][: 2 * _MOST_DISTINCT]
    wide = np.sort(thin.astype(np.float64))
    ranks = (np.array([0.01, 0.5, 0.99]) * (wide.size - 1)).round().astype(int)
    p01, median, p99 = (float(wide[rank]) for rank in ranks)
    low, high = float(values.min()), float(values.max())
    windows = _windows(sample, measured)
    return ValueStatistics(
        count=values.size,
        minimum=low,
        maximum=high,
        median=median,
        p01=p01,
        p99=p99,
        mean=float(wide.mean()),
        negative=float(np.mean(wide < 0)),
        zero=float(np.mean(wide == 0)),
        distinct=1 + int(np.count_nonzero(np.diff(wide))),
        integer=bool(sample.dtype.kind in "iu" or np.array_equal(wide, np.rint(wide))),
        **_local(windows),
    )


def _windows(sample: NDArray[Any], measured: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(windows, rows, columns) of neighbours that are all measured, spread over the sample."""
    rows = min(WINDOW[0], sample.shape[0])
    columns = min(WINDOW[1] * WINDOW[0] // rows, sample.shape[1])
    high, wide = sample.shape[0] // rows, sample.shape[1] // columns
    cut = np.s_[: high * rows, : wide * columns]
    whole = measured[cut].reshape(high, rows, wide, columns).all(axis=(1, 3))
    found = np.argwhere(whole)
    # A step that shares no divisor with the number of columns keeps the choice off a single column.
    found = found[np.linspace(0, len(found) - 1, min(len(found), _MOST_WINDOWS)).astype(int)]
    tiles = sample[cut].reshape(high, rows, wide, columns)
    return tiles[found[:, 0], :, found[:, 1], :].astype(np.float64)


def _local(windows: NDArray[np.float64]) -> dict[str, float]:
    if len(windows) < _LEAST_WINDOWS or windows[0].size < 8:
        return {}
    flat = windows.reshape(len(windows), -1)
    mean, deviation, skew = _moments(flat)
    step = np.diff(windows, axis=2)
    varied = deviation > 0
    equal = float(np.mean(step == 0))
    if not varied.any():
        return {"noise": 0.0, "equal": equal}
    ratio = np.mean(step**2, axis=(1, 2)) / deviation**2
    found = {
        "noise": float(np.median(deviation)),
        "equal": equal,
        "skew": float(np.median(skew[varied])),
        "steps": float(np.median(ratio[varied])),
        "noise_slope": _slope(np.abs(mean[varied]), deviation[varied]),
    }
    positive = (flat > 0).all(axis=1) & varied
    if np.count_nonzero(positive) >= _LEAST_WINDOWS:
        _, spread, log_skew = _moments(log(flat[positive]))
        found["log_variance"] = float(np.median(spread) ** 2)
        found["log_skew"] = float(np.median(log_skew))
    return found


def _moments(flat: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Mean, standard deviation and skewness of each row."""
    mean = flat.mean(axis=1)
    centred = flat - mean[:, None]
    squared = centred * centred
    variance = squared.mean(axis=1)
    third = (squared * centred).mean(axis=1)
    least = np.maximum(variance, 1e-200)  # numpy's powers and logarithms depend on the processor
    skew = np.where(variance > 0, third / (least * np.sqrt(least)), 0.0)
    size = flat.shape[1]
    return mean, np.sqrt(variance * size / (size - 1)), skew


def _slope(level: NDArray[np.float64], deviation: NDArray[np.float64]) -> float:
    """Growth of log deviation with log level: medians of the outer thirds, so that no window leads."""
    usable = level > 0
    level, deviation = log(level[usable]), log(deviation[usable])
    third = level.size // 3
    if third < 2:
        return math.nan
    order = np.argsort(level)
    low, high = order[:third], order[-third:]
    rise = np.median(level[high]) - np.median(level[low])
    if rise < 0.05:
        return math.nan
    return float((np.median(deviation[high]) - np.median(deviation[low])) / rise)


def looks_of(log_variance: float) -> float:
    """The L for which power of L looks has this variance of its natural logarithm: ψ'(L) = variance.

    (Log of a gamma variate: Abramowitz & Stegun 6.4; Ulaby & Dobson 1989 for SAR.) NaN for NaN.
    """
    if not log_variance > 0:
        return math.nan
    low, high = 1e-3, 1e9
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if trigamma(middle) > log_variance else (low, middle)
    return math.sqrt(low * high)


def trigamma(x: float) -> float:
    """ψ'(x) for x > 0: recurrence, then the asymptotic series (Abramowitz & Stegun 6.4.6, 6.4.12)."""
    total = 0.0
    while x < 10:
        total += 1 / (x * x)
        x += 1
    y = 1 / (x * x)
    return total + 1 / x + y / 2 + (y / x) * (1 / 6 - y * (1 / 30 - y * (1 / 42 - y / 30)))


def tetragamma(x: float) -> float:
    """ψ''(x) for x > 0 (Abramowitz & Stegun 6.4.6, 6.4.13); the third cumulant of the log of a gamma."""
    total = 0.0
    while x < 10:
        total -= 2 / x**3
        x += 1
    y = 1 / (x * x)
    return total - y - y / x - y * y * (1 / 2 - y * (1 / 6 - y * (1 / 6 - y * 0.3)))
