"""A codec whose rate and error are known beforehand, for tests of `bench`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sarzip.bench.codecs import BenchScene, Coded
from sarzip.measure import to_db


@dataclass(frozen=True)
class Rounding:
    """Rounds decibels to a step; pretends that every halving of the step costs a bit a pixel."""

    name: str = "openjpeg"
    label: str = "rounding"
    factor: float = 1.0

    def settings(self, scene: BenchScene) -> tuple[float, ...]:
        return (4.0, 1.0, 2.0, 0.5)

    def run(self, scene: BenchScene, setting: float) -> Coded:
        decoded = []
        for band in scene.bands:
            db = to_db(band.values, band.domain, band.floor)
            decoded.append(band.from_db(np.rint(db / setting) * setting))
        return Coded(
            round(self.factor * scene.pixels * (4 - np.log2(setting)) / 8), tuple(decoded), 0.5, 0.25
        )
