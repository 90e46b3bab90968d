"""Quantisation: dependent (trellis-coded) with 4 to 64 states, and uniform, both rate-distortion optimised.

The lattice has the spacing 1 (the caller divides by it). Dependent quantisation (H. Schwarz et al., "Hybrid
video coding with trellis-coded quantization", DCC 2019; TCQ: M. Marcellin, T. Fischer, IEEE Trans. Commun.
38, 1990) has two quantisers:

    Q0 reconstructs index k at t = 2 k,   Q1 at t = 2 k - sign(k)

and a state machine (rans.MACHINES) driven by the parity of k says which one is in force, so the residue |t|
mod 4 is 0: Q0 even, 1: Q1 odd, 2: Q0 odd, 3: Q1 even; zero is in Q0 and, as an even index, in Q1. A Viterbi
search finds the indices that minimise sum((u - t)**2 + lam * bits), where bits are the real code lengths for
class and quantiser.

Lanes: coefficient i belongs to lane i % 16, each lane is a path of its own from state 0. So a step works on
16 neighbouring coefficients at once, as vectors (native/trellis.c).

Per coefficient and residue only the nearest lattice point is a candidate (of those around |u| - 0.15), and
zero besides.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy.rans import LANES, MACHINES
from sarzip.codec.entropy.tables import CodeTables
from sarzip.native import kernel

LIMIT = float(1 << 28)  # magnitudes beyond are clipped: lattice points stay well inside int32
MAX_WIDTH = 260

_viterbi = kernel(
    "trellis_viterbi",
    "void(const float32[::1], const uint8[::1], int64, const float32[::1], const float32[::1], int64, int64,"
    " uint8[::1], uint8[::1], int32[::1])",
)
_nearest = kernel(
    "trellis_nearest",
    "void(const float32[::1], const uint8[::1], int64, const float32[:,::1], const float32[::1], int64,"
    " int32[::1])",
)
_lattice = kernel(
    "trellis_lattice",
    "void(const int32[::1], int64, const uint8[::1], const uint8[::1], int64, int32[::1])",
)


@functools.lru_cache(maxsize=8)
def path_rates(tables: CodeTables, lam: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """lam * code length of the candidates, as the search wants them.

    Returns float32 (K * width * 4,): for class c and the lowest candidate w (clipped to width - 1) the cost
    of the candidate of residue 0..3 in w..w+3; and float32 (K * 4,): the cost of zero by residue, in Q0 for 0
    and in Q1 for 3, infinite for 1 and 2.
    """
    reach = int((tables.half.astype(np.int64) << tables.shift).max())
    width = min(2 * reach + 4, MAX_WIDTH)
    bits = tables.magnitude_lengths(width // 2 + 4) * np.float32(lam)
    w = np.arange(width)[:, None]
    r = np.arange(4)[None, :]
    k = (w + ((r - w) & 3) + 1) >> 1
    rates = bits[:, r & 1, k]
    zero = np.full((len(bits), 4), np.inf, np.float32)
    zero[:, 0], zero[:, 3] = bits[:, 0, 0], bits[:, 1, 0]
    return np.ascontiguousarray(rates.reshape(-1)), zero.reshape(-1)


@functools.lru_cache(maxsize=8)
def uniform_thresholds(tables: CodeTables, lam: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What decides between the two neighbours of a magnitude and zero with a uniform quantiser.

    With costs r[k] = lam * code length, k + 1 beats k from k + (1 + r[k + 1] - r[k]) / 2 on, and k beats zero
    from (k² + r[k] - r[0]) / 2k on. Returns float32 (K, width), the fraction above which k = 0.. is rounded
    up; and (K,), the magnitude below which zero is best.
    """
    width = min(int((tables.half.astype(np.int64) << tables.shift).max()) + 4, MAX_WIDTH)
    rates = tables.magnitude_lengths(width)[:, 0].astype(np.float64) * lam
    rounding = np.full(rates.shape, 0.5)
    rounding[:, :-1] += np.diff(rates, axis=1) / 2
    k = np.arange(1, width)
    dead = ((k * k + rates[:, 1:] - rates[:, :1]) / (2 * k)).min(axis=1)
    return np.ascontiguousarray(rounding, np.float32), np.ascontiguousarray(dead, np.float32)


def quantise_clean(
    u: NDArray[np.float32], cls: NDArray[np.uint8], tables: CodeTables, n_states: int, lam: float
) -> NDArray[np.int32]:
    """`quantise` without copies: u finite and within +-LIMIT, both contiguous; the length is cut to a
    multiple of LANES when there is a trellis, so pad with zeros."""
    if n_states == 1:
        index = np.empty(u.size, np.int32)
        rounding, dead = uniform_thresholds(tables, lam)
        _nearest(u, cls, u.size, rounding, dead, rounding.shape[1], index)
        return index
    n = u.size // LANES * LANES
    index = np.empty(n, np.int32)
    branch_rates, zero = path_rates(tables, lam)
    width = branch_rates.size // zero.size
    residue, decisions = np.empty(n, np.uint8), np.empty(n * -(-n_states // 8), np.uint8)
    _viterbi(u, cls, n, branch_rates, zero, width, n_states, residue, decisions, index)
    return index


def quantise(
    u: NDArray[np.float32], cls: NDArray[np.uint8], tables: CodeTables, n_states: int, lam: float
) -> NDArray[np.int32]:
    """Indices int32 (n,) of u float32 (n,), in units of the lattice spacing: by dependent quantisation with 4
    to 64 states, by a uniform quantiser with 1.

    cls: uint8 (n,) < K. lam: squared lattice spacings per bit; 0 finds the nearest points. Magnitudes are
    clipped to LIMIT, NaN counts as 0.
    """
    if cls.shape != u.shape or (cls.size and int(cls.max()) >= tables.classes):
        raise ValueError(f"classes must have the coefficients' shape and be below {tables.classes}")
    padded = -(-u.size // LANES) * LANES
    clean = np.zeros(padded, np.float32)
    np.clip(np.nan_to_num(u, nan=0.0, posinf=LIMIT, neginf=-LIMIT), -LIMIT, LIMIT, out=clean[: u.size])
    classes = np.zeros(padded, np.uint8)
    classes[: u.size] = cls
    return quantise_clean(clean, classes, tables, n_states, lam)[: u.size]


def lattice_points(index: NDArray[np.int32], n_states: int) -> NDArray[np.int32]:
    """Lattice points t int32 (n,) of indices int32 (n,), |index| <= 2**29: k, or 2k and 2k - sign(k) along
    the states."""
    out = np.empty(index.size, np.int32)
    _lattice(np.ascontiguousarray(index), index.size, *MACHINES[n_states].arguments, out)
    return out
