"""Cells: what the network tells apart. Each holds one number of a numbering or a run of neighbouring ones.

A cell is a run of 2^s numbers, s the bits that are sent as they are: where values lie far more densely than
the noise, no model can say anything about their last bits. The network sees where cells lie in the signal.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.predictive.distributions import FINE
from sarzip.codec.predictive.numbering import Numbering, Numbers, signal
from sarzip.codec.predictive.strips import CellTables

MOST_CELLS = 1 << 15
"""More would cost too much of the 2^22 that chances are told in."""
_FINENESS = 10  # cells in a deviation of the noise, or more
_MOST_LEVEL = 1 << 18
_LOOKUP = 1 << 14
_DB_PER_OCTAVE = 10 * math.log10(2)
_MOST_SHIFT = 62


@dataclass(frozen=True)
class Cells:
    """first: number of the first value of each cell, int64 ascending. bits: raw bits of each. levels:
    float64, of the signal; edges: those between them, one fewer.
    """

    first: Numbers
    bits: NDArray[np.uint8]
    levels: NDArray[np.float64]
    edges: NDArray[np.float64]

    def index(self, numbers: Numbers) -> NDArray[np.int32]:
        """The cell of each number."""
        if not self.bits.any():
            return (numbers - self.first[0]).astype(np.int32)
        shift = int(self.bits.min())
        least, span = (
            int(self.first[0]) >> shift,
            (int(self.first[-1]) >> shift) - (int(self.first[0]) >> shift),
        )
        if span < 1 << 20:
            places = (np.arange(span + 1) + least) << shift
            table = (np.searchsorted(self.first, places, side="right") - 1).astype(np.int32)
            return table[np.minimum((numbers >> shift) - least, span)]
        return (np.searchsorted(self.first, numbers, side="right") - 1).astype(np.int32)

    def width(self, at: int) -> float:
        """Of a cell in the signal."""
        if not self.edges.size:
            return 1.0
        at = min(max(at, 1), self.levels.size - 2)
        low, high = self.edges[max(at - 1, 0)], self.edges[min(max(at, 0), self.edges.size - 1)]
        return float(high - low) if high > low else float(abs(self.levels[-1] - self.levels[0]))

    def tables(self, unit: float, origin: int) -> CellTables:
        """In units of the group. origin: the cell whose level is 0."""
        zero = self.levels[origin]
        levels = _whole((self.levels - zero) / unit, _MOST_LEVEL)
        edges = _whole((self.edges - zero) / unit * FINE, _MOST_LEVEL * FINE)
        least = int(edges[0]) if edges.size else 0
        span = int(edges[-1]) - least + 1 if edges.size else 1
        shift = max(0, (span - 1).bit_length() - _LOOKUP.bit_length() + 1)
        places = least + (np.arange((span >> shift) + 2) << shift)
        found = np.searchsorted(edges, places, side="right")
        arrays = np.concatenate([levels, [0], edges, [0], found]).astype(np.int32)
        return CellTables(arrays, np.array([levels.size, least, shift, found.size], np.int64))


def _whole(values: NDArray[np.float64], most: int) -> Numbers:
    return np.clip(np.rint(values), -most, most).astype(np.int64)


def fineness(numbering: Numbering, deviation: float, least: int, greatest: int) -> int:
    """How many bits of numbers the network needs to see, for noise of a deviation in the signal: leading bits
    of an octave if the signal is logarithmic and its numbers are not equally far apart; else the logarithm of
    a cell's width, to base 2, in numbers or in values of floats.
    """
    wanted = max(deviation, 1e-300) / _FINENESS
    if numbering.octaves is not None and numbering.logarithmic:
        found = max(3, math.ceil(math.log2(_DB_PER_OCTAVE * 1.4427 / wanted)))
        step = -1
    else:
        spacing = _spacing(numbering, least, greatest)
        found, step = math.floor(math.log2(min(wanted / spacing, 2.0**1000))), 1
        if not numbering.octaves:
            found = max(found, 0)
    while build_count(numbering, found, least, greatest) > MOST_CELLS:
        found += step
    return max(-2000, min(found, 2000))


def _spacing(numbering: Numbering, least: int, greatest: int) -> float:
    """Distance of neighbouring numbers in the signal, or 1 where it is not the same everywhere."""
    if numbering.octaves:
        return 1.0
    ends = signal(numbering, numbering.reals(np.array([least, greatest])))
    return max(float(ends[1] - ends[0]) / max(greatest - least, 1), 1e-300)


def build_count(numbering: Numbering, fine: int, least: int, greatest: int) -> int:
    """How many cells there would be."""
    return sum(
        ((last >> bits) - (first >> bits)) + 1
        for first, last, bits in _runs(numbering, fine, least, greatest)
    )


def build(numbering: Numbering, fine: int, least: int, greatest: int) -> Cells:
    """The cells of numbers from least to greatest."""
    firsts, bits = [], []
    for begin, end, shift in _runs(numbering, fine, least, greatest):
        starts = np.arange(begin >> shift, (end >> shift) + 1, dtype=np.int64) << shift
        firsts.append(starts)
        bits.append(np.full(starts.size, shift, np.uint8))
    first, raw = np.concatenate(firsts), np.concatenate(bits)
    low = numbering.reals(np.maximum(first, least))
    high = numbering.reals(np.minimum(first + (np.int64(1) << raw.astype(np.int64)) - 1, greatest))
    levels = signal(numbering, (low + high) / 2)
    edges = signal(numbering, (high[:-1] + low[1:]) / 2)
    return Cells(first, raw, levels, edges)


def _runs(numbering: Numbering, fine: int, least: int, greatest: int) -> list[tuple[int, int, int]]:
    """First and last number of the parts that have cells of one size, and their raw bits, in order."""
    octaves = numbering.octaves
    if octaves is None or (octaves == 0 and not numbering.logarithmic):
        return [(least, greatest, min(max(fine, 0), _MOST_SHIFT))]
    runs = []
    offset = int(np.finfo(numbering.dtype).maxexp) - 1 + octaves if octaves else 0
    for first, last, size, power in _octaves(octaves, least, greatest):
        linear = min(max(fine - power + offset, 0), size)
        # More raw bits than a number has are as good as any: nobody codes such cells.
        leading = min(max(0, size - fine), _MOST_SHIFT)
        runs.append((first, last, leading if numbering.logarithmic else linear))
    return runs


def _octaves(mantissa: int, least: int, greatest: int) -> list[tuple[int, int, int, int]]:
    """First and last number of each octave in a range, the bits within it, and its exponent, biased for
    floats. Negative ones mirror the others: −1 − n for n.
    """
    found = []
    if least < 0:
        mirrored = _octaves(mantissa, max(0, -1 - greatest), -1 - least)
        found = [(-1 - last, -1 - first, size, power) for first, last, size, power in reversed(mirrored)]
    if greatest < 0:
        return found
    for first, size, power in _upward(mantissa, greatest):
        last = first + (1 << size) - 1
        if last >= least and first <= greatest:
            found.append((max(first, least, 0), min(last, greatest), size, power))
    return found


@functools.lru_cache(16)
def _upward(mantissa: int, greatest: int) -> tuple[tuple[int, int, int], ...]:
    """Octaves from 0 on: first number, bits, exponent."""
    if not mantissa:
        return ((0, 0, 0), *((1 << j, j, 0) for j in range(greatest.bit_length())))
    return tuple((e << mantissa, mantissa, max(e, 1)) for e in range((greatest >> mantissa) + 1))
