"""Means, medians and majorities over boxes of scale×scale pixels: what a reduced resolution shows.

The mean of a signal in dB is a geometric mean of power. Of speckle it lies below the mean power, by 2.5 dB at
one look and 0.5 dB at five (the mean of the logarithm of a gamma variate), the same everywhere in a
homogeneous scene. It is what quick looks show; radiometry wants the full resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCALES = (1, 2, 4, 8, 16)
"""Supported factors; 1 is full resolution."""


def box_reduce(
    values: NDArray[Any], scale: int, function: Callable[[NDArray[Any]], NDArray[Any]]
) -> NDArray[Any]:
    """Apply `function` (…, n) -> (…) to the n samples of each box of scale×scale pixels of a 2-D array.

    The result has ceil(size / scale) rows and columns; boxes at the right and lower edge hold fewer samples.
    Scale 1 gives the values as they are.
    """
    if scale == 1:
        return values
    rows, columns = values.shape
    out: NDArray[Any] | None = None
    for top, height in _pieces(rows, scale):
        for left, width in _pieces(columns, scale):
            piece = values[top : top + height, left : left + width]
            tall, wide = min(scale, height), min(scale, width)
            boxes = piece.reshape(height // tall, tall, width // wide, wide).swapaxes(1, 2)
            done = function(boxes.reshape(height // tall, width // wide, tall * wide))
            if out is None:
                out = np.empty((-(-rows // scale), -(-columns // scale)), done.dtype)
            out[top // scale :, left // scale :][: done.shape[0], : done.shape[1]] = done
    assert out is not None  # images have pixels
    return out


def _pieces(size: int, scale: int) -> list[tuple[int, int]]:
    """Start and length of the whole boxes along an axis, then of the rest."""
    whole = size // scale * scale
    return [(start, length) for start, length in ((0, whole), (whole, size - whole)) if length]


def box_mean(signal: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Mean of each box of a float32 signal."""
    return box_reduce(signal, scale, lambda boxes: boxes.mean(axis=-1, dtype=np.float32))


def box_median(values: NDArray[Any], scale: int) -> NDArray[Any]:
    """The upper median of each box, one of its values: of a mask 0 or 255, the one at least half of it is."""

    def middle(boxes: NDArray[Any]) -> NDArray[Any]:
        half = boxes.shape[-1] // 2
        return np.partition(boxes, half, axis=-1)[..., half]

    return box_reduce(values, scale, middle)


def box_classes(classes: NDArray[np.uint8], scale: int) -> NDArray[np.uint8]:
    """Class map (see class_map) of boxes: valid (0) where at least half of the pixels are, else the most
    frequent of the other classes, the lowest among equals.
    """

    def decide(boxes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        valid = np.count_nonzero(boxes == 0, axis=-1)
        kinds = range(1, int(boxes.max(initial=0)) + 1)
        if not kinds:
            return np.zeros(boxes.shape[:-1], np.uint8)
        counts = np.stack([np.count_nonzero(boxes == kind, axis=-1) for kind in kinds])
        most = (counts.argmax(axis=0) + 1).astype(np.uint8)
        return np.where(2 * valid >= boxes.shape[-1], np.uint8(0), most)

    return box_reduce(classes, scale, decide)
