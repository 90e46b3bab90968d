"""Row strips of any height, regrouped into blocks on the window grid with the neighbouring rows they need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import UsageError

WINDOW = 32
"""Side of the square windows of the local measures, pixels."""
HALO = 8
"""Rows above and below a block that the measures with a neighbourhood may look at."""
BLOCK_PIXELS = 1 << 20
"""Aimed size of a block; bounds the memory, never the result."""


@dataclass(frozen=True)
class Strip:
    """Full-width rows of one band, as they follow one another from top to bottom.

    reference, decoded: (rows, width), real or complex; valid: (rows, width) bool, True where a pixel counts.
    """

    reference: NDArray
    decoded: NDArray
    valid: NDArray[np.bool_]

    def __post_init__(self) -> None:
        shapes = {self.reference.shape, self.decoded.shape, self.valid.shape}
        if len(shapes) != 1 or self.reference.ndim != 2:
            raise UsageError(f"arrays to compare differ in shape: {sorted(shapes)}")


@dataclass(frozen=True)
class Block:
    """Rows `top` to `top + rows` of the arrays are the block; the rest is halo, missing at scene borders.

    `row`: scene row of the block's first row, a multiple of 32.
    """

    reference: NDArray
    decoded: NDArray
    valid: NDArray[np.bool_]
    row: int
    top: int
    rows: int

    @property
    def core(self) -> slice:
        """The block's own rows within the arrays."""
        return slice(self.top, self.top + self.rows)


class Regroup:
    """Turns strips into blocks; the same blocks come out however the rows were cut into strips."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.block_rows = WINDOW * max(1, BLOCK_PIXELS // (WINDOW * max(width, 1)))
        self._pending: list[Strip] = []
        self._pending_rows = 0
        self._top = 0
        self._row = 0

    def push(self, strip: Strip) -> Iterator[Block]:
        """Blocks that `strip` completes."""
        if strip.reference.shape[1] != self.width:
            raise UsageError(f"strip is {strip.reference.shape[1]} pixels wide, the scene {self.width}")
        self._pending.append(strip)
        self._pending_rows += strip.reference.shape[0]
        needed = self._top + self.block_rows + HALO
        if self._pending_rows < needed:
            return
        joined = self._join()
        while len(joined.reference) >= self._top + self.block_rows + HALO:
            yield self._cut(joined, self.block_rows)
            joined = self._advance(joined, self.block_rows)
        self._keep(joined)

    def finish(self) -> Iterator[Block]:
        """The blocks that are left when no more strips come."""
        if not self._pending:
            return
        joined = self._join()
        while len(joined.reference) > self._top:
            rows = min(self.block_rows, len(joined.reference) - self._top)
            yield self._cut(joined, rows)
            joined = self._advance(joined, rows)
        self._pending, self._pending_rows = [], 0

    def _join(self) -> Strip:
        if len(self._pending) == 1:
            return self._pending[0]
        return Strip(
            np.concatenate([strip.reference for strip in self._pending]),
            np.concatenate([strip.decoded for strip in self._pending]),
            np.concatenate([strip.valid for strip in self._pending]),
        )

    def _cut(self, joined: Strip, rows: int) -> Block:
        end = min(self._top + rows + HALO, len(joined.reference))
        return Block(
            joined.reference[:end], joined.decoded[:end], joined.valid[:end], self._row, self._top, rows
        )

    def _advance(self, joined: Strip, rows: int) -> Strip:
        start = max(0, self._top + rows - HALO)
        self._top = self._top + rows - start
        self._row += rows
        return Strip(joined.reference[start:], joined.decoded[start:], joined.valid[start:])

    def _keep(self, joined: Strip) -> None:
        # Copies: views would keep the joined rows alive, and a caller may reuse the array it handed in.
        kept = Strip(joined.reference.copy(), joined.decoded.copy(), joined.valid.copy())
        self._pending, self._pending_rows = [kept], len(kept.reference)
