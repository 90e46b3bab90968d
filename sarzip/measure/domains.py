"""What a pixel value means, and its power and decibels.

Domains: `amplitude` (dB = 20 log10 v), `power` (dB = 10 log10 v), `db` (v is in dB already).

The logarithm of a zero or negative valid pixel does not exist, so values are clamped from below before it is
taken: integers at 0.5 DN (half a quantisation step; for amplitude that is 0.25 of power), floating point at
the smallest positive valid value of the reference. Reference and decoded values are clamped at the same
floor.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Domain = Literal["amplitude", "power", "db"]
DOMAINS: tuple[str, ...] = get_args(Domain)
INTEGER_FLOOR = 0.5
"""Amplitude; its square for integer power."""


def integer_floor(dtype: np.dtype, domain: Domain) -> float | None:
    """The clamp that follows from the type alone; None where the data have to be looked at first."""
    if domain == "db":
        return 0.0
    if not np.issubdtype(dtype, np.integer):
        return None
    return INTEGER_FLOOR if domain == "amplitude" else INTEGER_FLOOR**2


def smallest_positive(values: NDArray, valid: NDArray[np.bool_]) -> float:
    """Smallest positive finite value among the valid ones of `values` (any shape); inf if none is."""
    magnitude = np.abs(values) if np.iscomplexobj(values) else values
    chosen = magnitude[valid & np.isfinite(magnitude) & (magnitude > 0)]
    return float(chosen.min()) if chosen.size else float("inf")


def log_floor(dtype: np.dtype, domain: Domain, smallest: Iterable[float]) -> float:
    """The clamp of the logarithm of an image.

    smallest: the smallest positive value of every part of it; asked for only where the type alone does not
    tell. Without a positive value any clamp gives the same, constant, dB: 1.
    """
    floor = integer_floor(dtype, domain)
    if floor is None:
        floor = min(smallest, default=float("inf"))
    return floor if np.isfinite(floor) else 1.0


def to_db(values: NDArray, domain: Domain, floor: float) -> NDArray[np.float64]:
    """Decibels of real `values` (any shape), clamped at `floor` (> 0, unit of `values`; unused for `db`)."""
    if domain == "db":
        return values.astype(np.float64)
    factor = 20.0 if domain == "amplitude" else 10.0
    if values.dtype.kind in "ui" and values.dtype.itemsize <= 2 and values.size > 1 << 16:
        # 65 536 possible values at most: a table is an order of magnitude faster than the logarithm.
        info = np.iinfo(values.dtype)
        table = np.arange(info.min, info.max + 1, dtype=np.float64)
        table = factor * np.log10(np.maximum(table, floor, out=table))
        index = values if info.min == 0 else values.astype(np.intp) - info.min
        return table[index]
    out = np.maximum(values, floor, dtype=np.float64)
    np.log10(out, out=out)
    out *= factor
    return out


def to_power(values: NDArray, domain: Domain) -> NDArray[np.float64]:
    """Power of real `values`, not clamped: a zero stays a zero and counts as such in a mean."""
    out = values.astype(np.float64)
    if domain == "amplitude":
        out *= out
    elif domain == "db":
        out *= np.log(10.0) / 10.0
        np.exp(out, out=out)
    return out


def to_amplitude(values: NDArray, domain: Domain) -> NDArray[np.float64]:
    """Amplitude of real `values`; negative power counts as zero."""
    out = values.astype(np.float64)
    if domain == "power":
        np.sqrt(np.maximum(out, 0.0, out=out), out=out)
    elif domain == "db":
        out *= np.log(10.0) / 20.0
        np.exp(out, out=out)
    return out
