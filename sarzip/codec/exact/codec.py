"""Bands that come back bit for bit: alpha, masks, and whatever else is not coded as a signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import LATENTS, Quality, Streams, Worst
from sarzip.codec.streams import byte_planes
from sarzip.codec.streams.framing import join_payloads, split_payloads

_LEVEL = 9


class ExactCodec:
    """Any number of bands of any dtypes as one plane each."""

    id = "exact"

    def __init__(self, dtypes: Sequence[str]) -> None:
        """dtypes: of the bands of the set."""
        self.inputs = len(dtypes)
        self._dtypes = tuple(dtypes)

    def encode(self, samples: Sequence[NDArray[Any]]) -> tuple[dict[int, bytes], list[Worst]]:
        """Samples (rows, columns) of every band to one stream."""
        return {LATENTS: join_payloads([encode_plane(each) for each in samples])}, []

    def decode(self, streams: Streams, shape: tuple[int, int], band: int) -> NDArray[Any]:
        """Samples (rows, columns) of the band at a position in the set; CorruptError if undecodable."""
        planes = split_payloads(streams.get(LATENTS, b""), self.inputs)
        return decode_plane(planes[band], shape, self._dtypes[band])

    def integers(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> None:
        """There is nothing between the stream and the samples."""
        return None


def encode_plane(values: NDArray[Any]) -> bytes:
    """2-D array of any integer or float dtype to bytes, exactly.

    Layout: one zstd frame holding byte plane after byte plane (least significant first) of the samples'
    bit patterns, each row XORed with the row above it.
    """
    bits = np.ascontiguousarray(values).view(f"<u{values.dtype.itemsize}").copy()
    bits[1:] ^= bits[:-1].copy()
    return byte_planes.pack(bits, _LEVEL)


def decode_plane(payload: bytes, shape: tuple[int, int], dtype: np.dtype[Any] | str) -> NDArray[Any]:
    """Inverse of encode_plane. Raises CorruptError when the payload is not such a plane."""
    kind = np.dtype(dtype).newbyteorder("<")
    size = shape[0] * shape[1] * kind.itemsize
    bits = byte_planes.unpack(payload, f"<u{kind.itemsize}", (size,), "exact plane").reshape(shape)
    np.bitwise_xor.accumulate(bits, axis=0, out=bits)
    return bits.view(kind).astype(np.dtype(dtype), copy=False)
