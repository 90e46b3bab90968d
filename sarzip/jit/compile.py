"""One way to compile the hot loops: numba, without the GIL, for one signature, at the first call.

Machine code is kept on disk (see machine_code.py), so that numba itself, half a second of start-up, is
imported by the process that compiles and by no other.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from sarzip.jit import machine_code

Function = Callable[..., Any]

_lock = threading.RLock()
_makers: list[tuple[Function, Callable[[], Any]]] = []
"""What stands in the modules for things that only numba has, and how to make them."""
_made: dict[int, Any] = {}
"""What was made of them, by the id of what stands for it."""


def compiled(signature: str) -> Callable[[Function], Function]:
    """Decorator for functions that Python calls; TypeError for arrays that do not fit the signature.

    Machine code is kept beside the module or, where that is read-only, in the user's cache folder; where
    neither can be written, it is compiled anew in each process.
    """
    arrays = _array_arguments(signature)

    def decorate(function: Function) -> Function:
        machine: list[Function] = []

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            if not machine:
                with _lock:
                    if not machine:
                        machine.append(_load_or_compile(function, signature))
            for place, dtype, ndim, contiguous in arrays:
                given = args[place]
                flags = given.flags
                fits = flags.carray or (flags.behaved and not contiguous)
                if not fits or given.dtype != dtype or given.ndim != ndim:
                    raise TypeError(f"{function.__name__}: argument {place} does not fit {signature}")
            return machine[0](*args)

        return call

    return decorate


def inlined(function: Function) -> Any:
    """Decorator for functions that only compiled functions call: they become part of the caller."""

    def make() -> Any:
        import numba

        return numba.njit(nogil=True, error_model="numpy")(function)

    _makers.append((function, make))
    return function


def built(maker: Callable[[], Any]) -> Any:
    """Decorator for functions without arguments that make a numba intrinsic: its name is the intrinsic's in
    compiled functions.
    """
    _makers.append((maker, maker))
    return maker


def _array_arguments(signature: str) -> list[tuple[int, np.dtype[Any], int, bool]]:
    """Place, dtype, number of dimensions and contiguity of each argument that is an array."""
    arguments = re.findall(r"\w+(?:\[[^]]*\])?", signature[signature.index("(") :])
    found = []
    for place, argument in enumerate(arguments):
        name, bracket, axes = argument.partition("[")
        if bracket:
            found.append(
                (place, np.dtype(name.replace("boolean", "bool")), axes.count(",") + 1, "::1" in axes)
            )
    return found


def _load_or_compile(function: Function, signature: str) -> Function:
    stored = machine_code.Store(function, signature)
    return stored.load() or _compile(function, signature, stored)


def _compile(function: Function, signature: str, stored: machine_code.Store) -> Function:
    import numba

    _bind(function)
    machine: Any = numba.njit(signature, nogil=True, error_model="numpy")(function)
    (overload,) = machine.overloads.values()
    stored.save(overload)
    entry: Function = overload.entry_point
    return entry


def _bind(function: Function) -> None:
    """Put numba's own objects where the globals of compiled functions name what stands for them."""
    for placeholder, make in _makers:
        if id(placeholder) not in _made:
            _made[id(placeholder)] = make()
    for each in (function, *(placeholder for placeholder, _ in _makers)):
        names = getattr(each, "__globals__", {})
        for name, value in list(names.items()):
            if id(value) in _made:
                names[name] = _made[id(value)]
