"""How the loops are compiled: numba, without the GIL, cached on disk where a cache can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator: compile at the first call; other compiled functions may call it, too."""
    try:
        return numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return numba.njit(nogil=True)(function)
