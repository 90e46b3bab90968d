"""Rate control: the step that meets a size or an error, searched on analysed groups held in memory.

The network runs once per group; every trial step only quantises and codes. Scenes of up to `MOST_GROUPS`
groups are held whole, so that the search sees the real size; of larger ones a sample is coded.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Family
from sarzip.codec.registry import for_bands
from sarzip.codec.streams.payloads import SideStreams
from sarzip.container import Header, Writer
from sarzip.errors import TargetError, UsageError
from sarzip.grid import Extension
from sarzip.measure import Domain, to_db
from sarzip.measure.domains import integer_floor, smallest_positive
from sarzip.pipeline.band import BandCoding, grid_of
from sarzip.pipeline.encode import AnalysedGroup, EncodedGroup, SignalSetEncoder
from sarzip.pipeline.step_search import Found, Target, search_step
from sarzip.raster import RasterSource
from sarzip.system.work_pool import WorkPool

MOST_GROUPS = 24
TOLERANCE = 0.02
# What the container adds to the payloads of a frame.
_FRAME_BYTES = 30
START_STEP = 2.5

KINDS = ("quality", "bpp", "ratio", "size", "rmse_db")


@dataclass(frozen=True)
class Fidelity:
    """What the user asks for: a kind of KINDS and a value in its unit (bytes, bpp of a band, dB)."""

    kind: str = "quality"
    value: float = 60.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"fidelity {self.kind}: expected one of {', '.join(KINDS)}")
        if self.kind == "quality":
            if not 0 <= self.value <= 100:
                raise UsageError(f"{self.option}: must be within 0 to 100")
        elif not (math.isfinite(self.value) and self.value > 0):
            raise UsageError(f"{self.option}: must be a positive number")

    @property
    def option(self) -> str:
        """As it is given on the command line."""
        return f"--{self.kind.replace('_', '-')} {self.value:g}"


def quality_to_step(quality: float) -> float:
    """Quality 0..100 to the quantiser step in dB: 20 dB at 0, halved with every 20 points."""
    return float(f"{20.0 * 2.0 ** (-quality / 20.0):.6g}")


@dataclass(frozen=True)
class _Sample:
    """One analysed group of a set, with the samples and clamps of its bands."""

    number: int
    group: AnalysedGroup
    values: tuple[NDArray[Any], ...]


class RateProbe:
    """Estimates file size and error at trial steps, on a sample of the groups of a scene.

    complete: whether the sample is the whole scene, so that estimates are as good as exact.
    """

    def __init__(self, raster: RasterSource, header: Header, bands: list[BandCoding], work: Work) -> None:
        self._header = header
        self._bands = bands
        self._pool = work.pool
        grid = grid_of(header)
        groups = grid.rows * grid.columns
        chosen = np.unique(np.linspace(0, groups - 1, min(groups, MOST_GROUPS)).astype(int))
        self.complete = len(chosen) == groups
        self._scale = groups / len(chosen)
        self._overhead = Writer(io.BytesIO(), header).bytes_written + _FRAME_BYTES * header.frame_count
        self._samples: list[_Sample] = []
        self._coders: dict[int, SignalSetEncoder] = {}
        for number, each in enumerate(header.sets):
            if each.model is None:
                continue
            members = {band: bands[band] for band in each.bands}
            coder = SignalSetEncoder(raster, grid, members, for_bands(work.family, len(members)), each.step)
            self._coders[number] = coder
            for group in chosen:
                row, column = divmod(int(group), grid.columns)
                window = grid.window(row, column)
                area = (window.row, window.rows, window.column, window.columns)
                values = tuple(raster.read([band], *area)[0] for band in each.bands)
                self._samples.append(_Sample(number, coder.analyse_alone(row, column), values))
        self._floors = {
            band: self._floor(band) for number in self._coders for band in header.sets[number].bands
        }

    def size(self, step: float) -> float:
        """Estimated bytes of the whole file."""
        coded = self._pool.map(lambda sample: self._code(sample, step)[1], self._samples)
        return self._overhead + self._scale * sum(len(data) for streams in coded for data in streams.values())

    def rmse_db(self, step: float) -> float:
        """Estimated RMS error in dB over the valid pixels of all bands."""
        errors = list(self._pool.map(lambda sample: self._squared_error(sample, step), self._samples))
        pixels = sum(count for _, count in errors)
        return math.sqrt(sum(total for total, _ in errors) / pixels) if pixels else 0.0

    def _code(
        self, sample: _Sample, step: float
    ) -> tuple[EncodedGroup, dict[int, bytes], NDArray[np.float32]]:
        """The group as encoded, all its streams, and its latents with halo, its neighbours mirrored."""
        coder = self._coders[sample.number]
        group = coder.code(sample.group, step)
        _, rows, columns = group.latents.shape
        family = coder.family
        extension = Extension(rows, columns, 1, family.synthesis_halo, family.mirror_signs)
        (strip,) = extension.strips([group.latents])
        extended = strip.crop(0, columns)
        return group, coder.finish(group, extended), extended

    def _squared_error(self, sample: _Sample, step: float) -> tuple[float, int]:
        """Sum of squared dB errors and number of valid pixels of one group, its neighbours mirrored."""
        _, streams, extended = self._code(sample, step)
        signal = self._coders[sample.number].family.synthesise(extended)
        members = self._header.sets[sample.number].bands
        total, pixels = 0.0, 0
        for position, band in enumerate(self._header.sets[sample.number].bands):
            values, classes = sample.values[position], sample.group.classes[position]
            coding = self._bands[band]
            rows, columns = values.shape
            cells = SideStreams(streams, len(members), (rows, columns)).cells(position)
            decoded = coding.restore(signal[position, :rows, :columns], classes, cells)
            valid = classes == 0
            domain, floor = cast(Domain, coding.radiometry.domain), self._floors[band]
            error = to_db(decoded[valid], domain, floor) - to_db(values[valid], domain, floor)
            total += float(np.vdot(error, error))
            pixels += error.size
        return total, pixels

    def _floor(self, band: int) -> float:
        """The clamp of the logarithm that compare would use, as far as the sample shows it."""
        coding = self._bands[band]
        fixed = integer_floor(np.dtype(coding.dtype), cast(Domain, coding.radiometry.domain))
        if fixed is not None:
            return fixed
        found = np.inf
        for sample in self._samples:
            members = self._header.sets[sample.number].bands
            if band in members:
                position = members.index(band)
                valid = sample.group.classes[position] == 0
                found = min(found, smallest_positive(sample.values[position], valid))
        return float(found) if np.isfinite(found) else 1.0


@dataclass(frozen=True)
class Work:
    """What does the work: the model and the threads."""

    family: Family
    pool: WorkPool


@dataclass(frozen=True)
class Goal:
    """A fidelity other than quality, for one scene: bytes or dB, and back to the unit the user gave.

    pixels: bands counted. source_bytes: size of the input file, 0 if unknown.
    """

    fidelity: Fidelity
    pixels: int
    source_bytes: int

    def __post_init__(self) -> None:
        if self.fidelity.kind == "ratio" and not self.source_bytes:
            raise UsageError("--ratio: the size of the input is not known; give --size or --bpp")

    @property
    def target(self) -> Target:
        """What is to be measured: bytes of the whole file, or RMS error in dB."""
        value = self.fidelity.value
        if self.fidelity.kind == "rmse_db":
            return Target(value, TOLERANCE, rising=True)
        wanted = {"size": value, "ratio": self.source_bytes / value, "bpp": value * self.pixels / 8}
        return Target(
            wanted[self.fidelity.kind], TOLERANCE, rising=False, ceiling=self.fidelity.kind == "size"
        )

    def unreachable(self, measured: float) -> TargetError:
        """The error that names the nearest value there is, in the unit of the option."""
        value = {
            "size": measured,
            "ratio": self.source_bytes / max(measured, 1),
            "bpp": 8 * measured / self.pixels,
            "rmse_db": measured,
        }[self.fidelity.kind]
        return TargetError(f"{self.fidelity.option}: cannot be reached; the nearest is {value:.6g}")


def find_step(probe: RateProbe, goal: Goal, correction: float = 1.0) -> Found:
    """Search the step that meets the goal, its value multiplied by `correction`.

    Half the tolerance is left for what the estimate cannot see. Raises TargetError when out of reach.
    """
    aim = replace(goal.target, value=goal.target.value * correction, tolerance=TOLERANCE / 2)
    found = search_step(probe.rmse_db if aim.rising else probe.size, aim, START_STEP)
    if not found.met:
        raise goal.unreachable(found.value)
    return found
