"""Random access to a `.sarz` through its trailer and index."""

from __future__ import annotations

import io
from array import array
from collections.abc import Iterator
from itertools import accumulate
from threading import Lock
from typing import Any, BinaryIO
from zlib import crc32

from sarzip.container import limits
from sarzip.container.header import Header
from sarzip.container.layout import (
    COMPACT_END,
    TRAILER_SIZE,
    Index,
    Trailer,
    parse_end,
    parse_index,
    parse_trailer,
)
from sarzip.container.opening import naming, read_opening, read_up_to, unpack_data
from sarzip.container.zframe import decompress_frame, scan_frame
from sarzip.errors import CorruptError, InputError


class Reader:
    """A `.sarz` in a seekable source, opened and verified but for the data frames.

    Opening checks head, metadata, trailer, index and the size of the file; a data frame is checked when it
    is read. CorruptError says what is damaged. Frames may be read from several threads at once, and from
    forked processes where the source has `read_at(position, size)`, which moves nothing. OSErrors of the
    source pass through.
    """

    def __init__(self, source: BinaryIO) -> None:
        if not source.seekable():
            raise InputError("this input cannot be read at random positions")
        self._source = source
        self._lock = Lock()
        self._file_size = source.seek(0, io.SEEK_END)
        source.seek(0)
        self._opening = read_opening(source)
        if self.frame_count * limits.MIN_FRAME > self._file_size - self._opening.size:
            raise CorruptError(f"truncated: too short for the {self.frame_count} data frames of its metadata")
        self._index, self._end_size = self._read_end() if self._opening.head.compact else self._read_index()
        self._starts = array("Q", accumulate(self._index.sizes, initial=self._opening.size))
        said = self._starts[-1] + self._end_size
        if said != self._file_size:
            raise CorruptError(f"the file has {self._file_size} bytes, its trailer says {said}")

    @property
    def header(self) -> Header:
        """What the file says about itself."""
        return self._opening.header

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the format the file was written in."""
        return self._opening.head.major, self._opening.head.minor

    @property
    def summary(self) -> dict[str, Any] | None:
        """JSON that the encoder knew only at the end."""
        return self._index.summary

    @property
    def frame_count(self) -> int:
        """Number of data frames."""
        return self.header.frame_count

    @property
    def frame_sizes(self) -> array[int]:
        """Bytes of every data frame in the file."""
        return self._index.sizes

    @property
    def file_size(self) -> int:
        """Bytes of the whole file."""
        return self._file_size

    @property
    def overhead(self) -> int:
        """Bytes of head, metadata, index and trailer."""
        return self._opening.size + self._end_size

    def read_frame(self, ordinal: int) -> dict[int, bytes]:
        """Streams of a data frame by kind; CorruptError if it is damaged, IndexError if there is none."""
        with naming(self.header.describe_frame(ordinal)):
            size = self._index.sizes[ordinal]
            data = self._read_at(self._starts[ordinal], size)
            if len(data) != size:
                raise CorruptError("the file ends within it")
            if crc32(data) != self._index.crcs[ordinal]:
                raise CorruptError("checksum mismatch")
            frame = scan_frame(data, self.header.content_limit(ordinal))
            return unpack_data(frame, self._opening, ordinal)

    def __iter__(self) -> Iterator[tuple[int, dict[int, bytes]]]:
        """All data frames in order: ordinal and streams."""
        for ordinal in range(self.frame_count):
            yield ordinal, self.read_frame(ordinal)

    def _read_at(self, position: int, size: int) -> bytes:
        read_at = getattr(self._source, "read_at", None)
        if read_at is not None:
            return bytes(read_at(position, size))
        with self._lock:
            self._source.seek(position)
            return read_up_to(self._source, size)

    def _read_trailer(self) -> Trailer:
        trailer = parse_trailer(self._read_at(max(0, self._file_size - TRAILER_SIZE), TRAILER_SIZE))
        if trailer.file_size != self._file_size:
            raise CorruptError(f"the file has {self._file_size} bytes, its trailer says {trailer.file_size}")
        if trailer.index_size > self._file_size - TRAILER_SIZE - self._opening.size:
            raise CorruptError("trailer: the index is larger than the file")
        return trailer

    def _read_index(self) -> tuple[Index, int]:
        """The index that the trailer points to, and the bytes of both."""
        trailer = self._read_trailer()
        data = self._read_at(self._file_size - TRAILER_SIZE - trailer.index_size, trailer.index_size)
        if crc32(data) != trailer.index_crc:
            raise CorruptError("index: checksum mismatch")
        with naming("index"):
            content = decompress_frame(scan_frame(data, limits.index_content_limit(self.frame_count)))
        return parse_index(content, self._opening.tag, self.frame_count), trailer.index_size + TRAILER_SIZE

    def _read_end(self) -> tuple[Index, int]:
        """The index in the compact trailer, and the trailer's bytes."""
        end = self._read_at(max(0, self._file_size - COMPACT_END.size), COMPACT_END.size)
        size = COMPACT_END.unpack(end)[0] if len(end) == COMPACT_END.size else 0
        most = min(16 + limits.index_content_limit(self.frame_count), self._file_size - self._opening.size)
        if size > most:
            raise CorruptError("truncated or damaged: the file does not end with a trailer")
        data = self._read_at(self._file_size - size, size - len(end)) + end
        return parse_end(data, self._opening.tag, self.frame_count), size
