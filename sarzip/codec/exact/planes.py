"""Planes that must come back bit for bit and are no measurements: alpha bands and dataset masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from sarzip.errors import CorruptError

_LEVEL = 9


def encode_plane(values: NDArray[Any]) -> bytes:
    """2-D array of any integer or float dtype to bytes, exactly.

    Layout: one zstd frame holding byte plane after byte plane (least significant first) of the samples'
    bit patterns, each row XORed with the row above it.
    """
    bits = np.ascontiguousarray(values).view(f"<u{values.dtype.itemsize}").copy()
    bits[1:] ^= bits[:-1].copy()
    planes = bits.reshape(-1).view(np.uint8).reshape(-1, values.dtype.itemsize).T
    return zstandard.ZstdCompressor(level=_LEVEL).compress(np.ascontiguousarray(planes).tobytes())


def decode_plane(payload: bytes, shape: tuple[int, int], dtype: np.dtype[Any] | str) -> NDArray[Any]:
    """Inverse of encode_plane. Raises CorruptError when the payload is not such a plane."""
    kind = np.dtype(dtype).newbyteorder("<")
    size = shape[0] * shape[1] * kind.itemsize
    try:
        if zstandard.frame_content_size(payload) != size:
            raise CorruptError("exact plane has the wrong size")
        raw = zstandard.ZstdDecompressor().decompress(payload, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptError(f"exact plane does not decompress ({error})") from None
    planes = np.frombuffer(raw, np.uint8).reshape(kind.itemsize, -1)
    bits = planes.T.copy().view(f"<u{kind.itemsize}").reshape(shape)
    np.bitwise_xor.accumulate(bits, axis=0, out=bits)
    return bits.view(kind).astype(np.dtype(dtype), copy=False)
