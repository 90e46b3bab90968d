"""What the network sees of a plane: the encoder's own contexts, for training and tests."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from sarzip.native import kernel

STRIP_ROWS = 128
"""Rows that are coded on their own: each strip can be decoded by itself."""
START_ERROR = 20
"""What the running means of the error begin with, in units: a little under σ."""
_INPUTS = 24

work_size = kernel("pixel_work_size", "int64()")
_contexts = kernel(
    "pixel_contexts",
    "void(const int32[:,::1], int64, int64, const int32[::1], int64, uint8[::1], int16[:,:,::1],"
    " int32[:,::1])",
)


def contexts(
    levels: NDArray[np.int32], coefficients: NDArray[np.int32]
) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
    """Inputs (rows, columns, 24) and predictions (rows, columns) of a plane of levels about 0, by strips."""
    rows, columns = levels.shape
    inputs = np.empty((rows, columns, _INPUTS), np.int16)
    predictions = np.empty((rows, columns), np.int32)
    for top in range(0, rows, STRIP_ROWS):
        part = slice(top, min(top + STRIP_ROWS, rows))
        size = part.stop - top, columns
        _contexts(levels[part], *size, coefficients, START_ERROR, work(), inputs[part], predictions[part])
    return inputs, predictions


def work() -> NDArray[np.uint8]:
    """A buffer for a kernel of the pixel coder."""
    return np.empty(_work_size(), np.uint8)


@functools.cache
def _work_size() -> int:
    return int(work_size())
