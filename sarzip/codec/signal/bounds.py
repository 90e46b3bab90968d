"""What is promised of every measurement: the greatest error in dB, or in the units of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.radiometry import Radiometry, db_per_neper
from sarzip.errors import UsageError
from sarzip.native import maths


@dataclass(frozen=True)
class Bound:
    """The greatest error of a measurement: `size` in dB, or in stored units where `decibels` is false."""

    size: float
    decibels: bool = True

    def __post_init__(self) -> None:
        if not (math.isfinite(self.size) and self.size > 0):
            name = "max_error_db" if self.decibels else "max_error"
            raise UsageError(f"`{name}` {self.size:g}: must be a positive number")

    def __str__(self) -> str:
        return f"{self.size:g} dB" if self.decibels else f"{self.size:g}"

    def errors(
        self, original: NDArray[Any], decoded: NDArray[Any], radiometry: Radiometry
    ) -> NDArray[np.float64]:
        """Errors of measurements in the bound's unit, float64 of their shape; 0 where both are equal,
        infinite where one of the two has no decibels. The same on every processor.
        """
        before, after = original.astype(np.float64), decoded.astype(np.float64)
        with np.errstate(all="ignore"):
            if not self.decibels:
                errors = np.abs(after - before)
            elif radiometry.domain == "db":
                errors = np.abs(after - before) * abs(radiometry.unit)
            else:
                ratio = np.ascontiguousarray(after / before)
                errors = np.abs(maths.log(ratio, db_per_neper(radiometry.domain)))
        errors[original == decoded] = 0.0
        errors[np.isnan(errors)] = np.inf
        return errors

    def holds(
        self, original: NDArray[Any], decoded: NDArray[Any], radiometry: Radiometry
    ) -> NDArray[np.bool_]:
        """Where the bound is kept."""
        return self.errors(original, decoded, radiometry) <= self.size
