"""Errors in the data's own units: what tells that a band was read as something that it is not.

In decibels a wrongly read band can look perfect: covariances taken for dB, angles for amplitudes. In its own
units it cannot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UnitErrors:
    """Over the valid pixels. count: how many. max_abs, rmse, bias (mean of decoded − original): in stored
    units. variation: RMS difference of pixels of the original `lag` columns apart, over √2; NaN without any.
    correlation: Pearson's, NaN where an image is constant. sign_flips: share of pixels that change sign, or
    of negative ones that become zero. changed: share of pixels that are not exactly the same.
    """

    count: int
    max_abs: float
    rmse: float
    bias: float
    variation: float
    correlation: float
    sign_flips: float
    changed: float


class UnitErrorSums:
    """Adds up blocks (rows × columns) of one band."""

    def __init__(self, lag: int = 1) -> None:
        self._lag = lag
        self._count = self._flips = self._changed = self._pairs = 0
        self._largest = self._steps = 0.0
        # Sums of a, b, a², b², ab, (b − a)² about the first value, so that large offsets cost no digits.
        self._sums = np.zeros(6)
        self._origin: float | None = None

    def add(
        self, original: NDArray[np.generic], decoded: NDArray[np.generic], valid: NDArray[np.bool_]
    ) -> None:
        """A block of real samples."""
        with np.errstate(invalid="ignore", over="ignore"):
            plane = original.astype(np.float64)
            lag = self._lag
            steps = (plane[:, lag:] - plane[:, :-lag])[valid[:, lag:] & valid[:, :-lag]]
            a, b = plane[valid], decoded[valid].astype(np.float64)
            if not a.size:
                return
            if self._origin is None:
                self._origin = float(a[0])
            error = b - a
            self._flips += int(np.count_nonzero(((a < 0) & (b >= 0)) | ((a > 0) & (b < 0))))
            self._changed += int(np.count_nonzero(error != 0))
            self._largest = max(self._largest, float(np.abs(error).max()))
            self._pairs += steps.size
            self._steps += float(steps @ steps)
            self._count += a.size
            a, b = a - self._origin, b - self._origin
            self._sums += (a.sum(), b.sum(), a @ a, b @ b, a @ b, error @ error)

    def result(self) -> UnitErrors | None:
        """What was found; None without a valid pixel."""
        n = self._count
        if not n:
            return None
        a, b, aa, bb, ab, ee = self._sums / n
        spread = math.sqrt(max(aa - a * a, 0.0) * max(bb - b * b, 0.0))
        return UnitErrors(
            count=n,
            max_abs=self._largest,
            rmse=math.sqrt(ee),
            bias=b - a,
            variation=math.sqrt(self._steps / self._pairs / 2) if self._pairs else math.nan,
            correlation=(ab - a * b) / spread if spread > 0 else math.nan,
            sign_flips=self._flips / n,
            changed=self._changed / n,
        )
