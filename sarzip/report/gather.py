"""What a page shows of a band, collected strip by strip in bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.measure import Domain, Strip, to_db
from sarzip.measure.autocorrelation import Autocorrelation, Correlogram
from sarzip.measure.histogram import Histogram
from sarzip.measure.strips import Regroup

GRAY_PIXELS = 2_900_000
"""Pixels of all gray images of a page together. A byte each at the worst, they are 3.9 MB in base 64, which
leaves room for everything else below 5 MB.
"""
PICTURED = 4
"""Most bands that are shown; of further ones the page gives numbers."""
WINDOWS = 4
"""Most windows in full resolution of each band."""
_IMAGES = 3  # original, decoded, ratio
_MAP_EDGE = 256
_LEAST_BOX = 8


@dataclass(frozen=True)
class Layout:
    """How much of a scene a page shows. factor: pixels along an axis that one pixel of the overview stands
    for. window: edge of the windows in full resolution, 0 where the overview is one. box: edge of what a
    pixel of the error map stands for.
    """

    factor: int
    window: int
    box: int

    @classmethod
    def of(cls, shape: tuple[int, int], bands: int) -> Layout:
        """For a scene of so many rows and columns, and bands to be shown."""
        share = GRAY_PIXELS // max(1, min(bands, PICTURED)) // _IMAGES
        box = _LEAST_BOX
        while -(-max(shape) // box) > _MAP_EDGE:
            box *= 2
        if shape[0] * shape[1] <= share:
            return cls(1, 0, box)
        factor = 2
        while -(-shape[0] // factor) * -(-shape[1] // factor) > share // 2:
            factor += 1
        return cls(factor, math.isqrt(share // 2 // WINDOWS), box)


@dataclass(frozen=True)
class Picture:
    """Original and decoded in dB (rows, columns), float32, nan where nothing is valid."""

    reference: NDArray[np.float32]
    decoded: NDArray[np.float32]

    @property
    def ratio(self) -> NDArray[np.float32]:
        """Original over decoded, dB."""
        return self.reference - self.decoded


@dataclass(frozen=True)
class Gathered:
    """Of one band. overview: mean power of `layout.factor` squared pixels. error_db: RMS error in boxes of
    `layout.box` squared pixels, nan where none is valid.
    """

    layout: Layout
    overview: Picture
    error_db: NDArray[np.float64]
    reference: Histogram
    decoded: Histogram
    error: Histogram
    ratio_correlation: Correlogram
    reference_correlation: Correlogram


class BandGatherer:
    """Takes the strips of one band from top to bottom. shape: rows and columns of the scene. floor: the clamp
    of the logarithm, as `QualityAccumulator` takes it.
    """

    def __init__(self, shape: tuple[int, int], layout: Layout, domain: Domain, floor: float) -> None:
        self._layout, self._domain, self._floor = layout, domain, floor
        self._regroup = Regroup(shape[1])
        self._overview = [_BoxSums(shape, layout.factor) for _ in range(3)]
        self._errors = [_BoxSums(shape, layout.box) for _ in range(2)]
        self._histograms = Histogram(0.05), Histogram(0.05), Histogram(0.002)
        self._ratio, self._speckle = Autocorrelation(shape), Autocorrelation(shape, local=True)

    def add(self, strip: Strip) -> None:
        """The next rows of the scene, values in the domain's own unit."""
        for block in self._regroup.push(strip):
            self._add(Strip(block.reference[block.core], block.decoded[block.core], block.valid[block.core]))

    def result(self) -> Gathered:
        """Of everything added; the gatherer takes no more strips afterwards."""
        for block in self._regroup.finish():
            self._add(Strip(block.reference[block.core], block.decoded[block.core], block.valid[block.core]))
        count, reference, decoded = (each.sums for each in self._overview)
        pixels, squares = (each.sums for each in self._errors)
        with np.errstate(divide="ignore", invalid="ignore"):
            planes = [(10 * np.log10(each / count)).astype(np.float32) for each in (reference, decoded)]
            error = np.where(pixels > 0, np.sqrt(squares / pixels), np.nan)
        picture = Picture(*(np.where(count > 0, plane, np.float32(np.nan)) for plane in planes))
        correlations = self._ratio.result(), self._speckle.result()
        return Gathered(self._layout, picture, error, *self._histograms, *correlations)

    def _add(self, core: Strip) -> None:
        row = self._overview[0].row
        valid = core.valid & np.isfinite(core.reference)
        reference = np.where(valid, to_db(core.reference, self._domain, self._floor), 0.0)
        decoded = np.where(valid, to_db(core.decoded, self._domain, self._floor), 0.0)
        np.copyto(decoded, 0.0, where=~np.isfinite(decoded))
        error = decoded - reference
        for box, plane in zip(
            self._overview, (valid, _power(reference) * valid, _power(decoded) * valid), strict=True
        ):
            box.add(plane)
        for box, plane in zip(self._errors, (valid, error * error), strict=True):
            box.add(plane)
        for histogram, plane in zip(self._histograms, (reference, decoded, error), strict=True):
            histogram.add(plane[valid])
        self._ratio.add(-error, valid, row)
        self._speckle.add(reference, valid, row)


class _BoxSums:
    """Sums over boxes of edge² pixels on the grid from the scene's upper left corner, any rows at a time."""

    def __init__(self, shape: tuple[int, int], edge: int) -> None:
        self._edge = edge
        self.row = 0
        self.sums = np.zeros((-(-shape[0] // edge), -(-shape[1] // edge)))

    def add(self, plane: NDArray) -> None:
        """The next rows of the scene, full width."""
        rows, columns = plane.shape
        first = self.row // self._edge
        across = np.add.reduceat(plane.astype(np.float64), np.arange(0, columns, self._edge), axis=1)
        starts = [0, *range((first + 1) * self._edge - self.row, rows, self._edge)]
        self.sums[first : first + len(starts)] += np.add.reduceat(across, starts, axis=0)
        self.row += rows


def _power(db: NDArray[np.float64]) -> NDArray[np.float64]:
    return 10.0 ** (db / 10.0)


def picture_of(strip: Strip, domain: Domain, floor: float) -> Picture:
    """A window in full resolution."""
    valid = strip.valid & np.isfinite(strip.reference)
    planes = (
        np.where(valid, to_db(plane, domain, floor), np.nan).astype(np.float32)
        for plane in (strip.reference, strip.decoded)
    )
    return Picture(*planes)
