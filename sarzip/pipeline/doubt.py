"""A codec that notices: while a band is coded as backscatter, what a decoder will make of it is compared with
what was stored, in the units of the data. A band that fails was no backscatter and is kept exactly instead.

Of large scenes one pixel of 4×4 is looked at, which costs under 3 % of encoding; values below zero, which
no amplitude or power can have, are counted everywhere.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.grid import Grid
from sarzip.measure.units import UnitErrors, UnitErrorSums

_EVERY = 4
_WHOLE = 1 << 16
"""Scenes of so many pixels are looked at as a whole."""
_LEAST = 16
_MOST_FLIPS = 1e-3
# Speckle that is lost altogether is an error as large as itself, three times as much if it is oversampled so
# finely that pixels four apart still are alike. A smooth field coded as speckle is off by hundreds of times
# what its neighbours differ.
_MOST_VARIATIONS = 4.0
_FEW_VALUES = 8
_PROBED = 4096
_MOST_KEPT = 6
"""So many values below zero become special values of a band."""
_MOST_COUNTED = 256
_LEAST_FILL = 3
"""A value below zero that comes so often is no measurement: noise does not repeat itself."""


@dataclass(frozen=True)
class Objections:
    """What is wrong with a plan. exact: bands that are no backscatter, and why. kept: of bands that are, the
    values below zero, where they are so few that each can be kept. lost: of bands that may stay as they are,
    how many values below zero become the smallest above it.
    """

    exact: Mapping[int, str] = field(default_factory=dict)
    kept: Mapping[int, tuple[float | int, ...]] = field(default_factory=dict)
    lost: Mapping[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.exact or self.kept)


class _Band:
    """What is known of a band so far."""

    def __init__(self, lag: int) -> None:
        self.sums = UnitErrorSums(lag)
        self.few: set[float | int] | None = set()
        """Its values; None as soon as there are many."""
        self.below = 0
        self.negative: dict[float | int, int] = {}
        """Values below zero and how often; some of them where there are many."""


class Watch:
    """Errors of the bands that are coded as backscatter; add from any thread. every: how far the rows and
    columns that it looks at are apart.
    """

    def __init__(self, linear: Mapping[int, bool], grid: Grid) -> None:
        """linear: for each band that is coded, whether it is amplitude or power, which are never negative."""
        self.every = 1 if grid.height * grid.width <= _WHOLE else _EVERY
        self._bands = {band: _Band(_EVERY // self.every) for band in linear}
        self._linear = linear
        self._lock = threading.Lock()

    def below_zero(self, band: int, samples: NDArray[Any], validity: NDArray[np.uint8]) -> None:
        """All samples of a strip, each once; validity: 0 where measured."""
        if not self._linear[band] or samples.dtype.kind == "u":
            return
        negative = samples < 0
        if not negative.any():
            return
        values = samples[negative & (validity == 0)]
        distinct, counts = (each[:_MOST_COUNTED].tolist() for each in np.unique(values, return_counts=True))
        with self._lock:
            seen = self._bands[band]
            seen.below += values.size
            for value, count in zip(distinct, counts, strict=True):
                if value in seen.negative or len(seen.negative) < _MOST_COUNTED:
                    seen.negative[value] = seen.negative.get(value, 0) + count

    def add(self, band: int, original: NDArray[Any], decoded: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Samples of a group: of every `every`th row and column."""
        seen = self._bands[band]
        distinct = np.unique(original[valid][:_PROBED]) if seen.few is not None else None
        with self._lock:
            seen.sums.add(original, decoded, valid)
            if distinct is not None and seen.few is not None:
                seen.few.update(distinct[: _FEW_VALUES + 1].tolist())
                if len(seen.few) > _FEW_VALUES:
                    seen.few = None

    def objections(self) -> Objections:
        """What must not be coded like this."""
        exact: dict[int, str] = {}
        kept: dict[int, tuple[float | int, ...]] = {}
        lost: dict[int, int] = {}
        for band, seen in self._bands.items():
            if few := _few(seen.negative):
                kept[band] = few
                continue
            reason = self._objection(band, seen)
            if reason is not None:
                exact[band] = reason
            elif seen.below:
                lost[band] = seen.below
        return Objections(exact, kept, lost)

    def _objection(self, band: int, seen: _Band) -> str | None:
        errors = seen.sums.result()
        if errors is None:
            return None
        looked_at = errors.count * self.every**2
        if seen.below > _MOST_FLIPS * looked_at:
            return f"{min(seen.below / looked_at, 1):.2%} of its values are below zero"
        if seen.few is not None and errors.count >= _LEAST and errors.changed > 0:
            return f"{errors.changed:.2%} of its {len(seen.few)} different values would change"
        return objection(errors, self._linear[band])


def _few(counts: Mapping[float | int, int]) -> tuple[float | int, ...]:
    """Values that can be kept one by one: all of them, or those that repeat; none if these are many, too."""
    if len(counts) <= _MOST_KEPT:
        return tuple(sorted(counts))
    repeated = sorted(value for value, count in counts.items() if count >= _LEAST_FILL)
    return tuple(repeated) if len(repeated) <= _MOST_KEPT else ()


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
