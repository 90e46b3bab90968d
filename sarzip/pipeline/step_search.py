"""Finding the quantiser step that meets a target of rate or distortion.

Both are smooth and monotone in the step and nearly straight on a doubly logarithmic scale, so a bracketed
secant search needs few evaluations.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

STEP_RANGE = (0.05, 80.0)
"""Steps in dB that are tried; quality 0 to 100 spans 20 to 0.625."""
_EVALUATIONS = 20
_LEAST = 1e-12


@dataclass(frozen=True)
class Target:
    """What the measured value shall be, within a relative tolerance.

    rising: whether the value grows with the step (distortion) or falls (bytes). ceiling: it must not be
    exceeded at all.
    """

    value: float
    tolerance: float
    rising: bool
    ceiling: bool = False

    def met_by(self, value: float) -> bool:
        """Whether a measured value is close enough."""
        upper = self.value if self.ceiling else self.value * (1 + self.tolerance)
        return self.value * (1 - self.tolerance) <= value <= upper


@dataclass(frozen=True)
class Found:
    """The step in dB, what was measured with it, and whether that meets the target."""

    step: float
    value: float
    met: bool


def search_step(measure: Callable[[float], float], target: Target, start: float) -> Found:
    """Find a step, beginning with `start` (dB), whose measured value meets the target.

    Where none does, the nearest found: with a ceiling the nearest below it, if there is one.
    """
    # Aim at the middle of what is allowed.
    goal = math.log(target.value * (1 - target.tolerance / 2 if target.ceiling else 1))
    ends = tuple(math.log(step) for step in STEP_RANGE)
    below: tuple[float, float] | None = None
    above: tuple[float, float] | None = None
    tried: dict[float, float] = {}
    position = min(max(math.log(start), ends[0]), ends[1])
    for _ in range(_EVALUATIONS):
        step = float(f"{math.exp(position):.6g}")
        if step in tried:
            break
        tried[step] = measure(step)
        if target.met_by(tried[step]):
            return Found(step, tried[step], True)
        miss = math.log(max(tried[step], _LEAST)) - goal
        miss = miss if target.rising else -miss
        if miss < 0:
            below = (position, miss)
        else:
            above = (position, miss)
        if below and above:
            share = below[1] / (below[1] - above[1])
            # Away from the ends, so that a bent curve cannot make the search creep.
            position = below[0] + (above[0] - below[0]) * min(max(share, 0.1), 0.9)
        else:
            # Where the curve is flat the miss says little: reach out further with every attempt.
            reach = math.copysign(max(1.3 * abs(miss), 0.25 * 2 ** len(tried)), miss)
            position = min(max(position - reach, ends[0]), ends[1])
    allowed = {step: value for step, value in tried.items() if not target.ceiling or value <= target.value}
    candidates = allowed or tried
    step = min(candidates, key=lambda each: abs(math.log(max(candidates[each], _LEAST) / target.value)))
    return Found(step, candidates[step], False)
