"""What can be compressed: anything of this shape, a raster file (raster.RasterSource) or an array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.container.georeference import Metadata
from sarzip.errors import UsageError
from sarzip.grid import Window
from sarzip.raster.info import RasterInfo, describe


class Source(Protocol):
    """Pixels by windows, and what is known of them. Not to be used by two threads at the same time."""

    @property
    def info(self) -> RasterInfo:
        """What it is, beside its pixels."""
        ...

    def read(self, bands: Sequence[int], window: Window) -> NDArray[Any]:
        """Pixels (len(bands), rows, columns) of 0-based bands that share their dtype. Raises InputError."""
        ...

    def read_mask(self, window: Window) -> NDArray[np.uint8] | None:
        """The dataset's own mask (rows, columns), 0 where invalid; None without one."""
        ...


@dataclass(frozen=True, eq=False)
class ArraySource:
    """An array (bands, rows, columns), or a plane (rows, columns), with what a raster file would say of it.

    metadata: georeferencing, nodata, descriptions, tags; without it there is none. name: for messages, and
    evidence of what the values are. mask: uint8 (rows, columns), 0 where nothing was measured.
    """

    values: NDArray[Any]
    metadata: Metadata | None = None
    name: str = "array"
    mask: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.values.ndim == 2:
            object.__setattr__(self, "values", self.values[None])
        if self.values.ndim != 3 or not self.values.size:
            raise UsageError(f"{self.name}: expected rows of pixels in bands, got shape {self.values.shape}")
        if self.metadata is not None and self.metadata.count != len(self.values):
            raise UsageError(f"{self.name}: metadata of {self.metadata.count} bands for {len(self.values)}")

    @property
    def info(self) -> RasterInfo:
        """See Source."""
        count, height, width = self.values.shape
        meta = Metadata.plain(count) if self.metadata is None else self.metadata
        meta = replace(meta, mask=self.mask is not None)
        return describe(meta, (width, height), (str(self.values.dtype),) * count, self.name)

    def read(self, bands: Sequence[int], window: Window) -> NDArray[Any]:
        """See Source."""
        down, across = window.slices(Window(0, 0, *self.values.shape[1:]))
        return np.ascontiguousarray(self.values[list(bands), down, across])

    def read_mask(self, window: Window) -> NDArray[np.uint8] | None:
        """See Source."""
        if self.mask is None:
            return None
        return np.ascontiguousarray(self.mask[window.slices(Window(0, 0, *self.mask.shape))])
