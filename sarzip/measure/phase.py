"""Measures of complex images: SQNR, phase error, interferometric coherence between original and decoded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.measure.windows import MIN_VALID, window_sums


@dataclass(frozen=True)
class ComplexQuality:
    """sqnr_db: 10 log10(sum |x|² / sum |x - y|²) over valid pixels x (original) and y (decoded).

    phase_rmse_deg: RMS of arg(y conj x), degrees, over valid pixels where both are non-zero.
    coherence: |sum x conj y| / sqrt(sum |x|² sum |y|²) in 32x32 windows (rules of `windows`), mean over them.
    """

    sqnr_db: float
    phase_rmse_deg: float
    coherence: float


class PhaseMeasures:
    """Accumulates the complex measures over blocks of whole rows of windows."""

    def __init__(self) -> None:
        self._signal = self._noise = self._phase = 0.0
        self._phases = 0
        self._coherence = 0.0
        self._windows = 0
        self._total = np.zeros(4)

    def add(self, reference: NDArray, decoded: NDArray, valid: NDArray[np.bool_]) -> None:
        """reference, decoded: complex (rows, width); rows a multiple of 32 except at the scene's end."""
        x = np.where(valid, reference, 0).astype(np.complex128)
        y = np.where(valid, decoded, 0).astype(np.complex128)
        np.copyto(y, 0, where=~np.isfinite(y))
        power_x, power_y, cross = _power(x), _power(y), y * np.conj(x)
        self._signal += float(power_x.sum())
        noise = np.where(valid, _power(decoded.astype(np.complex128) - reference), 0.0)
        self._noise += float(np.where(np.isnan(noise), np.inf, noise).sum())
        angle = np.angle(cross[cross != 0])
        self._phase += float(np.vdot(angle, angle))
        self._phases += angle.size
        sums = np.stack(
            [
                window_sums(plane).ravel()
                for plane in (
                    valid.astype(np.float64),
                    power_x,
                    power_y,
                    cross.real.copy(),
                    cross.imag.copy(),
                )
            ]
        )
        self._total += sums[1:].sum(axis=1)
        _, xx, yy, real, imaginary = sums[:, (sums[0] >= MIN_VALID) & (sums[1] > 0)]
        # A window that was decoded as nothing but zeros has nothing in common with the original.
        denominator = np.sqrt(xx * yy)
        self._coherence += float((np.hypot(real, imaginary)[yy > 0] / denominator[yy > 0]).sum())
        self._windows += xx.size

    def result(self) -> ComplexQuality:
        """The measures over everything added."""
        nan = float("nan")
        with np.errstate(divide="ignore", invalid="ignore"):
            sqnr = float(10 * np.log10(np.float64(self._signal) / self._noise)) if self._signal else nan
            coherence = self._coherence / self._windows if self._windows else nan
            if not self._windows and self._total[0] > 0:
                xx, yy, real, imaginary = self._total
                coherence = float(np.hypot(real, imaginary) / np.sqrt(xx * yy)) if yy > 0 else 0.0
        phase = float(np.degrees(np.sqrt(self._phase / self._phases))) if self._phases else nan
        return ComplexQuality(sqnr, phase, coherence)


def _power(values: NDArray) -> NDArray[np.float64]:
    return values.real**2 + values.imag**2
