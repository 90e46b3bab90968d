"""What a finished `.sarz` did to its raster: one decoding pass beside the original, group by group."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container import Header
from sarzip.errors import CorruptError
from sarzip.grid import Window
from sarzip.measure import Domain, to_db
from sarzip.measure.domains import log_floor, smallest_positive, to_power
from sarzip.measure.units import UnitErrors, UnitErrorSums
from sarzip.measure.windows import WindowMoments
from sarzip.pipeline.band import EXACT_DOMAIN, BandTransform
from sarzip.pipeline.coders import DecodeOptions, scene_decoder
from sarzip.pipeline.decode import DecodedBlock
from sarzip.pipeline.group import MASK_BAND
from sarzip.pipeline.sarzfile import open_sarz
from sarzip.pipeline.sources import Source
from sarzip.system.machine import Machine

_ROWS = 1024


@dataclass(frozen=True)
class BandError:
    """Error of one band over its valid pixels, as `compare` defines it; None where there is no valid pixel.

    band: counted from 1. bias_p95_db: 95th percentile of the magnitude of the bias of 32x32 windows. units:
    the errors in the units of the data.
    """

    band: int
    rmse_db: float | None
    max_error_db: float | None
    bias_p95_db: float | None
    units: UnitErrors | None = None


def measure_errors(
    packed: str | os.PathLike[str], raster: Source, model: str, machine: Machine
) -> tuple[BandError, ...]:
    """Decode the whole file, check what must be exact against `raster`, and measure the rest.

    model: name or folder of the model. Raises CorruptError where a checksum fails, a group does not decode,
    or a mask, a special value or a band without measurements is not the original's.
    """
    with open_sarz(packed) as (header, frames):
        check = _Check(header, raster)
        for block in scene_decoder(header, machine, DecodeOptions(model=model)).blocks(frames):
            check.add(block)
        return check.result()


class _Check:
    """Compares decoded blocks with the pixels they came from."""

    def __init__(self, header: Header, raster: Source) -> None:
        self._raster = raster
        self._bands = [BandTransform.from_header(band) for band in header.bands]
        exact = {band for each in header.sets if each.lossless for band in each.bands}
        self._measured = {
            band: _Errors(coding, self._floor(band))
            for band, coding in enumerate(self._bands)
            if coding.radiometry.domain != EXACT_DOMAIN and band not in exact
        }

    def add(self, block: DecodedBlock) -> None:
        """The next block, in any order of the bands but from top to bottom."""
        window = block.window
        place = f"rows {window.row}-{window.row + window.rows - 1}"
        if block.band == MASK_BAND:
            mask = self._raster.read_mask(window)
            if mask is None or not np.array_equal(mask != 0, block.values != 0):
                raise CorruptError(f"the mask does not decode to the original's ({place})")
            return
        original = self._raster.read([block.band], window)[0]
        special = np.ones(original.shape, bool)
        if block.band in self._measured:
            special = self._bands[block.band].classify(original) != 0
            self._measured[block.band].add(original, block.values, ~special)
        if not _same(original[special], block.values[special]):
            raise CorruptError(f"band {block.band + 1} does not decode to the original's values ({place})")

    def result(self) -> tuple[BandError, ...]:
        """The errors of the bands that hold measurements."""
        return tuple(errors.result(band + 1) for band, errors in self._measured.items())

    def _floor(self, band: int) -> float:
        """The clamp of the logarithm: of its dtype, or the smallest positive value in an extra pass."""
        coding = self._bands[band]
        if coding.radiometry.domain == EXACT_DOMAIN:
            return 0.0
        domain: Domain = coding.radiometry.domain  # type: ignore[assignment]
        return log_floor(np.dtype(coding.dtype), domain, self._smallest(band))

    def _smallest(self, band: int) -> Iterator[float]:
        info = self._raster.info
        for top in range(0, info.height, _ROWS):
            values = self._raster.read([band], Window(top, 0, min(_ROWS, info.height - top), info.width))[0]
            yield smallest_positive(values, self._bands[band].classify(values) == 0)


class _Errors:
    """Sums over the valid pixels of one band."""

    def __init__(self, coding: BandTransform, floor: float) -> None:
        self._domain: Domain = coding.radiometry.domain  # type: ignore[assignment]
        self._floor = floor
        self._unit = coding.radiometry.unit
        self._units = UnitErrorSums()
        self._windows = WindowMoments()
        self._squares = self._largest = 0.0
        self._count = 0

    def add(
        self, original: NDArray[np.generic], decoded: NDArray[np.generic], valid: NDArray[np.bool_]
    ) -> None:
        """A block whose corner lies on the grid of windows."""
        error = to_db(decoded, self._domain, self._floor) - to_db(original, self._domain, self._floor)
        error = np.where(valid, error * self._unit, 0.0)
        self._units.add(original, decoded, valid)
        self._squares += float(np.vdot(error, error))
        self._largest = max(self._largest, float(np.abs(error).max(initial=0.0)))
        self._count += int(np.count_nonzero(valid))
        power = [
            np.where(valid, to_power(self._in_db(plane), self._domain), 0.0) for plane in (original, decoded)
        ]
        self._windows.add(power[0], power[1], valid)

    def _in_db(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Packed decibels unpacked; anything else as it is."""
        return plane if self._unit == 1.0 else plane * np.float64(self._unit)

    def result(self, band: int) -> BandError:
        """The errors so far."""
        if self._count == 0:
            return BandError(band, None, None, None)
        bias: float | None = self._windows.result().bias_p95_db
        rmse = math.sqrt(self._squares / self._count)
        bias = bias if bias is not None and math.isfinite(bias) else None
        return BandError(band, rmse, self._largest, bias, self._units.result())


def _same(first: NDArray[np.generic], second: NDArray[np.generic]) -> bool:
    return np.array_equal(first, second, equal_nan=first.dtype.kind in "fc")
