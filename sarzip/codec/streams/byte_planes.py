"""Integers as byte planes under zstd, and zstd frames whose size is known beforehand."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from sarzip.errors import CorruptError


def pack(integers: NDArray[Any], level: int) -> bytes:
    """Integers of any shape to one zstd frame: byte plane after byte plane, least significant first."""
    little = np.ascontiguousarray(integers, integers.dtype.newbyteorder("<"))
    planes = little.reshape(-1).view(np.uint8).reshape(-1, integers.dtype.itemsize).T
    return zstandard.ZstdCompressor(level=level).compress(planes.tobytes())


def unpack(data: bytes, dtype: str, sizes: Container[int], what: str) -> NDArray[Any]:
    """Inverse of pack: integers of a little-endian dtype, 1-D. sizes, what: see inflate."""
    kind = np.dtype(dtype)
    planes = np.frombuffer(inflate(data, sizes, what), np.uint8).reshape(kind.itemsize, -1)
    return planes.T.copy().view(kind).reshape(-1)


def inflate(data: bytes, sizes: Container[int], what: str) -> bytes:
    """The content of one zstd frame that says how large it is. Raises CorruptError.

    sizes: which are allowed, in bytes; checked before anything is allocated. what: for messages.
    """
    try:
        size = zstandard.frame_content_size(data)
        if size not in sizes:
            raise CorruptError(f"{what}: wrong size")
        decompressor = zstandard.ZstdDecompressor()
        return decompressor.decompress(data, max_output_size=max(1, size), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise CorruptError(f"{what}: not decompressed ({error})") from None
