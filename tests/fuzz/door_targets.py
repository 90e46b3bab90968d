"""Targets of the fuzzing behind the doors: a file as a dataset, and a chunk of an array, to their samples.

The first byte of an input chooses a scene, the second one the part of it that the rest replaces: the
metadata, or a data frame from its ordinal on. All checksums around it are right.
"""

from __future__ import annotations

import array
import functools
import io
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np

import sarzip
from sarzip.container import Reader
from sarzip.container.layout import pack_data, pack_end, pack_head, varint
from sarzip.container.metadata import header_json
from sarzip.container.packing import DICTIONARY
from sarzip.container.zframe import compress_frame
from sarzip.integrations import chunks
from sarzip.pipeline import coders, memory
from sarzip.pipeline.models import ModelStore

_TAG = 4


def _once(function: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose results are kept by a key of its arguments."""
    kept: dict[Any, Any] = {}

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        at = key(*arguments)
        if at not in kept:
            kept[at] = function(*arguments)
        return kept[at]

    return call


@contextmanager
def quick() -> Iterator[None]:
    """What takes most of the time of a tiny file is done once: loading models, looking for memory."""
    load, build = ModelStore.load_for_file, coders.build_codec
    with (
        patch.object(ModelStore, "load_for_file", _once(load, lambda store, wanted, *_: wanted.sha256)),
        patch.object(ModelStore, "list", _once(ModelStore.list, lambda store: 0)),
        patch.object(coders, "build_codec", _once(build, lambda family, *_: family)),
        patch.object(memory, "available_memory", _once(memory.available_memory, lambda: 0)),
    ):
        yield


@dataclass(frozen=True)
class Scene:
    """meta: the JSON of the metadata. frames: contents of data frames, from the ordinal on."""

    meta: bytes
    frames: tuple[bytes, ...]

    @classmethod
    def of(cls, data: bytes) -> Scene:
        """Of a whole file."""
        reader = Reader(io.BytesIO(data))
        meta = json.dumps(header_json(reader.header), separators=(",", ":")).encode()
        return cls(meta, tuple(pack_data(0, ordinal, streams)[_TAG:] for ordinal, streams in reader))

    def file(self, part: int, content: bytes) -> bytes:
        """The file, in which a part is another."""
        parts = [self.meta, *self.frames]
        parts[part % len(parts)] = content
        frame = compress_frame(_deflated(parts[0], DICTIONARY), 1)
        opening = pack_head(frame) + frame
        tag = zlib.crc32(opening)
        frames = [compress_frame(tag.to_bytes(_TAG, "little") + each, 1) for each in parts[1:]]
        sizes, crcs = array.array("I", map(len, frames)), array.array("I", map(zlib.crc32, frames))
        return opening + b"".join(frames) + pack_end(tag, sizes, crcs, None)


@dataclass(frozen=True)
class Chunk:
    """meta: the JSON of the header. frames: as chunks have them."""

    meta: bytes
    frames: tuple[bytes, ...]

    @classmethod
    def of(cls, data: bytes) -> Chunk:
        """Of the bytes of a chunk."""
        frames = chunks._Frames(data)
        return cls(chunks._inflated(frames._blocks[0]), tuple(frames._blocks[1:]))

    def bytes(self, part: int, content: bytes) -> bytes:
        """The chunk, in which a part is another; the last one is all of it behind the checksum."""
        parts = [_deflated(self.meta, chunks._WORDS), *self.frames, b""]
        part %= len(parts)
        parts[part] = content if part else _deflated(content, chunks._WORDS)
        rest = b"".join(varint(len(each)) + each for each in parts[:-1])
        if part == len(parts) - 1:
            rest = content
        return chunks._HEAD.pack(chunks._VERSION, zlib.crc32(rest)) + rest


def _deflated(text: bytes, words: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15, zdict=words)
    return packer.compress(text) + packer.flush()


def _arrays() -> list[tuple[np.ndarray, dict[str, Any]]]:
    """Small arrays and how each is coded: a pair, one band, within a bound both ways, bit for bit, labels."""
    rng = np.random.default_rng(3)
    texture = 10 ** np.cumsum(rng.normal(0, 0.05, (1, 24, 36)), 2)
    pair = np.concatenate([texture, texture * 0.6]) * rng.gamma(4, 0.25, (2, 24, 36))
    amplitude = np.clip(300 * np.sqrt(pair), 1, 60_000).astype(np.uint16)
    amplitude[:, :6, :8] = 0
    power = pair.astype(np.float32)
    power[0, 3:6] = np.nan
    labels = (np.indices((24, 36)).sum(0) // 9).astype(np.uint8)[None]
    return [
        (amplitude, {"quality": 60}),
        (power[:1], {"quality": 30}),
        (power, {"max_error_db": 2.0}),
        (amplitude, {"max_error_db": 0.2}),
        (power, {"lossless": True}),
        (labels, {"lossless": True}),
    ]


def _options(how: dict[str, Any]) -> sarzip.CompressOptions:
    more = {key: value for key, value in how.items() if key != "quality"}
    return sarzip.CompressOptions(
        sarzip.Fidelity("quality", how.get("quality", 60)), device="cpu", threads=1, **more
    )


@functools.cache
def scenes() -> list[Scene]:
    """Files of the arrays, with raster metadata of several kinds."""
    place: dict[str, Any] = {"e": 32633, "t": [10.0, 0, 5e5, 0, -10.0, 5e6], "n": 0}
    place |= {"d": ["VV", "VH"], "s": [2, 1], "o": [0, 1]}
    rpc = dict.fromkeys(("LINE_OFF", "SAMP_OFF", "LAT_OFF", "LONG_OFF", "HEIGHT_OFF"), "1")
    rpc |= {key.replace("OFF", "SCALE"): "1" for key in rpc}
    lists = ("LINE_NUM_COEFF", "LINE_DEN_COEFF", "SAMP_NUM_COEFF", "SAMP_DEN_COEFF")
    rpc |= {key: " ".join(["0.5"] * 20) for key in lists}
    tags = {"m": {"": {"AREA_OR_POINT": "Point"}, "RPC": rpc}, "c": [1], "u": ["dB"], "n": "nan"}
    named = {"y": {"0": ["land", "sea"]}, "c": [2], "m": {"A": {"b": "c"}}}
    found = []
    for number, (values, how) in enumerate(_arrays()):
        scene = Scene.of(sarzip.encode(values, _options(how)))
        raster = {0: place, 1: tags, 5: named}.get(number, {})
        meta = json.loads(scene.meta) | {"r": raster}
        found.append(Scene(json.dumps(meta, separators=(",", ":")).encode(), scene.frames))
    return found


@functools.cache
def array_chunks() -> list[Chunk]:
    """Chunks of the arrays."""
    return [Chunk.of(chunks.encode_chunk(values, chunks.ChunkOptions(**how))) for values, how in _arrays()]


def check_dataset(data: bytes) -> None:
    """Everything that a dataset offers either gives what its header says or is refused in a sarzip way."""
    if len(data) < 2:
        return
    chosen = scenes()[data[0] % len(scenes())]
    with sarzip.open(io.BytesIO(chosen.file(data[1], data[2:])), coders.DecodeOptions("cpu", 1)) as dataset:
        _look(dataset)


def _look(dataset: Any) -> None:
    told = [dataset.crs, dataset.transform, dataset.bounds, dataset.res, dataset.gcps, dataset.rpcs]
    told += [dataset.nodatavals, dataset.descriptions, dataset.units, dataset.scales, dataset.offsets]
    told += [dataset.colorinterp, dataset.profile, dataset.block_shapes, dataset.overviews(1), repr(dataset)]
    told += [dataset.tag_spaces(number) for number in range(min(dataset.count, 3) + 1)]
    assert len(told) > 16
    rows, columns = min(dataset.height, 30), min(dataset.width, 20)
    window = ((0, rows), (dataset.width - columns, dataset.width))
    for number in dataset.indexes[:3]:
        part = dataset.read(number, window=window, masked=True)
        assert part.shape == (rows, columns) and part.dtype == dataset.dtypes[number - 1]
    small = rows // 4 + 1, columns // 4 + 1
    assert dataset.read(1, window=window, out_shape=small).shape == small


def check_chunk(data: bytes) -> None:
    """Planes, or a refusal."""
    if len(data) < 2:
        return
    chosen = array_chunks()[data[0] % len(array_chunks())]
    found = chunks.decode_chunk(chosen.bytes(data[1], data[2:]))
    assert found.ndim == 3 and found.size


TARGETS = (check_dataset, check_chunk)


def seeds() -> Iterator[tuple[int, bytes]]:
    """Valid inputs: which target, and what for it."""
    for target, made in enumerate((scenes(), array_chunks())):
        for number, each in enumerate(made):
            for part, content in enumerate((each.meta, *each.frames)):
                yield target, bytes([number, part]) + content
