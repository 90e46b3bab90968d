"""Reads a `.sarz` forward only, as from a pipe, verifying on the way and again at the end."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Any, BinaryIO
from zlib import crc32

from sarzip.container import limits
from sarzip.container.header import Header
from sarzip.container.layout import TRAILER_SIZE, Index, end_size, parse_end, parse_index, parse_trailer
from sarzip.container.opening import naming, read_opening, read_up_to, unpack_data
from sarzip.container.zframe import decompress_frame, take_frame
from sarzip.errors import CorruptError


class StreamReader:
    """A `.sarz` that arrives in order; iterate once for (ordinal, streams).

    Head and metadata are verified at once. Every frame is verified by its own checksum before it is yielded;
    after the last one index, trailer and the end of the source are checked against what was read, so that
    only an iteration that ends without CorruptError has seen a whole and intact file. Memory holds one frame
    and eight bytes for each frame read. The source is never read beyond the byte after the trailer.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._opening = read_opening(source)
        self._position = self._opening.size
        self._sizes: array[int] = array("I")
        self._crcs: array[int] = array("I")
        self._summary: dict[str, Any] | None = None
        self._started = False

    @property
    def header(self) -> Header:
        """What the file says about itself."""
        return self._opening.header

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the format the file was written in."""
        return self._opening.head.major, self._opening.head.minor

    @property
    def frame_count(self) -> int:
        """Number of data frames the metadata tells of."""
        return self.header.frame_count

    @property
    def frame_sizes(self) -> array[int]:
        """Bytes of every data frame read so far."""
        return self._sizes

    @property
    def bytes_read(self) -> int:
        """Bytes of the source read so far; at the end the size of the file."""
        return self._position

    @property
    def summary(self) -> dict[str, Any] | None:
        """JSON that the encoder knew only at the end; None before the iteration has ended."""
        return self._summary

    def __iter__(self) -> Iterator[tuple[int, dict[int, bytes]]]:
        """Ordinal and streams of every data frame in order; CorruptError as soon as damage is seen."""
        if self._started:
            raise ValueError("a stream can be read only once")
        self._started = True
        for ordinal in range(self.frame_count):
            with naming(self.header.describe_frame(ordinal)):
                frame = take_frame(self._read, self.header.content_limit(ordinal))
                self._sizes.append(len(frame.data))
                self._crcs.append(crc32(frame.data))
                streams = unpack_data(frame, self._opening, ordinal)
            del frame
            yield ordinal, streams
        self._read_end()

    def _read(self, size: int) -> bytes:
        data = read_up_to(self._source, size)
        self._position += len(data)
        if len(data) != size:
            raise CorruptError("the file is truncated here")
        return data

    def _read_end(self) -> None:
        index = self._read_compact_end() if self._opening.head.compact else self._read_index()
        for ordinal in range(self.frame_count):
            if (index.sizes[ordinal], index.crcs[ordinal]) != (self._sizes[ordinal], self._crcs[ordinal]):
                raise CorruptError(f"{self.header.describe_frame(ordinal)}: checksum mismatch")
        if read_up_to(self._source, 1):
            raise CorruptError("bytes follow the end of the file")
        self._summary = index.summary

    def _read_compact_end(self) -> Index:
        with naming("trailer"):
            begin = self._read(8)
            data = begin + self._read(end_size(begin, self.frame_count) - 8)
        return parse_end(data, self._opening.tag, self.frame_count)

    def _read_index(self) -> Index:
        with naming("index"):
            frame = take_frame(self._read, limits.index_content_limit(self.frame_count))
            content = decompress_frame(frame)
        index = parse_index(content, self._opening.tag, self.frame_count)
        with naming("trailer"):
            data = self._read(TRAILER_SIZE)
        trailer = parse_trailer(data)
        if (trailer.index_size, trailer.index_crc) != (len(frame.data), crc32(frame.data)):
            raise CorruptError("index: checksum mismatch")
        if trailer.file_size != self._position:
            raise CorruptError(f"{self._position} bytes were read, the trailer says {trailer.file_size}")
        return index
