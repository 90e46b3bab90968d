"""What each band holds, and its transform: kind, domain, values that are no measurements.

A band is looked at through a sample. Backscatter is coded with loss, unless something else is asked for;
whatever else there is comes back bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.predictive.plane import PixelBand
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import DOMAINS, Radiometry, fit_radiometry
from sarzip.codec.streams import class_map
from sarzip.container import limits
from sarzip.errors import InputError, UsageError
from sarzip.grid import Window
from sarzip.kinds import EXACT as KEPT
from sarzip.kinds import BandKind, Certainty, Kind, SpecialValue, Verdict, detect, parse_band_kinds
from sarzip.pipeline.band import EXACT_DOMAIN, BandTransform
from sarzip.pipeline.base_step import BASE_STEPS
from sarzip.pipeline.doubt import Objections
from sarzip.pipeline.sources import Source

OTHERS = ("exact", "bound", "refuse")
"""What is done with bands that are no backscatter. bound: kinds that have one (see kinds.kind) are kept
within it, all others exactly.
"""
KEPT_AFTER_ALL = "coded as backscatter"
"""How the reason begins of a band that was found out to be no backscatter only while it was coded."""
LOSSY_DTYPES = ("int8", "uint8", "uint16", "int16", "float16", "float32", "float64")
"""Sample types that can be coded as backscatter; every other real type is kept exactly."""
# What decides domain, floor and centre: scenes up to so many pixels as a whole, larger ones by pieces spread
# over them. They are few because a tiled file has to be read a tile at a time.
_SAMPLE_ALL = 1 << 20
_SAMPLE_PIECES, _SAMPLE_ROWS, _SAMPLE_COLUMNS = 32, 4, 512
_LEAST_MEASURED = 1 / 16
_MOST_SPECIALS = 12  # of the 15 classes that a class map can hold


@dataclass(frozen=True)
class PlanOptions:
    """What the user decides. domain: of bands of backscatter, 'auto' or one of DOMAINS. others: of OTHERS.
    band_kinds: texts like '3=phase', see kinds.parse_band_kinds. lossless: every band bit for bit. bound: of
    bands of backscatter. tune: whether pixels of large bands get weights of their own. base_steps: in dB, of
    the signal below a residual that keeps it. exact: 0-based bands to keep, with the reason. fills: of
    bands, values that are no measurements. group: side of a group in pixels.
    """

    domain: str = "auto"
    others: str = "exact"
    band_kinds: tuple[str, ...] = ()
    lossless: bool = False
    bound: Bound | None = None
    tune: bool = True
    base_steps: tuple[float, ...] = BASE_STEPS
    exact: Mapping[int, str] = field(default_factory=dict)
    fills: Mapping[int, tuple[float | int, ...]] = field(default_factory=dict)
    group: int = 1024

    def __post_init__(self) -> None:
        if self.domain not in ("auto", *DOMAINS):
            raise UsageError(f"`domain` {self.domain}: expected auto, {', '.join(DOMAINS)}")
        if self.others not in OTHERS:
            raise UsageError(f"`others` {self.others}: expected {', '.join(OTHERS)}")
        unit, largest = limits.GROUP_MULTIPLE, limits.MAX_GROUP
        if self.group not in range(unit, largest + 1, unit):
            raise UsageError(f"group {self.group}: expected a multiple of {unit} pixels up to {largest}")

    def after(self, objections: Objections) -> PlanOptions:
        """What to plan with after a file that must not stay."""
        # Once is enough: what still lies below zero then has found no room among the special values.
        again = self.fills.keys() & objections.kept.keys()
        why = dict.fromkeys(again, "too many values below zero to keep them one by one") | {
            **objections.exact
        }
        exact = {band: f"{KEPT_AFTER_ALL}, {reason}" for band, reason in why.items()}
        return replace(self, exact={**self.exact, **exact}, fills={**self.fills, **objections.kept})


@dataclass(frozen=True)
class BandPlan:
    """One band: its transform, what it holds and why. sample: what was looked at; measured: is it valid."""

    transform: BandTransform
    verdict: Verdict
    sample: NDArray[Any] = field(repr=False, compare=False)
    measured: NDArray[np.bool_] = field(repr=False, compare=False)
    bound: Bound | None = None
    """Of its measurements; None where it comes back bit for bit, or where the step decides."""
    base_step: float | None = None
    """In dB, of the signal below the residual that keeps the bound; None where pixels are coded directly."""
    exact: bool = False
    """Whether backscatter is kept bit for bit: it is shown and reduced as what it is all the same."""

    @property
    def lossy(self) -> bool:
        """Whether it is coded as backscatter, with loss."""
        return self.transform.radiometry.domain != EXACT_DOMAIN and not self.exact

    @property
    def by_pixels(self) -> bool:
        """Whether each pixel is coded from its neighbours: bit for bit, or within a bound."""
        return not self.lossy or (self.bound is not None and self.base_step is None)

    @property
    def pixels(self) -> PixelBand:
        """What the coder of pixels has to know."""
        transform, domain, radiometry = self.transform, self.verdict.domain, self.transform.radiometry
        if radiometry.domain == EXACT_DOMAIN and domain in DOMAINS:
            radiometry = Radiometry(domain)
        limits = self.verdict.treatment.limits if self.bound else None
        return PixelBand(transform.dtype, radiometry, transform.specials, transform.shared_zero, limits)


def about_verdict(band: BandPlan) -> dict[str, Any]:
    """What the header says of a band beside its transform; nothing of backscatter that is beyond doubt."""
    verdict = band.verdict
    about: dict[str, Any] = {}
    if verdict.kind is not Kind.BACKSCATTER:
        about["kind"] = verdict.kind.value
    if not band.lossy:
        about["why"] = verdict.reason
    if verdict.certainty is Certainty.GUESS:
        about["sure"] = verdict.certainty.value
    return about


def plan_bands(source: Source, options: PlanOptions = PlanOptions()) -> Iterator[BandPlan]:
    """What each band of a source holds, and its transform. Raises InputError or UsageError."""
    given = parse_band_kinds(options.band_kinds, source.info.count)
    for band in range(source.info.count):
        plan = _band_plan(source, band, options, given.get(band))
        if options.others == "refuse" and plan.verdict.kind is not Kind.BACKSCATTER:
            raise InputError(
                f"band {band + 1} is no backscatter but {plan.verdict.kind.value} ({plan.verdict.reason}); "
                f"leave it out, or say `band_kind` {band + 1}=backscatter if it is"
            )
        yield plan


def _band_plan(source: Source, band: int, options: PlanOptions, given: BandKind | None) -> BandPlan:
    dtype, nodata = source.info.dtypes[band], source.info.nodata[band]
    if dtype.startswith("complex"):  # complex_int16 is rasterio's, not numpy's
        raise InputError(
            f"band {band + 1} is {dtype}: complex data is not supported yet; compress its amplitude, made "
            "with: rio calc --not-masked --dtype float32 '(abs (read 1))' IN.tif OUT.tif"
        )
    specials, shared_zero = class_map.special_values(dtype, nodata), class_map.shares_zero(dtype, nodata)
    sample = sample_of(source, band)
    measured = class_map.classify(sample, specials, shared_zero) == 0
    if measured.mean() < _LEAST_MEASURED:
        sample = sample_of(source, band, dense=True)
        measured = class_map.classify(sample, specials, shared_zero) == 0
    verdict = _verdict(source, band, sample, options, given)
    keep = band in options.exact or verdict.treatment.method != "lossy"
    if not keep and dtype not in LOSSY_DTYPES:
        verdict, keep = replace(verdict, treatment=KEPT, reason=f"{verdict.reason}; {dtype} is kept"), True
    if keep:
        reason = options.exact.get(band)
        bound = _own_bound(verdict, options) if reason is None else None
        if bound is None:
            verdict = replace(verdict, treatment=KEPT, reason=reason or verdict.reason)
        # Within a bound, what is no measurement still comes back exactly.
        specials = specials if bound else ()
        transform = BandTransform(Radiometry(EXACT_DOMAIN), dtype, specials, shared_zero and bool(bound))
        return BandPlan(transform, verdict, sample, measured, bound)
    verdict = _with_fills(verdict, options.fills.get(band, ()))
    specials = _with_found(specials, verdict, dtype)
    measured = class_map.classify(sample, specials, shared_zero) == 0
    plain = options.lossless or options.bound is not None
    level = np.dtype(dtype).kind in "iu" and verdict.domain != "db" and not plain
    unit = verdict.unit_scale if verdict.domain == "db" else 1.0
    radiometry = fit_radiometry(sample[measured], verdict.domain, unit=unit)
    transform = BandTransform(radiometry, dtype, specials, shared_zero, level)
    if options.lossless:
        verdict = replace(verdict, treatment=KEPT)
    return BandPlan(transform, verdict, sample, measured, options.bound, exact=options.lossless)


def _own_bound(verdict: Verdict, options: PlanOptions) -> Bound | None:
    """That of a kind other than backscatter, where the user lets it have one."""
    treatment = verdict.treatment
    if options.lossless or options.others != "bound" or treatment.method != "bound" or not treatment.bound:
        return None
    return Bound(treatment.bound, decibels=False)


def _verdict(
    source: Source, band: int, sample: NDArray[Any], options: PlanOptions, given: BandKind | None
) -> Verdict:
    """What a band holds; `domain` decides the domain of what is not called anything else."""
    evidence = source.info.evidence[band]
    verdict = _harmless(detect(evidence, sample, given=given))
    open_kind = verdict.kind in (Kind.BACKSCATTER, Kind.UNKNOWN) or verdict.certainty is Certainty.GUESS
    if options.domain == "auto" or given is not None or not open_kind:
        return verdict
    domain = BandKind(Kind.BACKSCATTER, options.domain)
    return replace(detect(evidence, sample, given=domain), reason="given with `domain`")


def _harmless(verdict: Verdict) -> Verdict:
    """What may be amplitude and may be power is coded as amplitude.

    If it is power, the errors in dB are half of what is reported, and the mean of both is kept; coded as
    power, amplitudes would have twice the reported errors, and the mean of their squares would be lost
    (0.27 dB in 5 % of all cells at quality 60, against 0.05 dB).
    """
    if (verdict.domain, verdict.alternative) != ("power", "amplitude"):
        return verdict
    reason = f"{verdict.reason}; coded as amplitude, which is safe for either"
    return replace(verdict, domain="amplitude", alternative="power", reason=reason)


def _with_fills(verdict: Verdict, fills: Sequence[float | int]) -> Verdict:
    """The verdict with values that turned up while encoding."""
    found = tuple(
        SpecialValue(value, "fill" if len(fills) == 1 else "below zero", f"{value:.9g}", "below zero")
        for value in fills
    )
    return replace(verdict, specials=(*verdict.specials, *found)) if found else verdict


def _with_found(specials: tuple[float | int, ...], verdict: Verdict, dtype: str) -> tuple[float | int, ...]:
    """Special values of the type and those that were found, as far as the format has room for them."""
    found = list(specials)
    for each in verdict.specials:
        value = int(each.value) if np.dtype(dtype).kind in "iu" else float(each.value)
        if not any(class_map.same_value(value, other) for other in found):
            found.append(value)
    return tuple(found[:_MOST_SPECIALS])


def sample_of(source: Source, band: int, dense: bool = False) -> NDArray[Any]:
    """The whole of a small band; of others pieces of rows spread over it, one below the other. dense: more of
    them, from side to side.
    """
    width, height = source.info.width, source.info.height
    if width * height <= _SAMPLE_ALL:
        return source.read([band], Window(0, 0, height, width))[0]
    rows, columns = min(height, _SAMPLE_ROWS), min(width, _SAMPLE_ALL if dense else _SAMPLE_COLUMNS)
    pieces = []
    for number in range(_SAMPLE_PIECES):
        top = round((height - rows) * number / (_SAMPLE_PIECES - 1))
        # The golden ratio spreads any number of places evenly.
        left = round((width - columns) * (number * 0.618034 % 1.0))
        pieces.append(source.read([band], Window(top, left, rows, columns))[0])
    return np.concatenate(pieces)
