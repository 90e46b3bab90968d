"""Kernels of every processor level beside one another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sarzip.native import levels, running_on


def assert_same_on_every_level(compute: Callable[[], Sequence[Any]]) -> None:
    """Assert that what `compute` gives, arrays and bytes, is the same to the last bit on all levels."""
    expected: list[tuple[str, bytes]] = []
    for level in levels():
        with running_on(level):
            parts = [np.asarray(part) for part in compute()]
        found = [(str(part.dtype), part.tobytes()) for part in parts]
        expected = expected or found
        wrong = [
            place for place, (one, other) in enumerate(zip(found, expected, strict=True)) if one != other
        ]
        assert not wrong, f"results {wrong} differ between {levels()[0]} and {level}"
