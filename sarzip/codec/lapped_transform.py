"""The lapped orthogonal transform `lapped16` starts from: 16 bands, 32 taps, linear phase, perfect
reconstruction.

A linear-phase lapped transform is a filter across every block boundary followed by the block DCT (Malvar,
"Signal Processing with Lapped Transforms", 1992; Tran, Liang and Tu, "Lapped transform via time-domain pre-
and post-filtering", IEEE TSP 51, 2003). With I the identity, J the reversal and V orthogonal, all 8×8, the
filter is

    F = B diag(I, V) B      B = [[I, J], [J, -I]] / √2

Every basis function is even (k even) or odd (k odd) about the centre of its block, so a half-sample symmetric
extension of the signal gives latents that are mirrored with the sign (-1)^k: a scene's borders need no extra
latents. Constants have no leakage: they live in k = 0 alone. (A sine-window MDCT codes real scenes 0.6 %
smaller before any training, but has neither property; block DCT codes them 6 % larger.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STRIDE = 16
TAPS = 32

# V = (I + A)^-1 (I - A), A skew-symmetric with this upper triangle, row by row: the V of least mean log
# variance of the coefficients over the autocovariances of the released training scenes, rounded to three
# digits.
_SKEW = (
    (-0.401, -0.002, -0.073, -0.003, -0.020, -0.003, -0.002),
    (-0.396, -0.004, -0.078, -0.006, -0.015, -0.002),
    (-0.305, -0.005, -0.052, -0.004, -0.005),
    (-0.226, -0.004, -0.028, -0.001),
    (-0.151, -0.002, -0.009),
    (-0.084, 0.001),
    (-0.031,),
)


def basis() -> NDArray[np.float64]:
    """The 16 basis functions as rows, float64 (16, 32); taps 8..23 are the block itself."""
    half = STRIDE // 2
    skew = np.zeros((half, half))
    skew[np.triu_indices(half, 1)] = np.concatenate([np.array(row) for row in _SKEW])
    skew -= skew.T
    identity, reverse = np.eye(half), np.eye(half)[::-1]
    rotation = np.linalg.solve(identity + skew, identity - skew)
    butterfly = np.block([[identity, reverse], [reverse, -identity]]) / np.sqrt(2.0)
    zero = np.zeros((half, half))
    across = butterfly @ np.block([[identity, zero], [zero, rotation]]) @ butterfly
    prefilter = np.zeros((STRIDE, TAPS))
    prefilter[:half, :STRIDE] = across[half:]
    prefilter[half:, STRIDE:] = across[:half]
    return dct() @ prefilter


def dct() -> NDArray[np.float64]:
    """Orthonormal DCT-II, float64 (16, 16), frequencies in rows."""
    k = np.arange(STRIDE)
    matrix = np.sqrt(2.0 / STRIDE) * np.cos(np.pi * k[:, None] * (2 * k[None] + 1) / (2 * STRIDE))
    matrix[0] /= np.sqrt(2.0)
    return np.asarray(matrix)


def channel_order() -> NDArray[np.int64]:
    """(256, 2) row and column frequency of each channel, low to high.

    Sorted by the larger of the two, so that the first n² channels are the n×n lowest: what a decode at 16/n
    of the resolution needs.
    """
    pairs = [(u, v) for u in range(STRIDE) for v in range(STRIDE)]
    pairs.sort(key=lambda p: (max(p), p[0] + p[1], p[0]))
    return np.array(pairs)


def mirror_signs() -> NDArray[np.float32]:
    """(2, 256) sign of each channel where rows (0) or columns (1) of latents are mirrored."""
    order = channel_order()
    return (1.0 - 2.0 * (order.T % 2)).astype(np.float32)


def kernels() -> NDArray[np.float32]:
    """Separable 2-D basis functions in channel order, float32 (256, 32, 32)."""
    rows = basis()
    order = channel_order()
    return np.einsum("ci,cj->cij", rows[order[:, 0]], rows[order[:, 1]]).astype(np.float32)
