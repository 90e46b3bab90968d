"""What a signal is where nothing was measured: a smooth continuation, which costs few bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WIDTH = 1024


def fill(signal: NDArray[np.float32], invalid: NDArray[np.bool_]) -> None:
    """Replace invalid pixels of `signal` (2-D float32) in place by a smooth continuation of the valid ones.

    A pyramid of masked means is built until no hole is left; each hole takes the value of the finest level
    that knows one, bilinearly enlarged. Without any valid pixel the result is zero, the centre of the band.
    Wide planes are filled in pieces, which bounds the memory.
    """
    for left in range(0, signal.shape[1], _WIDTH):
        piece = np.s_[:, left : left + _WIDTH]
        if invalid[piece].any():
            _fill_piece(signal[piece], invalid[piece])


def _fill_piece(signal: NDArray[np.float32], invalid: NDArray[np.bool_]) -> None:
    signal[invalid] = 0
    weight = (~invalid).astype(np.float32)
    if not weight.any():
        return
    signal[...] = np.where(invalid, _filled(signal * weight, weight), signal)


def _filled(total: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Recursive step of fill: `total` is the sum of valid values, `weight` their number (0 in holes)."""
    holes = weight == 0
    mean = np.divide(total, weight, out=np.zeros_like(total), where=~holes)
    if not holes.any() or max(total.shape) == 1:
        return mean
    # Means, not sums, go up: a hole's border then counts as much as a full neighbourhood.
    coarse = _filled(_halve(mean), _halve((~holes).astype(np.float32)))
    return np.where(holes, _double(coarse, total.shape), mean)


def _halve(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    rows, columns = plane.shape
    even = np.zeros((rows + rows % 2, columns + columns % 2), np.float32)
    even[:rows, :columns] = plane
    return even[0::2, 0::2] + even[1::2, 0::2] + even[0::2, 1::2] + even[1::2, 1::2]


def _double(plane: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Bilinear enlargement by two with half-pixel centres, cropped to `shape`."""
    for axis in (0, 1):
        before = np.concatenate([plane.take([0], axis), plane.take(range(plane.shape[axis] - 1), axis)], axis)
        after = np.concatenate([plane.take(range(1, plane.shape[axis]), axis), plane.take([-1], axis)], axis)
        pair = np.stack([0.75 * plane + 0.25 * before, 0.75 * plane + 0.25 * after], axis + 1)
        doubled = list(plane.shape)
        doubled[axis] *= 2
        plane = pair.reshape(doubled).take(range(shape[axis]), axis)
    return plane.astype(np.float32, copy=False)
