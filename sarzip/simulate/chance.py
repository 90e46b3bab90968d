"""Random numbers as a pure function of (key, row, column): the same in whatever order they are asked.

One step of SplitMix64 (Steele, Lea and Flood 2014) over the position gives 64 bits. Gaussian numbers are read
from a table of 65 536 quantiles with 16 of these bits: unit variance by construction, tails cut at 4.3
standard deviations, which the shaping filter behind it fills again.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sarzip.native import kernel

_bits = kernel("position_bits", "int64(int64, int64, int64)")


def bits(key: np.uint64, row: int, column: int) -> np.uint64:
    """64 random bits of a position; row and column may be negative, down to -2^20."""
    return np.uint64(_bits(int(key), row, column) % (1 << 64))


def uniform(key: np.uint64, row: int, column: int) -> float:
    """Uniform number in [0, 1) of a position."""
    return float(bits(key, row, column) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


def key_of(seed: int, stream: int) -> np.uint64:
    """Key of one of a seed's independent streams."""
    words = np.random.SeedSequence([seed, stream]).generate_state(2, np.uint32)
    return np.uint64((int(words[0]) << 32) | int(words[1]))


@lru_cache(maxsize=1)
def gaussian_table() -> NDArray[np.float32]:
    """65 536 equally likely values of mean 0 and variance 1."""
    normal, half = NormalDist(), 1 << 15
    upper = np.array([normal.inv_cdf(0.5 + (i + 0.5) / (2 * half)) for i in range(half)])
    table = np.concatenate([-upper[::-1], upper])
    return (table / table.std()).astype(np.float32)
