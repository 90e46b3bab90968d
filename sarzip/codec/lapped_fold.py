"""The lapped transforms of `lapped16` on a CPU, at a quarter of the multiplications.

Every basis function is even or odd about its centre along rows and along columns. So only a quarter of its
taps is needed: a window of 48×48 pixels is first folded into its four symmetric parts of 24×24 (even or odd
in rows, even or odd in columns), and the 64 channels of each kind of symmetry are a matrix product with their
part. Synthesis is the transpose: four products, then every quarter is unfolded and added where it belongs.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sarzip.codec.jit import compiled

STRIDE = 16
TAPS = 48
HALF = TAPS // 2
QUARTER = HALF * HALF
# Latents per product: their folded windows (4 · 576 values each) stay in the cache of a core.
_BLOCK = 128


@compiled("void(float32[:,:], int64, int64, int64, float32[:,:,::1])")
def _fold(signal, first, count, width, parts):  # type: ignore[no-untyped-def]
    """Windows of latents first .. first + count (row-major, `width` a row) to parts (4, count, 576)."""
    even = np.empty(TAPS, np.float32)
    odd = np.empty(TAPS, np.float32)
    for n in range(count):
        top = (first + n) // width * STRIDE
        left = (first + n) % width * STRIDE
        for a in range(HALF):
            upper = signal[top + a, left : left + TAPS]
            lower = signal[top + TAPS - 1 - a, left : left + TAPS]
            for b in range(TAPS):
                even[b] = upper[b] + lower[b]
                odd[b] = upper[b] - lower[b]
            at = a * HALF
            for b in range(HALF):
                parts[0, n, at + b] = even[b] + even[TAPS - 1 - b]
                parts[1, n, at + b] = even[b] - even[TAPS - 1 - b]
            for b in range(HALF):
                parts[2, n, at + b] = odd[b] + odd[TAPS - 1 - b]
                parts[3, n, at + b] = odd[b] - odd[TAPS - 1 - b]


@compiled("void(float32[:,:,::1], int64, int64, int64, float32[:,::1])")
def _unfold(parts, first, count, width, out):  # type: ignore[no-untyped-def]
    """Add the windows that parts (4, count, 576) stand for to `out`; inverse layout of _fold."""
    for n in range(count):
        top = (first + n) // width * STRIDE
        left = (first + n) % width * STRIDE
        for a in range(HALF):
            upper = out[top + a, left : left + TAPS]
            lower = out[top + TAPS - 1 - a, left : left + TAPS]
            at = a * HALF
            for b in range(HALF):
                even_even, even_odd = parts[0, n, at + b], parts[1, n, at + b]
                odd_even, odd_odd = parts[2, n, at + b], parts[3, n, at + b]
                upper[b] += even_even + odd_even + (even_odd + odd_odd)
                lower[b] += even_even - odd_even + (even_odd - odd_odd)
            for b in range(HALF):
                even_even, even_odd = parts[0, n, at + HALF - 1 - b], parts[1, n, at + HALF - 1 - b]
                odd_even, odd_odd = parts[2, n, at + HALF - 1 - b], parts[3, n, at + HALF - 1 - b]
                upper[HALF + b] += even_even + odd_even - (even_odd + odd_odd)
                lower[HALF + b] += even_even - odd_even - (even_odd - odd_odd)


class FoldedTransform:
    """One transform, from kernels (256, 48, 48) and the parities of the channels, signs (2, 256)."""

    def __init__(self, kernel: NDArray[np.float32], signs: NDArray[np.float32]) -> None:
        kinds = 2 * (signs[0] < 0) + (signs[1] < 0)
        self._channels = [np.flatnonzero(kinds == kind) for kind in range(4)]
        quarter = kernel[:, :HALF, :HALF].reshape(len(kernel), QUARTER)
        self._weights = [torch.from_numpy(np.ascontiguousarray(quarter[own])) for own in self._channels]

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (16h+32, 16w+32) to latents (256, h, w)."""
        h, w = (n // STRIDE - 2 for n in signal.shape)
        latents = np.empty((sum(map(len, self._channels)), h * w), np.float32)
        parts = np.empty((4, min(_BLOCK, max(h * w, 1)), QUARTER), np.float32)
        for first in range(0, h * w, _BLOCK):
            count = min(_BLOCK, h * w - first)
            _fold(signal, first, count, w, parts)
            for own, weight, part in zip(self._channels, self._weights, parts, strict=True):
                latents[own, first : first + count] = _product(weight, torch.from_numpy(part[:count]).T)
        return latents.reshape(-1, h, w)

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (256, h+2, w+2) to signal (16h, 16w)."""
        _, h, w = latents.shape
        flat = latents.reshape(len(latents), h * w)
        out = np.zeros((STRIDE * (h + 2), STRIDE * (w + 2)), np.float32)
        parts = np.empty((4, min(_BLOCK, max(h * w, 1)), QUARTER), np.float32)
        for first in range(0, h * w, _BLOCK):
            count = min(_BLOCK, h * w - first)
            for own, weight, part in zip(self._channels, self._weights, parts, strict=True):
                values = torch.from_numpy(flat[own, first : first + count])
                torch.mm(values.T, weight, out=torch.from_numpy(part[:count]))
            _unfold(parts, first, count, w, out)
        edge = 2 * STRIDE
        return np.ascontiguousarray(out[edge:-edge, edge:-edge])


def _product(left: Tensor, right: Tensor) -> NDArray[np.float32]:
    return np.asarray(torch.mm(left, right).numpy())
