"""Impulse response of a point target: resolution, peak and integrated side lobe ratio.

The power of the pixels around the peak is oversampled 16 times in both directions by padding its Fourier
transform with zeros, and cut along the row and the column of the oversampled peak. On the cut:

* resolution: width of the main lobe 3 dB below the peak (half the power), between samples linearly;
* main lobe: from the first minimum below half the power on one side of the peak to the first on the other;
* PSLR (peak side lobe ratio): greatest power outside the main lobe over the peak, dB;
* ISLR (integrated side lobe ratio): power outside the main lobe over the power within, dB;

side lobes being counted up to ten resolutions from the peak, or to the edge of the cut. These are the usual
definitions (A. Freeman, "SAR calibration: an overview", IEEE Trans. Geosci. Remote Sens. 30, 1992; I. G.
Cumming and F. H. Wong, "Digital Processing of Synthetic Aperture Radar Data", 2005). Clutter is not taken
off: in a real scene it limits both ratios, before as after, so it is their difference that judges a codec.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OVERSAMPLING = 16
RADIUS = 16
"""Of the square of pixels that is looked at: 32 x 32, the peak at row and column 16."""
_SIDE_LOBES = 10
_REACH = 2  # pixels that the peak may lie away from the middle


@dataclass(frozen=True)
class Cut:
    """Along one direction. width: pixels; pslr_db, islr_db. nan where the lobes do not fit into the cut."""

    width: float
    pslr_db: float
    islr_db: float


@dataclass(frozen=True)
class ImpulseResponse:
    """along_row: across columns (range or azimuth, as the product is laid out). profile: of that cut, dB
    below the peak, `OVERSAMPLING` samples a pixel.
    """

    along_row: Cut
    along_column: Cut
    profile: NDArray[np.float64]


def impulse_response(power: NDArray[np.float64]) -> ImpulseResponse:
    """Of power (32, 32), all finite, with the peak within two pixels of the middle."""
    fine = _oversampled(power)
    middle, reach = RADIUS * OVERSAMPLING, _REACH * OVERSAMPLING
    near = fine[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
    row, column = (int(at) + middle - reach for at in np.unravel_index(near.argmax(), near.shape))
    peak = fine[row, column]
    with np.errstate(divide="ignore", invalid="ignore"):
        profile = 10.0 * np.log10(np.maximum(fine[row] / peak, 1e-6))
    return ImpulseResponse(_cut(fine[row], column), _cut(fine[:, column], row), profile)


def _oversampled(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Zeros beyond the band, at half weight on the edge that both signs of the frequency share."""
    size = 2 * RADIUS
    spectrum = np.fft.fftshift(np.fft.fft2(power))
    spectrum = np.pad(spectrum, ((0, 1), (0, 1)))
    for axis in (0, 1):
        edge = np.moveaxis(spectrum, axis, 0)
        edge[0] /= 2
        edge[-1] = edge[0]
    big = size * OVERSAMPLING
    before = big // 2 - RADIUS
    padded = np.pad(spectrum, (before, big - before - size - 1))
    return np.fft.ifft2(np.fft.ifftshift(padded)).real * OVERSAMPLING**2


def _cut(line: NDArray[np.float64], peak: int) -> Cut:
    nan = float("nan")
    left, right = _half_width(line[peak::-1]), _half_width(line[peak:])
    width = (left + right) / OVERSAMPLING
    starts, ends = _minimum(line[peak::-1]), _minimum(line[peak:])
    if not np.isfinite(width) or starts is None or ends is None:
        return Cut(width, nan, nan)
    reach = round(_SIDE_LOBES * width * OVERSAMPLING)
    # Padding rings about zero: what is negative there is no power.
    power = np.maximum(line, 0.0)
    before, after = power[max(0, peak - reach) : peak - starts], power[peak + ends + 1 : peak + reach + 1]
    main = float(power[peak - starts : peak + ends + 1].sum())
    lobes = np.concatenate([before, after])
    if not lobes.size or lobes.max() <= 0:
        return Cut(width, nan, nan)
    return Cut(
        width, float(10 * np.log10(lobes.max() / line[peak])), float(10 * np.log10(lobes.sum() / main))
    )


def _half_width(line: NDArray[np.float64]) -> float:
    """Samples from the peak, line[0], to half its power; nan where the line ends before."""
    at = _half(line)
    if at is None:
        return float("nan")
    above, under = line[at - 1], line[at]
    return at - 1 + float((above - line[0] / 2) / (above - under))


def _minimum(line: NDArray[np.float64]) -> int | None:
    """Samples from the peak, line[0], to the first minimum below half of it; None where there is none."""
    start = _half(line)
    if start is None:
        return None
    rising = np.flatnonzero(np.diff(line[start:]) > 0)
    return start + int(rising[0]) if rising.size else None


def _half(line: NDArray[np.float64]) -> int | None:
    below = np.flatnonzero(line < line[0] / 2)
    return int(below[0]) if below.size else None
