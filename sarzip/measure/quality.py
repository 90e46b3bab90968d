"""Quality of a decoded SAR image against its original, in one streaming pass over row strips.

The definitions stand with the measures: `domains` (decibels, clamping), `windows` (bias, ENL), `structure`
(EPI, SSIM), `points`, `phase` (complex). Memory is bounded but for 40 bytes per 32x32 window. Results do not
depend on how the rows are cut into strips (beyond rounding of the last digits of sums).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import UsageError
from sarzip.measure.domains import (
    Domain,
    integer_floor,
    log_floor,
    smallest_positive,
    to_amplitude,
    to_db,
    to_power,
)
from sarzip.measure.phase import ComplexQuality, PhaseMeasures
from sarzip.measure.points import PointTarget, PointTargets
from sarzip.measure.strips import WINDOW, Block, Regroup, Strip
from sarzip.measure.structure import LaplacianCorrelation, StructuralSimilarity
from sarzip.measure.windows import Cells, WindowMoments

PEAK_PERCENTILE = 99.9
_BIN_DB = 0.01
_BIN_RANGE_DB = 400.0


@dataclass(frozen=True)
class Quality:
    """Quality of one band; errors are decoded - original; nan where undefined (no valid pixel, no target).

    rmse_db, mean_error_db, max_error_db: difference of decibels over valid pixels (max of the magnitude).
    rmse_value, max_error_value: the same in the unit of the pixel values (of a complex difference, |.|).
    max_*_at: column and row of the first pixel with that error; None where no pixel has any.
    psnr_amp: 20 log10(P / RMSE of amplitude), P the original's 99.9th percentile of amplitude (to 0.01 dB).
    bias_*_db, enl_*: see `WindowStatistics`.
    ratio_mean, ratio_variance: of original over decoded power, pixel by pixel (clamped); where speckle was
    smoothed away they tend to 1 and 1/looks.
    epi, ssim_db: see `structure`. point_*: see `PointStatistics`.
    identical: every valid pixel has the very same value. floor: the clamp that was used, 0 if none.
    """

    pixels: int
    valid_pixels: int
    identical: bool
    rmse_db: float
    mean_error_db: float
    max_error_db: float
    rmse_value: float
    max_error_value: float
    psnr_amp: float
    bias_mean_db: float
    bias_median_db: float
    bias_p95_db: float
    windows: int
    enl_reference: float
    enl_decoded: float
    enl_ratio: float
    ratio_mean: float
    ratio_variance: float
    epi: float
    ssim_db: float
    point_count: int
    point_error_db: float
    point_bias_db: float
    floor: float
    max_error_at: tuple[int, int] | None = None
    max_error_value_at: tuple[int, int] | None = None
    complex: ComplexQuality | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; what is not a finite number is None (psnr_amp if `identical`)."""
        return {key: _plain(value) for key, value in asdict(self).items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not np.isfinite(value) else value


class _Greatest:
    """The greatest error so far, and column and row of the first pixel that has it."""

    def __init__(self) -> None:
        self.error = 0.0
        self.place: tuple[int, int] | None = None

    def add(self, errors: NDArray[np.float64], row: int) -> None:
        """Magnitudes of full rows, the first of which is `row` of the scene."""
        at = int(errors.argmax()) if errors.size else 0
        if errors.size and errors.flat[at] > self.error:
            self.error = float(errors.flat[at])
            self.place = at % errors.shape[1], row + at // errors.shape[1]


class QualityAccumulator:
    """Accumulates the quality of one band: `add` strips from top to bottom, then `result`.

    width: of the scene, pixels. floor: where values are clamped before the logarithm, in their own unit; it
    may only be left out for integer values and the domain `db`. Complex values are judged by their amplitude
    (`domain` must be `amplitude`) and by the complex measures besides.
    """

    def __init__(self, width: int, domain: Domain, floor: float | None = None) -> None:
        if domain not in get_args(Domain):
            raise UsageError(f"unknown domain {domain!r}: one of {', '.join(get_args(Domain))}")
        if floor is not None and domain != "db" and not (floor > 0 and np.isfinite(floor)):
            raise UsageError(f"the floor of the logarithm must be positive, not {floor}")
        self._domain: Domain = domain
        self._floor = floor
        self._regroup = Regroup(width)
        self._windows, self._points = WindowMoments(), PointTargets()
        self._epi, self._ssim = LaplacianCorrelation(), StructuralSimilarity()
        self._phase: PhaseMeasures | None = None
        self._pixels = self._valid = self._different = 0
        # Sums over valid pixels: dB error, its square; squares of value and amplitude error; ratio, its
        # square.
        self._sums = np.zeros(6)
        self._largest_db, self._largest_value = _Greatest(), _Greatest()
        self._histogram = np.zeros(int(2 * _BIN_RANGE_DB / _BIN_DB), np.int64)

    def add(self, strip: Strip) -> None:
        """The next rows of the scene."""
        for block in self._regroup.push(strip):
            self._add(block)

    def result(self) -> Quality:
        """The quality of everything added; the accumulator takes no more strips afterwards."""
        for block in self._regroup.finish():
            self._add(block)
        windows, points = self._windows.result(), self._points.result()
        n = self._valid
        with np.errstate(invalid="ignore", divide="ignore"):
            means = self._sums / n if n else np.full(6, np.nan)
            psnr = float(20 * np.log10(self._peak()) - 10 * np.log10(means[3]))
        return Quality(
            pixels=self._pixels,
            valid_pixels=n,
            identical=self._different == 0,
            rmse_db=float(np.sqrt(means[1])),
            mean_error_db=float(means[0]),
            max_error_db=self._largest_db.error if n else float("nan"),
            rmse_value=float(np.sqrt(means[2])),
            max_error_value=self._largest_value.error if n else float("nan"),
            psnr_amp=psnr,
            bias_mean_db=windows.bias_mean_db,
            bias_median_db=windows.bias_median_db,
            bias_p95_db=windows.bias_p95_db,
            windows=windows.count,
            enl_reference=windows.enl_reference,
            enl_decoded=windows.enl_decoded,
            enl_ratio=windows.enl_ratio,
            ratio_mean=float(means[4]),
            ratio_variance=float(max(means[5] - means[4] ** 2, 0.0)) if n else float("nan"),
            epi=self._epi.result(),
            ssim_db=self._ssim.result(),
            point_count=points.count,
            point_error_db=points.error_db,
            point_bias_db=points.bias_db,
            floor=self._floor or 0.0,
            max_error_at=self._largest_db.place,
            max_error_value_at=self._largest_value.place,
            complex=self._phase.result() if self._phase else None,
        )

    def cells(self) -> Cells:
        """After `result`: the 32x32 windows as maps."""
        return self._windows.cells()

    def targets(self) -> tuple[PointTarget, ...]:
        """After `result`: the point targets that were judged, the brightest first."""
        return self._points.targets()

    def _add(self, block: Block) -> None:
        reference, decoded = block.reference, block.decoded
        valid = block.valid & np.isfinite(reference)
        core = block.core
        self._pixels += valid[core].size
        counted = int(np.count_nonzero(valid[core]))
        self._valid += counted
        self._errors_of_value(reference[core], decoded[core], valid[core], block.row)
        if np.iscomplexobj(reference) or np.iscomplexobj(decoded):
            if self._domain != "amplitude":
                raise UsageError("complex data are compared in the domain amplitude")
            self._phase = self._phase or PhaseMeasures()
            self._phase.add(reference[core], decoded[core], valid[core])
            reference, decoded = np.abs(reference), np.abs(decoded)
        if self._floor is None:
            self._floor = integer_floor(reference.dtype, self._domain)
            if self._floor is None:
                raise UsageError("floating point data need the floor of the logarithm")
        # Invalid pixels take part nowhere, but must not spoil sums: they are 0 dB in both images.
        reference_db = np.where(valid, to_db(reference, self._domain, self._floor), 0.0)
        decoded_db = np.where(valid, to_db(decoded, self._domain, self._floor), 0.0)
        decibels = reference_db[core], decoded_db[core]
        self._errors(reference[core], decoded[core], decibels, valid[core], block.row)
        if counted == 0:
            return
        a, b = reference_db.astype(np.float32), decoded_db.astype(np.float32)
        near = slice(max(0, block.top - 1), block.top + block.rows + 1)
        below = slice(block.top, block.top + block.rows + 4)
        self._epi.add(a[near], b[near], valid[near])
        self._ssim.add(a[below], b[below], valid[below])
        self._points.add(a, b, valid, block.row - block.top)

    def _errors_of_value(
        self, reference: NDArray, decoded: NDArray, valid: NDArray[np.bool_], row: int
    ) -> None:
        kind = np.result_type(reference, decoded, np.float64)
        with np.errstate(invalid="ignore"):  # infinity less infinity, where not valid
            difference = decoded.astype(kind) - reference.astype(kind)
        error = np.abs(np.where(valid, difference, 0))
        # A value that is no number is as wrong as can be.
        np.copyto(error, np.inf, where=np.isnan(error))
        self._different += int(np.count_nonzero(error))
        self._largest_value.add(error, row)
        self._sums[2] += np.vdot(error, error)

    def _errors(
        self,
        reference: NDArray,
        decoded: NDArray,
        decibels: tuple[NDArray[np.float64], NDArray[np.float64]],
        valid: NDArray[np.bool_],
        row: int,
    ) -> None:
        reference_db, decoded_db = decibels
        error = decoded_db - reference_db
        np.copyto(error, np.inf, where=np.isnan(error))
        self._largest_db.add(np.abs(error), row)
        amplitude = to_amplitude(decoded, self._domain) - to_amplitude(reference, self._domain)
        amplitude = np.where(valid, amplitude, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = np.where(valid, 10.0 ** (-error / 10.0), 0.0)
        self._sums[[0, 1, 3, 4, 5]] += [
            error.sum(),
            np.vdot(error, error),
            np.vdot(amplitude, amplitude),
            ratio.sum(),
            np.vdot(ratio, ratio),
        ]
        power_reference = np.where(valid, to_power(reference, self._domain), 0.0)
        power_decoded = np.where(valid, to_power(decoded, self._domain), 0.0)
        self._windows.add(power_reference, power_decoded, valid)
        bins = np.clip((reference_db[valid] + _BIN_RANGE_DB) / _BIN_DB, 0, self._histogram.size - 1)
        self._histogram += np.bincount(bins.astype(np.int64), minlength=self._histogram.size)

    def _peak(self) -> float:
        """99.9th percentile of the amplitude: the middle of the histogram's bin it falls into."""
        if self._valid == 0:
            return float("nan")
        cumulated = np.cumsum(self._histogram)
        index = int(np.searchsorted(cumulated, PEAK_PERCENTILE / 100 * self._valid))
        return 10.0 ** (((index + 0.5) * _BIN_DB - _BIN_RANGE_DB) / 20.0)


def measure_quality(
    strips: Callable[[], Iterable[Strip]], domain: Domain, floor: float | None = None
) -> Quality:
    """Quality of the strips that `strips()` yields from top to bottom.

    `strips` is called once more beforehand, to find the floor of the logarithm, if the reference is floating
    point or complex in a domain other than `db` and no `floor` is given.
    """
    iterator = iter(strips())
    first = next(iterator, None)
    if first is None:
        raise UsageError("nothing to compare")
    if floor is None:
        floor = log_floor(first.reference.dtype, domain, _smallest(strips))
    accumulator = QualityAccumulator(first.reference.shape[1], domain, floor)
    accumulator.add(first)
    for strip in iterator:
        accumulator.add(strip)
    return accumulator.result()


def _smallest(strips: Callable[[], Iterable[Strip]]) -> Iterator[float]:
    for strip in strips():
        yield smallest_positive(strip.reference, strip.valid)


def quality_of(
    reference: NDArray,
    decoded: NDArray,
    domain: Domain,
    valid: NDArray[np.bool_] | None = None,
    floor: float | None = None,
) -> Quality:
    """Quality of a whole image in memory, (height, width); without `valid` every finite pixel counts."""
    strip = Strip(reference, decoded, np.ones(reference.shape, bool) if valid is None else valid)
    return measure_quality(lambda: (strip,), domain, floor)


__all__ = ["WINDOW", "Quality", "QualityAccumulator", "Strip", "measure_quality", "quality_of"]
