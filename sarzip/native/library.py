"""The library of kernels: found, loaded at the first call, and called with arrays.

A kernel is a C function that exists once per processor level, `sarzip_<name>_<level>`. Arrays go as pointers
to their first element, so sizes are arguments of their own. ctypes gives the GIL back while a kernel runs.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import SarzipError, UsageError

LEVELS = ("baseline", "avx2", "avx512")
"""Processor levels, each a superset of the one before."""

_HERE = Path(__file__).resolve().parent
_VARIABLE = "SARZIP_CPU"
_SCALARS: dict[str, Any] = {
    "void": None,
    "int64": ctypes.c_int64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
}


class _Array(NamedTuple):
    """What a signature asks of one array."""

    place: int
    dtype: np.dtype[Any]
    ndim: int
    contiguous: bool
    written: bool


class Kernel:
    """A C function, callable with arrays and numbers; TypeError for arrays that do not fit the signature."""

    def __init__(self, name: str, signature: str) -> None:
        self.name = name
        self.signature = signature
        self._result, self._types, self._arrays = _parse(signature)
        self._bound: dict[str, Callable[..., Any]] = {}

    def __call__(self, *args: Any) -> Any:
        function = self._bound.get(_chosen[-1]) or self._bind()
        if len(args) != len(self._types):
            raise TypeError(f"{self.name} takes {len(self._types)} arguments: {self.signature}")
        values = list(args)
        for place, dtype, ndim, contiguous, written in self._arrays:
            given = args[place]
            flags = given.flags
            fits = (flags.c_contiguous or not contiguous) and (flags.writeable or not written)
            if not fits or not flags.aligned or given.dtype != dtype or given.ndim != ndim:
                raise TypeError(f"{self.name}: argument {place} does not fit {self.signature}")
            values[place] = _address(given)
        return function(*values)

    def _bind(self) -> Callable[..., Any]:
        level = _level()
        function: Any = getattr(_library(), f"sarzip_{self.name}_{level}", None)
        if function is None:
            raise _not_built(f"the kernels that were built lack {self.name}")
        function.restype, function.argtypes = self._result, self._types
        self._bound[_chosen[-1]] = function
        return function  # type: ignore[no-any-return]


def kernel(name: str, signature: str) -> Kernel:
    """The kernel `name`, KERNEL(name) in C, of a signature like "int64(const uint8[::1], float32[:,::1])".

    Array types: `[::1]` is a C-contiguous vector, `[:,::1]` a C-contiguous matrix and so on; without `::1`
    any strides are taken, and the caller passes them. `const` arrays may be read-only. Numbers: int64,
    float32, float64. Nothing is loaded before the first call.
    """
    return Kernel(name, signature)


def levels() -> tuple[str, ...]:
    """Levels that this processor runs, the best one last."""
    return LEVELS[: _library().sarzip_level() + 1]


@contextmanager
def running_on(level: str) -> Iterator[None]:
    """Kernels of one level within the block, for all threads of the process: for tests."""
    if level not in levels():
        raise UsageError(f"this processor has no {level}; choose one of {', '.join(levels())}")
    _chosen.append(level)
    try:
        yield
    finally:
        _chosen.remove(level)


_chosen = [""]
"""Level asked for by `running_on`, innermost last; "" is the processor's own."""


def _level() -> str:
    return _chosen[-1] or _own_level()


@functools.cache
def _own_level() -> str:
    """The best level that the processor runs and SARZIP_CPU allows."""
    best, cap = levels(), os.environ.get(_VARIABLE, LEVELS[-1])
    if cap not in LEVELS:
        raise UsageError(f"{_VARIABLE}={cap} is unknown; choose one of {', '.join(LEVELS)}")
    return best[min(len(best) - 1, LEVELS.index(cap))]


@functools.cache
def _library() -> ctypes.CDLL:
    import sarzip.native

    # An editable installation keeps the library apart from the sources.
    folders = [_HERE, *map(Path, sarzip.native.__path__)]
    built = [folder / "_kernels.so" for folder in folders if (folder / "_kernels.so").exists()]
    if not built:
        raise _not_built("the kernels are not built")
    library = ctypes.CDLL(str(built[0]))
    library.sarzip_level.restype = ctypes.c_int64
    return library


def _address(array: NDArray[Any]) -> int:
    """Where the array starts; `ctypes.data` takes most of a call's time and is left to read-only arrays."""
    if array.flags.carray and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    return array.ctypes.data


def _not_built(cause: str) -> SarzipError:
    return SarzipError(f"{_HERE}: {cause}; run `python {_HERE / 'build_backend.py'}`, or install with pip")


def _parse(signature: str) -> tuple[Any, list[Any], list[_Array]]:
    """Result and argument types for ctypes, and what is asked of arrays."""
    result, _, rest = signature.partition("(")
    types: list[Any] = []
    arrays = []
    for place, argument in enumerate(re.findall(r"(?:const )?\w+(?:\[[^]]*\])?", rest)):
        name, bracket, axes = argument.removeprefix("const ").partition("[")
        types.append(ctypes.c_void_p if bracket else _SCALARS[name])
        if bracket:
            dtype = np.dtype(name.replace("boolean", "bool"))
            written = not argument.startswith("const ")
            arrays.append(_Array(place, dtype, axes.count(",") + 1, "::1" in axes, written))
    return _SCALARS[result], types, arrays
