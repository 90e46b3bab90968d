"""What a group tells the network about itself: its noise, its least-squares prediction, a few statistics.

Everything the network sees is in units of the group's own residual: σ is what remains of the signal after a
linear prediction from 18 causal neighbours, and a *unit* is σ/32. Sums run over integers, so that every
processor finds the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.native import kernel, maths

TAPS = 18
STATISTICS = 10
UNITS = 32
"""Units in one standard deviation of the residual."""
COEFFICIENT = 128
"""A coefficient of 1, as an integer."""
STATISTIC = 16
"""A statistic of 1, as an integer."""

_SAMPLED = 1 << 16  # pixels that decide; more change nothing that can be measured
_LIMIT = 1 << 11  # of differences: the scale makes the typical one 64 to 128
_LEAST = 256
_FINE = 4096  # coefficients while statistics are taken
_TAP_REACH = 3

_equations = kernel(
    "pixel_normal_equations",
    "int64(const int32[:,::1], const uint8[:,::1], int64, int64, int64, int64, int64[:,::1], int64[::1])",
)
_statistics = kernel(
    "pixel_statistics",
    "void(const int32[:,::1], const uint8[:,::1], int64, int64, int64, int64, const int32[::1], int64[::1])",
)


@dataclass(frozen=True)
class Fit:
    """unit: of levels, in units of the signal. coefficients: int32 (18) in 1/128. statistics: int32 (10) in
    1/16, each within ±127.
    """

    unit: float
    coefficients: NDArray[np.int32]
    statistics: NDArray[np.int32]

    @property
    def deviation(self) -> float:
        """σ, in units of the signal."""
        return self.unit * UNITS

    def with_step(self, step: float) -> Fit:
        """The same where cells of the signal are so wide: noise far below that is none of it."""
        unit = float(np.float32(max(self.unit, step / 8 / UNITS)))
        ratio = _log2(step / (unit * UNITS) + 0.02)
        statistics = self.statistics.copy()
        statistics[-1] = min(max(round(ratio * STATISTIC), -127), 127)
        return Fit(unit, self.coefficients, statistics)


def fit(signal: NDArray[np.float64], coded: NDArray[np.uint8]) -> Fit:
    """Of a signal (rows, columns) whose pixels count where `coded` is 1; with_step completes it.

    Groups too small for a fit get a plain mean of the neighbours as their prediction.
    """
    scale = _scale(signal, coded)
    with np.errstate(invalid="ignore"):
        levels = np.rint(np.where(coded > 0, signal, 0.0) * scale)
    levels = np.clip(levels, -(1 << 20), 1 << 20).astype(np.int32)
    every = max(1, signal.size // _SAMPLED)
    shape = (*signal.shape, every)
    products, right = np.zeros((TAPS, TAPS), np.int64), np.zeros(TAPS, np.int64)
    count = _equations(levels, coded, *shape, _LIMIT, products, right)
    weights = np.zeros(TAPS)
    if count >= _LEAST:
        matrix = products.astype(np.float64)
        matrix += np.tril(matrix, -1).T
        ridge = 1e-4 * math.fsum(np.diag(matrix)) / TAPS + 1.0
        weights = maths.solve(matrix + ridge * np.eye(TAPS), right.astype(np.float64))
    weights = np.clip(weights, -4.0, 4.0)
    sums = np.zeros(11, np.int64)
    _statistics(levels, coded, *shape, _LIMIT, np.rint(weights * _FINE).astype(np.int32), sums)
    count = max(count, 1)
    deviation = max(math.sqrt(int(sums[1]) / count), 1.0)
    coefficients = np.rint(weights * COEFFICIENT).astype(np.int32)
    return Fit(float(np.float32(deviation / scale / UNITS)), coefficients, _described(sums, count, deviation))


def _scale(signal: NDArray[np.float64], coded: NDArray[np.uint8]) -> float:
    """Power of two that makes the mean difference of neighbours 64 to 128."""
    steps = np.abs(np.diff(signal, axis=1))[(coded[:, 1:] & coded[:, :-1]) > 0]
    some = steps[:: max(1, steps.size // 4096)]
    mean = math.fsum(some.tolist()) / max(some.size, 1)
    if not (0 < mean < math.inf):
        mean = 1.0
    return float(2.0 ** (7 - math.frexp(mean)[1]))


def _described(sums: NDArray[np.int64], count: int, deviation: float) -> NDArray[np.int32]:
    """Statistics of the residual and of differences, most of them as logarithms to base 2 over σ; the last
    one, the width of cells, is 0 yet.
    """
    means = [int(each) / count for each in sums]
    lags = [_log2((mean + 0.5) / deviation) for mean in means[4:9]]
    peaked = [
        _log2((math.sqrt(square) + 0.5) / (mean + 0.5))
        for square, mean in ((means[9], means[4]), (means[10], means[6]))
    ]
    skewness = 1024 * means[2] / deviation**3
    kurtosis = 1048576 * means[3] / deviation**4 - 3
    values = np.array([*lags, *peaked, skewness, kurtosis, 0.0])
    return np.clip(np.rint(values * STATISTIC), -127, 127).astype(np.int32)


def _log2(value: float) -> float:
    return float(maths.log2(np.array([value]))[0])
