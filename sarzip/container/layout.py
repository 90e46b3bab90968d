"""Byte tables of FORMAT.md: head, data frame content, index content, trailer. Pure packing and parsing."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any
from zlib import crc32

from sarzip.container import limits
from sarzip.container.jsonsafe import dump_json, load_json
from sarzip.container.metadata_values import from_base64, to_base64
from sarzip.container.zframe import SKIPPABLE_HEAD, SKIPPABLE_TRAILER
from sarzip.errors import CorruptError, InputError

FORMAT_MAJOR = 1
FORMAT_MINOR = 3

SIGNATURE = b"SARZ"
DATA_TYPE = ord("D")
INDEX_TYPE = ord("I")

_HEAD = struct.Struct("<II4sBBHII")
_TRAILER = struct.Struct("<IIQII")
_CRC = struct.Struct("<I")
_COMPACT_BEGIN = struct.Struct("<II")
COMPACT_END = struct.Struct("<II")
"""The end of a compact trailer: its size and its CRC-32."""
HEAD_SIZE = _HEAD.size + _CRC.size
TRAILER_SIZE = _TRAILER.size + _CRC.size

CRITICAL_FLAGS = 0x00FF
"""Flags of the head that a reader must understand; the others may be ignored."""

COMPACT = 0x0001
"""Packed metadata, shorter data frames, index and trailer in one (since minor version 1)."""

_KNOWN_FLAGS = (0x0000, COMPACT, COMPACT, COMPACT)
"""Flags that exist in minor version 0, 1, ..."""

FIRST_SKIPPABLE_KIND = 128

COPY_KEY = "metadata"
"""Key of the summary with a copy of the metadata frame (since minor version 2)."""
_COPY_BEGIN, _COPY_END = f'"{COPY_KEY}":"'.encode(), b'"}'


class StreamKind(IntEnum):
    """Registered kinds of streams. 1..127 must be understood by a decoder, 128..255 may be skipped."""

    MASK = 1
    LATENTS = 2
    HYPER_LATENTS = 3
    BIAS_CORRECTION = 4
    RESIDUAL = 5
    DATASET_MASK = 6
    CODED_MASK = 7
    CODED_BIAS_CORRECTION = 8
    CODED_DATASET_MASK = 9
    OUTLIERS = 10
    LATENTS_LEVEL_0 = 16
    CHECKS = 128


@dataclass(frozen=True)
class Head:
    """The head: format version, flags, and size and CRC-32 of the metadata frame."""

    major: int
    minor: int
    flags: int
    metadata_size: int
    metadata_crc: int

    @property
    def compact(self) -> bool:
        """Whether metadata, data frames and trailer are of the compact form."""
        return bool(self.flags & COMPACT)


@dataclass(frozen=True)
class Trailer:
    """The trailer: size of the whole file, size and CRC-32 of the index frame."""

    file_size: int
    index_size: int
    index_crc: int


@dataclass(frozen=True)
class Index:
    """Size in bytes and CRC-32 of every data frame as stored, and the summary without the metadata's copy."""

    sizes: array[int]
    crcs: array[int]
    summary: dict[str, Any] | None


def require_known(streams: Mapping[int, bytes], known: Sequence[int]) -> None:
    """CorruptError if a stream that must be understood is of none of the `known` kinds."""
    for kind in streams:
        if kind < FIRST_SKIPPABLE_KIND and kind not in known:
            raise CorruptError(f"written by a newer sarzip: stream of unknown kind {kind}")


def pack_head(metadata_frame: bytes, minor: int = FORMAT_MINOR, flags: int = COMPACT) -> bytes:
    """The head for this metadata frame."""
    body = _HEAD.pack(
        SKIPPABLE_HEAD,
        HEAD_SIZE - 8,
        SIGNATURE,
        FORMAT_MAJOR,
        minor,
        flags,
        len(metadata_frame),
        crc32(metadata_frame),
    )
    return body + _CRC.pack(crc32(body))


def parse_head(data: bytes) -> Head:
    """The head in the first HEAD_SIZE bytes of a file (fewer if the file is shorter)."""
    if not data:
        raise CorruptError("the file is empty")
    if not SKIPPABLE_HEAD.to_bytes(4, "little").startswith(data[:4]) and data[8:12] != SIGNATURE:
        raise CorruptError("not a .sarz file")
    if len(data) < HEAD_SIZE:
        raise CorruptError("truncated within the head")
    magic, size, signature, major, minor, flags, metadata_size, metadata_crc = _HEAD.unpack_from(data)
    if magic != SKIPPABLE_HEAD or size != HEAD_SIZE - 8 or signature != SIGNATURE:
        raise CorruptError("head: damaged, or not a .sarz file")
    if _CRC.unpack_from(data, _HEAD.size)[0] != crc32(data[: _HEAD.size]):
        raise CorruptError("head: checksum mismatch")
    if major != FORMAT_MAJOR:
        word = "a newer" if major > FORMAT_MAJOR else "an unreleased"
        known = f"this one reads {FORMAT_MAJOR}.x"
        raise CorruptError(f"written by {word} sarzip (format {major}.{minor}; {known})")
    unknown = flags & ~_KNOWN_FLAGS[min(minor, FORMAT_MINOR)]
    if unknown & CRITICAL_FLAGS or (unknown and minor <= FORMAT_MINOR):
        raise CorruptError(f"written by a newer sarzip (format flags {flags:#06x})")
    if not limits.MIN_FRAME <= metadata_size <= limits.frame_size_limit(limits.MAX_METADATA):
        raise CorruptError(f"head: impossible size of the metadata, {metadata_size} bytes")
    return Head(major, minor, flags, metadata_size, metadata_crc)


def parse_trailer(data: bytes) -> Trailer:
    """The trailer in the last TRAILER_SIZE bytes of a file."""
    if len(data) != TRAILER_SIZE:
        raise CorruptError("truncated: the trailer is missing")
    magic, size, file_size, index_size, index_crc = _TRAILER.unpack_from(data)
    if magic != SKIPPABLE_TRAILER or size != TRAILER_SIZE - 8:
        raise CorruptError("truncated or damaged: the file does not end with a trailer")
    if _CRC.unpack_from(data, _TRAILER.size)[0] != crc32(data[: _TRAILER.size]):
        raise CorruptError("trailer: checksum mismatch")
    return Trailer(file_size, index_size, index_crc)


def pack_data(tag: int, ordinal: int, streams: Mapping[int, bytes]) -> bytes:
    """Content of a compact data frame: file tag, ordinal, directory, payloads in ascending order of kind."""
    if len(streams) > limits.MAX_STREAMS or not all(1 <= kind <= 255 for kind in streams):
        raise InputError(f"a data frame holds at most {limits.MAX_STREAMS} streams of kinds 1 to 255")
    kinds = sorted(int(kind) for kind in streams)
    parts = [_CRC.pack(tag), varint(ordinal), varint(len(kinds))]
    parts += [bytes([kind]) + varint(len(streams[kind])) for kind in kinds[:-1]]
    parts += [bytes(kinds[-1:])]
    parts += [streams[kind] for kind in kinds]
    return b"".join(parts)


def parse_data(content: bytes, tag: int, ordinal: int, compact: bool) -> dict[int, bytes]:
    """Streams by kind in the content of a data frame, which must be frame `ordinal` of the file `tag`."""
    found, at = parse_address(content, tag, compact)
    if found != ordinal:
        raise CorruptError(f"data frame {found} is in the place of data frame {ordinal}")
    count, at = parse_varint(content, at)
    if count > limits.MAX_STREAMS:
        raise CorruptError(f"{count} streams in a data frame exceed {limits.MAX_STREAMS}")
    directory: list[tuple[int, int]] = []
    for left in reversed(range(count)):
        kind = content[at] if at < len(content) else 0
        if kind <= (directory[-1][0] if directory else 0):
            raise CorruptError("stream directory: kinds are not ascending from 1")
        at += 1
        if left or not compact:
            length, at = parse_varint(content, at)
        else:
            length = max(0, len(content) - at - sum(length for _, length in directory))
        directory.append((kind, length))
    if at + sum(length for _, length in directory) != len(content):
        raise CorruptError("stream directory: the lengths do not add up to the frame")
    streams = {}
    for kind, length in directory:
        streams[kind] = content[at : at + length]
        at += length
    return streams


def parse_address(content: bytes, tag: int, compact: bool) -> tuple[int, int]:
    """Ordinal in the content of a data frame of the file `tag`, and where the rest begins."""
    if not compact:
        return parse_varint(content, _parse_type(content, DATA_TYPE, tag, "data frame"))
    if len(content) < _CRC.size or _CRC.unpack_from(content)[0] != tag:
        raise CorruptError("the data frame belongs to another file")
    return parse_varint(content, _CRC.size)


def pack_end(tag: int, sizes: array[int], crcs: array[int], summary: dict[str, Any] | None) -> bytes:
    """The compact trailer, which ends a file: index and summary between its magic, size and CRC-32."""
    parts = [varint(size) for size in sizes]
    parts.append(struct.pack(f"<{len(crcs)}I", *crcs))
    if summary is not None:
        parts.append(dump_json(summary, limits.MAX_SUMMARY, "the summary"))
    content = b"".join(parts)
    size = _COMPACT_BEGIN.size + len(content) + COMPACT_END.size
    body = _COMPACT_BEGIN.pack(SKIPPABLE_TRAILER, size - 8) + content + _CRC.pack(size)
    return body + _CRC.pack(crc32(body, tag))


def end_size(begin: bytes, frames: int) -> int:
    """Bytes of the compact trailer whose first eight are given."""
    magic, size = _COMPACT_BEGIN.unpack(begin)
    if magic != SKIPPABLE_TRAILER or not 8 <= size <= 8 + limits.index_content_limit(frames):
        raise CorruptError("truncated or damaged: the data frames are not followed by a trailer")
    return int(size) + 8


def parse_end(data: bytes, tag: int, frames: int) -> Index:
    """The index in a compact trailer of the file `tag` with so many data frames."""
    if len(data) < 16 or end_size(data[:8], frames) != len(data):
        raise CorruptError("truncated or damaged: the file does not end with a trailer")
    if COMPACT_END.unpack_from(data, len(data) - 8) != (len(data), crc32(data[:-4], tag)):
        raise CorruptError("trailer: checksum mismatch")
    return _parse_index(data[8:-8], 0, frames)


def parse_index(content: bytes, tag: int, frames: int) -> Index:
    """The index in the content of the index frame of a file with so many data frames."""
    at = _parse_type(content, INDEX_TYPE, tag, "index")
    count, at = parse_varint(content, at)
    if count != frames:
        raise CorruptError(f"index: lists {count} data frames, the metadata tells of {frames}")
    return _parse_index(content, at, frames)


def _parse_index(content: bytes, at: int, count: int) -> Index:
    """Sizes and checksums of `count` data frames from `at` on, and the summary behind them."""
    sizes: array[int] = array("I")
    for _ in range(count):
        size, at = parse_varint(content, at)
        if not limits.MIN_FRAME <= size <= limits.frame_size_limit(limits.MAX_FRAME_CONTENT):
            raise CorruptError(f"index: impossible size of a data frame, {size} bytes")
        sizes.append(size)
    end = at + 4 * count
    if end > len(content):
        raise CorruptError("index: ends early")
    crcs: array[int] = array("I", struct.unpack_from(f"<{count}I", content, at))
    summary = load_json(content[end:], limits.MAX_SUMMARY, "summary") if end < len(content) else None
    if summary is not None and summary.pop(COPY_KEY, None) is not None and not summary:
        summary = None
    return Index(sizes, crcs, summary)


def with_copy(summary: dict[str, Any] | None, metadata_frame: bytes) -> dict[str, Any]:
    """A summary that ends with a copy of the metadata frame."""
    return {**(summary or {}), COPY_KEY: to_base64(metadata_frame)}


def find_copy(trailer: bytes) -> bytes | None:
    """The copy of the metadata frame in a compact trailer of which nothing else is known, or None."""
    begin = trailer.rfind(b'"', 0, max(0, len(trailer) - COMPACT_END.size - len(_COPY_END))) + 1
    text = trailer[begin : -COMPACT_END.size - len(_COPY_END)]
    known = trailer[:begin].endswith(_COPY_BEGIN) and trailer[: -COMPACT_END.size].endswith(_COPY_END)
    if not known or len(text) > limits.MAX_COPY:
        return None
    try:
        return from_base64(text.decode("ascii"))
    except ValueError:
        return None


def varint(value: int) -> bytes:
    """Unsigned LEB128: seven bits a byte, low bits first, the high bit of a byte says that more follow."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def parse_varint(data: bytes, at: int) -> tuple[int, int]:
    """Value of the varint at `at` and where it ends; below 2**35, in its shortest form only."""
    value = shift = 0
    while shift < 35 and at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            if byte == 0 and shift > 7:
                break
            return value, at
    raise CorruptError("a variable-length integer is cut off, too long or not in its shortest form")


def _parse_type(content: bytes, kind: int, tag: int, what: str) -> int:
    """Checks type byte and file tag; returns where the rest begins."""
    if len(content) < 5 or content[0] != kind:
        raise CorruptError(f"no {what} where one must be")
    if _CRC.unpack_from(content, 1)[0] != tag:
        raise CorruptError(f"the {what} belongs to another file")
    return 5
