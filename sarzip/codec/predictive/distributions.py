"""The distributions that the network chooses from: 12 shapes × 48 scales, as integer tables.

A shape is the logarithm of a gamma variable of ν looks, standardised: speckle in dB is skewed the more, the
fewer looks there are. 3 % of a wide logistic keep the tails alive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.predictive.fit import UNITS

SHAPES = 12
SCALES = 48
SCALE_ORIGIN = 32
"""The class whose deviation is σ; each further one is e^(1/8) times wider."""
LEAST_SCALE, MOST_SCALE = -SCALE_ORIGIN / 8, (SCALES - 1 - SCALE_ORIGIN) / 8
"""Natural logarithms of the first and the last deviation in σ."""
LEAST_CHANCE = 1e-7
"""Of a cell, as far as learning minds: what comes more seldom teaches nothing."""
STEPS_PER_DEVIATION = 32
TABLE_LEAST, TABLE_STEPS = -14 * STEPS_PER_DEVIATION, 24 * STEPS_PER_DEVIATION
INVERSE_STEPS = 1024
TABLE_BITS = 20
FINE = 64
"""Parts of a unit in which edges and means are told."""


def integer_tables(shapes: NDArray[np.float64]) -> NDArray[np.int32]:
    """All tables of native/pixel.h in one row: cumulative, inverse, multiplier, back."""
    cumulative = np.maximum.accumulate(np.rint(shapes * (1 << TABLE_BITS)), 1)
    places, chances = np.arange(TABLE_STEPS + 1), np.arange(INVERSE_STEPS + 1) / INVERSE_STEPS
    inverse = np.stack([np.rint(np.interp(chances, row, places)) for row in shapes])
    deviations = np.exp((np.arange(SCALES) - SCALE_ORIGIN) / 8) * UNITS * FINE  # in 1/64 of a unit
    multiplier = np.rint(STEPS_PER_DEVIATION * 256 / deviations * (1 << 12))
    back = np.rint(deviations / STEPS_PER_DEVIATION * (1 << 10))
    parts = (cumulative, inverse, multiplier, back)
    return np.concatenate([part.ravel() for part in parts]).astype(np.int32)
