"""Windows out of an open file, in any order and from any thread: a pull instead of a stream.

What was decoded of a group (latents, or streams of samples) is kept in a small cache, so that neighbouring
windows do not decode it again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container import Header, Reader
from sarzip.grid import Window
from sarzip.pipeline.coders import DecodeOptions, region_groups
from sarzip.pipeline.decode import DecodedBlock, Key, RegionGroups
from sarzip.pipeline.group import MASK_BAND, DecodedGroup
from sarzip.pipeline.memory import check_need
from sarzip.pipeline.selection import Region
from sarzip.system.work_pool import WorkPool

CACHE_BYTES = 256 << 20


@dataclass(frozen=True)
class Samples:
    """values: of each band of a region, (rows, columns) of its own type. mask: of the dataset, uint8, 0 where
    invalid; None where there is none.
    """

    values: tuple[NDArray[Any], ...]
    mask: NDArray[np.uint8] | None


class WindowReader:
    """Reads regions of a `.sarz`; thread-safe. Decodes on the CPU: for windows a GPU starts too slowly."""

    def __init__(
        self, reader: Reader, options: DecodeOptions, threads: int, cache_bytes: int = CACHE_BYTES
    ) -> None:
        """threads: that one call uses. cache_bytes: of what is kept between calls."""
        self._reader = reader
        self._options = options
        self._threads = threads
        self._cache = _Cache(cache_bytes)
        self._coders: dict[tuple[int, ...], Any] = {}
        self._lock = threading.Lock()

    @property
    def header(self) -> Header:
        """What the file says about itself."""
        return self._reader.header

    def read(self, region: Region) -> Samples:
        """Samples of a region. Raises CorruptError, ModelError or InputError."""
        header = self.header
        dtypes = [np.dtype(header.bands[band].dtype) for band in region.bands]
        shape = region.rows, region.columns
        need = shape[0] * shape[1] * sum(each.itemsize for each in dtypes)
        check_need(need, f"{shape[1]}x{shape[0]} samples")
        values = tuple(np.empty(shape, dtype) for dtype in dtypes)
        mask = np.full(shape, 255, np.uint8) if header.raster.get("k") else None
        groups, place = self._groups(region), Window(0, 0, *shape)
        with WorkPool(min(self._threads, len(groups.tiles))) as pool:
            for blocks in pool.map(lambda tile: self._restored(groups, tile, region.bands), groups.tiles):
                for block in blocks:
                    to = mask if block.band == MASK_BAND else values[block.band]
                    if to is not None:
                        to[block.window.slices(place)] = block.values
        return Samples(values, mask)

    def _groups(self, region: Region) -> RegionGroups:
        """Coders are built once for each choice of bands."""
        with self._lock:
            if region.bands not in self._coders:
                self._coders[region.bands] = region_groups(self.header, region, "cpu", self._options).coders
            coders = self._coders[region.bands]
        return RegionGroups(self.header, region, coders)

    def _restored(self, groups: RegionGroups, tile: Key, bands: tuple[int, ...]) -> list[DecodedBlock]:
        ready = {key: self._ready(groups, key, bands) for key in groups.needs(tile)}
        return list(groups.restore(tile, ready))

    def _ready(self, groups: RegionGroups, key: Key, bands: tuple[int, ...]) -> Callable[[], DecodedGroup]:
        def decode() -> DecodedGroup:
            ordinal = self.header.ordinal(key.row * groups.grid.columns + key.column, key.set)
            window = groups.grid.window(key.row, key.column)
            return groups.coder(key.set).decode(self._reader.read_frame(ordinal), window)

        # Of a pair one band may be decoded alone: what is kept is then of that choice.
        chosen = tuple(band for band in self.header.sets[key.set].bands if band in bands)
        group = self._cache.get((key, chosen), decode)
        return lambda: group


class _Cache:
    """Decoded groups, the latest ones first to stay."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._held: OrderedDict[Any, tuple[DecodedGroup, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any, make: Callable[[], DecodedGroup]) -> DecodedGroup:
        """What is kept under a key, or what is made now; two threads may both make it."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key][0]
        group = make()
        size = sum(len(data) for data in group.streams.values())
        size += 0 if group.latents is None else group.latents.samples.nbytes
        with self._lock:
            if key not in self._held:
                self._held[key] = group, size
                self._size += size
            while self._size > self._limit and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1][1]
        return group
