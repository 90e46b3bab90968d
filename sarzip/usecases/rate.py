"""Rate control: the step that meets a size or an error, searched on analysed groups held in memory.

The network runs once per group; every trial step only quantises and codes. Scenes of up to `MOST_GROUPS` groups are
held whole, so that the search sees the real file size; of larger ones a sample spread over the scene is coded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec import validity
from sarzip.codec.grid import STRIDE, Extension
from sarzip.codec.rate import Found, Target, search_step
from sarzip.errors import TargetError, UsageError
from sarzip.measure import to_db
from sarzip.measure.domains import integer_floor, smallest_positive

MOST_GROUPS = 24
TOLERANCE = 0.02
START_STEP = 2.5

KINDS = ("quality", "bpp", "ratio", "size", "rmse_db")


@dataclass(frozen=True)
class Fidelity:
    """What the user asks for. kind: one of KINDS; value: in its unit (size: bytes, bpp: bits per pixel and band)."""

    kind: str = "quality"
    value: float = 60.0

    def __post_init__(self) -> None:
        option = f"--{self.kind.replace('_', '-')} {self.value:g}"
        if self.kind not in KINDS:
            raise UsageError(f"fidelity {self.kind}: expected one of {', '.join(KINDS)}")
        if self.kind == "quality":
            if not 0 <= self.value <= 100:
                raise UsageError(f"{option}: must be within 0 to 100")
        elif not (math.isfinite(self.value) and self.value > 0):
            raise UsageError(f"{option}: must be a positive number")


@dataclass(frozen=True)
class SampledGroup:
    """One analysed group and, for distortion targets, its original samples (bands, rows, columns)."""

    number: int
    analysed: AnalysedGroup
    values: tuple[NDArray[Any], ...]


class RateProbe:
    """Measures size and error of trial steps on a sample of the groups of a scene."""

    def __init__(self, raster: RasterSource, header: Header, bands: list[BandCoding], family: Family) -> None:
        self._header = header
        self._bands = bands
        self._family = family
        grid = grid_of(header)
        chosen = _spread(grid.rows * grid.columns, MOST_GROUPS)
        self._share = len(chosen) / (grid.rows * grid.columns)
        self._samples: list[SampledGroup] = []
        self._coders: list[SignalSetEncoder] = []
        for number, each in enumerate(header.sets):
            if each.model is None:
                continue
            coder = SignalSetEncoder(raster, grid, {band: bands[band] for band in each.bands}, family, each.step)
            self._coders.append(coder)
            for group in chosen:
                row, column = divmod(group, grid.columns)
                window = grid.window(row, column)
                analysed = coder.analyse_alone(row, column)
                area = (window.row, window.rows, window.column, window.columns)
                values = tuple(raster.read([band], *area)[0] for band in each.bands)
                self._samples.append(SampledGroup(number, analysed, values))
        self._floors = self._clamps()

    @property
    def complete(self) -> bool:
        """Whether the sample is the whole scene."""
        return self._share == 1.0
