"""Vector code of the trellis search: the two inner loops of a Viterbi step, built in LLVM's language.

The loop vectoriser does not see through them. LANES neighbouring coefficients are worked on at once, one
path each (see trellis.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sarzip.codec.entropy.rans import LANES, MACHINES
from sarzip.jit.compile import built

BLOCK = 64  # steps of LANES coefficients between which costs stay in the L1 cache
SPAN = BLOCK * LANES
BIAS = 0.15  # residues are spaced by 4: a tie goes to the candidate nearer to zero, which is cheaper


def transitions(n_states: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """For every state its two (previous state, residue) pairs, the lower previous state first."""
    machine = MACHINES[n_states]
    into: list[list[tuple[int, int]]] = [[] for _ in range(n_states)]
    for state in range(n_states):
        for parity in (0, 1):
            residue = 3 - 2 * parity if machine.quantiser[state] else 2 * parity
            into[machine.next[2 * state + parity]].append((state, residue))
    return [(pair[0], pair[1]) for pair in into]


# uint8 (2 * n_states,): residue by state reached and whether it was from its second predecessor.
RESIDUES = {
    n: np.array([residue for pair in transitions(n) for _, residue in pair], np.uint8)
    for n in MACHINES
    if n > 1
}


def make_search(n_states: int) -> Any:
    """Vector code of `steps` Viterbi steps: search(cost, path, decisions, at, steps).

    cost: float32 (4 * SPAN,), candidate costs, the four of a coefficient by residue; path: float32
    (n_states * LANES,), path costs, updated; decisions: uint8 (n * groups,), filled from coefficient `at` on:
    per step and group of 8 states one byte for each lane, bit s & 7 of group s >> 3 says that state s was
    reached from its second predecessor. The caller answers for the bounds.
    """
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    table = transitions(n_states)

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


@built
def costs() -> Any:
    """Cost of the best candidate of each residue for `count` coefficients from `at` on, to cost[0:4 count].

    costs(u, cls, rates, zero, cost, zeroed, at, count). rates, zero: see path_rates. zeroed: uint8, bits 0
    and 3 of element i say that zero beats the candidate of residue 0 or 3. One vector of four residues a
    coefficient: gathering rates for many takes longer.
    """
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[untyped-decorator]
    def candidates(typingctx, u, cls, rates, zero, cost, zeroed, at, count):  # type: ignore[no-untyped-def]
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
                return builder.shuffle_vector(
                    one, ir.Constant(vector, ir.Undefined), ir.Constant(whole, [0] * 4)
                )

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
                out_at = builder.gep(cost_at, [builder.shl(loop.index, ir.Constant(i64, 2))])
                cheaper = builder.select(wins, none, near)
                best = builder.store(cheaper, builder.bitcast(out_at, four.as_pointer()))
                best.align = 4
                flags = builder.zext(builder.bitcast(wins, ir.IntType(4)), ir.IntType(8))
                builder.store(flags, builder.gep(zeroed_at, [place]))
            return context.get_dummy_value()

        return signature, codegen

    return candidates
