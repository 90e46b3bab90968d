"""Finds the intact data frames of a damaged `.sarz`: cut off, overwritten, shifted, with or without index.

Every data frame carries a checksum of its own, the tag of its file and its ordinal, so that it is recognised
wherever it lies. The search walks from frame to frame and, where none is intact, to the next zstd magic
number. Without metadata nothing is known of the scene: recovery.py looks for them at both ends of the file.
"""

from __future__ import annotations

import contextlib
import errno
import io
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO
from zlib import crc32

from sarzip.container import limits
from sarzip.container.header import Header
from sarzip.container.layout import (
    DATA_TYPE,
    INDEX_TYPE,
    TRAILER_SIZE,
    Index,
    end_size,
    parse_address,
    parse_data,
    parse_end,
    parse_index,
)
from sarzip.container.opening import read_up_to
from sarzip.container.reader import Reader
from sarzip.container.recovery import recover_opening
from sarzip.container.zframe import (
    MAGIC,
    SKIPPABLE_TRAILER,
    RawFrame,
    decompress_damaged,
    decompress_frame,
    take_frame,
)
from sarzip.errors import CorruptError

_SECTOR = 4096
_SEARCH = 1 << 20
# Reading one block costs about as much as this many bytes. Frames that turn out broken may cost this many
# times the file's size in all; a hostile file of overlapping frames would otherwise take for ever.
_BLOCK_COST = 256
_BUDGET_FACTOR, _BUDGET_FLOOR = 4, 1 << 26
_MOST_PROBLEMS = 20
_MOST_DAMAGED = 4
"""Damaged frames that are kept in mind for one place."""
_END_MAGIC = SKIPPABLE_TRAILER.to_bytes(4, "little")


@dataclass(frozen=True)
class _Place:
    """Where a frame lies and the CRC-32 of its bytes."""

    position: int
    size: int
    crc: int


class SalvageReader:
    """A `.sarz` in a seekable source, searched through when opened; CorruptError if its metadata is lost.

    `problems` says what is wrong with the file as a whole, `why_lost` why a data frame is not there. Only an
    intact file has neither. Bytes that the device cannot read count as zeros.
    """

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._size = source.seek(0, io.SEEK_END)
        self._unreadable = 0
        self._problems: list[str] = []
        self._opening, self._begin = recover_opening(self._read, self._size, self._problems)
        self._places: dict[int, list[_Place]] = {}
        self._damaged: dict[int, list[_Place]] = {}
        self._index: Index | None = None
        self._foreign = 0
        sets = range(len(self.header.sets))
        largest = max(self.header.content_limit(number * self.header.parts) for number in sets)
        self._limit = max(largest, limits.index_content_limit(min(self.header.frame_count, self._size)))
        self._search(self._begin)
        self._look_at_the_whole()

    @property
    def header(self) -> Header:
        """What the file says about itself."""
        return self._opening.header

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong beside the lost data frames, one line each, the first few."""
        return tuple(self._problems[:_MOST_PROBLEMS])

    def read_frame(self, ordinal: int) -> dict[int, bytes]:
        """Streams of a data frame by kind; CorruptError with the reason if it is lost."""
        reason = self.why_lost(ordinal)
        if reason is not None:
            raise CorruptError(reason)
        frame = self._take(self._place(ordinal).position)
        return parse_data(decompress_frame(frame), self._opening.tag, ordinal, self._opening.head.compact)

    def read_damaged(self, ordinal: int) -> list[dict[int, bytes]]:
        """Streams of frames that claim to be a data frame but whose checksum does not hold: any byte of them
        may be wrong. Where there is an index, only frames as long as it says; where there is none, an intact
        one that is not alone speaks against them.
        """
        found: list[dict[int, bytes]] = []
        index = self._index
        if index is None and ordinal in self._places:
            return found
        for place in self._damaged.get(ordinal, []):
            if index is not None and place.size != index.sizes[ordinal]:
                continue
            with contextlib.suppress(CorruptError):
                content = decompress_damaged(self._take(place.position))
                found.append(parse_data(content, self._opening.tag, ordinal, self._opening.head.compact))
        return found

    def _search(self, position: int) -> None:
        """Note every intact frame of this file from `position` on."""
        budget = _BUDGET_FACTOR * self._size + _BUDGET_FLOOR
        gap = position
        while position < self._size:
            spent = [0]
            try:
                size = self._take_end(position, spent)
                if not size:
                    frame = self._take(position, spent=spent)
                    size = len(frame.data)
                    self._note(position, frame, self._content(position, frame))
            except CorruptError:
                budget -= spent[0]
                if budget < 0:
                    self._problems.append(f"the search was given up at byte {position}")
                    return
                position = self._next_magic(position + 1)
                continue
            self._note_gap(gap, position)
            position += size
            gap = position
        self._note_gap(gap, self._size - (0 if self._opening.head.compact else TRAILER_SIZE))

    def _content(self, position: int, frame: RawFrame) -> bytes:
        """Content of a frame; one that is damaged but has the address of a data frame is kept in mind."""
        try:
            return decompress_frame(frame)
        except CorruptError:
            with contextlib.suppress(CorruptError):
                content = decompress_damaged(frame)
                ordinal, _ = parse_address(content, self._opening.tag, self._opening.head.compact)
                known = self._damaged.setdefault(ordinal, [])
                if ordinal < self.header.frame_count and len(known) < _MOST_DAMAGED:
                    known.append(_Place(position, len(frame.data), crc32(frame.data)))
            raise

    def _take_end(self, position: int, spent: list[int]) -> int:
        """Note the index of the compact trailer at a position; its size, 0 where there is none."""
        begin = self._read(position, 8)
        if not self._opening.head.compact or begin[:4] != _END_MAGIC or len(begin) < 8:
            return 0
        spent[0] += _BLOCK_COST
        size = end_size(begin, self.header.frame_count)
        if position + size > self._size:
            raise CorruptError("the file is truncated here")
        spent[0] += size
        index = parse_end(self._read(position, size), self._opening.tag, self.header.frame_count)
        self._index = self._index or index
        return size

    def _note_gap(self, begin: int, end: int) -> None:
        if begin < end:
            self._problems.append(f"bytes {begin} to {end - 1} belong to no intact frame")

    def _note(self, position: int, frame: RawFrame, content: bytes) -> None:
        compact, tag = self._opening.head.compact, self._opening.tag
        at = 0 if compact else 1
        kind = DATA_TYPE if compact else content[0] if content else 0
        known = kind in (DATA_TYPE, INDEX_TYPE) and len(content) >= at + 5
        if not known or int.from_bytes(content[at : at + 4], "little") != tag:
            self._foreign += 1
            return
        if kind == INDEX_TYPE:
            if self._index is None:
                self._index = parse_index(content, tag, self.header.frame_count)
            return
        ordinal, _ = parse_address(content, tag, compact)
        if ordinal >= self.header.frame_count or len(content) > self.header.content_limit(ordinal):
            raise CorruptError("a data frame that the metadata does not know")
        parse_data(content, tag, ordinal, compact)
        place = _Place(position, len(frame.data), crc32(frame.data))
        places = self._places.setdefault(ordinal, [])
        if not any((each.size, each.crc) == (place.size, place.crc) for each in places):
            places.append(place)

    def why_lost(self, ordinal: int) -> str | None:
        """Why a data frame is not there; None if it is intact."""
        found = self._places.get(ordinal, [])
        agreed = [each for each in found if self._listed(ordinal, each)]
        if len(agreed) == 1:
            return None
        if agreed:
            return "two different data frames claim this place"
        return "not the data frame that the index lists" if found else "no intact data frame"

    def _listed(self, ordinal: int, place: _Place) -> bool:
        """Whether the index, if there is one, lists this frame."""
        index = self._index
        return index is None or (place.size, place.crc) == (index.sizes[ordinal], index.crcs[ordinal])

    def _look_at_the_whole(self) -> None:
        """Add to the problems what a reader of intact files would say, and frames in wrong places."""
        if self._foreign:
            self._problems.append(f"{self._foreign} frames belong to another file")
        if self._unreadable:
            self._problems.append(f"{self._unreadable} bytes could not be read from the device")
        try:
            sizes = Reader(self._source).frame_sizes
        except CorruptError as error:
            if str(error) not in self._problems:
                self._problems.insert(0, str(error))
            return
        except OSError:
            return  # counted above
        starts = accumulate(sizes, initial=self._begin)
        for ordinal, start in zip(range(self.header.frame_count), starts, strict=False):
            if self.why_lost(ordinal) is None and self._place(ordinal).position != start:
                self._problems.append("data frames are not in their order")
                return

    def _place(self, ordinal: int) -> _Place:
        """Where an intact data frame lies."""
        return next(each for each in self._places[ordinal] if self._listed(ordinal, each))

    def _take(self, position: int, limit: int | None = None, spent: list[int] | None = None) -> RawFrame:
        """The frame at a position; `spent[0]` counts what looking at it costs."""
        at = position

        def read(size: int) -> bytes:
            nonlocal at
            data = self._read(at, size)
            at += size
            if spent is not None:
                spent[0] += size + _BLOCK_COST
            if len(data) != size:
                raise CorruptError("the file is truncated here")
            return data

        return take_frame(read, self._limit if limit is None else limit)

    def _next_magic(self, position: int) -> int:
        """Position of the next magic number of a frame, the size of the file if there is none."""
        while position < self._size:
            piece = self._read(position, _SEARCH)
            found = [at for at in (piece.find(MAGIC), piece.find(_END_MAGIC)) if at >= 0]
            if found:
                return position + min(found)
            position += max(1, len(piece) - len(MAGIC) + 1) if len(piece) == _SEARCH else _SEARCH
        return self._size

    def _read(self, position: int, size: int) -> bytes:
        """Bytes at a position, fewer at the end of the file."""
        try:
            self._source.seek(position)
            return read_up_to(self._source, size)
        except OSError as error:
            if error.errno != errno.EIO or size <= 1:
                raise
        pieces = []
        for at in range(position, min(position + size, self._size), _SECTOR):
            count = min(_SECTOR, position + size - at, self._size - at)
            try:
                self._source.seek(at)
                pieces.append(read_up_to(self._source, count))
            except OSError:
                pieces.append(bytes(count))
                self._unreadable += count
        return b"".join(pieces)
