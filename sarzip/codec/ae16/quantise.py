"""Uniform quantisation with a step of its own for every channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Indices stay within this, so that sums and differences of two of them fit into 32 bits.
LARGEST_INDEX = 2**30 - 1


def quantise(latents: NDArray[np.float32], widths: NDArray[np.float32]) -> NDArray[np.int32]:
    """Latents (C, h, w) to the nearest multiple of their channel's width (C,), as int32 indices.

    Any value is accepted: indices saturate at ±LARGEST_INDEX and NaN becomes 0.
    """
    with np.errstate(all="ignore"):  # a tiny width makes large values overflow to inf, which saturates
        scaled = latents * (np.float32(1.0) / widths)[:, None, None]
        np.rint(scaled, out=scaled)
        # The largest float32 that does not exceed the limit: LARGEST_INDEX itself would round up.
        limit = np.nextafter(np.float32(LARGEST_INDEX), np.float32(0))
        np.clip(scaled, -limit, limit, out=scaled)
    np.nan_to_num(scaled, copy=False, nan=0.0)
    return scaled.astype(np.int32)


def dequantise(indices: NDArray[np.int32], widths: NDArray[np.float32]) -> NDArray[np.float32]:
    """Indices (C, h, w) back to latents: index times width, rounded once to float32."""
    values = indices.astype(np.float64) * widths.astype(np.float64)[:, None, None]
    limit = float(np.finfo(np.float32).max)
    return np.clip(values, -limit, limit).astype(np.float32)
