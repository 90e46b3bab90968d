"""A codec that notices: while a band is coded as backscatter, what a decoder will make of it is compared with
what was stored, in the units of the data. A band that fails was no backscatter and is kept exactly instead.

One pixel of 4×4 is looked at, which costs under 3 % of encoding.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.measure.units import UnitErrors, UnitErrorSums

THIN = 4
"""Every so many rows and columns are looked at."""
_LEAST = 64
_LEAST_FILL = 3
_MOST_FLIPS = 1e-3
# Speckle that is lost altogether is an error as large as itself, three times as much if it is oversampled so
# finely that pixels four apart still are alike. A smooth field coded as speckle is off by hundreds of times
# what its neighbours differ.
_MOST_VARIATIONS = 4.0


@dataclass(frozen=True)
class Objections:
    """What is wrong with a plan. exact: bands that are no backscatter, and why. fills: of bands that are, a
    value beyond all measurements that the sample had not shown.
    """

    exact: Mapping[int, str]
    fills: Mapping[int, float | int]

    def __bool__(self) -> bool:
        return bool(self.exact or self.fills)


class Watch:
    """Errors of the bands that are coded as backscatter; add from any thread."""

    def __init__(self, linear: Mapping[int, bool]) -> None:
        """linear: for each band that is coded, whether it is amplitude or power, which are never negative."""
        self._sums = {band: UnitErrorSums() for band in linear}
        self._linear = linear
        self._negative: dict[int, set[float | int]] = {band: set() for band in linear}
        self._lock = threading.Lock()

    def add(self, band: int, original: NDArray[Any], decoded: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Thinned samples of a group."""
        with self._lock:
            self._sums[band].add(original, decoded, valid)
            if self._linear[band] and len(self._negative[band]) <= 1:
                below = original[valid & (original < 0)]
                if below.size:
                    self._negative[band] |= {below.min().item(), below.max().item()}

    def objections(self) -> Objections:
        """What must not be coded like this."""
        exact: dict[int, str] = {}
        fills: dict[int, float | int] = {}
        for band, sums in self._sums.items():
            errors = sums.result()
            if errors is None:
                continue
            negative = tuple(self._negative[band])
            # One value again and again, and no other below zero: nobody declared it, but it is a fill.
            if len(negative) == 1 and errors.sign_flips * errors.count >= _LEAST_FILL:
                fills[band] = negative[0]
                continue
            reason = objection(errors, self._linear[band])
            if reason is not None:
                exact[band] = reason
        return Objections(exact, fills)


def objection(errors: UnitErrors, linear: bool) -> str | None:
    """Why a band with these errors must not be coded as backscatter; None where nothing speaks against it.

    linear: amplitude or power; decibels cross zero anywhere.
    """
    if errors.count < _LEAST:
        return None
    if linear and errors.sign_flips > _MOST_FLIPS:
        return f"{errors.sign_flips:.2%} of its values would change their sign"
    limit = _MOST_VARIATIONS * errors.variation
    if math.isfinite(limit) and errors.rmse > limit:
        return (
            f"errors of {errors.rmse:.3g} would be {errors.rmse / max(errors.variation, 1e-300):.0f} times "
            "what neighbouring pixels differ"
        )
    return None
