"""What is decided before the first group is coded: which codec codes which bands, and how well.

Bands of backscatter (see band_plan) become sets for the model, two alike ones together; within a bound, or
bit for bit, each band is a set of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sarzip.codec.base import Quality, SignalCodec
from sarzip.codec.predictive.codec import PredictiveCodec
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.registry import can_pair, for_bands
from sarzip.codec.signal.bounds import Bound
from sarzip.container import Header, ModelRef, SetHeader
from sarzip.container.georeference import drop_statistics
from sarzip.errors import ModelError
from sarzip.grid import Grid
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.band_plan import BandPlan, PlanOptions, about_verdict, plan_bands
from sarzip.pipeline.base_step import choose_base_step, sample_pieces
from sarzip.pipeline.bounds import Achieved, bound_to_header
from sarzip.pipeline.doubt import Watch
from sarzip.pipeline.group import GroupCoder
from sarzip.pipeline.models import PIXEL_MODEL, ModelStore
from sarzip.pipeline.own_weights import own_weights, to_header
from sarzip.pipeline.pairing import Grouping, profile
from sarzip.pipeline.sample_group import SampleGroups
from sarzip.pipeline.signal_group import SignalGroups
from sarzip.pipeline.sources import Source
from sarzip.version import __version__

_LEAST_BASED = 0.3  # dB: below that bound pixels were smaller on every scene that was tried


@dataclass(frozen=True)
class Watching:
    """Who is told, while a file is written, what decoding will do to the samples."""

    watch: Watch | None = None
    achieved: Achieved | None = None


@dataclass(frozen=True)
class SetPlan:
    """Bands coded together, by what. quality: fixed, or None where the scene's goal decides. weights: what
    makes the network of pixels fit the set.
    """

    bands: tuple[int, ...]
    codec: SignalCodec | PredictiveCodec
    quality: Quality | None = None
    weights: bytes = b""

    def header(self, model: int) -> SetHeader:
        """Its header, the step still 0. model: place in the scene's list of models."""
        extra = {**bound_to_header(self.at(0).bound), **to_header(self.weights)}
        return SetHeader(self.bands, model, 0.0, extra)

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
    models = _Models(load)
    bands = _with_bases(source, tuple(plan_bands(source, options)), options, models)
    signals = _signal_sets(bands, models)
    pixels = _pixel_sets(source, bands, options, models)
    used = (models.signals[:1] if signals else ()) + (models.pixels[:1] if pixels else ())
    changed = [number for number, band in enumerate(bands) if band.lossy or band.bound]
    header = Header(
        width=source.info.width,
        height=source.info.height,
        bands=tuple(band.transform.to_header(about_verdict(band)) for band in bands),
        sets=tuple([each.header(0) for each in signals] + [each.header(len(used) - 1) for each in pixels]),
        models=used,
        group=options.group,
        raster=drop_statistics(source.info.tags, changed),
        creator=f"sarzip {__version__}",
    )
    return ScenePlan(header, bands, (*signals, *pixels))


class _Models:
    """The models of a plan, each loaded when it is asked for, and once."""

    def __init__(self, load: Callable[[], tuple[ModelRef, SignalCodec]]) -> None:
        self._load = load

    @functools.cached_property
    def signals(self) -> tuple[ModelRef, SignalCodec]:
        """That of the codec of signals."""
        return self._load()

    @functools.cached_property
    def pixels(self) -> tuple[ModelRef, PixelNetwork]:
        """That of the coder of pixels."""
        return load_pixel_network()


def _with_bases(
    source: Source, bands: tuple[BandPlan, ...], options: PlanOptions, models: _Models
) -> tuple[BandPlan, ...]:
    """Bands within a bound in dB with a step for the signal below a residual, where that is smaller."""
    bound = options.bound
    if bound is None or not bound.decibels or bound.size < _LEAST_BASED or not options.base_steps:
        return bands
    if not any(band.lossy for band in bands):
        return bands
    codec, found = models.signals[1], []
    if not can_pair(codec):  # of other families the signal is not the same on every processor
        return bands
    for number, band in enumerate(bands):
        step = None
        if band.lossy:
            direct = PredictiveCodec(models.pixels[1], [band.pixels], bound)
            pieces = list(sample_pieces(source, number))
            step = choose_base_step(pieces, options.base_steps, direct, (codec, band.transform, bound))
        found.append(replace(band, base_step=step))
    return tuple(found)


def _signal_sets(bands: Sequence[BandPlan], models: _Models) -> list[SetPlan]:
    """Sets of the codec of signals: those whose step the goal decides, then those within a bound."""
    signals = {number: band for number, band in enumerate(bands) if not band.by_pixels}
    if not signals:
        return []
    codec = models.signals[1]
    free = [number for number, band in signals.items() if band.bound is None]
    sets = [SetPlan(each, for_bands(codec, len(each))) for each in _grouped(bands, free, codec)]
    for number, band in signals.items():
        if band.bound is not None:
            sets.append(SetPlan((number,), codec, Quality(band.base_step, band.bound)))
    return sets


def _pixel_sets(
    source: Source, bands: Sequence[BandPlan], options: PlanOptions, models: _Models
) -> list[SetPlan]:
    """Sets of the coder of pixels, a band each."""
    sets = []
    for number, band in enumerate(bands):
        if band.by_pixels:
            network, weights = models.pixels[1], b""
            if options.tune:
                weights = own_weights(source, number, band.pixels, band.bound, network)
            own = network.tuned(weights) if weights else network
            codec = PredictiveCodec(own, [band.pixels], band.bound)
            sets.append(SetPlan((number,), codec, Quality(bound=band.bound), weights))
    return sets


def _grouped(
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
