"""Logarithms, exponentials and products that are the same on every processor, for whatever decides bytes or
pixels: numpy's own depend on the vector instructions, BLAS's sums on the number of threads besides.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.native.library import Kernel, kernel
from sarzip.system import buffers

_ARGUMENTS = "(const {0}[::1], int64, float64, float64, {0}[::1])"


def _both(name: str) -> dict[np.dtype[Any], Kernel]:
    return {
        np.dtype(np.float32): kernel(f"{name}_float", "void" + _ARGUMENTS.format("float32")),
        np.dtype(np.float64): kernel(f"{name}_double", "void" + _ARGUMENTS.format("float64")),
    }


_LOG, _EXP = _both("log"), _both("exp")
_log1p = kernel("log1p_float", "void" + _ARGUMENTS.format("float32"))
_product = kernel(
    "product",
    "void(const float32[:,::1], const float32[:,:], int64, int64, int64, int64, float32[::1],"
    " float32[:,::1])",
)
_product_double = kernel(
    "product_double",
    "void(const float64[:,::1], const float64[:,::1], int64, int64, int64, float64[:,::1])",
)
_solve = kernel("solve", "void(float64[:,::1], float64[::1], int64)")
_PANEL = 32


def log(values: NDArray[Any], scale: float = 1.0, offset: float = 0.0) -> NDArray[Any]:
    """scale · ln(values) + offset of float32 or float64, of any shape; −inf for zero, NaN below."""
    return _apply(_LOG, values, scale, offset)


def exp(values: NDArray[Any]) -> NDArray[Any]:
    """e to the power of float32 or float64, of any shape."""
    return _apply(_EXP, values, 1.0, 0.0)


def log1p(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """ln(1 + values), as exact as 1 + values is."""
    return _apply({np.dtype(np.float32): _log1p}, values, 1.0, 0.0)


def log2(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logarithm to base 2, exact for powers of two."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(log(2 * mantissa, 1 / math.log(2.0), 0.0) + (exponent - 1))


def product(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """left (m, k) times right (k, n), whose rows are contiguous; every sum in the order of k."""
    out = np.empty((left.shape[0], right.shape[1]), np.float32)
    stride = right.strides[0] // right.itemsize
    if right.shape[1] > 1 and right.strides[1] != right.itemsize:
        right, stride = np.ascontiguousarray(right), right.shape[1]
    panel = np.empty(_PANEL * max(left.shape[1], 1), np.float32)
    _product(left, right, stride, *left.shape, right.shape[1], panel, out)
    return out


def product_double(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same in float64, for small matrices."""
    out = np.empty((left.shape[0], right.shape[1]))
    arrays = (np.ascontiguousarray(each, np.float64) for each in (left, right))
    _product_double(*arrays, *left.shape, right.shape[1], out)
    return out


def solve(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """x with matrix · x = right, matrix symmetric and positive definite."""
    work, x = np.array(matrix, np.float64), np.array(right, np.float64)
    _solve(work, x, len(x))
    return x


def _apply(
    kernels: dict[np.dtype[Any], Kernel], values: NDArray[Any], scale: float, offset: float
) -> NDArray[Any]:
    flat = np.ascontiguousarray(values).reshape(-1)
    out = buffers.empty(flat.shape, flat.dtype)
    kernels[flat.dtype](flat, flat.size, scale, offset, out)
    return out.reshape(values.shape)
