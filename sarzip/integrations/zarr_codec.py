"""A serializer for zarr 3: `create_array(…, serializer=SarzipCodec(max_error_db=0.5), compressors=None)`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

try:
    from zarr.abc.codec import ArrayBytesCodec
except ImportError as error:
    raise ImportError("this codec needs zarr 3: pip install 'sarzip[zarr]'") from error

from sarzip.integrations.chunks import ChunkOptions, decode_chunk, encode_chunk

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer


@dataclass(frozen=True, init=False)
class SarzipCodec(ArrayBytesCodec):
    """Chunks whose last two axes are rows and columns; options as in chunks.ChunkOptions, none: lossless."""

    options: ChunkOptions
    is_fixed_size = False

    def __init__(self, **options: Any) -> None:
        object.__setattr__(self, "options", ChunkOptions(**options))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SarzipCodec:
        """From a codec of the array's metadata."""
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """For the array's metadata."""
        return {"name": "sarzip", "configuration": self.options.configuration}

    def compute_encoded_size(self, input_byte_length: int, _chunk_spec: ArraySpec) -> int:
        """Not known before."""
        raise NotImplementedError

    def _encode_sync(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        fill = chunk_spec.fill_value
        nodata = None if fill is None or isinstance(fill, complex) else np.asarray(fill).item()
        data = encode_chunk(np.asarray(chunk_array.as_numpy_array()), self.options, nodata)
        return chunk_spec.prototype.buffer.from_bytes(data)

    def _decode_sync(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        wanted = prod(chunk_spec.shape), chunk_spec.dtype.to_native_dtype()
        values = decode_chunk(chunk_bytes.to_bytes(), wanted).astype(wanted[1], copy=False)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(values.reshape(chunk_spec.shape))

    async def _encode_single(self, chunk_array: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        return await asyncio.to_thread(self._encode_sync, chunk_array, chunk_spec)

    async def _decode_single(self, chunk_bytes: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        return await asyncio.to_thread(self._decode_sync, chunk_bytes, chunk_spec)
