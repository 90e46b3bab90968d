"""Measures on the grid of 32x32 windows that starts in the scene's upper left corner.

A window counts when at least half of a full window (512 pixels) is inside the scene and valid; its moments
are those of its valid pixels. A scene without any such window is taken as one window of all its valid pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.measure.strips import WINDOW

MIN_VALID = WINDOW * WINDOW // 2
HOMOGENEOUS_FRACTION = 0.10


@dataclass(frozen=True)
class WindowStatistics:
    """Local radiometric bias (dB, decoded over original) and equivalent number of looks."""

    count: int
    bias_mean_db: float
    bias_median_db: float
    bias_p95_db: float
    enl_reference: float
    enl_decoded: float
    enl_ratio: float


@dataclass(frozen=True)
class Cells:
    """The windows as maps (rows, columns), float64; nan where a window does not count.

    reference, decoded: mean power. variation: variance of the original's power over its squared mean (its
    reciprocal is the number of looks where nothing but speckle varies).
    """

    reference: NDArray[np.float64]
    decoded: NDArray[np.float64]
    variation: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of windows."""
        return self.reference.shape[0], self.reference.shape[1]

    @property
    def bias_db(self) -> NDArray[np.float64]:
        """Decoded over original, dB."""
        with np.errstate(divide="ignore", invalid="ignore"):
            bias = 10.0 * np.log10(self.decoded / self.reference)
        return np.where(np.isfinite(bias), bias, np.nan)


def window_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the 32x32 windows of `values` (rows, width): (ceil(rows/32), ceil(width/32))."""
    rows, width = values.shape
    by_row = np.add.reduceat(values, np.arange(0, rows, WINDOW), axis=0)
    return np.add.reduceat(by_row, np.arange(0, width, WINDOW), axis=1)


class WindowMoments:
    """Collects mean and variance of power of both images, window by window (40 bytes a window)."""

    def __init__(self) -> None:
        self._kept: list[NDArray[np.float64]] = []
        self._total = np.zeros(5)

    def add(
        self, reference: NDArray[np.float64], decoded: NDArray[np.float64], valid: NDArray[np.bool_]
    ) -> None:
        """Power of whole rows of windows (fewer rows only at the scene's end), zero where invalid."""
        sums = np.stack(
            [
                window_sums(plane)
                for plane in (
                    valid.astype(np.float64),
                    reference,
                    reference * reference,
                    decoded,
                    decoded * decoded,
                )
            ]
        )
        self._total += sums.sum(axis=(1, 2))
        self._kept.append(sums)

    def cells(self) -> Cells:
        """Where they lie; for scenes whose rows were added in full width."""
        sums = np.concatenate(self._kept, axis=1) if self._kept else np.zeros((5, 0, 0))
        with np.errstate(divide="ignore", invalid="ignore"):
            count = np.where(sums[0] >= MIN_VALID, sums[0], np.nan)
            mean = sums[1] / count
            return Cells(mean, sums[3] / count, sums[2] / count / mean**2 - 1.0)

    def result(self) -> WindowStatistics:
        """Bias over all windows; ENL over the 10 % of them that are the most homogeneous in the original."""
        kept = [sums[:, sums[0] >= MIN_VALID] for sums in self._kept]
        sums = np.concatenate(kept, axis=1) if kept else np.empty((5, 0))
        if sums.shape[1] == 0 and self._total[0] > 0:
            sums = self._total[:, None]
        count, reference, decoded = sums[0], sums[1] / sums[0], sums[3] / sums[0]
        variation_reference = sums[2] / count - reference**2
        variation_decoded = sums[4] / count - decoded**2
        usable = (reference > 0) & (decoded > 0) & np.isfinite(decoded)
        bias = 10.0 * np.log10(decoded[usable] / reference[usable])
        if bias.size == 0:
            return WindowStatistics(0, *([float("nan")] * 6))
        magnitude = np.abs(bias)
        enl_reference, enl_decoded = _looks(
            variation_reference[usable] / reference[usable] ** 2,
            variation_decoded[usable] / decoded[usable] ** 2,
        )
        return WindowStatistics(
            count=int(bias.size),
            bias_mean_db=float(bias.mean()),
            bias_median_db=float(np.median(magnitude)),
            bias_p95_db=float(np.percentile(magnitude, 95)),
            enl_reference=enl_reference,
            enl_decoded=enl_decoded,
            enl_ratio=enl_decoded / enl_reference if np.isfinite(enl_reference) else float("nan"),
        )


def _looks(reference: NDArray[np.float64], decoded: NDArray[np.float64]) -> tuple[float, float]:
    """ENL of both images from variance/mean² of their windows: harmonic mean over the chosen ones.

    Windows without any variation in the original (fill, saturation) say nothing about speckle and are left
    out.
    """
    textured = reference > 1e-9
    reference, decoded = reference[textured], decoded[textured]
    if reference.size == 0:
        return float("nan"), float("nan")
    number = max(1, round(HOMOGENEOUS_FRACTION * reference.size))
    chosen = np.argsort(reference, kind="stable")[:number]
    mean_decoded = max(float(decoded[chosen].mean()), 0.0)
    return 1.0 / float(reference[chosen].mean()), 1.0 / mean_decoded if mean_decoded > 0 else float("inf")
