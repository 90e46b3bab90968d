"""One zstd frame: header and blocks are walked and bounded before libzstd sees it (RFC 8878, section 3.1.1).

A `.sarz` uses a strict subset of zstd frames: content size and checksum present, no dictionary, a window of
at most 8 MiB. Walking the blocks finds the end of a frame in a pipe without reading too far, and shows how
much content the frame can hold at most, so that a declared size is believed only as far as the bytes go.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import zstandard

from sarzip.container import limits
from sarzip.errors import CorruptError

MAGIC = b"\x28\xb5\x2f\xfd"
SKIPPABLE_HEAD = 0x184D2A53
SKIPPABLE_TRAILER = 0x184D2A54

MAX_LEVEL = 19
"""Highest zstd level: those above use windows larger than the format allows."""

ReadExact = Callable[[int], bytes]
"""Returns exactly so many bytes or raises CorruptError."""


@dataclass(frozen=True)
class RawFrame:
    """A complete zstd frame as it lies in the file, and the content size its header declares."""

    data: bytes
    content_size: int


def compress_frame(content: bytes, level: int) -> bytes:
    """A zstd frame with content size and checksum; data that does not compress is stored in raw blocks."""
    if not 1 <= level <= MAX_LEVEL:
        raise ValueError(f"zstd level {level} is not within 1 to {MAX_LEVEL}")
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True)
    return compressor.compress(content)


def take_frame(read: ReadExact, content_limit: int) -> RawFrame:
    """Reads one frame from `read`, never further than its last byte.

    Raises CorruptError when it is no frame of the allowed kind, declares more than `content_limit` bytes of
    content, or takes more bytes or blocks than so much content can need.
    """
    pieces = [read(5)]
    descriptor = pieces[0][4]
    if pieces[0][:4] != MAGIC:
        raise CorruptError("no zstd frame where one must be")
    size_bytes = _content_size_bytes(descriptor)
    single = bool(descriptor & 0x20)
    pieces.append(read((0 if single else 1) + size_bytes))
    content_size = int.from_bytes(pieces[1][-size_bytes:], "little") + (256 if size_bytes == 2 else 0)
    window = content_size if single else _window_size(pieces[1][0])
    if content_size > content_limit:
        raise CorruptError(f"declares {content_size} bytes of content; the limit is {content_limit}")
    if window > limits.MAX_WINDOW:
        raise CorruptError(f"needs a zstd window of {window} bytes; the limit is {limits.MAX_WINDOW}")
    size_limit = limits.frame_size_limit(content_size)
    pieces.append(read(3))
    size = sum(map(len, pieces))
    attainable = blocks = 0
    while True:
        last, stored, holds = _block(pieces[-1][-3:])
        size += stored + (4 if last else 3)
        attainable += holds
        blocks += 1
        if size > size_limit or blocks > limits.block_count_limit(content_size):
            raise CorruptError("takes more bytes or blocks than its content size allows")
        pieces.append(read(stored + (4 if last else 3)))  # and the next block's header or the checksum
        if last:
            break
    if attainable < content_size:
        raise CorruptError(f"declares {content_size} bytes of content, more than its blocks can hold")
    return RawFrame(b"".join(pieces), content_size)


def scan_frame(data: bytes, content_limit: int) -> RawFrame:
    """The frame that `data` consists of; CorruptError if it is none, ends early or bytes follow it."""
    source = io.BytesIO(data)

    def read(size: int) -> bytes:
        piece = source.read(size)
        if len(piece) != size:
            raise CorruptError("the zstd frame ends early")
        return piece

    frame = take_frame(read, content_limit)
    if source.tell() != len(data):
        raise CorruptError("bytes follow the zstd frame")
    return frame


def decompress_frame(frame: RawFrame) -> bytes:
    """Content of a frame whose structure was checked; CorruptError if it does not decode to that content."""
    try:
        # max_window_size is also enforced in take_frame; here it makes libzstd refuse by itself.
        decompressor = zstandard.ZstdDecompressor(max_window_size=limits.MAX_WINDOW)
        content = decompressor.decompress(
            frame.data, max_output_size=max(1, frame.content_size), allow_extra_data=False
        )
    except zstandard.ZstdError:
        raise CorruptError("checksum mismatch or undecodable zstd data") from None
    if len(content) != frame.content_size:
        raise CorruptError("the content is not as long as declared")
    return content


def decompress_damaged(frame: RawFrame) -> bytes:
    """As decompress_frame, of a frame whose checksum does not hold: what its blocks give, right or not."""
    data = bytearray(frame.data[:-4])
    data[4] &= ~0x04  # as if it had none
    return decompress_frame(RawFrame(bytes(data), frame.content_size))


def _content_size_bytes(descriptor: int) -> int:
    """Width of the content size field; CorruptError for what `.sarz` does not use (RFC 8878, 3.1.1.1.1)."""
    if descriptor & 0x18:
        raise CorruptError("the zstd frame sets reserved bits")
    if descriptor & 0x03:
        raise CorruptError("the zstd frame needs a dictionary")
    if not descriptor & 0x04:
        raise CorruptError("the zstd frame has no checksum")
    width = (1 if descriptor & 0x20 else 0, 2, 4, 8)[descriptor >> 6]
    if width == 0:
        raise CorruptError("the zstd frame does not give its content size")
    return width


def _window_size(descriptor: int) -> int:
    """Window size of RFC 8878, 3.1.1.1.2."""
    base = 1 << (10 + (descriptor >> 3))
    return base + base // 8 * (descriptor & 7)


def _block(header: bytes) -> tuple[bool, int, int]:
    """Whether a block is the last, how many bytes of it are stored, how many bytes it holds at most."""
    value = int.from_bytes(header, "little")
    kind, size = value >> 1 & 3, value >> 3
    if kind == 3 or size > limits.MAX_BLOCK:
        raise CorruptError("the zstd frame has an invalid block")
    stored, holds = ((size, size), (1, size), (size, limits.MAX_BLOCK))[kind]
    return bool(value & 1), stored, holds
