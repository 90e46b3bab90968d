"""Colours of two polarisations, as operators know them.

SOURCE: the RGB profiles that SNAP registers for dual polarisation ("Dual Pol Ratio", "Multiple" and
"Difference") and the "RGB ratio" of the Copernicus Browser (Sentinel Hub custom scripts, VH/VV in blue). Here
all channels are decibels, where ratios are differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Decibels = NDArray[np.float32]
Limits = tuple[float, float]

# Natural surfaces reflect 3 to 15 dB less into the other polarisation.
_RATIO_DB = (0.0, 15.0)
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Composite:
    """Three channels of a first band (co-polarised, VV) and a second one (cross-polarised, VH).

    swapped: red is the second band and green the first. blue: of both in dB. shows: what blue is. limits: of
    blue where those of the bands are fixed.
    """

    blue: Callable[[Decibels, Decibels], Decibels]
    shows: str
    limits: Callable[[Limits], Limits]
    swapped: bool = False


def _difference(first: Decibels, second: Decibels) -> Decibels:
    power = np.abs(np.power(10, first / 10, dtype=np.float64) - np.power(10, second / 10, dtype=np.float64))
    return (10 * np.log10(np.maximum(power, _SMALLEST))).astype(np.float32)


COMPOSITES = {
    "ratio": Composite(lambda first, second: first - second, "{0}/{1}", lambda bands: _RATIO_DB),
    "cross-ratio": Composite(
        lambda first, second: second - first, "{1}/{0}", lambda bands: (-_RATIO_DB[1], -_RATIO_DB[0])
    ),
    "difference": Composite(_difference, "|{0}-{1}|", lambda bands: bands, swapped=True),
    "product": Composite(
        lambda first, second: first + second, "{0}·{1}", lambda bands: (2 * bands[0], 2 * bands[1])
    ),
}
"""By the name that users give."""

# In the order of preference, first the one that is red.
_PAIRS = (
    *(("vv", "vh"), ("hh", "hv"), ("vv", "hv"), ("hh", "vh"), ("hh", "vv")),
    *(("rh", "rv"), ("rch", "rcv"), ("lh", "lv")),
)
POLARISATIONS = frozenset(name for pair in _PAIRS for name in pair)


def pair_of(polarisations: Sequence[str | None]) -> tuple[int, int] | None:
    """Positions of the two bands to compose, by the polarisation of each (lower case); None if unknown."""
    for pair in _PAIRS:
        if all(name in polarisations for name in pair):
            return polarisations.index(pair[0]), polarisations.index(pair[1])
    return None
