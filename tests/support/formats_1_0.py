"""Encoders of format 1.0, whose streams stay decodable."""

from __future__ import annotations

import numpy as np
import zstandard


def rice_cells(cells: np.ndarray) -> bytes:
    """The encoder of format 1.0: median, Rice parameter, Rice codes (FORMAT.md 9.5)."""
    median = int(np.median(cells))
    difference = cells.reshape(-1).astype(int) - median
    unsigned = np.where(difference >= 0, 2 * difference, -2 * difference - 1)
    k = min(range(12), key=lambda k: int((unsigned >> k).sum()) + k * unsigned.size)
    codes = ["1" * (u >> k) + "0" + (f"{u & (1 << k) - 1:0{k}b}" if k else "") for u in unsigned.tolist()]
    bits = np.array(list("".join(codes)), np.uint8)
    return median.to_bytes(2, "little", signed=True) + bytes([k]) + np.packbits(bits).tobytes()


def zstd_classes(classes: np.ndarray) -> bytes:
    """The encoder of format 1.0: class numbers, then bit planes under zstd (FORMAT.md 9.1)."""
    present = [number for number in np.unique(classes).tolist() if number]
    planes = []
    for number in present:
        plane = classes == number
        plane[1:] ^= plane[:-1].copy()
        planes.append(np.packbits(plane).tobytes())
    return bytes([len(present), *present]) + zstandard.ZstdCompressor().compress(b"".join(planes))
