"""How a band that is no backscatter is coded, and what its values say against its kind."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from sarzip.kinds.evidence import Claim, Evidence
from sarzip.kinds.kind import EXACT, Kind, Treatment, treatment_of
from sarzip.kinds.statistics import ValueStatistics
from sarzip.kinds.units import Unit

# A bound must be this small a part of the spread of a band, or the band is exact.
_BOUND_OF_SPREAD = 1e-2
# Phase whose spread is less than a radian may be something else that is called so.
_LEAST_PHASE_BOUNDS = 0.1


def bounded(claim: Claim, unit: Unit | None, evidence: Evidence, stats: ValueStatistics) -> Treatment:
    """The treatment of a kind other than backscatter: its bound where the values allow one, else exact."""
    floating = np.dtype(evidence.dtype).kind == "f"
    if not floating or evidence.packed or stats.count == 0 or stats.integer or stats.distinct <= 256:
        return EXACT
    degrees = unit is not None and unit.degrees
    if claim.kind is Kind.PHASE and degrees:
        return EXACT
    largest = max(abs(stats.minimum), abs(stats.maximum))
    wrapped = largest <= math.pi + 1e-4 or (stats.minimum >= 0 and stats.maximum <= 2 * math.pi + 1e-4)
    # Without a unit the smaller bound is the safe one.
    radians = claim.radians or (not degrees and largest <= 2 * math.pi + 1e-4)
    treatment = treatment_of(claim.kind, floating=True, wrapped=wrapped, radians=radians)
    bound = treatment.bound
    if bound is None:
        return treatment
    if treatment.period is not None:
        # π of float32 lies above π.
        low, high = (-math.pi, math.pi) if stats.minimum < 0 else (0.0, 2 * math.pi)
        treatment = replace(treatment, limits=(float(np.float32(low)), float(np.float32(high))))
    # A name can be wrong: the bound must also be small beside what the band holds if it is something else.
    level = (
        abs(stats.median) if claim.kind is not Kind.PHASE else _LEAST_PHASE_BOUNDS * (stats.p99 - stats.p01)
    )
    spread = stats.p99 - stats.p01
    return treatment if bound <= _BOUND_OF_SPREAD * min(spread, level) else EXACT


def objection_to(kind: Kind, evidence: Evidence, stats: ValueStatistics) -> str:
    """What the values say against a kind other than backscatter, or nothing."""
    floating = np.dtype(evidence.dtype).kind == "f"
    if stats.count == 0:
        return ""
    if kind is Kind.COHERENCE and floating and not (stats.minimum >= -1e-6 and stats.maximum <= 1 + 1e-6):
        return f"the values from {span(stats)} leave 0..1"
    if (
        kind is Kind.ANGLE
        and not evidence.packed
        and floating
        and not -361 <= stats.minimum <= stats.maximum <= 361
    ):
        return f"the values from {span(stats)} leave -360..360"
    if kind is Kind.CLASS and floating and not stats.integer and stats.distinct > 256:
        return f"it has {stats.distinct} different values, which are no integers"
    if kind in (Kind.DATE, Kind.COUNT) and stats.negative > 0:
        return f"{stats.negative:.2%} of the values are negative"
    if kind is Kind.PHASE and floating and stats.maximum - stats.minimum > 1e5:
        return f"the values from {span(stats)} are too far apart"
    return ""


def span(stats: ValueStatistics) -> str:
    """The range of the values, for a person."""
    return f"{stats.minimum:.4g} to {stats.maximum:.4g}"
