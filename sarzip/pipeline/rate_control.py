"""Rate control: the step that meets a size or an error, searched on analysed groups held in memory.

The network runs once per group; every trial step only quantises and codes. Scenes of up to `MOST_GROUPS`
groups are held whole, so that the search sees the real size; of larger ones a sample is coded. The neighbours
of a group are taken for its mirror image.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Quality
from sarzip.container import Writer
from sarzip.grid import STRIDE, Neighbourhood, Part, Window
from sarzip.measure import Domain, to_db
from sarzip.measure.domains import log_floor, smallest_positive
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.group import AnalysedGroup, DecodedGroup, EncodedGroup, GroupCoder, View
from sarzip.pipeline.plan import ScenePlan
from sarzip.pipeline.quality import TOLERANCE, Goal
from sarzip.pipeline.sources import Source
from sarzip.pipeline.step_search import Found, search_step
from sarzip.system.work_pool import WorkPool

MOST_GROUPS = 24
# What the container adds to the payloads of a frame.
_FRAME_BYTES = 30
START_STEP = 2.5


@dataclass(frozen=True)
class _Sample:
    """One analysed group of a set, with the samples of its bands."""

    number: int
    window: Window
    group: AnalysedGroup
    values: Mapping[int, NDArray[Any]]


class RateProbe:
    """Estimates file size and error at trial steps, on a sample of the groups of a scene.

    complete: whether the sample is the whole scene, so that estimates are as good as exact.
    """

    def __init__(self, source: Source, plan: ScenePlan, pool: WorkPool) -> None:
        self._plan = plan
        self._pool = pool
        self._coders = plan.coders(START_STEP)
        grid, header = plan.header.grid, plan.header
        chosen = np.unique(np.linspace(0, grid.count - 1, min(grid.count, MOST_GROUPS)).astype(int))
        self.complete = len(chosen) == grid.count
        self._scale = grid.count / len(chosen)
        self._overhead = Writer(io.BytesIO(), header).bytes_written + _FRAME_BYTES * header.frame_count
        windows = [grid.window(*divmod(int(group), grid.columns)) for group in chosen]
        self._samples = [
            _analysed_alone(source, number, coder, window)
            for number, coder in enumerate(self._coders)
            for window in windows
        ]
        self._floors = {
            band: self._floor(band) for coder in self._coders if coder.channels for band in coder.bands
        }

    def size(self, step: float) -> float:
        """Estimated bytes of the whole file."""
        coded = self._pool.map(lambda sample: self._code(sample, step)[1], self._samples)
        return self._overhead + self._scale * sum(len(data) for streams in coded for data in streams.values())

    def rmse_db(self, step: float) -> float:
        """Estimated RMS error in dB over the valid pixels of all bands of backscatter."""
        lossy = [sample for sample in self._samples if self._coders[sample.number].channels]
        errors = list(self._pool.map(lambda sample: self._squared_error(sample, step), lossy))
        pixels = sum(count for _, count in errors)
        return math.sqrt(sum(total for total, _ in errors) / pixels) if pixels else 0.0

    def _code(
        self, sample: _Sample, step: float
    ) -> tuple[EncodedGroup, dict[int, bytes], NDArray[np.float32] | None]:
        """The group as encoded, all its streams, and its latents with halo."""
        coder = self._coders[sample.number]
        group = coder.encode(sample.group, sample.window, Quality(step))
        if group.latents is None:
            return group, coder.finish(group, None), None
        samples = group.latents.samples
        alone = Window(0, 0, samples.shape[1], samples.shape[2])
        around = Neighbourhood(alone.rows, alone.columns, 1, coder.halo.latents, coder.mirror_signs)
        latents = around.around(alone, [Part(0, 0, samples)])
        return group, coder.finish(group, latents), latents

    def _squared_error(self, sample: _Sample, step: float) -> tuple[float, int]:
        """Sum of squared dB errors and number of valid pixels of one group."""
        _, streams, latents = self._code(sample, step)
        coder = self._coders[sample.number]
        view = View(sample.window, range(len(coder.bands)))
        total, pixels = 0.0, 0
        for position, decoded in coder.restore(DecodedGroup(streams), sample.window, view, latents):
            if position < 0:
                continue
            band = coder.bands[position]
            assert sample.group.validity is not None
            valid, values = sample.group.validity[position] == 0, sample.values[band]
            domain: Domain = self._transform(band).radiometry.domain  # type: ignore[assignment]
            floor = self._floors[band]
            error = to_db(decoded[valid], domain, floor) - to_db(values[valid], domain, floor)
            error *= self._transform(band).radiometry.unit
            total += float((error * error).sum())  # not by BLAS, whose sums depend on the processor
            pixels += error.size
        return total, pixels

    def _transform(self, band: int) -> BandTransform:
        return self._plan.bands[band].transform

    def _floor(self, band: int) -> float:
        """The clamp of the logarithm that compare would use, as far as the sample shows it."""
        transform = self._transform(band)
        domain: Domain = transform.radiometry.domain  # type: ignore[assignment]
        return log_floor(np.dtype(transform.dtype), domain, self._smallest(band))

    def _smallest(self, band: int) -> Iterator[float]:
        for sample in self._samples:
            bands = self._coders[sample.number].bands
            if band in bands and sample.group.validity is not None:
                valid = sample.group.validity[bands.index(band)] == 0
                yield smallest_positive(sample.values[band], valid)


def _analysed_alone(source: Source, number: int, coder: GroupCoder, window: Window) -> _Sample:
    """Any one group, read from the source with just the halo it needs."""
    info = source.info
    reach = Neighbourhood(info.height, info.width, STRIDE, coder.halo.pixels).reach(window)
    area = reach.widened(STRIDE, Window(0, 0, info.height, info.width))
    values = {band: source.read([band], area)[0] for band in coder.bands}
    prepared = coder.prepare(list(values.values()), area)
    if number == 0:
        prepared = replace(prepared, mask=source.read_mask(area))
    inside = window.slices(area)
    group = coder.analyse(window, prepared)
    return _Sample(number, window, group, {band: each[inside] for band, each in values.items()})


def find_step(probe: RateProbe, goal: Goal, correction: float = 1.0) -> Found:
    """Search the step that meets the goal, its value multiplied by `correction`.

    Half the tolerance is left for what the estimate cannot see. Raises TargetError when out of reach.
    """
    aim = replace(goal.target, value=goal.target.value * correction, tolerance=TOLERANCE / 2)
    found = search_step(probe.rmse_db if aim.rising else probe.size, aim, START_STEP)
    if not found.met:
        raise goal.unreachable(found.value)
    return found
