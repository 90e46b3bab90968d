"""Memory of large arrays, used again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from sarzip.system import buffers

LARGE = (1024, 9000)  # 37 MB of float32


def address(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def test_memory_comes_back_when_nobody_holds_it():
    with buffers.reused():
        first = buffers.empty(LARGE, "f4")
        place, view = address(first), first[5:7, 3:].view("u4").T
        del first
        other = buffers.empty(LARGE, "f4")
        assert address(other) != place  # a view still holds it
        del view
        again = buffers.empty((512, 17000), np.int32)
        assert address(again) == place and again.shape == (512, 17000) and again.dtype == np.int32
        assert again.flags.c_contiguous and again.flags.writeable
        del other
        assert address(buffers.empty((1, 9_000_000, 1), "f4")) != place


@pytest.mark.parametrize("shape", [(), (0, 7), (3, 5), LARGE])
def test_arrays_are_like_any_other(shape):
    for array in (buffers.empty(shape, "u2"), np.empty(shape, "u2")):
        assert type(array) is np.ndarray and array.shape == shape and array.flags.c_contiguous


def test_nothing_is_kept_outside():
    with buffers.reused():
        array = buffers.empty(LARGE, "f4")
    array[:] = 1  # still ours
    del array
    with buffers.reused():
        assert (buffers.empty(LARGE, "f4") == 0).all()  # fresh from the system


def test_threads_never_share_memory():
    def fill(number: int) -> bool:
        array = buffers.empty(LARGE, "f4")
        array[:] = number
        return bool((array == number).all())

    with buffers.reused(), ThreadPoolExecutor(4) as pool:
        assert all(pool.map(fill, range(24)))
