"""A codec that notices: while a band is coded as backscatter, what a decoder will make of it is compared with
what was stored, in the units of the data. A band that fails was no backscatter and is kept exactly instead.

One pixel of 4×4 is looked at, which costs under 3 % of encoding.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.measure.units import UnitErrors, UnitErrorSums

THIN = 4
"""Every so many rows and columns are looked at."""
_LEAST = 64
_MOST_FLIPS = 1e-3
# Speckle that is lost altogether is an error as large as itself, three times as much if it is oversampled so
# finely that pixels four apart still are alike. A smooth field coded as speckle is off by hundreds of times
# what its neighbours differ.
_MOST_VARIATIONS = 4.0


class Watch:
    """Errors of the bands that are coded as backscatter; add from any thread."""

    def __init__(self, bands: Iterable[int]) -> None:
        self._sums: Mapping[int, UnitErrorSums] = {band: UnitErrorSums() for band in bands}
        self._lock = threading.Lock()

    def add(self, band: int, original: NDArray[Any], decoded: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Thinned samples of a group."""
        with self._lock:
            self._sums[band].add(original, decoded, valid)

    def objections(self) -> dict[int, str]:
        """The bands that must not be coded like this, and why."""
        results = ((band, sums.result()) for band, sums in self._sums.items())
        found = ((band, objection(errors)) for band, errors in results if errors is not None)
        return {band: reason for band, reason in found if reason is not None}


def objection(errors: UnitErrors) -> str | None:
    """Why a band with these errors must not be coded as backscatter; None where nothing speaks against it."""
    if errors.count < _LEAST:
        return None
    if errors.sign_flips > _MOST_FLIPS:
        return f"{errors.sign_flips:.2%} of its values would change their sign"
    limit = _MOST_VARIATIONS * errors.variation
    if math.isfinite(limit) and errors.rmse > limit:
        return (
            f"errors of {errors.rmse:.3g} would be {errors.rmse / max(errors.variation, 1e-300):.0f} times "
            "what neighbouring pixels differ"
        )
    return None
