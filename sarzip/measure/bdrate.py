"""Bjøntegaard rate difference between two rate-distortion curves.

ln(rate) is interpolated as a function of the distortion by a monotone piecewise cubic (PCHIP: F. N.
Fritsch and R. E. Carlson 1980, slopes after F. N. Fritsch and J. Butland 1984), and the difference of the
two curves is averaged over the distortions both cover. scipy (extra `bench`) does both. Distortion enters
as 20 log10 of an RMS error, i.e. on the axis of a PSNR, so that a factor in the error weighs the same at
every rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import UsageError


class NoCurve(UsageError):
    """Fewer than two points that differ in rate and error."""


def bd_rate(
    reference_rates: Sequence[float],
    reference_rmse: Sequence[float],
    rates: Sequence[float],
    rmse: Sequence[float],
) -> float:
    """Mean rate difference at equal error, as a fraction: -0.18 means 18 % fewer bits than the reference.

    rates: any positive unit, the same for both; rmse: positive RMS errors (dB of backscatter here). Points
    may come in any order; a point that another beats in both rate and error is left out. nan if the ranges of
    error do not overlap. NoCurve for fewer than 2 points, UsageError for values that are not positive, or
    without scipy.
    """
    reference_x, reference_y = _curve(reference_rates, reference_rmse)
    x, y = _curve(rates, rmse)
    low, high = max(reference_x[0], x[0]), min(reference_x[-1], x[-1])
    if not high > low:
        return float("nan")
    ours, theirs = (
        _interpolator(*curve).integrate(low, high) for curve in ((x, y), (reference_x, reference_y))
    )
    return float(np.expm1((ours - theirs) / (high - low)))


def interpolate_rate(rates: Sequence[float], rmse: Sequence[float], at_rmse: float) -> float:
    """Rate at which the curve reaches the error `at_rmse`, interpolated likewise; nan outside the curve."""
    x, y = _curve(rates, rmse)
    at = 20 * np.log10(at_rmse)
    if not x[0] <= at <= x[-1]:
        return float("nan")
    return float(np.exp(_interpolator(x, y)(at)))


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
        raise NoCurve("a curve needs at least two points of different rate and error")
    return 20 * np.log10(error), np.log(rate)


def load_pchip() -> Any:
    """scipy's interpolator; whoever needs it in the end asks for it in the beginning."""
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError as error:
        raise UsageError("BD-rates need scipy: pip install 'sarzip[bench]'") from error
    return PchipInterpolator


def _interpolator(x: NDArray[np.float64], y: NDArray[np.float64]) -> Any:
    return load_pchip()(x, y, extrapolate=False)
