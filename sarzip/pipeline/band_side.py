"""What the streams beside the latents say of one band of a group, or of a part of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.cell_power import CELL
from sarzip.codec.streams.outliers import Overlay
from sarzip.codec.streams.payloads import SideStreams
from sarzip.grid import Window
from sarzip.pipeline.band import BandTransform


@dataclass(frozen=True)
class BandSide:
    """validity: class map, None where all is measured. cells: corrections of power; outliers. None: there are
    none.
    """

    validity: NDArray[np.uint8] | None
    cells: NDArray[np.int16] | None
    outliers: Overlay | None

    @classmethod
    def of(cls, side: SideStreams, position: int, transform: BandTransform) -> BandSide:
        """Of a band at a position in its set. Raises CorruptError."""
        specials = len(transform.specials)
        validity = side.classes(position, specials)
        return cls(validity, side.cells(position), side.outliers(position, validity, specials))

    def window(self, part: Window, whole: Window) -> BandSide:
        """The same of a part, which begins on cells, of the group `whole`."""
        inside = part.slices(whole)
        cells = self.cells
        return BandSide(
            None if self.validity is None else self.validity[inside],
            None if cells is None else np.ascontiguousarray(cells[part.slices(whole, CELL)]),
            self.outliers and self.outliers.window(*inside),
        )

    def skip(self, shape: tuple[int, int]) -> NDArray[np.uint8]:
        """0 for measurements, outliers included."""
        if self.validity is None:
            return np.zeros(shape, np.uint8)
        skip = (self.validity > 0).astype(np.uint8)
        if self.outliers is not None:
            skip[self.outliers.marks] = 0
        return skip

    def base(self, transform: BandTransform, signal: NDArray[np.float32]) -> NDArray[np.float64]:
        """What the decoded signal stands for, in units of the samples and not rounded."""
        with np.errstate(all="ignore"):
            corrected = transform.corrected(signal, self.validity, self.cells, self.outliers)
            return transform.radiometry.inverse(corrected, "float64").astype(np.float64)
