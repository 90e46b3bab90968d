"""Threads, devices and memory: what a use case needs to know of the machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sarzip.errors import UsageError
from sarzip.system import memory as cgroup

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_KEPT = 1 << 25  # the most that glibc takes
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Machine:
    """Where and how wide a use case runs. threads: workers over groups, whatever the device.

    device: 'cpu', 'cuda:N', or 'cuda' where there are several and the threads take turns over them.
    """

    device: str
    threads: int


def choose_machine(device: str = "auto", threads: int = 0) -> Machine:
    """Resolve 'auto' and zero threads; raises UsageError for a device that is not there."""
    if threads < 0:
        raise UsageError(f"`threads` {threads}: give 0 for all cores, or a positive number")
    count = threads or cores()
    if device == "cpu":
        return Machine("cpu", count)
    available = cuda_devices()
    every = "cuda" if available > 1 else "cuda:0"
    if device == "auto":
        return Machine(every if available else "cpu", count)
    name, _, number = device.partition(":")
    if name != "cuda" or (number and not number.isdecimal()):
        raise UsageError(f"`device` {device}: expected auto, cpu, cuda or cuda:N")
    if int(number or 0) >= available:
        raise UsageError(f"`device` {device}: this machine has {available} CUDA devices; use `device` cpu")
    return Machine(f"cuda:{int(number)}" if number else every, count)


def cores() -> int:
    """Cores that this process may use, by its affinity and by the limits of its container."""
    own = len(os.sched_getaffinity(0))
    return min(own, cgroup.cores() or own)


def cuda_devices() -> int:
    """Number of CUDA devices. Starting torch to ask takes longer than coding a small scene, so the driver's
    library is looked for first.
    """
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0


@contextlib.contextmanager
def math_threads(count: int) -> Iterator[None]:
    """Run matrix products, and torch's operators where torch is in use, on `count` threads each."""
    from threadpoolctl import threadpool_limits

    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(count, user_api="blas"):
        if torch:
            torch.set_num_threads(count)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)


def keep_memory() -> None:
    """Have freed blocks of a few megabytes used again, by all threads of this process, rather than handed to
    the system and fetched anew, page by page, for the next group: that takes a tenth of the time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _KEPT), (_M_TRIM_THRESHOLD, 8 * _KEPT)):
        mallopt(option, value)


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    # What getrusage tells includes the parent of this process until it became sarzip.
    with contextlib.suppress(OSError):
        for line in _STATUS.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
