"""Vector code of the lapped transform along rows: 16 sums of 32 products for each block, built in LLVM's
language.

Left to the loop vectoriser, the sums go to the cache and back between products. Here those of several blocks
stay in registers, and each row of the matrix is loaded once for all of them: three times as fast.
"""

from __future__ import annotations

import functools
from typing import Any

from sarzip.jit.compile import built

_WIDTH, _TAPS = 16, 32
TOGETHER = 4
"""Blocks that are worked on at once."""


def make_sums(blocks: int) -> Any:
    """Vector code sums(row, matrix, out, at): out[at + 16 b + k] = sum over i of row[at + 16 b + i] ·
    matrix[i, k] for the blocks b. Last axes are contiguous; the caller answers for the bounds.
    """
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic  # type: ignore[untyped-decorator]
    def sums(typingctx, row, matrix, out, at):  # type: ignore[no-untyped-def]
        signature = types.void(row, matrix, out, types.intp)

        def codegen(context, builder, sig, args):  # type: ignore[no-untyped-def]
            row_at, matrix_at, out_at = (
                context.make_array(sig.args[i])(context, builder, args[i]).data for i in range(3)
            )
            number, real = ir.IntType(64), ir.FloatType()
            vector = ir.VectorType(real, _WIDTH)
            kind = ir.FunctionType(vector, [vector] * 3)
            multiply_add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{_WIDTH}f32")

            def place(start, offset):  # type: ignore[no-untyped-def]
                return builder.gep(start, [builder.add(offset, args[3])])

            def wide(pointer):  # type: ignore[no-untyped-def]
                return builder.bitcast(pointer, vector.as_pointer())

            def splat(value):  # type: ignore[no-untyped-def]
                nothing, first = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
                one = builder.insert_element(nothing, value, first)
                order = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), [0] * _WIDTH)
                return builder.shuffle_vector(one, nothing, order)

            found = [ir.Constant(vector, [0.0] * _WIDTH)] * blocks
            for i in range(_TAPS):
                factors = builder.load(
                    wide(builder.gep(matrix_at, [ir.Constant(number, _WIDTH * i)])), align=4
                )
                for b in range(blocks):
                    sample = builder.load(place(row_at, ir.Constant(number, _WIDTH * b + i)))
                    found[b] = builder.call(multiply_add, [splat(sample), factors, found[b]])
            for b in range(blocks):
                builder.store(found[b], wide(place(out_at, ir.Constant(number, _WIDTH * b))), align=4)
            return context.get_dummy_value()

        return signature, codegen

    return sums


sums_together = built(functools.partial(make_sums, TOGETHER))
sums_alone = built(functools.partial(make_sums, 1))
