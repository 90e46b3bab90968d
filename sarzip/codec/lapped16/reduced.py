"""Reduced resolution: what is the mean of s×s pixels, without making the pixels.

The synthesis of `lapped16` is linear: each latent adds its kernel times its value. The mean of the signal
over boxes of s×s pixels, s a divisor of 16, is therefore the same sum over kernels averaged over those boxes,
exactly and with less arithmetic; at s = 16 it is one small matrix product. A separable kernel stays separable
when it is averaged. (Leaving out channels of high frequency as well would save next to nothing, since entropy
decoding has to pass through all of them, and would replace the mean by another low-pass filter.) A network
that is not linear, `ae16`, is synthesised in full and averaged afterwards.

The mean is one of the signal, in dB: a geometric mean of power. Of speckle it lies below the mean power, by
2.5 dB at one look and 0.5 dB at five (the mean of the logarithm of a gamma variate), the same everywhere in a
homogeneous scene. It is what quick looks show; radiometry wants the full resolution.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sarzip.native.maths import product

Synthesis = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Latents (C, h+2, w+2) to samples (b·h, b·w), b the samples of a block of 16 pixels."""

_OVERLAP = 3  # blocks that a kernel spans along each axis
# Latents whose responses are held at once: few enough to stay in the cache of a core.
_BLOCK = 1024


class LinearSynthesis:
    """Lapped synthesis by kernels (C, 3b, 3b): a latent adds to its own block of b×b samples and the eight
    around it.
    """

    def __init__(self, kernel: NDArray[np.float32], scale: int = 1) -> None:
        """kernel: float32 (C, 48, 48) at full resolution. scale: one of SCALES."""
        channels, taps, _ = kernel.shape
        boxes = kernel.reshape(channels, taps // scale, scale, taps // scale, scale)
        averaged = boxes.mean(axis=(2, 4), dtype=np.float64).astype(np.float32)
        self._block = taps // scale // _OVERLAP
        self._kernel = np.ascontiguousarray(averaged.reshape(channels, -1))

    def __call__(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (C, h+2, w+2) to samples float32 (b·h, b·w)."""
        channels, rows, columns = latents.shape
        b = self._block
        out = np.zeros((rows + 2, b, columns + 2, b), np.float32)
        step = max(1, _BLOCK // columns)
        for top in range(0, rows, step):
            some = latents[:, top : top + step].reshape(channels, -1)
            found = product(np.ascontiguousarray(some.T), self._kernel)
            responses = found.reshape(-1, columns, _OVERLAP, b, _OVERLAP, b)
            for i in range(_OVERLAP):
                for j in range(_OVERLAP):
                    part = responses[:, :, i, :, j].transpose(0, 2, 1, 3)
                    out[top + i : top + i + len(part), :, j : j + columns] += part
        return np.ascontiguousarray(out[2:-2, :, 2:-2]).reshape((rows - 2) * b, (columns - 2) * b)


class SeparableSynthesis:
    """The same for kernels that are products of 16 functions of the row and 16 of the column."""

    def __init__(self, basis: NDArray[np.float32], channel: NDArray[np.int64], scale: int) -> None:
        """basis: functions (16, 32), centred on a block. channel (16, 16): of row and column function."""
        padded = np.pad(np.asarray(basis, np.float64), ((0, 0), (8, 8)))
        averaged = padded.reshape(len(basis), -1, scale).mean(2)
        # Samples of the block before a latent, of its own and of the one after: (3b, 16).
        self._samples = np.ascontiguousarray(averaged.T, np.float32)
        self._channel = channel

    def __call__(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (C, h+2, w+2) to samples float32 (b·h, b·w)."""
        _, rows, columns = latents.shape
        b, h, w = len(self._samples) // _OVERLAP, rows - 2, columns - 2
        out = np.empty((h, b, w, b), np.float32)
        step = max(1, _BLOCK // columns)
        for top in range(0, h, step):
            stop = min(top + step, h)
            some = latents[self._channel, top : stop + 2]  # (16, 16, rows, columns)
            tall = self._along(some, 2).swapaxes(0, 1)
            out[top:stop] = self._along(tall, 3).transpose(2, 1, 3, 0)
        return out.reshape(b * h, b * w)

    def _along(self, planes: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """Sum over the functions of axis 0, for blocks along an axis that has one more on either side."""
        responses = product(self._samples, np.ascontiguousarray(planes).reshape(len(planes), -1))
        parts = responses.reshape(_OVERLAP, -1, *planes.shape[1:])
        every, count = (slice(None),) * axis, planes.shape[axis] - 2
        # What latents add to the block before them comes from the next one, and so on.
        shifted = (part[(*every, slice(at, at + count))] for part, at in zip(parts, (2, 1, 0), strict=True))
        return np.asarray(sum(shifted))
