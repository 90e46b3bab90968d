"""Memory of strips, used again: the system hands out and takes back large blocks page by page, which costs
seconds in a large scene.

Arrays come from blocks that go back, by themselves, when nobody holds the array or a view of it any more.
"""

from __future__ import annotations

import contextlib
import mmap
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_LARGE = 1 << 25
"""Smaller blocks are kept by the C library, see machine.keep_memory."""


class _Lease(np.ndarray):
    """All of a block; lives as long as any array made of it."""


class _Pool:
    """Blocks that are not in use, while anybody wants them kept."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a block may come back while another is looked for
        self._free: list[mmap.mmap] = []
        self._users = 0

    def enter(self) -> None:
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._free.clear()

    def take(self, size: int) -> mmap.mmap | None:
        """The smallest free block that holds so many bytes and not twice as many; a new one without it. None
        while nobody wants blocks kept.
        """
        with self._lock:
            if not self._users:
                return None
            fitting = [block for block in self._free if size <= len(block) <= 2 * size]
            if fitting:
                best = min(fitting, key=len)
                self._free = [block for block in self._free if block is not best]
                return best
        block = mmap.mmap(-1, size)
        with contextlib.suppress(AttributeError, OSError):  # elsewhere than on Linux
            block.madvise(mmap.MADV_HUGEPAGE)
        return block

    def give_back(self, block: mmap.mmap) -> None:
        with self._lock:
            if self._users:
                self._free.append(block)


_POOL = _Pool()


@contextlib.contextmanager
def reused() -> Iterator[None]:
    """While inside, large arrays of `empty` are made of what earlier ones were made of."""
    _POOL.enter()
    try:
        yield
    finally:
        _POOL.leave()


def empty(shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As numpy's, C-contiguous; large ones from memory that was in use before."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
    block = _POOL.take(size) if size >= _LARGE else None
    if block is None:
        return np.empty(shape, kind)
    lease = _Lease(size, np.uint8, block)
    weakref.finalize(lease, _POOL.give_back, block).atexit = False
    whole: NDArray[Any] = lease.view(np.ndarray).view(kind).reshape(shape)
    return whole
