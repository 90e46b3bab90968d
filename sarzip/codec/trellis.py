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

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
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


# uint8 (2 * n_states,): residue by state reached and whether it was from its second predecessor.
_RESIDUES = {
    n: np.array([residue for pair in _transitions(n) for _, residue in pair], np.uint8)
    for n in MACHINES
    if n > 1
}


def _make_search(n_states: int) -> Any:
    """Vector code of `steps` Viterbi steps: search(cost, path, decisions, at, steps).

    cost: float32 (4 * _SPAN,), candidate costs, the four of a coefficient by residue; path: float32
    (n_states * LANES,), path costs, updated; decisions: uint8 (n * groups,), filled from coefficient `at` on:
    per step and group of 8 states one byte for each lane, bit s & 7 of group s >> 3 says that state s was
    reached from its second predecessor. The caller answers for the bounds.
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

            def every_fourth(vectors, first):  # type: ignore[no-untyped-def]
                """Elements first, first + 4, ... of four vectors in a row."""
                pick = ir.VectorType(ir.IntType(32), LANES)
                low, high = (
                    builder.shuffle_vector(
                        vectors[2 * half],
                        vectors[2 * half + 1],
                        ir.Constant(pick, [(first + 4 * i) % (2 * LANES) for i in range(LANES)]),
                    )
                    for half in range(2)
                )
                halves = ir.Constant(pick, [*range(LANES // 2), *range(LANES, LANES + LANES // 2)])
                return builder.shuffle_vector(low, high, halves)

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
            first = builder.mul(offset, const(4))
            four = [load(cost_at, builder.add(first, const(LANES * r))) for r in range(4)]
            costs = [every_fourth(four, r) for r in range(4)]
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


@intrinsic  # type: ignore[untyped-decorator]
def _costs(typingctx, u, cls, rates, zero, cost, zeroed, at, count):  # type: ignore[no-untyped-def]
    """Cost of the best candidate of each residue for `count` coefficients from `at` on, to cost[0:4 count].

    rates, zero: see path_rates. zeroed: uint8, bits 0 and 3 of element i say that zero beats the candidate of
    residue 0 or 3. One vector of four residues a coefficient: gathering rates for many takes longer.
    """
    signature = types.void(u, cls, rates, zero, cost, zeroed, types.intp, types.intp)

    def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
        arrays = [context.make_array(sig.args[i])(context, builder, args[i]) for i in range(6)]
        u_at, cls_at, rates_at, zero_at, cost_at, zeroed_at = (array.data for array in arrays)
        i64, i32, real = ir.IntType(64), ir.IntType(32), ir.FloatType()
        four, whole = ir.VectorType(real, 4), ir.VectorType(i32, 4)
        rows = builder.extract_value(arrays[3].shape, 0)
        width = builder.trunc(builder.sdiv(builder.extract_value(arrays[2].shape, 0), rows), i32)
        last = builder.sub(width, ir.Constant(i32, 1))

        def splat(value, vector):  # type: ignore[no-untyped-def]
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(i32, 0))
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), ir.Constant(whole, [0] * 4))

        def load(start, offset):  # type: ignore[no-untyped-def]
            out = builder.load(builder.bitcast(builder.gep(start, [offset]), four.as_pointer()))
            out.align = 4
            return out

        with cgutils.for_range(builder, args[7], intp=i64) as loop:
            place = builder.add(args[6], loop.index)
            value = builder.load(builder.gep(u_at, [place]))
            x = builder.select(
                builder.fcmp_ordered("<", value, ir.Constant(real, 0.0)), builder.fneg(value), value
            )
            w = builder.fptosi(builder.fsub(x, ir.Constant(real, float(np.float32(BIAS)))), i32)
            w = builder.sub(w, ir.Constant(i32, 1))
            w = builder.select(builder.icmp_signed("<", w, ir.Constant(i32, 0)), ir.Constant(i32, 0), w)
            c = builder.zext(builder.load(builder.gep(cls_at, [place])), i32)
            row = builder.select(builder.icmp_signed("<", w, last), w, last)
            row = builder.add(builder.mul(c, width), row)
            wide = splat(w, whole)
            ahead = builder.and_(
                builder.sub(ir.Constant(whole, [0, 1, 2, 3]), wide), ir.Constant(whole, [3] * 4)
            )
            xs = splat(x, four)
            off = builder.fsub(xs, builder.sitofp(builder.add(wide, ahead), four))
            rate = load(rates_at, builder.shl(builder.sext(row, i64), ir.Constant(i64, 2)))
            near = builder.fadd(builder.fmul(off, off), rate)
            none = load(zero_at, builder.shl(builder.zext(c, i64), ir.Constant(i64, 2)))
            none = builder.fadd(builder.fmul(xs, xs), none)
            wins = builder.fcmp_ordered("<", none, near)
            best = builder.store(
                builder.select(wins, none, near),
                builder.bitcast(
                    builder.gep(cost_at, [builder.shl(loop.index, ir.Constant(i64, 2))]), four.as_pointer()
                ),
            )
            best.align = 4
            flags = builder.zext(builder.bitcast(wins, ir.IntType(4)), ir.IntType(8))
            builder.store(flags, builder.gep(zeroed_at, [place]))
        return context.get_dummy_value()

    return signature, codegen


@compiled("void(float32[::1], uint8[::1], float32[::1], float32[::1], uint8[::1], int32[::1])")
def _viterbi(u, cls, rates, zero, residues, index):  # type: ignore[no-untyped-def]
    """Indices int32 (n,) of the best paths; n is a multiple of LANES. residues: see _trace."""
    n = u.shape[0]
    n_states = residues.shape[0] // 2
    groups = (n_states + 7) // 8
    decisions = np.empty(n * groups, np.uint8)
    zeroed = np.empty(n, np.uint8)
    cost = np.empty(4 * _SPAN, np.float32)
    path = np.full(n_states * LANES, _FAR)
    path[:LANES] = np.float32(0)
    for start in range(0, n, _SPAN):
        steps = min(BLOCK, (n - start) // LANES)
        _costs(u, cls, rates, zero, cost, zeroed, start, steps * LANES)  # type: ignore[call-arg]
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
def _uniform_rates(tables: CodeTables, lam: float) -> NDArray[np.float32]:
    """lam * code length of the magnitudes with a uniform quantiser, float32 (K, width)."""
    width = min(int((tables.half.astype(np.int64) << tables.shift).max()) + 4, MAX_WIDTH)
    return np.ascontiguousarray(tables.magnitude_lengths(width)[:, 0] * np.float32(lam))


def quantise_clean(
    u: NDArray[np.float32], cls: NDArray[np.uint8], tables: CodeTables, n_states: int, lam: float
) -> NDArray[np.int32]:
    """`quantise` without copies: u finite and within +-LIMIT, both contiguous; the length is cut to a
    multiple of LANES when there is a trellis, so pad with zeros."""
    if n_states == 1:
        index = np.empty(u.size, np.int32)
        _nearest(u, cls, _uniform_rates(tables, lam), index)
        return index
    n = u.size // LANES * LANES
    index = np.empty(n, np.int32)
    branch_rates, zero = path_rates(tables, lam)
    _viterbi(u[:n], cls[:n], branch_rates, zero, _RESIDUES[n_states], index)
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
