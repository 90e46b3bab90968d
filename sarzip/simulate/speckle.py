"""Complex circular Gaussian speckle with the spectrum of a real sensor, and its impulse response.

The image is white complex noise times the square root of backscatter, filtered by the sensor's impulse
response (Oliver and Quegan, Understanding Synthetic Aperture Radar Images, 1998). Its spectrum in either
direction is a generalised Hamming window a + (1 - a) cos over the processed band, which is 1/oversampling of
the sampling rate: neighbouring pixels are correlated and bright points have side lobes, -43 dB for a = 0.54,
higher for larger a.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.native import kernel

REACH = 8
"""Half length of the shaping filter, pixels; beyond it lies under 1 % of the response's energy."""

_shaped_look = kernel(
    "shaped_look",
    "void(const float32[:,::1], int64, int64, int64, int64, int64, int64, const float32[::1], "
    "const float32[::1], const float32[::1], float32[::1], float32[:,::1], float32[:,::1])",
)
_add_responses = kernel(
    "add_responses",
    "void(float32[:,::1], float32[:,::1], int64, int64, const int64[:,::1], const float32[:,:,::1], int64, "
    "const float32[:,::1], int64)",
)
_add_power = kernel(
    "add_power",
    "void(float32[:,::1], int64, const float32[:,::1], const float32[:,::1], int64, int64, float64, int64, "
    "int64)",
)


def impulse_response(
    offsets: NDArray[np.float64], oversampling: float, weighting: float
) -> NDArray[np.float64]:
    """The sensor's response at `offsets` (pixels) from a point, 1 at the point itself."""
    x = offsets / oversampling
    side = (1 - weighting) / 2
    return np.sinc(x) + side / weighting * (np.sinc(x - 1) + np.sinc(x + 1))


def shaping_filter(oversampling: float, weighting: float) -> NDArray[np.float32]:
    """The response at whole pixels, 17 taps of unit energy: it leaves the mean power of white noise alone."""
    taps = impulse_response(np.arange(-REACH, REACH + 1, dtype=np.float64), oversampling, weighting)
    return (taps / np.sqrt(np.sum(taps**2))).astype(np.float32)


def look_weights(looks: float) -> NDArray[np.float32]:
    """Weights of independent looks, summing to 1, whose weighted sum has an equivalent number of `looks`.

    ENL = (sum w)² / sum w²: whole looks of weight 1 and one of weight w < 1 that makes up the fraction.
    """
    number = int(np.ceil(looks - 1e-9))
    whole = number - 1
    if number == 1:
        return np.ones(1, np.float32)
    # (whole + w)² = looks (whole + w²), the smaller root in [0, 1]
    a, b, c = 1 - looks, 2.0 * whole, whole * whole - looks * whole
    root = np.sqrt(max(b * b - 4 * a * c, 0.0))
    last = (-b + root) / (2 * a)
    weights = np.append(np.ones(whole), np.clip(last, 0.0, 1.0))
    return (weights / weights.sum()).astype(np.float32)


def shaped_look(
    amplitude: NDArray[np.float32],
    origin: tuple[int, int],
    key: np.uint64,
    lane: int,
    filters: tuple[NDArray[np.float32], NDArray[np.float32]],
    table: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """One look: real and imaginary part, (rows, columns), of the speckled image.

    amplitude: (rows + 16, columns + 16) square root of half the mean power, `origin` the scene's row and
    column of its first pixel. lane (0 or 1) picks the half of a position's random bits. filters: along rows'
    direction (vertical) and along columns' direction (horizontal).
    """
    rows, columns = (size - 2 * REACH for size in amplitude.shape)
    real, imaginary = np.zeros((2, rows, columns), np.float32)
    scratch = np.empty(2 * amplitude.shape[1] + 2 * columns, np.float32)
    white = (*origin, int(key), lane, *filters, table)
    _shaped_look(amplitude, rows, columns, *white, scratch, real, imaginary)
    return real, imaginary


def add_responses(
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    centres: NDArray[np.int64],
    profiles: NDArray[np.float32],
    strengths: NDArray[np.float32],
) -> None:
    """Add point targets to a look in place; parts outside of it are cut off.

    centres: (n, 3) row and column, relative to the look, of the profiles' middle, and how far they are
    followed. profiles: (n, 2, 2 m + 1) responses along the column and along the row. strengths: (n, 2)
    complex amplitude.
    """
    points = (centres, profiles, profiles.shape[2], strengths, len(centres))
    _add_responses(real, imaginary, *real.shape, *points)


def add_power(
    power: NDArray[np.float32],
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    weight: float,
    multilook: tuple[int, int],
) -> None:
    """Add `weight` times the look's power, averaged over boxes of multilook samples, to `power` in place."""
    scale = weight / (multilook[0] * multilook[1])
    _add_power(power, power.shape[1], real, imaginary, *real.shape, scale, *multilook)
