"""Point targets: how well the peaks of the brightest isolated scatterers survive.

A target is a valid pixel that is the only maximum of the 17x17 pixels around it (all valid and in the scene)
and at least 10 dB above the mean power of their outer ring (5 to 8 pixels away, beyond the main lobe and the
first side lobe of usual impulse responses). The 256 brightest of a scene are judged. The decoded peak is the
largest decoded value within one pixel, because a peak between two pixels may change sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

RADIUS = 8
RING = 5
CONTRAST_DB = 10.0
TARGETS = 256


@dataclass(frozen=True)
class PointStatistics:
    """Errors of the peaks, dB decoded over original: mean magnitude, mean with sign, and their number."""

    count: int
    error_db: float
    bias_db: float


@dataclass(frozen=True)
class PointTarget:
    """A target: place of its peak in the scene, power of the original's peak (dB), how far that lies above
    the ring around it (dB), and the error of the decoded peak (dB).
    """

    row: int
    column: int
    peak_db: float
    contrast_db: float
    error_db: float


def _ring() -> NDArray[np.bool_]:
    offsets = np.abs(np.arange(-RADIUS, RADIUS + 1))
    return np.maximum(offsets[:, None], offsets[None, :]) >= RING


def _running_maximum(plane: NDArray, axis: int) -> NDArray:
    """Maximum over 17 consecutive entries along `axis`, valid part only, by doubling: 1, 2, 4, 8, 16, 17."""
    plane = np.moveaxis(plane, axis, 0)
    reach = 1
    for shift in (1, 2, 4, 8, 1):
        plane = np.maximum(plane[: len(plane) - shift], plane[shift:])
        reach += shift
    assert reach == 2 * RADIUS + 1
    return np.moveaxis(plane, 0, axis)


class PointTargets:
    """Keeps the brightest targets found so far."""

    def __init__(self) -> None:
        # A row each: peak, error, contrast, row and column in the scene.
        self._found = np.empty((0, 5))
        self._ring = _ring()

    def add(
        self,
        reference_db: NDArray[np.float32],
        decoded_db: NDArray[np.float32],
        valid: NDArray[np.bool_],
        first_row: int = 0,
    ) -> None:
        """The block's rows with 8 rows of neighbours on either side, where the scene has them. first_row: of
        the arrays, in the scene.
        """
        size = 2 * RADIUS + 1
        if min(reference_db.shape) < size:
            return
        masked = np.where(valid, reference_db, np.float32(np.inf))
        largest = _running_maximum(_running_maximum(masked, 0), 1)
        centre = masked[RADIUS:-RADIUS, RADIUS:-RADIUS]
        rows, columns = np.nonzero((centre == largest) & np.isfinite(largest))
        if len(self._found) == TARGETS:
            bright = centre[rows, columns] > self._found[-1, 0]
            rows, columns = rows[bright], columns[bright]
        neighbourhoods = sliding_window_view(reference_db, (size, size))
        inner = sliding_window_view(decoded_db, (3, 3))
        for start in range(0, rows.size, 4096):
            r, c = rows[start : start + 4096], columns[start : start + 4096]
            around = neighbourhoods[r, c].astype(np.float64)
            peak = around[:, RADIUS, RADIUS]
            background = (10.0 ** (around[:, self._ring] / 10.0)).mean(axis=1)
            alone = (around == peak[:, None, None]).sum(axis=(1, 2)) == 1
            contrast = peak - 10.0 * np.log10(background)
            chosen = alone & (contrast >= CONTRAST_DB)
            r, c, peak, contrast = r[chosen], c[chosen], peak[chosen], contrast[chosen]
            decoded = inner[r + RADIUS - 1, c + RADIUS - 1].max(axis=(1, 2), initial=-np.inf)
            place = r + RADIUS + first_row, c + RADIUS
            found = np.stack([peak, decoded - peak, contrast, *place], axis=1)
            self._found = np.concatenate([self._found, found])
        order = np.argsort(-self._found[:, 0], kind="stable")[:TARGETS]
        self._found = self._found[order]

    def targets(self) -> tuple[PointTarget, ...]:
        """The brightest targets, the brightest first."""
        return tuple(
            PointTarget(int(row), int(column), peak, contrast, error)
            for peak, error, contrast, row, column in self._found.tolist()
        )

    def result(self) -> PointStatistics:
        """Statistics of the brightest targets; nan where the scene has none."""
        error = self._found[:, 1]
        if error.size == 0:
            return PointStatistics(0, float("nan"), float("nan"))
        return PointStatistics(int(error.size), float(np.abs(error).mean()), float(error.mean()))
