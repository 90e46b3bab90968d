"""One way to compile the hot loops: numba, without the GIL, for one signature, at the first call, cached on
disk.

Loading machine code from the cache takes tens of milliseconds per function, so a process pays only for what
it runs.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numba as nb

_lock = threading.Lock()


def compiled(signature: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator for functions that Python calls.

    Machine code is kept beside the module or, where that is read-only, in the user's cache folder; where
    neither can be written, it is compiled anew in each process.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        machine: list[Callable[..., Any]] = []

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            if not machine:
                with _lock:
                    if not machine:
                        machine.append(_compile(function, signature))
            return machine[0](*args)

        return call

    return decorate


def inlined(function: Callable[..., Any]) -> Any:
    """Decorator for functions that only compiled functions call: they become part of the caller."""
    return nb.njit(nogil=True, error_model="numpy")(function)


def _compile(function: Callable[..., Any], signature: str) -> Callable[..., Any]:
    try:
        machine: Callable[..., Any] = nb.njit(signature, nogil=True, cache=True, error_model="numpy")(
            function
        )
    except RuntimeError:
        # numba found no folder to write to
        machine = nb.njit(signature, nogil=True, error_model="numpy")(function)
    return machine
