"""Pulling pixels out of a `.sarz`: any window, bands and scale, in any order, from any thread.

What the drivers of `decode` push from front to back is pulled here, group by group as they are asked for.
Decoded groups stay in a cache of bounded size, since the next window mostly lies beside the last one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.container import Header
from sarzip.grid import Window
from sarzip.pipeline.coders import DecodeOptions, region_coders
from sarzip.pipeline.decode import DecodedBlock, Key, RegionGroups
from sarzip.pipeline.group import MASK_BAND, DecodedGroup, GroupCoder
from sarzip.pipeline.memory import check_need
from sarzip.pipeline.selection import Region
from sarzip.system.machine import choose_machine
from sarzip.system.work_pool import WorkPool

CACHE_BYTES = 128 << 20
"""Most bytes of decoded groups that one reader keeps."""
_Place = tuple[tuple[int, ...], Key]


class FrameSource(Protocol):
    """Data frames at random: a container.Reader, or a chunk of an array that carries its own."""

    @property
    def header(self) -> Header:
        """What it says about itself."""
        ...

    def read_frame(self, ordinal: int) -> dict[int, bytes]:
        """Streams of a data frame; from any thread. Raises CorruptError."""
        ...


@dataclass(frozen=True)
class Pixels:
    """bands: of each that was asked for, its samples (rows, columns) in its own dtype. mask: the dataset's
    own, uint8, 0 where nothing was measured; None where there is none.
    """

    bands: tuple[NDArray[Any], ...]
    mask: NDArray[np.uint8] | None = None


class GroupCache:
    """Decoded groups by place, the least recently used leave first. A group is decoded once, however many
    threads ask for it at the same time.
    """

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._groups: OrderedDict[_Place, Future[DecodedGroup]] = OrderedDict()
        self._sizes: dict[_Place, int] = {}
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes of the groups in it."""
        return self._held

    def begin(self, place: _Place) -> tuple[Future[DecodedGroup], bool]:
        """The group, or the promise of it; and whether it is the caller who has to keep that."""
        with self._lock:
            found = self._groups.get(place)
            if found is not None:
                self._groups.move_to_end(place)
                return found, False
            made: Future[DecodedGroup] = Future()
            self._groups[place] = made
            return made, True

    def done(self, place: _Place, group: DecodedGroup) -> None:
        """Keep the promise, and what there is room for."""
        size = sum(map(len, group.streams.values()))
        size += 0 if group.latents is None else group.latents.samples.nbytes
        with self._lock:
            promise = self._groups[place]
            self._sizes[place] = size
            self._held += size
            for old in [each for each in self._groups if each in self._sizes]:
                if self._held <= self._limit:
                    break
                self._drop(old)
        promise.set_result(group)

    def failed(self, place: _Place, error: BaseException) -> None:
        """Break the promise: whoever waits hears why, whoever asks again tries again."""
        with self._lock:
            promise = self._groups.pop(place)
        promise.set_exception(error)

    def _drop(self, place: _Place) -> None:
        del self._groups[place]
        self._held -= self._sizes.pop(place)


class PullReader:
    """Pixels of a file by windows; thread-safe, no call waits for another but for the groups they share."""

    def __init__(
        self, source: FrameSource, options: DecodeOptions = DecodeOptions(), cache: GroupCache | None = None
    ) -> None:
        """Raises UsageError for a device that is not there; models are looked for at the first read."""
        self._source = source
        self._options = options
        self._cache = GroupCache() if cache is None else cache
        # As with any few groups: starting a GPU takes longer than decoding them.
        device = "cpu" if options.device == "auto" else options.device
        self._machine = choose_machine(device, options.threads)
        self._lock = threading.Lock()
        self._coders: dict[tuple[int, ...], Mapping[int, GroupCoder]] = {}

    @property
    def header(self) -> Header:
        """What the file says about itself."""
        return self._source.header

    def read(self, window: Window, bands: Sequence[int], scale: int = 1) -> Pixels:
        """Samples of 0-based bands in a window inside the scene, one for scale×scale pixels (see Region: the
        window then begins at multiples of `scale`). Raises CorruptError, InputError or ModelError.
        """
        region = Region(window, tuple(bands), scale)
        members = tuple(sorted(region.bands))
        groups = RegionGroups(self.header, region, self._coders_of(members))
        shape, dtypes = (region.rows, region.columns), [self.header.bands[band].dtype for band in bands]
        check_need(
            sum(np.dtype(each).itemsize for each in dtypes) * shape[0] * shape[1],
            f"{shape[1]}x{shape[0]} samples",
        )
        found = Pixels(
            tuple(np.empty(shape, each) for each in dtypes),
            np.empty(shape, np.uint8) if self.header.raster.get("k") else None,
        )
        with WorkPool(min(self._machine.threads, len(groups.tiles))) as pool:
            for blocks in pool.map(lambda tile: self._restore(groups, members, tile), groups.tiles):
                for block in blocks:
                    target = found.mask if block.band == MASK_BAND else found.bands[block.band]
                    assert target is not None
                    down, across = block.window.slices(Window(0, 0, *shape))
                    target[down, across] = block.values
        return found

    def _coders_of(self, members: tuple[int, ...]) -> Mapping[int, GroupCoder]:
        with self._lock:
            if members not in self._coders:
                self._coders[members] = region_coders(
                    self.header, members, self._machine.device, self._options
                )
            return self._coders[members]

    def _restore(self, groups: RegionGroups, members: tuple[int, ...], tile: Key) -> list[DecodedBlock]:
        ready = {key: self._group(groups, members, key).result for key in groups.needs(tile)}
        return list(groups.restore(tile, ready))

    def _group(self, groups: RegionGroups, members: tuple[int, ...], key: Key) -> Future[DecodedGroup]:
        place = members, key
        promise, mine = self._cache.begin(place)
        if mine:
            try:
                grid = self.header.grid
                ordinal = self.header.ordinal(key.row * grid.columns + key.column, key.set)
                streams = self._source.read_frame(ordinal)
                group = groups.coder(key.set).decode(streams, grid.window(key.row, key.column))
            except BaseException as error:
                self._cache.failed(place, error)
                raise
            self._cache.done(place, group)
        return promise
