"""What compress and decompress share: how a band's header and its transform correspond, and the work pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sarzip.codec import power, validity
from sarzip.codec.grid import Grid
from sarzip.codec.literals import Overlay
from sarzip.codec.radiometry import DOMAINS, Radiometry
from sarzip.container import BandHeader, Header
from sarzip.errors import CorruptError, InputError

EXACT = "exact"
"""The domain of bands that no network touches."""

_SAMPLE_TYPES = (
    *(f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)),
    "float32",
    "float64",
)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class BandCoding:
    """One band as the codec sees it: its transform, dtype, and special values (see codec.validity)."""

    radiometry: Radiometry
    dtype: str
    specials: tuple[float | int, ...]
    shared_zero: bool
    level: bool = False
    """Whether rounding to integers keeps the power of cells (see codec.rounding)."""

    @property
    def literal(self) -> int:
        """Class of literal pixels: the one after those of the special values."""
        return len(self.specials) + 1

    def classify(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Class map of samples (rows × columns)."""
        return validity.classify(values, self.specials, self.shared_zero)

    def cell_power(
        self, signal: NDArray[np.float32], classes: NDArray[np.uint8], corner: tuple[int, int]
    ) -> NDArray[np.float64]:
        """Sums of the relative power of the measurements over cells: see power.cell_power."""
        return power.cell_power(signal, self.radiometry.relative_floor, classes, corner)

    def restore(
        self,
        signal: NDArray[np.float32],
        classes: NDArray[np.uint8] | None,
        cells: NDArray[np.int16] | None = None,
        literals: Overlay | None = None,
    ) -> NDArray[Any]:
        """Decoded signal of a group, its class map, its radiometric correction and literal pixels to samples
        of the dtype.
        """
        with np.errstate(all="ignore"):  # absurd parameters of a hostile file are clipped without a word
            if cells is not None or literals is not None:
                signal = np.array(signal, np.float32, order="C")
            if cells is not None:
                power.shift_cells(signal, self.radiometry.relative_floor, classes, cells)
            if literals is not None:
                signal[literals.marks] = literals.decibels
            values = self.radiometry.inverse(signal, self.dtype, classes, self.level)
            validity.restore(values, classes, self.specials, self.shared_zero)
        return values

    def to_header(self) -> BandHeader:
        """Its form in the file."""
        radiometry = self.radiometry
        extra: dict[str, Any] = {}
        if radiometry.unit != 1.0:
            extra["unit"] = radiometry.unit
        if self.shared_zero:
            extra["dark"] = 1
        if self.level:
            extra["level"] = 1
        return BandHeader(
            self.dtype, radiometry.domain, radiometry.floor, radiometry.centre, self.specials, extra
        )

    @classmethod
    def from_header(cls, band: BandHeader) -> BandCoding:
        """Rebuild it from a file's header.

        Raises InputError for sample types that this version cannot make, CorruptError for parameters that
        make no sense.
        """
        if band.dtype not in _SAMPLE_TYPES:
            raise InputError(f"has samples of type {band.dtype}, which this version of sarzip cannot restore")
        unit = band.extra.get("unit", 1.0)
        if (
            band.domain not in (*DOMAINS, EXACT)
            or not isinstance(unit, (int, float))
            or not 0 < abs(unit) < 1e9
        ):
            raise CorruptError(f"header gives a band the transform '{band.domain}' with unit {unit!r}")
        radiometry = Radiometry(band.domain, band.floor, band.centre, float(unit))
        flags = (bool(band.extra.get(name)) for name in ("dark", "level"))
        return cls(radiometry, band.dtype, band.specials, *flags)


def grid_of(header: Header) -> Grid:
    """The groups of a file."""
    return Grid(header.width, header.height, header.group)


def join_payloads(payloads: Sequence[bytes]) -> bytes:
    """One payload per band of a set as one: each preceded by its length as little-endian uint32.

    Nothing at all when every one of them is empty.
    """
    if not any(payloads):
        return b""
    return b"".join(len(payload).to_bytes(4, "little") + payload for payload in payloads)


def split_payloads(joined: bytes, count: int) -> list[bytes]:
    """Inverse of join_payloads for a set of `count` bands. Raises CorruptError."""
    payloads, position = [], 0
    if not joined:
        return [b""] * count
    for _ in range(count):
        size = int.from_bytes(joined[position : position + 4], "little")
        payloads.append(joined[position + 4 : position + 4 + size])
        position += 4 + size
    if position != len(joined):
        raise CorruptError("payloads of the bands do not add up")
    return payloads


class WorkPool:
    """Maps a function over items on several threads, results in order, at most a few items ahead."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "sarzip-worker") if threads > 1 else None

    def __enter__(self) -> WorkPool:
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, function: Callable[[T], R], item: T) -> Callable[[], R]:
        """Begin function(item), in the order of submission; what is returned waits for the result."""
        if self._pool is None:
            result = function(item)
            return lambda: result
        return self._pool.submit(function, item).result

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """function(item) for each item, in order; holds no more results than twice the threads."""
        if self._pool is None:
            yield from map(function, items)
            return
        pending = []
        for item in items:
            pending.append(self._pool.submit(function, item))
            if len(pending) >= 2 * self._threads:
                yield pending.pop(0).result()
        for future in pending:
            yield future.result()
