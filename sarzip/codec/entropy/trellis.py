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
16 neighbouring coefficients at once, as one vector; that part is built as vector code (trellis_vector.py),
which makes the search over ten times faster.

Per coefficient and residue only the nearest lattice point is a candidate (of those around |u| - BIAS), and
zero besides.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy.rans import LANES, MACHINES
from sarzip.codec.entropy.tables import CodeTables
from sarzip.codec.entropy.trellis_vector import BIAS, BLOCK, RESIDUES, SPAN, costs, make_search
from sarzip.jit.compile import built, compiled, inlined

LIMIT = float(1 << 28)  # magnitudes beyond are clipped: lattice points stay well inside int32
MAX_WIDTH = 260
_FAR = np.float32(1e30)


_search4 = built(functools.partial(make_search, 4))
_search8 = built(functools.partial(make_search, 8))
_search16 = built(functools.partial(make_search, 16))
_search32 = built(functools.partial(make_search, 32))
_search64 = built(functools.partial(make_search, 64))


@compiled("void(float32[::1], uint8[::1], float32[::1], float32[::1], uint8[::1], int32[::1])")
def _viterbi(u, cls, rates, zero, residues, index):  # type: ignore[no-untyped-def]
    """Indices int32 (n,) of the best paths; n is a multiple of LANES. residues: see _trace."""
    n = u.shape[0]
    n_states = residues.shape[0] // 2
    groups = (n_states + 7) // 8
    decisions = np.empty(n * groups, np.uint8)
    zeroed = np.empty(n, np.uint8)
    cost = np.empty(4 * SPAN, np.float32)
    path = np.full(n_states * LANES, _FAR)
    path[:LANES] = np.float32(0)
    for start in range(0, n, SPAN):
        steps = min(BLOCK, (n - start) // LANES)
        costs(u, cls, rates, zero, cost, zeroed, start, steps * LANES)  # type: ignore[call-arg]
        if n_states == 4:
            _search4(cost, path, decisions, start, steps)
        elif n_states == 8:
            _search8(cost, path, decisions, start, steps)
        elif n_states == 16:
            _search16(cost, path, decisions, start, steps)
        elif n_states == 32:
            _search32(cost, path, decisions, start, steps)
        elif n_states == 64:
            _search64(cost, path, decisions, start, steps)
        for lane in range(LANES):
            # path costs relative to state 0 keep float32 exact enough over any length
            low = path[lane]
            for s in range(n_states):
                path[s * LANES + lane] -= low
    state = np.zeros(LANES, np.int64)
    for lane in range(LANES):
        for s in range(1, n_states):
            if path[s * LANES + lane] < path[state[lane] * LANES + lane]:
                state[lane] = s
    residue = zeroed  # what held the flags of the zeros takes the residues too
    _trace(decisions, state, residues, residue)
    _indices(u, residue, index)


@inlined
def _trace(decisions, state, residues, found):  # type: ignore[no-untyped-def]
    """Walk back from the best last states: adds 16 times the residue of every step to `found`.

    residues: uint8 (2 * n_states,) of state and decision. The states are those of shift registers: before
    state s came s >> 1 or that plus half the number of states.
    """
    half = residues.shape[0] // 4
    groups = decisions.shape[0] // found.shape[0]
    for start in range(found.shape[0] - LANES, -1, -LANES):
        at = start * groups
        for lane in range(LANES):
            held = state[lane]
            byte = np.int64(decisions[at + (held >> 3) * LANES + lane])
            second = (byte >> (held & 7)) & 1
            found[start + lane] |= residues[2 * held + second] << np.uint8(4)
            state[lane] = (held >> 1) + half * second


@inlined
def _indices(u, residue, index):  # type: ignore[no-untyped-def]
    """Indices from the residues that the best path takes (bits 4 and 5) and the flags of zeros (0 and 3)."""
    bias = np.float32(BIAS)
    for i in range(u.shape[0]):
        x = abs(u[i])
        flags = np.int32(residue[i])
        r = flags >> np.int32(4)
        w = max(np.int32(x - bias) - np.int32(1), np.int32(0))
        t = w + ((r - w) & np.int32(3))
        gone = (r == np.int32(0)) & ((flags & np.int32(1)) != 0)
        gone |= (r == np.int32(3)) & ((flags & np.int32(8)) != 0)
        k = np.int32(0) if gone else (t + np.int32(1)) >> np.int32(1)
        index[i] = -k if u[i] < np.float32(0) else k


@inlined
def nearest(value, c, rounding, dead):  # type: ignore[no-untyped-def]
    """Index of a value of class c with a uniform quantiser of spacing 1; thresholds of uniform_thresholds."""
    x = abs(value)
    low = np.int32(x)
    k = low + np.int32(x - np.float32(low) > rounding[c, min(low, np.int32(rounding.shape[1] - 1))])
    # Products, because processors guess wrongly which way a choice between such values goes.
    k *= np.int32(x >= dead[c])
    return k * (np.int32(1) - np.int32(2) * np.int32(value < np.float32(0)))


@compiled("void(float32[::1], uint8[::1], float32[:,::1], float32[::1], int32[::1])")
def _nearest(u, cls, rounding, dead, index):  # type: ignore[no-untyped-def]
    for i in range(u.shape[0]):
        index[i] = nearest(u[i], np.int64(cls[i]), rounding, dead)


@compiled("void(int32[::1], int64, uint8[::1], uint8[::1], int32[::1])")
def _lattice(index, n, following, quantiser, out):  # type: ignore[no-untyped-def]
    state = np.zeros(LANES, np.uint8)
    dependent = quantiser.shape[0] > 1
    for i in range(n):
        k = index[i]
        lane = i & (LANES - 1)
        if dependent:
            s = np.int64(state[lane])
            t = k * np.int32(2)
            sign = np.int32(k > 0) - np.int32(k < 0)
            out[i] = t - sign if quantiser[s] else t
            state[lane] = following[2 * s + np.int64(k & np.int32(1))]
        else:
            out[i] = k


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
        _nearest(u, cls, *uniform_thresholds(tables, lam), index)
        return index
    n = u.size // LANES * LANES
    index = np.empty(n, np.int32)
    branch_rates, zero = path_rates(tables, lam)
    _viterbi(u[:n], cls[:n], branch_rates, zero, RESIDUES[n_states], index)
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
    machine = MACHINES[n_states]
    out = np.empty(index.size, np.int32)
    _lattice(np.ascontiguousarray(index), index.size, machine.next, machine.quantiser, out)
    return out
