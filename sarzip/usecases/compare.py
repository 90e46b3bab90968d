"""Quality of one image against another in SAR terms; rasters and `.sarz` files alike, strip by strip."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.streams import class_map as validity
from sarzip.container import BandHeader, Reader
from sarzip.errors import InputError
from sarzip.grid import Window
from sarzip.kinds import Certainty, Kind, Verdict
from sarzip.measure import Domain, Quality, QualityAccumulator, Strip
from sarzip.measure.domains import integer_floor, log_floor, smallest_positive
from sarzip.measure.units import UnitErrors, UnitErrorSums
from sarzip.pipeline.band import EXACT_DOMAIN
from sarzip.pipeline.band_plan import PlanOptions, plan_bands
from sarzip.pipeline.coders import scene_decoder
from sarzip.pipeline.group import MASK_BAND
from sarzip.pipeline.sarzfile import open_sarz
from sarzip.raster import RasterSource, compare_structure
from sarzip.system.machine import Machine, choose_machine
from sarzip.system.outputs import naming

_STRIP = 1024
_SUFFIX = ".sarz"


@dataclass(frozen=True)
class BandComparison:
    """One band. kind: what it was taken for (see kinds). domain: of backscatter, else ''. mask_differences:
    how many pixels only one image calls valid. quality: of the others in SAR terms; None where the band is no
    backscatter. units: their errors in the units of the data; None without any. guess: kind and domain are;
    errors in dB of what is called amplitude and is power are half as large, the other way twice.
    """

    band: int
    kind: str
    domain: str
    mask_differences: int
    quality: Quality | None
    units: UnitErrors | None
    guess: bool = False

    @property
    def identical(self) -> bool:
        """Whether no pixel differs."""
        return not self.mask_differences and (self.units is None or self.units.changed == 0)


@dataclass(frozen=True)
class Comparison:
    """Quality of `decoded` against `reference`.

    bytes, bpp: whole-file size of `decoded` and bits per pixel and band. structure: what differs in size,
    dtype, georeferencing, tags or mask kind, in words; empty when everything is the same, None when one of
    the two is a `.sarz`, whose tags are compared after decompression.
    """

    reference: str
    decoded: str
    bytes: int
    bpp: float
    structure: tuple[str, ...] | None
    bands: tuple[BandComparison, ...]

    @property
    def identical(self) -> bool:
        """Whether nothing at all differs."""
        return all(band.identical for band in self.bands) and not self.structure


@dataclass(frozen=True)
class _Image:
    """An open image: its size, its dtypes, the number of its bands and its rows from top to bottom."""

    width: int
    height: int
    dtypes: tuple[str, ...]
    nodata: tuple[float | int | None, ...]
    strips: Callable[[], Iterator[list[NDArray[Any]]]]

    @property
    def size(self) -> str:
        """Its size in words; images of the same size have the same."""
        return f"{self.width}x{self.height} pixels in {len(self.dtypes)} bands"


def compare(
    reference: str | os.PathLike[str],
    decoded: str | os.PathLike[str],
    domain: str = "auto",
    device: str = "auto",
    threads: int = 0,
) -> Comparison:
    """Measure `decoded` against `reference`, both rasters or `.sarz` files of the same size and band count.

    domain: how the reference's values are to be read; 'auto' decides as compress does. Raises InputError,
    UsageError or CorruptError.
    """
    reading = PlanOptions(domain=domain)
    if _is_sarz(reference) or _is_sarz(decoded):
        machine, structure = choose_machine(device, threads), None
    else:
        machine = choose_machine("cpu", threads)
        structure = tuple(compare_structure(str(reference), str(decoded)))
    readings = _readings(reference, reading)
    with _open_image(reference, machine) as first, _open_image(decoded, machine) as second:
        if first.size != second.size:
            raise InputError(f"{decoded}: has {second.size}, {reference} has {first.size}: not comparable")
        bands = tuple(_compare_bands(first, second, readings))
    size = Path(decoded).stat().st_size
    pixels = first.width * first.height * len(first.dtypes)
    return Comparison(str(reference), str(decoded), size, 8 * size / pixels, structure, bands)


def _is_sarz(path: str | os.PathLike[str]) -> bool:
    return str(path).endswith(_SUFFIX)


@dataclass(frozen=True)
class _Reading:
    """How a band's values are to be read. domain: None for what is no backscatter. A dB value is
    stored·unit + offset. guess: it may be another.
    """

    kind: str
    domain: Domain | None
    unit: float = 1.0
    offset: float = 0.0
    guess: bool = False

    def values(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Values in the unit of the domain."""
        if (self.unit, self.offset) == (1.0, 0.0):
            return stored
        return stored * np.float64(self.unit) + self.offset


def _readings(path: str | os.PathLike[str], options: PlanOptions) -> list[_Reading]:
    if _is_sarz(path):
        with open_sarz(path) as (header, _):
            return [_reading_of_header(band, options.domain) for band in header.bands]
    with naming(str(path)), RasterSource.open(str(path)) as raster:
        plans = list(plan_bands(raster, options))
    return [_reading(plan.verdict) for plan in plans]


def _reading(verdict: Verdict) -> _Reading:
    guess = verdict.certainty is Certainty.GUESS
    if verdict.kind is not Kind.BACKSCATTER or not verdict.domain:
        return _Reading(verdict.kind.value, None, guess=guess)
    domain: Domain = verdict.domain  # type: ignore[assignment]
    if domain != "db":
        return _Reading(verdict.kind.value, domain, guess=guess)
    return _Reading(verdict.kind.value, domain, verdict.unit_scale, verdict.unit_offset, guess)


def _reading_of_header(band: BandHeader, domain: str) -> _Reading:
    kind = str(band.extra.get("kind", Kind.BACKSCATTER.value))
    if band.domain == EXACT_DOMAIN:
        return _Reading(kind if "kind" in band.extra else Kind.UNKNOWN.value, None)
    chosen: Domain = band.domain if domain == "auto" else domain  # type: ignore[assignment]
    unit = float(band.extra.get("unit", 1.0)) if chosen == "db" else 1.0
    return _Reading(kind, chosen, unit, guess=domain == "auto" and band.extra.get("sure") == "guess")


@contextlib.contextmanager
def _open_image(path: str | os.PathLike[str], machine: Machine) -> Iterator[_Image]:
    if _is_sarz(path):
        with naming(str(path)), Path(path).open("rb") as file:
            yield _sarz_image(Reader(file), machine)
        return
    with naming(str(path)), RasterSource.open(str(path), machine.threads) as raster:
        info = raster.info

        def strips() -> Iterator[list[NDArray[Any]]]:
            for top in range(0, info.height, _STRIP):
                rows = min(_STRIP, info.height - top)
                place = Window(top, 0, rows, info.width)
                yield [raster.read([band], place)[0] for band in range(info.count)]

        yield _Image(info.width, info.height, info.dtypes, info.nodata, strips)


def _sarz_image(reader: Reader, machine: Machine) -> _Image:
    header = reader.header

    def strips() -> Iterator[list[NDArray[Any]]]:
        decoder = scene_decoder(header, machine)
        top = -1
        strip: list[NDArray[Any]] = []
        for block in decoder.blocks(streams for _, streams in reader):
            if block.band == MASK_BAND:
                continue
            if block.window.row != top:
                if strip:
                    yield strip
                top = block.window.row
                strip = [np.empty((block.window.rows, header.width), band.dtype) for band in header.bands]
            left = block.window.column
            strip[block.band][:, left : left + block.window.columns] = block.values
        yield strip

    # The first special value of a band is its nodata value where it has one; NaN and zero are found anyway.
    nodata = tuple(band.specials[0] if band.specials else None for band in header.bands)
    return _Image(header.width, header.height, tuple(band.dtype for band in header.bands), nodata, strips)


def _valid(values: NDArray[Any], nodata: float | int | None) -> NDArray[np.bool_]:
    specials = validity.special_values(values.dtype, nodata)
    return validity.classify(values, specials, validity.shares_zero(values.dtype, nodata)) == 0


def _together(
    first: Iterator[list[NDArray[Any]]], second: Iterator[list[NDArray[Any]]]
) -> Iterator[tuple[list[NDArray[Any]], list[NDArray[Any]]]]:
    """The strips of two images of one size cut to the same rows, because groups have many sizes."""
    ours: list[NDArray[Any]] = []
    theirs: list[NDArray[Any]] = []
    while True:
        ours, theirs = ours or next(first, []), theirs or next(second, [])
        if not ours or not theirs:
            return
        rows = min(len(ours[0]), len(theirs[0]))
        yield [each[:rows] for each in ours], [each[:rows] for each in theirs]
        ours, theirs = ([each[rows:] for each in strip if len(each) > rows] for strip in (ours, theirs))


def _compare_bands(first: _Image, second: _Image, readings: list[_Reading]) -> Iterator[BandComparison]:
    floors = _floors(first, readings)
    quality = {
        band: QualityAccumulator(first.width, reading.domain, floors[band])
        for band, reading in enumerate(readings)
        if reading.domain is not None
    }
    units = [UnitErrorSums() for _ in readings]
    differences = [0] * len(readings)
    for ours, theirs in _together(first.strips(), second.strips()):
        for band, reading in enumerate(readings):
            valid = _valid(ours[band], first.nodata[band])
            other = _valid(theirs[band], first.nodata[band])
            differences[band] += int(np.count_nonzero(valid != other))
            units[band].add(ours[band], theirs[band], valid & other)
            if band in quality:
                shown, other_shown = reading.values(ours[band]), reading.values(theirs[band])
                quality[band].add(Strip(shown, other_shown, valid & other))
    for band, reading in enumerate(readings):
        measured = quality[band].result() if band in quality else None
        domain = reading.domain or ""
        yield BandComparison(
            band + 1, reading.kind, domain, differences[band], measured, units[band].result(), reading.guess
        )


def _floors(image: _Image, readings: list[_Reading]) -> dict[int, float]:
    """The clamp of each band's logarithm; one pass finds those that the types do not tell."""
    domains = {band: reading.domain for band, reading in enumerate(readings) if reading.domain is not None}
    types = [np.dtype(name) for name in image.dtypes]
    smallest: dict[int, list[float]] = {
        band: [] for band, domain in domains.items() if integer_floor(types[band], domain) is None
    }
    for strip in image.strips() if smallest else ():
        for band, found in smallest.items():
            found.append(smallest_positive(strip[band], _valid(strip[band], image.nodata[band])))
    return {band: log_floor(types[band], domain, smallest.get(band, ())) for band, domain in domains.items()}
