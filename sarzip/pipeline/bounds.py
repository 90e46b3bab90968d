"""Bounds of a file: how its header tells of them, and what was achieved."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sarzip.codec.base import Worst
from sarzip.codec.signal.bounds import Bound
from sarzip.container import Header, SetHeader
from sarzip.errors import CorruptError, UsageError

_KEY = "bound"
_NAMES = {True: "db", False: "value"}


@dataclass(frozen=True)
class KeptBound:
    """A bound of a band (counted from 1) and the greatest error of a measurement, with its pixel.

    unit: 'db' or 'value' (stored units).
    """

    band: int
    unit: str
    asked: float
    achieved: float
    row: int
    column: int


class Achieved:
    """The worst error of each band so far; add from any thread."""

    def __init__(self) -> None:
        self._worst: dict[int, Worst] = {}
        self._lock = threading.Lock()

    def add(self, band: int, worst: Worst) -> None:
        """One of a part of a band; row and column in the scene."""
        with self._lock:
            # Of equal ones the first in the scene: the order of threads must not show.
            key = (worst.error, -worst.row, -worst.column)
            seen = self._worst.get(band)
            if seen is None or key > (seen.error, -seen.row, -seen.column):
                self._worst[band] = worst

    def kept(self, bounds: Mapping[int, Bound]) -> tuple[KeptBound, ...]:
        """Of bands (counted from 0) with their bounds."""
        return tuple(
            KeptBound(band + 1, _NAMES[bound.decibels], bound.size, *self._worst.get(band, Worst()))
            for band, bound in sorted(bounds.items())
        )


def bound_to_header(bound: Bound | None) -> dict[str, Any]:
    """What `extra` of a set says of it."""
    return {} if bound is None else {_KEY: {_NAMES[bound.decibels]: bound.size}}


def bound_tags(header: Header) -> dict[int, dict[str, str]]:
    """What decompressed files say of bands (0-based) within a bound."""
    told: dict[int, dict[str, str]] = {}
    for each in header.sets:
        if (bound := bound_of(each)) is not None:
            name = "MAX_ERROR_DB" if bound.decibels else "MAX_ERROR"
            told |= {band: {name: f"{bound.size:g}"} for band in each.bands}
    return told


def bound_of(header: SetHeader) -> Bound | None:
    """The bound of a set; CorruptError for one that no encoder writes."""
    told = header.extra.get(_KEY)
    if told is None:
        return None
    try:
        ((unit, size),) = told.items()
        return Bound(float(size), {name: decibels for decibels, name in _NAMES.items()}[unit])
    except (AttributeError, ValueError, TypeError, KeyError, UsageError):
        raise CorruptError(f"header gives a set the bound {told!r}") from None
