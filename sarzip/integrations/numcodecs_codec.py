"""A compressor for zarr 2: `create_array(…, zarr_format=2, compressors=SarzipCompressor(quality=60))`."""

from __future__ import annotations

from typing import Any

import numpy as np

try:
    from numcodecs.abc import Codec
    from numcodecs.compat import ensure_bytes, ensure_ndarray
except ImportError as error:
    raise ImportError("this codec needs numcodecs: pip install 'sarzip[zarr]'") from error

from sarzip.integrations.chunks import ChunkOptions, decode_chunk, encode_chunk


class SarzipCompressor(Codec):  # type: ignore[misc]
    """Chunks whose last two axes are rows and columns; options as in chunks.ChunkOptions, none: lossless."""

    codec_id = "sarzip"

    def __init__(self, **options: Any) -> None:
        self.options = ChunkOptions(**options)

    def get_config(self) -> dict[str, Any]:
        """For the array's metadata."""
        return {"id": self.codec_id, **self.options.configuration}

    def encode(self, buf: Any) -> bytes:
        """The bytes of a chunk. NaN is kept; another fill value where a chunk shows that it is one."""
        return encode_chunk(np.asarray(ensure_ndarray(buf)), self.options)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """The planes of a chunk (planes, rows, columns), which zarr shapes; into `out` where it is given."""
        if out is None:
            return decode_chunk(ensure_bytes(buf))
        values = decode_chunk(ensure_bytes(buf), (out.size, out.dtype))
        np.copyto(out, values.reshape(out.shape))
        return out
