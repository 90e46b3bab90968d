"""Histograms of decibels, filled block by block over a range that any scene fits into."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RANGE_DB = 400.0


class Histogram:
    """Counts in bins of `step` dB from -400 to 400 dB; what lies beyond is counted in the outermost bins."""

    def __init__(self, step: float) -> None:
        self.step = step
        self._counts = np.zeros(round(2 * RANGE_DB / step), np.int64)

    def add(self, values: NDArray[np.floating]) -> None:
        """Finite decibels, of any shape."""
        bins = np.clip((values.ravel() + RANGE_DB) / self.step, 0, self._counts.size - 1)
        self._counts += np.bincount(bins.astype(np.int64), minlength=self._counts.size)

    @property
    def total(self) -> int:
        """How many values were added."""
        return int(self._counts.sum())

    def percentile(self, percent: float) -> float:
        """Middle of the bin that the percentile falls into; nan without a value."""
        if not self.total:
            return float("nan")
        at = int(np.searchsorted(np.cumsum(self._counts), percent / 100 * self.total))
        return (min(at, self._counts.size - 1) + 0.5) * self.step - RANGE_DB

    def share(self, low: float, high: float, bins: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Middles of about `bins` equal bins from `low` to `high` and the share of all values in each, per
        dB.
        """
        merged = max(1, round((high - low) / self.step / bins))
        first = max(0, int(np.floor((low + RANGE_DB) / self.step)))
        number = max(1, min(round((high - low) / self.step), self._counts.size - first) // merged)
        counts = self._counts[first : first + number * merged].reshape(number, merged).sum(axis=1)
        middles = np.float64(self.step) * (first + merged * (np.arange(number) + 0.5)) - RANGE_DB
        return middles, np.asarray(counts / (max(self.total, 1) * merged * self.step), np.float64)
