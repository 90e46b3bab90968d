"""Bjøntegaard rate difference between two rate-distortion curves.

ln(rate) is interpolated as a function of the distortion by a monotone piecewise cubic (PCHIP: F. N. Fritsch
and R. E. Carlson 1980, slopes after F. N. Fritsch and J. Butland 1984), and the difference of the two curves
is averaged over the distortions both cover. Distortion enters as 20 log10 of an RMS error, i.e. on the axis
of a PSNR, so that a factor in the error weighs the same at every rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import UsageError


def bd_rate(
    reference_rates: Sequence[float],
    reference_rmse: Sequence[float],
    rates: Sequence[float],
    rmse: Sequence[float],
) -> float:
    """Mean rate difference at equal error, as a fraction: -0.18 means 18 % fewer bits than the reference.

    rates: any positive unit, the same for both; rmse: positive RMS errors (dB of backscatter here). Points
    may come in any order; a point that another beats in both rate and error is left out. nan if the ranges of
    error do not overlap. UsageError for fewer than 2 points or values that are not positive.
    """
    reference_x, reference_y = _curve(reference_rates, reference_rmse)
    x, y = _curve(rates, rmse)
    low, high = max(reference_x[0], x[0]), min(reference_x[-1], x[-1])
    if not high > low:
        return float("nan")
    difference = (_integral(x, y, low, high) - _integral(reference_x, reference_y, low, high)) / (high - low)
    return float(np.expm1(difference))


def interpolate_rate(rates: Sequence[float], rmse: Sequence[float], at_rmse: float) -> float:
    """Rate at which the curve reaches the error `at_rmse`, interpolated likewise; nan outside the curve."""
    x, y = _curve(rates, rmse)
    at = 20 * np.log10(at_rmse)
    if not x[0] <= at <= x[-1]:
        return float("nan")
    segment = int(np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2))
    return float(np.exp(np.polyval(_cubics(x, y)[segment], at - x[segment])))


def _curve(rates: Sequence[float], rmse: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rate, error = np.asarray(rates, np.float64), np.asarray(rmse, np.float64)
    if rate.shape != error.shape or rate.ndim != 1:
        raise UsageError("a curve needs as many rates as errors")
    if not (np.isfinite(rate).all() and np.isfinite(error).all() and (rate > 0).all() and (error > 0).all()):
        raise UsageError("rates and errors of a curve must be positive numbers")
    order = np.lexsort((rate, error))
    rate, error = rate[order], error[order]
    # Going from small to large error, only points that save rate stay: the curve is strictly monotone.
    cheapest = np.concatenate([[np.inf], np.minimum.accumulate(rate)[:-1]])
    kept = rate < cheapest
    rate, error = rate[kept], error[kept]
    if len(rate) < 2:
        raise UsageError("a curve needs at least two points of different rate and error")
    return 20 * np.log10(error), np.log(rate)


def _slopes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    h, secant = np.diff(x), np.diff(y) / np.diff(x)
    if len(x) == 2:
        return np.array([secant[0], secant[0]])
    slopes = np.zeros_like(y)
    left, right = secant[:-1], secant[1:]
    monotone = left * right > 0
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    inner = np.zeros_like(left)
    inner[monotone] = ((w1 + w2) / (w1 / np.where(monotone, left, 1) + w2 / np.where(monotone, right, 1)))[
        monotone
    ]
    slopes[1:-1] = inner
    slopes[0] = _end_slope(h[0], h[1], secant[0], secant[1])
    slopes[-1] = _end_slope(h[-1], h[-2], secant[-1], secant[-2])
    return slopes


def _end_slope(h0: float, h1: float, s0: float, s1: float) -> float:
    """Three-point end slope, limited to keep the shape (as in MATLAB's and SciPy's pchip)."""
    slope = ((2 * h0 + h1) * s0 - h0 * s1) / (h0 + h1)
    if slope * s0 <= 0:
        return 0.0
    if s0 * s1 <= 0 and abs(slope) > 3 * abs(s0):
        return 3 * s0
    return slope


def _cubics(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients (segments, 4), highest power first, of polynomials in x - x[i]."""
    h, secant, d = np.diff(x), np.diff(y) / np.diff(x), _slopes(x, y)
    c3 = (d[:-1] + d[1:] - 2 * secant) / h**2
    c2 = (3 * secant - 2 * d[:-1] - d[1:]) / h
    return np.stack([c3, c2, d[:-1], y[:-1]], axis=1)


def _integral(x: NDArray[np.float64], y: NDArray[np.float64], low: float, high: float) -> float:
    total = 0.0
    for i, cubic in enumerate(_cubics(x, y)):
        a, b = max(low, x[i]), min(high, x[i + 1])
        if b > a:
            antiderivative = np.polyint(cubic)
            total += float(np.polyval(antiderivative, b - x[i]) - np.polyval(antiderivative, a - x[i]))
    return total
