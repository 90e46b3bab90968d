"""A chunk of an array as bytes: a `.sarz` less what a chunk does not need.

A byte for the version, CRC-32 of the rest, then with its length in front the deflated header, in which models
are named by the beginning of their hashes, and each data frame. Everything else a store knows already.
"""

from __future__ import annotations

import functools
import io
import struct
import zlib
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container import Header, Reader, limits
from sarzip.container.georeference import Metadata
from sarzip.container.jsonsafe import dump_json, load_json
from sarzip.container.layout import pack_data, parse_data, parse_varint, varint
from sarzip.container.metadata import header_json, parse_header
from sarzip.container.metadata_values import to_base64
from sarzip.errors import CorruptError, ModelError, UsageError
from sarzip.grid import Window, ceil_to
from sarzip.pipeline.coders import DecodeOptions
from sarzip.pipeline.models import ModelStore
from sarzip.pipeline.quality import Fidelity
from sarzip.pipeline.reader import PullReader
from sarzip.pipeline.sources import ArraySource
from sarzip.usecases.compress import CompressOptions, Job

_HEAD = struct.Struct("<BI")
_VERSION = 1
_HASH_DIGITS = 8
_MOST_GROUP = 4096
_ADDRESS = 5
# What the JSON of a chunk's header consists of; a change of it changes the version.
_WORDS = (
    b'"v":["nan","inf","-inf"],"x":{"dark":1,"level":1}}],"s":[{"q":1.6}]{"m":null}]"x":{"bound":{"value":'
    b'{"w":4096,"h":4096,"g":4096,{"w":1024,"h":1024,{"w":2048,"h":2048,"g":2048,{"w":512,"h":512,"g":512,'
    b'"m":["95ae22e9"],"b":[{"t":"uint16","d":"exact"}],"m":["f9d58c64"],"b":[{"t":"float32","d":"db",'
    b'"f":0.5,"c":40.,"v":[0],"x":{"dark":1}}],"s":[{}]}"x":{"bound":{"db":0.1}}}]}{"w":256,"h":256,"g":256,'
    b'"m":["95ae22e9"],"b":[{"t":"float32","d":"power","f":0.001,"c":-1,"v":["nan","inf","-inf",0.0],'
    b'"x":{"level":1}}],"s":[{"q":2.5}]}"s":[{"x":{"bound":{"db":0.5}}}]}'
)
_TOLD = ("kind", "sure", "why")


@dataclass(frozen=True)
class ChunkOptions:
    """How chunks are coded: one of quality (0 to 100), rmse_db, max_error_db, max_error, lossless; none:
    lossless. domain: amplitude, power or db where that is known; auto: judged from each chunk.
    """

    quality: float | None = None
    rmse_db: float | None = None
    max_error_db: float | None = None
    max_error: float | None = None
    lossless: bool = False
    domain: str = "auto"

    def __post_init__(self) -> None:
        given = self.configuration.keys() - {"domain"}
        if len(given) > 1:
            raise UsageError(f"{' and '.join(sorted(given))} exclude each other; give one of them")

    @property
    def configuration(self) -> dict[str, Any]:
        """What differs from the defaults, as plain JSON."""
        return {key: value for key, value in vars(self).items() if value not in (None, False, "auto")}

    def compress_options(self, bands: int, rows: int, columns: int) -> CompressOptions:
        """The same for planes of this size."""
        edge = min(ceil_to(max(rows, columns), 256), _MOST_GROUP)
        kinds = tuple(f"{band + 1}={self.domain}" for band in range(bands) if self.domain != "auto")
        common = CompressOptions(device="cpu", threads=1, group=edge, band_kinds=kinds)
        if self.quality is not None:
            return replace(common, fidelity=Fidelity("quality", float(self.quality)))
        if self.rmse_db is not None:
            return replace(common, fidelity=Fidelity("rmse_db", float(self.rmse_db)))
        if self.max_error_db is None and self.max_error is None:
            return replace(common, lossless=True)
        return replace(common, max_error_db=self.max_error_db, max_error=self.max_error)


def encode_chunk(values: NDArray[Any], options: ChunkOptions, nodata: float | None = None) -> bytes:
    """The bytes of an array (..., rows, columns). nodata: what says that there is no measurement; it comes
    back exactly, as every NaN does. Raises UsageError, or InputError for sample types that are not coded.
    """
    if values.ndim < 2:
        raise UsageError(f"sarzip codes images; an array of shape {values.shape} has no rows and columns")
    planes = np.ascontiguousarray(values.reshape(-1, *values.shape[-2:])).astype(
        values.dtype.newbyteorder("="), copy=False
    )
    meta = replace(Metadata.plain(len(planes)), nodata=(nodata,) * len(planes))
    how = options.compress_options(*planes.shape)
    sink = io.BytesIO()
    Job.of(ArraySource(planes, meta, "chunk"), how).write(sink)
    reader = Reader(sink)
    bands = tuple(replace(each, extra=_needed(each.extra)) for each in reader.header.bands)
    about = replace(reader.header, creator="", raster={}, bands=bands)
    plain = header_json(about)
    if about.models:
        plain["m"] = [model.sha256[:_HASH_DIGITS] for model in about.models]
    blocks = [_deflated(dump_json(plain, limits.MAX_METADATA, "chunk"))]
    # The tag of the file and the ordinal in it go: a chunk is read as a whole.
    blocks += [pack_data(0, 0, streams)[_ADDRESS:] for _, streams in reader]
    rest = b"".join(varint(len(block)) + block for block in blocks)
    return _HEAD.pack(_VERSION, zlib.crc32(rest)) + rest


def _needed(extra: dict[str, Any]) -> dict[str, Any]:
    """Less what only tells people why a band was taken for what it is."""
    return {key: value for key, value in extra.items() if key not in _TOLD}


def decode_chunk(data: bytes, wanted: tuple[int, np.dtype[Any]] | None = None) -> NDArray[Any]:
    """The planes (planes, rows, columns) of the bytes of a chunk. wanted: how many samples of what type it
    has to hold; what holds others is not decoded. Raises CorruptError or ModelError.
    """
    frames = _Frames(data)
    header = frames.header
    shape, dtypes = (len(header.bands), header.height, header.width), {band.dtype for band in header.bands}
    if wanted is not None and (prod(shape), dtypes) != (wanted[0], {wanted[1].name}):
        raise CorruptError(
            f"chunk: holds {shape} of {', '.join(sorted(dtypes))}, not {wanted[0]} of {wanted[1].name}"
        )
    reader = PullReader(frames, DecodeOptions("cpu", 1))
    whole = Window(0, 0, header.height, header.width)
    return np.stack(reader.read(whole, range(len(header.bands))).bands)


class _Frames:
    """The frames of a chunk, as a reader wants them."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _HEAD.size:
            raise CorruptError("chunk: too short")
        version, checksum = _HEAD.unpack_from(data)
        if version != _VERSION:
            raise CorruptError(f"chunk: no chunk of sarzip, or of a newer one (version {version})")
        if zlib.crc32(data[_HEAD.size :]) != checksum:
            raise CorruptError("chunk: checksum mismatch")
        self._blocks, at = [], _HEAD.size
        while at < len(data):
            length, at = parse_varint(data, at)
            self._blocks.append(data[at : at + length])
            at += length
        if not self._blocks or at != len(data):
            raise CorruptError("chunk: ends within a part of it")
        self.header = _header(self._blocks[0])
        if len(self._blocks) != 1 + self.header.frame_count:
            raise CorruptError("chunk: has not the frames that its header announces")

    def read_frame(self, ordinal: int) -> dict[int, bytes]:
        """See pipeline.reader.FrameSource."""
        return parse_data(bytes(_ADDRESS) + self._blocks[1 + ordinal], 0, 0, True)


def _header(packed: bytes) -> Header:
    value = load_json(_inflated(packed), limits.MAX_METADATA, "chunk")
    named = value.get("m", [])
    if not isinstance(named, list) or len(named) > limits.MAX_MODELS:
        raise CorruptError("chunk: its models are no list of hashes")
    value["m"] = [_model(each) for each in named]
    return parse_header(dump_json(value, limits.MAX_METADATA, "chunk"), packed=False)


def _model(begin: object) -> list[str]:
    """The released model that a chunk names, as the JSON of a header has it."""
    for name, sha256 in _released():
        if sha256[:_HASH_DIGITS] == begin:
            return [name, to_base64(bytes.fromhex(sha256))]
    raise ModelError(f"chunk: coded with model {str(begin)[:8]}, which this sarzip does not have; install it")


def _deflated(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=_WORDS)
    return packer.compress(text) + packer.flush()


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(-15, zdict=_WORDS)
    try:
        text = unpacker.decompress(data, limits.MAX_METADATA)
    except zlib.error as error:
        raise CorruptError(f"chunk: its header does not unpack ({error})") from None
    if not unpacker.eof or unpacker.unused_data:
        raise CorruptError("chunk: its header does not unpack")
    return text


@functools.cache
def _released() -> tuple[tuple[str, str], ...]:
    return tuple((card.id, card.sha256) for card in ModelStore().list())
