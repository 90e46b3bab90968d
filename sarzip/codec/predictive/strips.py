"""Cells of a plane to bytes and back: strips of rows, each by itself, by the causal network and rANS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.predictive.contexts import START_ERROR, STRIP_ROWS, work
from sarzip.codec.predictive.fit import Fit
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.errors import CorruptError
from sarzip.native import kernel

_LANES = 4
_STATE = 8
_MODEL = "const int16[::1], const int32[::1], const int32[::1], const int32[::1]"
_CELLS = "const int32[::1], const int64[::1], int64, int64, uint8[::1]"
_intervals = kernel(
    "pixel_intervals", f"int64(const int32[:,::1], int64, int64, {_MODEL}, {_CELLS}, uint32[::1])"
)
_rans = kernel("pixel_rans", "int64(const uint32[::1], int64, uint32[::1], uint64[::1])")
_decode = kernel(
    "pixel_decode",
    f"int64(int32[:,::1], int64, int64, {_MODEL}, {_CELLS}, const uint32[::1], int64, uint64[::1])",
)


@dataclass(frozen=True)
class CellTables:
    """Cells as the kernels see them. arrays: levels, edges (in 1/64) and a lookup, one after the other.
    sizes: number of cells, least edge, shift and size of the lookup.
    """

    arrays: NDArray[np.int32]
    sizes: NDArray[np.int64]

    @property
    def count(self) -> int:
        """Number of cells."""
        return int(self.sizes[0])


@dataclass(frozen=True)
class StripCoder:
    """Codes planes of one group. repeats: whether pixels may repeat their neighbours more often than chance
    would have it (nearest-neighbour resampling, synthetic areas).
    """

    network: PixelNetwork
    fit: Fit
    cells: CellTables
    repeats: bool

    @property
    def _model(self) -> Sequence[NDArray[np.generic]]:
        biases = self.network.biases_for(self.fit.statistics)
        return self.network.weights, biases, self.fit.coefficients, self.network.tables

    def encode(self, index: NDArray[np.int32]) -> list[bytes]:
        """Cells (rows, columns), -1 where there are none, to one payload for each strip."""
        memory, model, payloads = work(), self._model, []
        for top in range(0, len(index), STRIP_ROWS):
            strip = index[top : top + STRIP_ROWS]
            intervals = np.empty(2 * strip.size, np.uint32)
            tables = self.cells.arrays, self.cells.sizes, int(self.repeats), START_ERROR
            count = _intervals(strip, *strip.shape, *model, *tables, memory, intervals)
            words, states = np.empty(count + 2, np.uint32), np.empty(_LANES, np.uint64)
            start = _rans(intervals, count, words, states)
            payloads.append(states.astype("<u8").tobytes() + words[start:].astype("<u4").tobytes())
        return payloads

    def decode(self, payload: bytes, index: NDArray[np.int32]) -> None:
        """Fill a strip of cells (rows, columns) that holds -1 where there are none. Raises CorruptError."""
        if len(payload) < _LANES * _STATE or len(payload) % 4:
            raise CorruptError("a strip of pixels ends early")
        states = np.frombuffer(payload, "<u8", _LANES).astype(np.uint64)
        words = np.frombuffer(payload, "<u4", offset=_LANES * _STATE).astype(np.uint32)
        tables = self.cells.arrays, self.cells.sizes, int(self.repeats), START_ERROR
        shape = index.shape
        if not _decode(index, *shape, *self._model, *tables, work(), words, words.size, states):
            raise CorruptError("a strip of pixels does not decode")
