"""How the integer hyperprior of `lapped16` depends on the step, and its units: pure integers, no network.

The biases of the first and last layer are linear between knots one octave of the step apart, evaluated at
sixteenths of an octave.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

CLASSES = 64
CLASS_BASE = 0.06
CLASS_STEP = 0.14
"""Class k stands for a standard deviation of CLASS_BASE · exp(CLASS_STEP · k) steps."""

SIDE_CLIP = 31
"""What the integer layers see of a hyper-latent; the mean sees all of it."""
WEIGHT_BITS = 6
HIDDEN_BITS = 4
SUM_BITS = WEIGHT_BITS + HIDDEN_BITS
TOP_HIDDEN = 255

FIRST_OCTAVE = -2
"""log2 of the step in dB at the first knot."""
FRACTIONS = 16
"""Step indices per octave."""
CLASSES_PER_INDEX = 317
"""Classes by which a step index shifts the scale, in 1/1024: ln 2 / 16 / 0.14."""

# 2^(j/16 - 1/32) for j = 0..16: mantissas between which a step rounds to j sixteenths of an octave. Literals,
# because libraries differ in the last digit of a power.
_BOUNDS = (
    0.9785720620877001, 1.0218971486541166, 1.0671404006768237, 1.1143867425958924, 1.1637248587775775,
    1.2152473599804690, 1.2690509571917332, 1.3252366431597413, 1.3839098819638320, 1.4451808069770467,
    1.5091644275934228, 1.5759808451078865, 1.6457554781539649, 1.7186192981224779, 1.7947090750031072,
    1.8741676341103000, 1.9571441241754002,
)  # fmt: skip


def ratios() -> NDArray[np.float64]:
    """sigma / step of the classes, float64 (CLASSES,)."""
    return np.asarray(CLASS_BASE * np.exp(CLASS_STEP * np.arange(CLASSES)))


def step_index(step: float) -> int:
    """Sixteenths of an octave from the first knot to the step (dB), rounded; the same on every machine."""
    mantissa, exponent = math.frexp(step)
    mantissa *= 2.0
    below = sum(mantissa >= bound for bound in _BOUNDS) - 1
    return (exponent - 1 - FIRST_OCTAVE) * FRACTIONS + below


def interpolate_knots(knots: NDArray[np.int32], index: int) -> NDArray[np.int64]:
    """Row of integer knots (K, C) at a step index, clamped to the first and the last."""
    index = min(max(index, 0), (len(knots) - 1) * FRACTIONS)
    low = min(index // FRACTIONS, len(knots) - 2)
    part = index - low * FRACTIONS
    wide = knots.astype(np.int64)
    return np.asarray((wide[low] * (FRACTIONS - part) + wide[low + 1] * part) >> 4)


def classes_beyond(index: int, knots: int) -> int:
    """Classes by which the scale moves for steps outside the knots."""
    top = (knots - 1) * FRACTIONS
    return -(((index - min(max(index, 0), top)) * CLASSES_PER_INDEX) >> 10)


def side_row(knots: NDArray[np.int32], step: float, classes: int) -> NDArray[np.uint8]:
    """Classes uint8 (S,) of the hyper-latents' residuals, from their knots, before a group moves them."""
    index = step_index(step)
    row = (interpolate_knots(knots, index) + (1 << (SUM_BITS - 1))) >> SUM_BITS
    return np.clip(row + classes_beyond(index, len(knots)), 0, classes - 1).astype(np.uint8)


def spread_side(
    row: NDArray[np.uint8], moves: NDArray[np.int64], positions: int, top: int
) -> NDArray[np.uint8]:
    """Classes uint8 (S · positions,) from a row of classes and a group's moves (S,) in classes."""
    return np.repeat(np.clip(row + moves, 0, top).astype(np.uint8), positions)
