"""What a `.sarz`, or a raster decompressed from one, promises of its bands; and whether it is so."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sarzip.container.georeference import OWN_TAGS, decode
from sarzip.measure import Quality
from sarzip.pipeline.sarzfile import open_sarz
from sarzip.raster import RasterSource
from sarzip.report.comparison import BandComparison, Promise
from sarzip.system.outputs import naming
from sarzip.usecases.coding import coding_of
from sarzip.usecases.image_pair import is_sarz

_UNITS = {"MAX_ERROR_DB": "db", "MAX_ERROR": "value"}
"""Of the tags that decompressed bands carry, see pipeline.bounds."""


@dataclass(frozen=True)
class Asked:
    """What is promised of a band (counted from 0). unit: see Promise. domain: in which, '' if not told."""

    band: int
    unit: str
    size: float = 0.0
    domain: str = ""


def promised_by(path: str | os.PathLike[str]) -> tuple[Asked, ...]:
    """The promises that a file makes. Raises InputError or CorruptError."""
    return tuple(_of_sarz(path) if is_sarz(path) else _of_raster(path))


def _of_sarz(path: str | os.PathLike[str]) -> Iterator[Asked]:
    with open_sarz(path) as (header, _):
        for band, coding in enumerate(coding_of(header, None)):
            domain = header.bands[band].domain
            if coding.max_error_db is not None:
                yield Asked(band, "db", coding.max_error_db, domain)
            elif coding.max_error is not None:
                yield Asked(band, "value", coding.max_error, domain)
            elif coding.treatment == "exact":
                yield Asked(band, "exact")


def _of_raster(path: str | os.PathLike[str]) -> Iterator[Asked]:
    with naming(str(path)), RasterSource.open(str(path)) as raster:
        meta = decode(raster.info.tags, raster.info.count)
    for band, spaces in enumerate(meta.band_tags):
        for key, text in spaces.get(OWN_TAGS, {}).items():
            try:
                size = float(text)
            except ValueError:  # not of our making
                continue
            if key in _UNITS and math.isfinite(size) and size > 0:
                yield Asked(band, _UNITS[key], size)


def judged(asked: Sequence[Asked], bands: Sequence[BandComparison]) -> Iterator[Promise]:
    """Each promise beside what was measured of its band."""
    for each in sorted(asked, key=lambda asked: asked.band):
        band = bands[each.band]
        promise = Promise(band.band, each.unit, each.size, 0.0)
        if each.unit == "exact":
            changed = round(band.units.changed * band.units.count) if band.units else 0
            yield replace(promise, achieved=float(changed + band.mask_differences))
        elif each.unit == "db" and band.quality is not None:
            sure = each.domain == band.domain or not (each.domain or band.guess)
            yield _of_quality(promise, band.quality, sure)
        elif band.quality is not None:
            found = band.quality
            yield replace(promise, achieved=_or_zero(found.max_error_value), at=found.max_error_value_at)
        elif band.units is not None:
            yield replace(promise, achieved=band.units.max_abs, sure=each.unit == "value")


def _of_quality(promise: Promise, found: Quality, sure: bool) -> Promise:
    return replace(promise, achieved=_or_zero(found.max_error_db), at=found.max_error_at, sure=sure)


def _or_zero(error: float) -> float:
    """Without a valid pixel nothing is wrong."""
    return 0.0 if math.isnan(error) else error
