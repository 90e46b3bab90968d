"""Writes a `.sarz` in one pass, to a file or a pipe, without seeking."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, BinaryIO
from zlib import crc32

from sarzip.container import limits
from sarzip.container.header import Header
from sarzip.container.layout import COPY_KEY, pack_data, pack_end, pack_head, with_copy
from sarzip.container.metadata import encode_header
from sarzip.container.zframe import compress_frame
from sarzip.errors import InputError

METADATA_LEVEL = 19
DATA_LEVEL = 3
"""Payloads are entropy coded already: a higher level costs time and wins next to nothing."""


_COPY_SHARE = 2000
"""A copy of the metadata is written where it costs at most one byte of so many: it is all but free then, and
what is large took long to make. Small files would lose up to a few per cent to it."""


class Writer:
    """Writes head and metadata at once, then the data frames in order, then the trailer.

    `sink` needs only `write`, which may accept fewer bytes than offered. OSErrors of the sink pass through;
    after one the writer is of no further use. `level` is the zstd level of the data frames.
    """

    def __init__(self, sink: BinaryIO, header: Header, level: int = DATA_LEVEL) -> None:
        self.header = header
        self._sink = sink
        self._level = level
        self._sizes: array[int] = array("I")
        self._crcs: array[int] = array("I")
        self._total = 0
        self._finished = False
        self._metadata = frame = compress_frame(encode_header(header), METADATA_LEVEL)
        opening = pack_head(frame) + frame
        self._tag = crc32(opening)
        self._put(opening)

    @property
    def bytes_written(self) -> int:
        """Bytes given to the sink so far."""
        return self._total

    @property
    def frames_written(self) -> int:
        """Data frames written so far: the ordinal of the next one."""
        return len(self._sizes)

    def write_frame(self, streams: Mapping[int, bytes]) -> int:
        """Writes the next data frame and returns its size in the file, in bytes.

        The frame belongs to the group, set and part of `header.address(frames_written)`. InputError if the
        streams exceed a limit of the format; ValueError after the last frame or after finish().
        """
        ordinal = self.frames_written
        if self._finished or ordinal >= self.header.frame_count:
            raise ValueError(f"all {self.header.frame_count} data frames are written")
        content = pack_data(self._tag, ordinal, streams)
        most = self.header.content_limit(ordinal)
        if len(content) > most:
            place = self.header.describe_frame(ordinal)
            raise InputError(f"{place}: {len(content)} bytes in a data frame exceed the limit of {most}")
        frame = compress_frame(content, self._level)
        self._put(frame)
        self._sizes.append(len(frame))
        self._crcs.append(crc32(frame))
        return len(frame)

    def finish(self, summary: dict[str, Any] | None = None) -> int:
        """Writes the trailer and returns the size of the file in bytes; the sink stays open.

        `summary` is plain JSON that is known only now. Files that are large beside their metadata get a copy
        of it there. ValueError if data frames are missing.
        """
        if self._finished or self.frames_written != self.header.frame_count:
            raise ValueError(f"{self.frames_written} of {self.header.frame_count} data frames are written")
        self._finished = True
        if summary is not None and COPY_KEY in summary:
            raise ValueError(f"the key {COPY_KEY!r} of the summary is the writer's own")
        if len(self._metadata) * 4 // 3 + 16 < min(self._total // _COPY_SHARE, limits.MAX_COPY):
            summary = with_copy(summary, self._metadata)
        self._put(pack_end(self._tag, self._sizes, self._crcs, summary))
        return self._total

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            count = self._sink.write(rest)
            if count is None:
                raise BlockingIOError("the output is in non-blocking mode")
            rest = rest[count:]
            self._total += count
