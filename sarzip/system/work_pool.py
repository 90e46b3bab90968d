"""Work on several threads with results in order, and work that is done ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_THREAD_START_SECONDS = 1.0


class WorkPool:
    """Maps a function over items on several threads, results in order, at most a few items ahead."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "sarzip-worker") if threads > 1 else None

    def __enter__(self) -> WorkPool:
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def submit(self, function: Callable[[T], R], item: T) -> Callable[[], R]:
        """Begin function(item), in the order of submission; what is returned waits for the result."""
        if self._pool is None:
            result = function(item)
            return lambda: result
        return self._pool.submit(function, item).result

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """function(item) for each item, in order; holds no more results than twice the threads."""
        if self._pool is None:
            yield from map(function, items)
            return
        pending = []
        for item in items:
            pending.append(self._pool.submit(function, item))
            if len(pending) >= 2 * self._threads:
                yield pending.pop(0).result()
        for future in pending:
            yield future.result()


def prefetch(items: Iterable[T], depth: int = 1) -> Generator[T, None, None]:
    """Iterate `items` in a thread of its own, at most `depth` items ahead, the one in the making included."""
    ready: queue.SimpleQueue[tuple[str, list[T], BaseException | None]] = queue.SimpleQueue()
    room = threading.Semaphore(depth)
    begun, stop = threading.Event(), threading.Event()

    def produce() -> None:
        begun.set()
        iterator = iter(items)
        try:
            while room.acquire() and not stop.is_set():
                # Put at once, and taken out of its list again: a name for it would keep the item alive.
                ready.put(("item", [next(iterator)], None))
        except StopIteration:
            ready.put(("end", [], None))
        except BaseException as error:  # handed to the consumer, which raises it
            ready.put(("error", [], error))

    producer = threading.Thread(target=produce, daemon=True, name="sarzip-prefetch")
    try:
        producer.start()
        while True:
            kind, held, error = ready.get()
            room.release()
            if kind == "item":
                yield held.pop()
            elif error is not None:
                raise error
            else:
                return
    finally:
        stop.set()
        room.release()
        # A signal may arrive within start() itself; the thread then runs, or it never will.
        if begun.wait(_THREAD_START_SECONDS):
            producer.join()
