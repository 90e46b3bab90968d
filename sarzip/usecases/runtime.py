"""Threads, devices and memory: what a use case needs to know of the machine."""

from __future__ import annotations

import contextlib
import os
import queue
import resource
import sys
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sarzip.errors import UsageError

T = TypeVar("T")
_THREAD_START_SECONDS = 1.0


@dataclass(frozen=True)
class Machine:
    """Where and how wide a use case runs. device: 'cpu' or 'cuda:N'. threads: workers over groups."""

    device: str
    threads: int


def choose_machine(device: str = "auto", threads: int = 0) -> Machine:
    """Resolve 'auto' and zero threads; raises UsageError for a device that is not there."""
    if threads < 0:
        raise UsageError(f"--threads {threads}: give 0 for all cores, or a positive number")
    count = threads or len(os.sched_getaffinity(0))
    if device == "cpu":
        return Machine("cpu", count)
    import torch

    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return Machine("cuda:0" if available else "cpu", count)
    name, _, number = device.partition(":")
    if name != "cuda" or (number and not number.isdecimal()):
        raise UsageError(f"--device {device}: expected auto, cpu, cuda or cuda:N")
    if int(number or 0) >= available:
        raise UsageError(f"--device {device}: this machine has {available} CUDA devices; use --device cpu")
    return Machine(f"cuda:{int(number or 0)}", count)


@contextlib.contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Run torch operators on `count` threads each while inside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prefetch(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Iterate `items` in a thread of its own, at most `depth` finished items ahead."""
    ready: queue.Queue[tuple[str, T | BaseException | None]] = queue.Queue(depth)
    begun, stop = threading.Event(), threading.Event()

    def put(kind: str, value: T | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                ready.put((kind, value), timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        begun.set()
        if stop.is_set():
            return
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:  # handed to the consumer, which raises it
            put("error", error)

    producer = threading.Thread(target=produce, daemon=True, name="sarzip-prefetch")
    try:
        producer.start()
        while True:
            kind, value = ready.get()
            if kind == "item":
                yield value  # type: ignore[misc]
            elif kind == "error":
                raise value  # type: ignore[misc]
            else:
                return
    finally:
        stop.set()
        # A signal may arrive within start() itself; the thread then runs, or it never will.
        if begun.wait(_THREAD_START_SECONDS):
            producer.join()


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
