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
16 neighbouring coefficients at once, as one vector; that part is built as vector code (`_make_search`),
because the loop vectoriser does not see through it: it makes the search over ten times faster.

Per coefficient and residue only the nearest lattice point is a candidate (of those around |u| - BIAS), and
zero besides.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from sarzip.codec.jit import compiled, inlined
from sarzip.codec.rans import LANES, MACHINES
from sarzip.codec.tables import CodeTables

BLOCK = 64  # steps of LANES coefficients between which costs stay in the L1 cache
LIMIT = float(1 << 28)  # magnitudes beyond are clipped: lattice points stay well inside int32
BIAS = 0.15  # residues are spaced by 4: a tie goes to the candidate nearer to zero, which is cheaper
MAX_WIDTH = 260
_SPAN = BLOCK * LANES
_FAR = np.float32(1e30)


def _transitions(n_states: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """For every state its two (previous state, residue) pairs, the lower previous state first."""
    machine = MACHINES[n_states]
    into: list[list[tuple[int, int]]] = [[] for _ in range(n_states)]
    for state in range(n_states):
        for parity in (0, 1):
            residue = 3 - 2 * parity if machine.quantiser[state] else 2 * parity
            into[machine.next[2 * state + parity]].append((state, residue))
    return [(pair[0], pair[1]) for pair in into]


def _make_search(n_states: int) -> Any:
    """Vector code of `steps` Viterbi steps: search(cost, path, decisions, at, steps).

    cost: float32 (4 * _SPAN,), candidate costs by residue; path: float32 (n_states * LANES,), path costs,
    updated; decisions: uint8 (n * groups,), filled from coefficient `at` on: per step and group of 8 states
    one byte for each lane, bit s & 7 of group s >> 3 says that state s was reached from its second
    predecessor. The caller answers for the bounds.
    """
    table = _transitions(n_states)

    @intrinsic  # type: ignore[untyped-decorator]
    def search(typingctx, cost, path, decisions, at, steps):  # type: ignore[no-untyped-def]
        signature = types.void(cost, path, decisions, types.intp, types.intp)

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            cost_at, path_at, decided_at = (
                context.make_array(sig.args[i])(context, builder, args[i]).data for i in range(3)
            )
            at_, steps_ = args[3], args[4]
            i64, i8 = ir.IntType(64), ir.IntType(8)
            floats, bytes_ = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(i8, LANES)

            def const(value: int) -> ir.Constant:
                return ir.Constant(i64, value)

            def splat(value: int) -> ir.Constant:
                return ir.Constant(bytes_, [ir.Constant(i8, value)] * LANES)

            def pointer(start, offset, vector):  # type: ignore[no-untyped-def]
                return builder.bitcast(builder.gep(start, [offset]), vector.as_pointer())

            def load(start, offset):  # type: ignore[no-untyped-def]
                out = builder.load(pointer(start, offset, floats))
                out.align = 4
                return out

            before = [load(path_at, const(LANES * s)) for s in range(n_states)]
            entry = builder.block
            head, body, end = (
                builder.append_basic_block(f"search.{name}") for name in ("head", "body", "end")
            )
            builder.branch(head)
            builder.position_at_end(head)
            step = builder.phi(i64)
            step.add_incoming(const(0), entry)
            paths = [builder.phi(floats) for _ in range(n_states)]
            for phi, value in zip(paths, before, strict=True):
                phi.add_incoming(value, entry)
            builder.cbranch(builder.icmp_signed("<", step, steps_), body, end)

            builder.position_at_end(body)
            offset = builder.mul(step, const(LANES))
            costs = [load(cost_at, builder.add(offset, const(_SPAN * r))) for r in range(4)]
            after = []
            groups = [splat(0) for _ in range(-(-n_states // 8))]
            for target, ((one, r_one), (two, r_two)) in enumerate(table):
                x = builder.fadd(paths[one], costs[r_one])
                y = builder.fadd(paths[two], costs[r_two])
                second = builder.fcmp_ordered("<", y, x)
                after.append(builder.select(second, y, x))
                bit = builder.select(second, splat(1 << (target & 7)), splat(0))
                groups[target >> 3] = builder.or_(groups[target >> 3], bit)
            out_at = builder.mul(builder.add(at_, offset), const(len(groups)))
            for g, bits in enumerate(groups):
                stored = builder.store(
                    bits, pointer(decided_at, builder.add(out_at, const(LANES * g)), bytes_)
                )
                stored.align = 1
            following = builder.add(step, const(1))
            step.add_incoming(following, body)
            for phi, value in zip(paths, after, strict=True):
                phi.add_incoming(value, body)
            builder.branch(head)

            builder.position_at_end(end)
            for s, value in enumerate(paths):
                stored = builder.store(value, pointer(path_at, const(LANES * s), floats))
                stored.align = 4
            return context.get_dummy_value()

        return signature, codegen

    return search


_search4 = _make_search(4)
_search8 = _make_search(8)
_search16 = _make_search(16)
_search32 = _make_search(32)
_search64 = _make_search(64)


@inlined
def _costs(u, cls, start, rates, zero, cost, zeroed):  # type: ignore[no-untyped-def]
    """Cost of the best candidate of each residue for one block; bits 0 and 1 of zeroed: zero won in residue 0
    and 3."""
    width = np.int32(rates.shape[0] // (2 * zero.shape[0]))
    bias = np.float32(BIAS)
    for i in range(min(_SPAN, u.shape[0] - start)):
        x = abs(u[start + i])
        w = max(np.int32(x - bias) - np.int32(1), np.int32(0))
        c = np.int32(cls[start + i])
        row = (c * width + min(w, width - np.int32(1))) * np.int32(4)
        d0 = x - np.float32(w + ((np.int32(0) - w) & np.int32(3)))
        d1 = x - np.float32(w + ((np.int32(1) - w) & np.int32(3)))
        d2 = x - np.float32(w + ((np.int32(2) - w) & np.int32(3)))
        d3 = x - np.float32(w + ((np.int32(3) - w) & np.int32(3)))
        a = d0 * d0 + rates[row]
        b = d3 * d3 + rates[row + 3]
        square = x * x
        za = square + zero[2 * c]
        zb = square + zero[2 * c + 1]
        cost[i] = min(a, za)
        cost[_SPAN + i] = d1 * d1 + rates[row + 1]
        cost[2 * _SPAN + i] = d2 * d2 + rates[row + 2]
        cost[3 * _SPAN + i] = min(b, zb)
        zeroed[start + i] = np.uint8(za < a) | (np.uint8(zb < b) << 1)


@compiled(
    "void(float32[::1], uint8[::1], float32[::1], float32[::1], int64, uint8[::1], uint8[::1], int32[::1])"
)
def _viterbi(u, cls, rates, zero, n_states, following, quantiser, index):  # type: ignore[no-untyped-def]
    """Indices int32 (n,) of the best paths; n is a multiple of LANES."""
    n = u.shape[0]
    groups = (n_states + 7) // 8
    decisions = np.empty(n * groups, np.uint8)
    zeroed = np.empty(n, np.uint8)
    cost = np.empty(4 * _SPAN, np.float32)
    path = np.full(n_states * LANES, _FAR)
    path[:LANES] = np.float32(0)
    for start in range(0, n, _SPAN):
        _costs(u, cls, start, rates, zero, cost, zeroed)
        steps = min(BLOCK, (n - start) // LANES)
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
    # previous state by (state, decision), and the residue of that branch
    previous = np.empty(2 * n_states, np.uint8)
    residue = np.empty(2 * n_states, np.int32)
    seen = np.zeros(n_states, np.int64)
    for s in range(n_states):
        for parity in range(2):
            to = np.int64(following[2 * s + parity])
            previous[2 * to + seen[to]] = s
            residue[2 * to + seen[to]] = 3 - 2 * parity if quantiser[s] else 2 * parity
            seen[to] += 1
    state = np.zeros(LANES, np.uint8)
    for lane in range(LANES):
        for s in range(1, n_states):
            if path[s * LANES + lane] < path[np.int64(state[lane]) * LANES + lane]:
                state[lane] = s
    for start in range(n - LANES, -1, -LANES):
        for lane in range(LANES):
            held = np.int64(state[lane])
            i = start + lane
            byte = np.int64(decisions[start * groups + (held >> 3) * LANES + lane])
            branch = 2 * held + ((byte >> (held & 7)) & 1)
            r = residue[branch]
            x = u[i]
            w = max(np.int32(abs(x) - np.float32(BIAS)) - np.int32(1), np.int32(0))
            t = w + ((r - w) & np.int32(3))
            z = np.int32(zeroed[i])
            # residue 0 was zeroed by bit 0, residue 3 by bit 1
            gone = (r == 0 and z & 1) or (r == 3 and z & 2)
            k = np.int32(0) if gone else (t + np.int32(1)) >> np.int32(1)
            index[i] = -k if x < 0 else k
            state[lane] = previous[branch]


@compiled("void(float32[::1], uint8[::1], float32[:,::1], int32[::1])")
def _nearest(u, cls, rates, index):  # type: ignore[no-untyped-def]
    """Uniform quantiser of spacing 1: the cheapest of the two neighbours and zero, rates (K, width) already
    times lam."""
    last = np.int32(rates.shape[1] - 1)
    for i in range(u.shape[0]):
        x = abs(u[i])
        c = np.int64(cls[i])
        low = np.int32(x)
        d0 = x - np.float32(low)
        d1 = np.float32(1) - d0
        a = d0 * d0 + rates[c, min(low, last)]
        b = d1 * d1 + rates[c, min(low + np.int32(1), last)]
        k = low + np.int32(b < a)
        k = np.int32(0) if x * x + rates[c, 0] < min(a, b) else k
        index[i] = -k if u[i] < 0 else k


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


def path_rates(tables: CodeTables, lam: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """lam * code length of the candidates, as the search wants them.

    Returns float32 (K * width * 4,): for class c and the lowest candidate w (clipped to width - 1) the cost
    of the candidate of residue 0..3 in w..w+3; and float32 (K * 2,): the cost of zero in Q0 and Q1.
    """
    reach = int((tables.half.astype(np.int64) << tables.shift).max())
    width = min(2 * reach + 4, MAX_WIDTH)
    bits = tables.magnitude_lengths(width // 2 + 4) * np.float32(lam)
    w = np.arange(width)[:, None]
    r = np.arange(4)[None, :]
    k = (w + ((r - w) & 3) + 1) >> 1
    rates = bits[:, r & 1, k]
    return np.ascontiguousarray(rates.reshape(-1)), np.ascontiguousarray(bits[:, :, 0].reshape(-1))


def quantise_clean(
    u: NDArray[np.float32], cls: NDArray[np.uint8], tables: CodeTables, n_states: int, lam: float
) -> NDArray[np.int32]:
    """`quantise` without copies: u finite and within +-LIMIT, both contiguous; the length is cut to a
    multiple of LANES when there is a trellis, so pad with zeros."""
    if n_states == 1:
        width = min(int((tables.half.astype(np.int64) << tables.shift).max()) + 4, MAX_WIDTH)
        rates = np.ascontiguousarray(tables.magnitude_lengths(width)[:, 0] * np.float32(lam))
        index = np.empty(u.size, np.int32)
        _nearest(u, cls, rates, index)
        return index
    n = u.size // LANES * LANES
    index = np.empty(n, np.int32)
    branch_rates, zero = path_rates(tables, lam)
    machine = MACHINES[n_states]
    _viterbi(u[:n], cls[:n], branch_rates, zero, n_states, machine.next, machine.quantiser, index)
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
