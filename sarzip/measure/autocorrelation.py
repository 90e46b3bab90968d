"""Autocorrelation of the ratio image: structure left in it is information that was lost.

An error that is noise has a peak at lag 0 and nothing beside it. What a codec smoothed away is speckle, whose
ratio image is correlated as the speckle itself, over the resolution cell; correlation beyond that is lost
structure. So both are measured: the ratio image in dB about its mean over the scene, and the original in dB
about the mean of each tile.

Estimated on tiles of 32x256 pixels, at most 1024 of them spread evenly over the scene, by the squared
magnitude of their Fourier transform (Wiener-Khinchin) padded beyond the largest lag, divided by the number of
valid pairs at each lag.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.measure.strips import WINDOW

LAGS = 16
"""Largest lag in rows and columns."""
_COLUMNS = 256
_TILES = 1024


@dataclass(frozen=True)
class Correlogram:
    """Correlation coefficients (33, 33) by lag in rows and columns from -16 to 16, the middle is lag 0;
    nan where nothing was measured. pixels: valid ones in the tiles.
    """

    coefficients: NDArray[np.float64]
    pixels: int

    @property
    def by_column(self) -> NDArray[np.float64]:
        """At lags of 0 to 16 columns."""
        return self.coefficients[LAGS, LAGS:]

    @property
    def by_row(self) -> NDArray[np.float64]:
        """At lags of 0 to 16 rows."""
        return self.coefficients[LAGS:, LAGS]


class Autocorrelation:
    """Adds up tiles. shape: rows and columns of the scene. local: about the mean of each tile rather than of
    all.
    """

    def __init__(self, shape: tuple[int, int], local: bool = False) -> None:
        rows, columns = (-(-size // edge) for size, edge in zip(shape, (WINDOW, _COLUMNS), strict=True))
        self._across = columns
        self._every = max(1, -(-rows * columns // _TILES))
        self._local = local
        self._padded = WINDOW + LAGS, min(_COLUMNS, shape[1]) + LAGS
        spectrum = self._padded[0], self._padded[1] // 2 + 1
        self._power, self._pairs = np.zeros(spectrum), np.zeros(spectrum)
        self._cross = np.zeros(spectrum, np.complex128)
        self._sum, self._count = 0.0, 0

    def add(self, values: NDArray[np.floating], valid: NDArray[np.bool_], row: int) -> None:
        """Whole rows of tiles (fewer rows only at the scene's end) from `row` on, a multiple of 32."""
        for top in range(0, len(values), WINDOW):
            first = (row + top) // WINDOW * self._across
            for tile in range(-first % self._every, self._across, self._every):
                place = np.s_[top : top + WINDOW, tile * _COLUMNS : (tile + 1) * _COLUMNS]
                self._add(values[place], valid[place])

    def _add(self, values: NDArray[np.floating], valid: NDArray[np.bool_]) -> None:
        count = int(np.count_nonzero(valid))
        if not count:
            return
        plane = np.where(valid, values, 0.0)
        if self._local:
            plane = np.where(valid, plane - plane.sum() / count, 0.0)
        field = np.fft.rfft2(plane, self._padded)
        mask = np.fft.rfft2(valid.astype(np.float64), self._padded)
        self._power += np.abs(field) ** 2
        self._pairs += np.abs(mask) ** 2
        self._cross += field * mask.conj()
        self._sum += float(plane.sum())
        self._count += count

    def result(self) -> Correlogram:
        """The coefficients of everything added."""
        products, pairs, sums = map(self._lags, (self._power, self._pairs, self._cross))
        mean = self._sum / self._count if self._count else 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            # Products about the mean, over the pairs at hand: the two sums are of the pairs' either member.
            covariance = (products - mean * (sums + sums[::-1, ::-1])) / np.rint(pairs) + mean**2
            variance = covariance[LAGS, LAGS]
            found = covariance / variance if variance > 1e-12 else np.full(products.shape, np.nan)
        return Correlogram(np.where(np.isfinite(found), found, np.nan), self._count)

    def _lags(self, spectrum: NDArray) -> NDArray[np.float64]:
        plane = np.fft.irfft2(spectrum, self._padded)
        lags = np.arange(-LAGS, LAGS + 1)
        return plane[np.ix_(lags, lags)]
