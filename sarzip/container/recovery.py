"""Head and metadata of a damaged `.sarz`: from what is left of them, or from the copy at the end of the file.

The file tag, by which data frames are known, is the CRC-32 of the bytes that head and metadata frame had. A
head that is lost is written anew for every version that it may have had; the right one is that whose tag the
trailer or the data frames confirm.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from zlib import crc32

from sarzip.container import limits
from sarzip.container.layout import (
    COMPACT,
    COMPACT_END,
    FORMAT_MINOR,
    HEAD_SIZE,
    find_copy,
    pack_head,
    parse_head,
)
from sarzip.container.opening import Opening, read_opening
from sarzip.container.zframe import MAGIC, decompress_frame, scan_frame, take_frame
from sarzip.errors import CorruptError

Read = Callable[[int, int], bytes]
"""Bytes of the file: from a position, so many, fewer at its end."""

_START = 1 << 16
_MOST_FRAMES = 16
_LARGEST_FRAME = 1 << 20


def recover_opening(read: Read, size: int, problems: list[str]) -> tuple[Opening, int]:
    """Head and metadata of a file of `size` bytes, and where its data frames may begin.

    What had to be mended is added to `problems`. CorruptError if there is no metadata, or an intact head says
    that another version wrote the file.
    """
    head = read(0, HEAD_SIZE)
    try:
        metadata_size = parse_head(head).metadata_size
    except CorruptError as error:
        if len(head) == HEAD_SIZE and crc32(head[:-4]) == int.from_bytes(head[-4:], "little"):
            raise  # an intact head of another version: nothing is damaged
        problems.append(str(error))
        found = _first_metadata(read, size) or _from_copy(read, size)
        if found is None:
            raise CorruptError(
                "no .sarz file, or one whose head and metadata are lost: nothing can be salvaged"
            ) from None
        return found
    try:
        opening = read_opening(io.BytesIO(read(0, HEAD_SIZE + metadata_size)))
        return opening, opening.size
    except CorruptError as error:
        found = _from_copy(read, size)
        if found is None:
            raise CorruptError(f"{error}; without its metadata nothing can be salvaged") from None
        problems.append(f"{error}; the copy at the end of the file is used")
        return found


def _first_metadata(read: Read, size: int) -> tuple[Opening, int] | None:
    """The first frame near the start of the file that is metadata, under a new head."""
    start = read(0, _START)
    at = start.find(MAGIC)
    while at >= 0:
        try:
            frame = take_frame(_exactly(read, at), limits.MAX_METADATA).data
            openings = _openings(frame)
        except CorruptError:
            openings = []
        if openings:
            return _confirmed(openings, read, at + len(frame), size), at + len(frame)
        at = start.find(MAGIC, at + 1)
    return None


def _from_copy(read: Read, size: int) -> tuple[Opening, int] | None:
    """The metadata in the summary; data frames may then begin anywhere."""
    trailer = _trailer(read, size)
    frame = find_copy(trailer)
    if frame is None:
        return None
    try:
        openings = _openings(scan_frame(frame, limits.MAX_METADATA).data)
    except CorruptError:
        return None
    return next(((opening, 0) for opening in openings if _ends(trailer, opening.tag)), None)


def _openings(frame: bytes) -> list[Opening]:
    """What a file with this metadata frame may have begun with, the newest version first."""
    heads = [(minor, COMPACT) for minor in range(FORMAT_MINOR, 0, -1)] + [(0, 0)]
    found = []
    for minor, flags in heads:
        try:
            found.append(read_opening(io.BytesIO(pack_head(frame, minor, flags) + frame)))
        except CorruptError:
            continue
    return found


def _confirmed(openings: list[Opening], read: Read, position: int, size: int) -> Opening:
    """The one whose tag trailer or data frames carry; where neither tells, the newest."""
    trailer = _trailer(read, size)
    content = _first_content(read, position)
    for opening in openings:
        at = 0 if opening.head.compact else 1
        mark = opening.tag.to_bytes(4, "little")
        if _ends(trailer, opening.tag) or content[at : at + 4] == mark:
            return opening
    return openings[0]


def _first_content(read: Read, position: int) -> bytes:
    """The first bytes of the content of the first intact frame from a position on; none without one."""
    piece = read(position, _LARGEST_FRAME)
    at = piece.find(MAGIC)
    for _ in range(_MOST_FRAMES):
        if at < 0:
            break
        try:
            return decompress_frame(take_frame(_exactly(read, position + at), limits.MAX_FRAME_CONTENT))[:8]
        except CorruptError:
            at = piece.find(MAGIC, at + 1)
    return b""


def _trailer(read: Read, size: int) -> bytes:
    """What would be the compact trailer by the size at its end; empty where that makes no sense."""
    end = read(max(0, size - COMPACT_END.size), COMPACT_END.size)
    length = COMPACT_END.unpack(end)[0] if len(end) == COMPACT_END.size else 0
    most = min(size, 16 + limits.index_content_limit(limits.MAX_FRAMES))
    return read(size - length, length) if COMPACT_END.size < length <= most else b""


def _ends(trailer: bytes, tag: int) -> bool:
    """Whether this is the compact trailer of the file with a tag."""
    return len(trailer) > 4 and crc32(trailer[:-4], tag) == int.from_bytes(trailer[-4:], "little")


def _exactly(read: Read, position: int) -> Callable[[int], bytes]:
    """Reads on from a position; CorruptError at the end of the file."""
    at = position

    def take(size: int) -> bytes:
        nonlocal at
        data = read(at, size)
        at += size
        if len(data) != size:
            raise CorruptError("the file is truncated here")
        return data

    return take
