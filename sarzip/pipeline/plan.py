"""What is decided before the first group is coded: what each band holds, and which codec codes which bands.

A band is looked at through a sample (`band_plan`): its kind, its domain, values that are no measurements, the
transform. Bands of backscatter become sets for the model, two alike ones together; whatever else there is
comes back bit for bit, in a set of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Quality, SignalCodec
from sarzip.codec.predictive.codec import PredictiveCodec
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.predictive.plane import PixelBand
from sarzip.codec.registry import can_pair, for_bands
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import DOMAINS, Radiometry, fit_radiometry
from sarzip.codec.streams import class_map
from sarzip.container import Header, ModelRef, SetHeader, limits
from sarzip.container.georeference import drop_statistics
from sarzip.errors import InputError, ModelError, UsageError
from sarzip.grid import Grid, Window
from sarzip.kinds import EXACT as KEPT
from sarzip.kinds import BandKind, Certainty, Kind, SpecialValue, Verdict, detect, parse_band_kinds
from sarzip.pipeline.band import EXACT_DOMAIN, BandTransform
from sarzip.pipeline.base_step import BASE_STEPS, choose_base_step, sample_pieces
from sarzip.pipeline.bounds import Achieved, bound_to_header
from sarzip.pipeline.doubt import Objections, Watch
from sarzip.pipeline.group import GroupCoder
from sarzip.pipeline.models import PIXEL_MODEL, ModelStore
from sarzip.pipeline.pairing import Grouping, profile
from sarzip.pipeline.sample_group import SampleGroups
from sarzip.pipeline.signal_group import SignalGroups
from sarzip.pipeline.sources import Source
from sarzip.version import __version__

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
_LEAST_BASED = 0.3  # dB: below that bound pixels were smaller on every scene that was tried
_MOST_SPECIALS = 12  # of the 15 classes that a class map can hold


@dataclass(frozen=True)
class PlanOptions:
    """What the user decides. domain: of bands of backscatter, 'auto' or one of DOMAINS. others: of OTHERS.
    band_kinds: texts like '3=phase', see kinds.parse_band_kinds. lossless: every band bit for bit. bound: of
    bands of backscatter. base_steps: in dB, of the signal below a residual that keeps it. exact: 0-based
    bands to keep, with the reason. fills: of bands, values that are no measurements. group: side of a group
    in pixels.
    """

    domain: str = "auto"
    others: str = "exact"
    band_kinds: tuple[str, ...] = ()
    lossless: bool = False
    bound: Bound | None = None
    base_steps: tuple[float, ...] = BASE_STEPS
    exact: Mapping[int, str] = field(default_factory=dict)
    fills: Mapping[int, tuple[float | int, ...]] = field(default_factory=dict)
    group: int = 1024

    def __post_init__(self) -> None:
        if self.domain not in ("auto", *DOMAINS):
            raise UsageError(f"--domain {self.domain}: expected auto, {', '.join(DOMAINS)}")
        if self.others not in OTHERS:
            raise UsageError(f"--others {self.others}: expected {', '.join(OTHERS)}")
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

    @property
    def lossy(self) -> bool:
        """Whether it is coded as backscatter."""
        return self.transform.radiometry.domain != EXACT_DOMAIN

    @property
    def by_pixels(self) -> bool:
        """Whether each pixel is coded from its neighbours: bit for bit, or within a bound."""
        return not self.lossy or (self.bound is not None and self.base_step is None)

    @property
    def pixels(self) -> PixelBand:
        """What the coder of pixels has to know."""
        transform, domain = self.transform, self.verdict.domain
        if self.lossy:
            radiometry = transform.radiometry
        else:
            radiometry = Radiometry(domain if domain in DOMAINS else EXACT_DOMAIN)
        limits = self.verdict.treatment.limits if self.bound else None
        return PixelBand(transform.dtype, radiometry, transform.specials, transform.shared_zero, limits)


@dataclass(frozen=True)
class Watching:
    """Who is told, while a file is written, what decoding will do to the samples."""

    watch: Watch | None = None
    achieved: Achieved | None = None


@dataclass(frozen=True)
class SetPlan:
    """Bands coded together, by what. quality: fixed, or None where the scene's goal decides."""

    bands: tuple[int, ...]
    codec: SignalCodec | PredictiveCodec
    quality: Quality | None = None

    def at(self, step_db: float) -> Quality:
        """Its quality where the goal led to a step."""
        return self.quality or Quality(step_db)

    def coder(
        self, transforms: Sequence[BandTransform], grid: Grid, step_db: float, watching: Watching
    ) -> GroupCoder:
        """What codes its groups, where the goal led to a step."""
        bands = {band: transforms[band] for band in self.bands}
        if isinstance(self.codec, PredictiveCodec):
            return SampleGroups(self.codec, self.at(step_db), bands, watching.achieved)
        return SignalGroups(self.codec, self.at(step_db), bands, grid, watching.watch, watching.achieved)


@dataclass(frozen=True)
class ScenePlan:
    """A scene: header (its steps still 0), bands and sets."""

    header: Header
    bands: tuple[BandPlan, ...]
    sets: tuple[SetPlan, ...]

    @property
    def pixels(self) -> int:
        """Pixels of the scene, bands counted."""
        return self.header.width * self.header.height * len(self.bands)

    @property
    def transforms(self) -> list[BandTransform]:
        """Of every band."""
        return [band.transform for band in self.bands]

    @property
    def lossy(self) -> tuple[int, ...]:
        """The bands that are coded as backscatter, 0-based."""
        return tuple(number for number, band in enumerate(self.bands) if band.lossy)

    @property
    def searched(self) -> bool:
        """Whether there is a set whose step a goal decides."""
        return any(each.quality is None for each in self.sets)

    @property
    def bounds(self) -> dict[int, Bound]:
        """Of the bands (0-based) that have one."""
        return {number: band.bound for number, band in enumerate(self.bands) if band.bound is not None}

    def coders(self, step_db: float, watching: Watching = Watching()) -> list[GroupCoder]:
        """What codes the groups of each set, where the goal led to a step."""
        return [each.coder(self.transforms, self.header.grid, step_db, watching) for each in self.sets]

    def header_at(self, step_db: float) -> Header:
        """The header with a step for every set of a codec of signals."""
        sets = (
            replace(each, step=plan.at(step_db).step)
            for each, plan in zip(self.header.sets, self.sets, strict=True)
        )
        return replace(self.header, sets=tuple(sets))


def load_pixel_network() -> tuple[ModelRef, PixelNetwork]:
    """The released model of the coder of pixels. Raises ModelError."""
    card, weights = ModelStore().load(PIXEL_MODEL)
    return ModelRef(card.id, card.sha256), PixelNetwork.from_weights(weights)


def plan_scene(
    source: Source, options: PlanOptions, load: Callable[[], tuple[ModelRef, SignalCodec]]
) -> ScenePlan:
    """Look at every band and choose codecs. load: brings the model of the codec of signals, which is asked
    for only if it is needed.

    Raises InputError, UsageError or ModelError.
    """
    bands = _with_bases(source, tuple(plan_bands(source, options)), options, load)
    signals = [number for number, band in enumerate(bands) if not band.by_pixels]
    sets: list[SetPlan] = []
    models: list[ModelRef] = []
    headers: list[SetHeader] = []
    if signals:
        model, whole = load()
        models.append(model)
        free = [number for number in signals if bands[number].bound is None]
        sets += [SetPlan(each, for_bands(whole, len(each))) for each in _signal_sets(bands, free, whole)]
        for number in signals:
            if bands[number].bound is not None:
                quality = Quality(bands[number].base_step, bands[number].bound)
                sets.append(SetPlan((number,), whole, quality))
        headers += [SetHeader(each.bands, 0, 0.0, bound_to_header(each.at(0).bound)) for each in sets]
    if len(signals) < len(bands):
        model, network = load_pixel_network()
        for number, band in enumerate(bands):
            if band.by_pixels:
                codec = PredictiveCodec(network, [band.pixels], band.bound)
                sets.append(SetPlan((number,), codec, Quality(bound=band.bound)))
                headers.append(SetHeader((number,), len(models), 0.0, bound_to_header(band.bound)))
        models.append(model)
    changed = [number for number, band in enumerate(bands) if band.lossy or band.bound]
    header = Header(
        width=source.info.width,
        height=source.info.height,
        bands=tuple(band.transform.to_header(about_verdict(band)) for band in bands),
        sets=tuple(headers),
        models=tuple(models),
        group=options.group,
        raster=drop_statistics(source.info.tags, changed),
        creator=f"sarzip {__version__}",
    )
    return ScenePlan(header, bands, tuple(sets))


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


def _with_bases(
    source: Source,
    bands: tuple[BandPlan, ...],
    options: PlanOptions,
    load: Callable[[], tuple[ModelRef, SignalCodec]],
) -> tuple[BandPlan, ...]:
    """Bands within a bound in dB with a step for the signal below a residual, where that is smaller."""
    bound = options.bound
    if bound is None or not bound.decibels or bound.size < _LEAST_BASED or not options.base_steps:
        return bands
    codec, found = load()[1], []
    if not can_pair(codec):  # of other families the signal is not the same on every processor
        return bands
    network = load_pixel_network()[1]
    for number, band in enumerate(bands):
        step = None
        if band.lossy:
            direct = PredictiveCodec(network, [band.pixels], bound)
            pieces = list(sample_pieces(source, number))
            step = choose_base_step(pieces, options.base_steps, direct, (codec, band.transform, bound))
        found.append(replace(band, base_step=step))
    return tuple(found)


def _signal_sets(
    bands: Sequence[BandPlan], coded: Sequence[int], codec: SignalCodec
) -> Iterator[tuple[int, ...]]:
    """Bands of backscatter in sets of as many as the model takes, or of two that are alike."""
    if can_pair(codec):
        grouping = Grouping()
        for number in coded:
            band = bands[number]
            grouping.add(number, profile(band.sample, band.measured, band.transform))
        yield from grouping.groups
        return
    if len(coded) % codec.inputs:
        raise ModelError(
            f"model {codec.id} codes {codec.inputs} bands together and the raster has {len(coded)}; use a "
            "model with one input"
        )
    yield from (tuple(coded[at : at + codec.inputs]) for at in range(0, len(coded), codec.inputs))


def plan_bands(source: Source, options: PlanOptions = PlanOptions()) -> Iterator[BandPlan]:
    """What each band of a source holds, and its transform. Raises InputError or UsageError."""
    given = parse_band_kinds(options.band_kinds, source.info.count)
    for band in range(source.info.count):
        plan = _band_plan(source, band, options, given.get(band))
        if options.others == "refuse" and plan.verdict.kind is not Kind.BACKSCATTER:
            raise InputError(
                f"band {band + 1} is no backscatter but {plan.verdict.kind.value} ({plan.verdict.reason}); "
                f"leave it out, or say --band-kind {band + 1}=backscatter if it is"
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
    keep = options.lossless or band in options.exact or verdict.treatment.method != "lossy"
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
    level = np.dtype(dtype).kind in "iu" and verdict.domain != "db" and options.bound is None
    unit = verdict.unit_scale if verdict.domain == "db" else 1.0
    radiometry = fit_radiometry(sample[measured], verdict.domain, unit=unit)
    transform = BandTransform(radiometry, dtype, specials, shared_zero, level)
    return BandPlan(transform, verdict, sample, measured, options.bound)


def _own_bound(verdict: Verdict, options: PlanOptions) -> Bound | None:
    """That of a kind other than backscatter, where the user lets it have one."""
    treatment = verdict.treatment
    if options.lossless or options.others != "bound" or treatment.method != "bound" or not treatment.bound:
        return None
    return Bound(treatment.bound, decibels=False)


def _verdict(
    source: Source, band: int, sample: NDArray[Any], options: PlanOptions, given: BandKind | None
) -> Verdict:
    """What a band holds; --domain decides the domain of what is not called anything else."""
    evidence = source.info.evidence[band]
    verdict = _harmless(detect(evidence, sample, given=given))
    open_kind = verdict.kind in (Kind.BACKSCATTER, Kind.UNKNOWN) or verdict.certainty is Certainty.GUESS
    if options.domain == "auto" or given is not None or not open_kind:
        return verdict
    domain = BandKind(Kind.BACKSCATTER, options.domain)
    return replace(detect(evidence, sample, given=domain), reason="given with --domain")


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
        if not any(value == other or (value != value and other != other) for other in found):
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
