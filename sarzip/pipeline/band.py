"""One band between the file and the codec: its header, its transform, its special values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.predictive.pixels import Promise
from sarzip.codec.signal import cell_power, inpaint
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.boxes import box_classes, box_mean, box_median
from sarzip.codec.signal.radiometry import DOMAINS, Radiometry
from sarzip.codec.streams import class_map
from sarzip.codec.streams.outliers import Overlay
from sarzip.container import BandHeader
from sarzip.errors import CorruptError, InputError

EXACT_DOMAIN = "exact"
"""The domain of bands that no network touches."""

_SAMPLE_TYPES = (
    *(f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
)


@dataclass(frozen=True)
class BandTransform:
    """One band as the codec sees it: its transform, dtype, and special values (see streams.class_map)."""

    radiometry: Radiometry
    dtype: str
    specials: tuple[float | int, ...]
    shared_zero: bool
    level: bool = False
    """Whether rounding to integers keeps the power of cells (see signal.integer_rounding)."""

    @property
    def outlier_class(self) -> int:
        """Class of outliers: the one after those of the special values."""
        return len(self.specials) + 1

    def classify(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Class map of samples (rows × columns)."""
        return class_map.classify(values, self.specials, self.shared_zero)

    def cell_power(
        self, signal: NDArray[np.float32], classes: NDArray[np.uint8], corner: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Sums of the relative power of the measurements over cells: see cell_power.cell_power."""
        return cell_power.cell_power(signal, self.radiometry.relative_floor, classes, corner)

    def restore(
        self,
        signal: NDArray[np.float32],
        classes: NDArray[np.uint8] | None,
        cells: NDArray[np.int16] | None = None,
        outliers: Overlay | None = None,
    ) -> NDArray[Any]:
        """Decoded signal of a group, its class map, its radiometric correction and outliers to samples
        of the dtype.
        """
        with np.errstate(all="ignore"):  # absurd parameters of a hostile file are clipped without a word
            signal = self.corrected(signal, classes, cells, outliers)
            values = self.radiometry.inverse(signal, self.dtype, classes, self.level)
            class_map.restore(values, classes, self.specials, self.shared_zero)
        return values

    def corrected(
        self,
        signal: NDArray[np.float32],
        classes: NDArray[np.uint8] | None,
        cells: NDArray[np.int16] | None = None,
        outliers: Overlay | None = None,
    ) -> NDArray[np.float32]:
        """The signal with its radiometric correction and outliers."""
        if cells is not None or outliers is not None:
            signal = np.array(signal, np.float32, order="C")
        if cells is not None:
            cell_power.shift_cells(signal, self.radiometry.relative_floor, classes, cells)
        if outliers is not None:
            signal[outliers.marks] = outliers.decibels
        return signal

    def reduced(self, samples: NDArray[Any], scale: int) -> NDArray[Any]:
        """Means in dB over boxes of scale × scale samples; medians of what is no backscatter."""
        if scale == 1 or self.radiometry.domain not in DOMAINS:
            return box_median(samples, scale)
        classes = self.classify(samples)
        signal = self.radiometry.forward(samples)
        inpaint.fill(signal, classes != 0)
        means = box_mean(signal, scale)
        return replace(self, level=False).restore(means, box_classes(classes, scale))

    def promise(self, bound: Bound) -> Promise:
        """What its measurements keep within a bound."""
        return Promise(self.radiometry, bound, specials=self.specials)

    def to_header(self, about: Mapping[str, Any] = {}) -> BandHeader:
        """Its form in the file. about: what else the header says of the band."""
        radiometry = self.radiometry
        extra: dict[str, Any] = dict(about)
        if radiometry.unit != 1.0:
            extra["unit"] = radiometry.unit
        if self.shared_zero:
            extra["dark"] = 1
        if self.level:
            extra["level"] = 1
        return BandHeader(
            self.dtype, radiometry.domain, radiometry.floor, radiometry.centre, self.specials, extra
        )

    @classmethod
    def from_header(cls, band: BandHeader) -> BandTransform:
        """Rebuild it from a file's header.

        Raises InputError for sample types that this version cannot make, CorruptError for parameters that
        make no sense.
        """
        if band.dtype not in _SAMPLE_TYPES:
            raise InputError(f"has samples of type {band.dtype}, which this version of sarzip cannot restore")
        unit = band.extra.get("unit", 1.0)
        if (
            band.domain not in (*DOMAINS, EXACT_DOMAIN)
            or not isinstance(unit, (int, float))
            or not 0 < abs(unit) < 1e9
        ):
            raise CorruptError(f"header gives a band the transform '{band.domain}' with unit {unit!r}")
        radiometry = Radiometry(band.domain, band.floor, band.centre, float(unit))
        flags = (bool(band.extra.get(name)) for name in ("dark", "level"))
        return cls(radiometry, band.dtype, band.specials, *flags)


def fill_value(band: BandHeader) -> float | int:
    """What lost pixels of a band become: its first special value (nodata where the raster has one), else 0
    for integers and NaN for floats.
    """
    if band.specials:
        return band.specials[0]
    return 0 if np.dtype(band.dtype).kind in "iu" else float("nan")
