"""What both readers share: exact reads from a source, and head plus metadata at the start of a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO
from zlib import crc32

from sarzip.container import limits
from sarzip.container.header import Header
from sarzip.container.layout import FORMAT_MINOR, HEAD_SIZE, Head, parse_data, parse_head
from sarzip.container.metadata import parse_header
from sarzip.container.zframe import RawFrame, decompress_frame, scan_frame
from sarzip.errors import CorruptError

_CHUNK = 2**20


@dataclass(frozen=True)
class Opening:
    """Head and metadata, verified: what the file is, and the tag its other frames carry."""

    head: Head
    header: Header
    tag: int

    @property
    def size(self) -> int:
        """Bytes of head and metadata frame: where the first data frame begins."""
        return HEAD_SIZE + self.head.metadata_size


@contextmanager
def naming(what: str) -> Iterator[None]:
    """Puts what is damaged in front of the message of a CorruptError."""
    try:
        yield
    except CorruptError as error:
        raise CorruptError(f"{what}: {error}") from None


def read_up_to(source: BinaryIO, size: int) -> bytes:
    """Bytes from `source`, fewer than `size` only at its end.

    Short reads are continued. Reads in pieces: a size that the source does not hold is never allocated.
    """
    pieces: list[bytes] = []
    missing = size
    while missing > 0:
        piece = source.read(min(missing, _CHUNK))
        if piece is None:
            raise BlockingIOError("the input is in non-blocking mode")
        if not piece:
            break
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def read_opening(source: BinaryIO) -> Opening:
    """Reads and verifies head and metadata frame at the position of `source`."""
    first = read_up_to(source, HEAD_SIZE)
    head = parse_head(first)
    frame = read_up_to(source, head.metadata_size)
    if len(frame) < head.metadata_size:
        raise CorruptError("metadata: the file is truncated here")
    if crc32(frame) != head.metadata_crc:
        raise CorruptError("metadata: checksum mismatch")
    with naming("metadata"):
        content = decompress_frame(scan_frame(frame, limits.MAX_METADATA))
    header = parse_header(content, head.compact, head.minor > FORMAT_MINOR)
    return Opening(head, header, crc32(frame, crc32(first)))


def unpack_data(frame: RawFrame, opening: Opening, ordinal: int) -> dict[int, bytes]:
    """Streams of data frame `ordinal`; CorruptError if the frame is damaged or is another one."""
    return parse_data(decompress_frame(frame), opening.tag, ordinal, opening.head.compact)
