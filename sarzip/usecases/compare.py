"""Quality of one image against another in SAR terms; rasters and `.sarz` files alike, strip by strip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container import BandHeader
from sarzip.errors import InputError
from sarzip.kinds import Certainty, Kind, Verdict
from sarzip.measure import Domain, QualityAccumulator, Strip
from sarzip.measure.domains import integer_floor, log_floor, smallest_positive
from sarzip.measure.units import UnitErrorSums
from sarzip.pipeline.band import EXACT_DOMAIN
from sarzip.pipeline.band_plan import PlanOptions, plan_bands
from sarzip.pipeline.bounds import bound_of
from sarzip.pipeline.quality import step_to_quality
from sarzip.pipeline.sarzfile import open_sarz
from sarzip.raster import RasterSource, compare_structure
from sarzip.report.comparison import BandComparison, Comparison
from sarzip.system.machine import choose_machine
from sarzip.system.outputs import STANDARD_STREAM, check_destination, naming, refuse_same_file
from sarzip.usecases.image_pair import Image, is_sarz, open_image, together, valid_values
from sarzip.usecases.promises import judged, promised_by

__all__ = ["BandComparison", "Comparison", "compare"]


def compare(
    reference: str | os.PathLike[str],
    decoded: str | os.PathLike[str],
    domain: str = "auto",
    device: str = "auto",
    threads: int = 0,
    html: str | os.PathLike[str] | None = None,
    force: bool = False,
) -> Comparison:
    """Measure `decoded` against `reference`, both rasters or `.sarz` files of the same size and band count.

    domain: how the reference's values are to be read; 'auto' decides as compress does, and believes a `.sarz`
    where that is a guess. html: a page about it to be written, '-' for standard output; `force` replaces one
    that exists. Raises InputError, UsageError, OutputError or CorruptError.
    """
    if html is not None:
        check_destination(html, force)
        if str(html) != STANDARD_STREAM:
            refuse_same_file(reference, html)
            refuse_same_file(decoded, html)
    if is_sarz(reference) or is_sarz(decoded):
        machine, structure = choose_machine(device, threads), None
    else:
        machine = choose_machine("cpu", threads)
        structure = tuple(compare_structure(str(reference), str(decoded)))
    readings = _readings(reference, decoded, PlanOptions(domain=domain))
    with open_image(reference, machine) as first, open_image(decoded, machine) as second:
        if first.size != second.size:
            raise InputError(f"{decoded}: has {second.size}, {reference} has {first.size}: not comparable")
        work = Work(first, second, readings, _floors(first, readings))
        size = Path(decoded).stat().st_size
        pixels = first.width * first.height * len(first.dtypes)
        about = str(reference), str(decoded), size, 8 * size / pixels, structure
        if html is None:
            return _comparison(about, work, _nothing, decoded)
        from sarzip.usecases.compare_page import PageWork

        page = PageWork(work)
        found = _comparison(about, work, page.add, decoded)
        page.write(found, html, force)
    return found


@dataclass(frozen=True)
class Reading:
    """How a band's values are to be read. domain: None for what is no backscatter. A dB value is
    stored·unit + offset. guess: it may be another. coded_quality: see BandComparison.
    """

    kind: str
    domain: Domain | None
    unit: float = 1.0
    offset: float = 0.0
    guess: bool = False
    coded_quality: float | None = None

    def values(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Values in the unit of the domain."""
        if (self.unit, self.offset) == (1.0, 0.0):
            return stored
        return stored * np.float64(self.unit) + self.offset


@dataclass
class Work:
    """Two open images, how their bands are to be read, and the clamps of the logarithm of those in SAR terms.
    quality: theirs by band, which knows more than its result in the end.
    """

    first: Image
    second: Image
    readings: list[Reading]
    floors: dict[int, float]

    def __post_init__(self) -> None:
        self.quality = {
            band: QualityAccumulator(self.first.width, reading.domain, self.floors[band])
            for band, reading in enumerate(self.readings)
            if reading.domain is not None
        }

    def strip(self, band: int, ours: NDArray[Any], theirs: NDArray[Any]) -> tuple[Strip, int]:
        """Values of a band in the unit of its domain; and how many only one image calls valid."""
        reading, nodata = self.readings[band], self.first.nodata[band]
        valid, other = valid_values(ours, nodata), valid_values(theirs, nodata)
        strip = Strip(reading.values(ours), reading.values(theirs), valid & other)
        return strip, int(np.count_nonzero(valid != other))


Watch = Callable[[int, Strip], None]
"""Shown every strip of a band in SAR terms."""


def _nothing(band: int, strip: Strip) -> None:
    pass


def _comparison(
    about: tuple[str, str, int, float, tuple[str, ...] | None],
    work: Work,
    watch: Watch,
    decoded: str | os.PathLike[str],
) -> Comparison:
    bands = tuple(_compare_bands(work, watch))
    return Comparison(*about, bands, tuple(judged(promised_by(decoded), bands)))


def _compare_bands(work: Work, watch: Watch) -> Iterator[BandComparison]:
    units = [UnitErrorSums() for _ in work.readings]
    differences = [0] * len(work.readings)
    for ours, theirs in together(work.first, work.second):
        for band, sums in enumerate(units):
            strip, differing = work.strip(band, ours[band], theirs[band])
            differences[band] += differing
            sums.add(ours[band], theirs[band], strip.valid)
            if band in work.quality:
                work.quality[band].add(strip)
                watch(band, strip)
    for band, reading in enumerate(work.readings):
        yield BandComparison(
            band=band + 1,
            kind=reading.kind,
            domain=reading.domain or "",
            mask_differences=differences[band],
            quality=work.quality[band].result() if band in work.quality else None,
            units=units[band].result(),
            guess=reading.guess,
            name=work.first.names[band],
            coded_quality=reading.coded_quality,
        )


def _readings(
    reference: str | os.PathLike[str], decoded: str | os.PathLike[str], options: PlanOptions
) -> list[Reading]:
    if is_sarz(reference):
        readings = _of_header(reference, options)
    else:
        with naming(str(reference)), RasterSource.open(str(reference)) as raster:
            readings = [_reading(plan.verdict) for plan in plan_bands(raster, options)]
    if not is_sarz(decoded):
        return readings
    coded = _of_header(decoded, options)
    if len(coded) != len(readings):
        return readings  # which is said when both are open
    pairs = zip(readings, coded, strict=True)
    return [
        replace(theirs if ours.guess and theirs.domain else ours, coded_quality=theirs.coded_quality)
        for ours, theirs in pairs
    ]


def _reading(verdict: Verdict) -> Reading:
    guess = verdict.certainty is Certainty.GUESS
    if verdict.kind is not Kind.BACKSCATTER or not verdict.domain:
        return Reading(verdict.kind.value, None, guess=guess)
    domain: Domain = verdict.domain  # type: ignore[assignment]
    if domain != "db":
        return Reading(verdict.kind.value, domain, guess=guess)
    return Reading(verdict.kind.value, domain, verdict.unit_scale, verdict.unit_offset, guess)


def _of_header(path: str | os.PathLike[str], options: PlanOptions) -> list[Reading]:
    with open_sarz(path) as (header, _):
        readings = [_reading_of_header(band, options.domain) for band in header.bands]
        for each in header.sets:
            if each.step > 0 and bound_of(each) is None:
                coded = step_to_quality(each.step)
                for band in each.bands:
                    readings[band] = replace(readings[band], coded_quality=coded)
        return readings


def _reading_of_header(band: BandHeader, domain: str) -> Reading:
    kind = str(band.extra.get("kind", Kind.BACKSCATTER.value))
    if band.domain == EXACT_DOMAIN:
        return Reading(kind if "kind" in band.extra else Kind.UNKNOWN.value, None)
    chosen: Domain = band.domain if domain == "auto" else domain  # type: ignore[assignment]
    unit = float(band.extra.get("unit", 1.0)) if chosen == "db" else 1.0
    return Reading(kind, chosen, unit, guess=domain == "auto" and band.extra.get("sure") == "guess")


def _floors(image: Image, readings: list[Reading]) -> dict[int, float]:
    """The clamp of each band's logarithm; one pass finds those that the types do not tell."""
    domains = {band: reading.domain for band, reading in enumerate(readings) if reading.domain is not None}
    types = [np.dtype(name) for name in image.dtypes]
    smallest: dict[int, list[float]] = {
        band: [] for band, domain in domains.items() if integer_floor(types[band], domain) is None
    }
    for strip in image.strips() if smallest else ():
        for band, found in smallest.items():
            valid = valid_values(strip[band], image.nodata[band])
            found.append(smallest_positive(strip[band], valid))
    return {band: log_floor(types[band], domain, smallest.get(band, ())) for band, domain in domains.items()}
