"""What the maps of 32x32 windows say: bias by backscatter class, and the ratio of two bands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.measure.windows import Cells

CLASS_DB = 3.0
"""Width of a backscatter class."""


@dataclass(frozen=True)
class ClassBias:
    """Windows whose mean power in the original lies in [low_db, high_db): how many, and the 5th percentile,
    the mean and the 95th percentile of their bias, dB decoded over original.
    """

    low_db: float
    high_db: float
    windows: int
    p5_db: float
    mean_db: float
    p95_db: float


@dataclass(frozen=True)
class RatioBias:
    """Ratio of the mean power of two bands in windows, dB. means and standard deviations over windows before
    and after; bias of the windows' ratio, decoded over original: mean, 95th percentile of the magnitude.
    """

    windows: int
    mean_reference_db: float
    mean_decoded_db: float
    std_reference_db: float
    std_decoded_db: float
    bias_mean_db: float
    bias_p95_db: float


def bias_by_class(cells: Cells) -> Iterator[ClassBias]:
    """Classes from the darkest to the brightest; those without a window are left out.

    Classes are of windows, not of pixels: pixels chosen by their own speckled value would show a bias that is
    only regression to the mean.
    """
    bias, mean = cells.bias_db, _decibels(cells.reference)
    known = np.isfinite(bias) & np.isfinite(mean)
    numbers = np.floor(mean[known] / CLASS_DB)
    for number in np.unique(numbers):
        chosen = bias[known][numbers == number]
        low, high = (float(each) for each in np.percentile(chosen, (5, 95)))
        start = float(number * CLASS_DB)
        yield ClassBias(start, start + CLASS_DB, int(chosen.size), low, float(chosen.mean()), high)


def band_ratios(first: Cells, second: Cells) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Second over first in dB, before and after, of the windows that count in both bands."""
    before = _decibels(second.reference) - _decibels(first.reference)
    after = _decibels(second.decoded) - _decibels(first.decoded)
    known = np.isfinite(before) & np.isfinite(after)
    return before[known], after[known]


def ratio_bias(first: Cells, second: Cells) -> RatioBias | None:
    """Of two bands of a scene, second over first; None without a window that counts in both."""
    before, after = band_ratios(first, second)
    if not before.size:
        return None
    bias = after - before
    return RatioBias(
        windows=int(bias.size),
        mean_reference_db=float(before.mean()),
        mean_decoded_db=float(after.mean()),
        std_reference_db=float(before.std()),
        std_decoded_db=float(after.std()),
        bias_mean_db=float(bias.mean()),
        bias_p95_db=float(np.percentile(np.abs(bias), 95)),
    )


def _decibels(power: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10.0 * np.log10(power)
