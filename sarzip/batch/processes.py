"""A batch on several processes of this machine.

Each worker is a fresh interpreter that takes one scene after the other, so that a scene that kills its
process (out of memory, a crash of a driver) costs that scene alone. Signals: the parent answers them, the
workers get a SIGTERM from it, and each removes what it had not finished.

Callers other than the command line need the usual `if __name__ == "__main__":` of multiprocessing.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType

from sarzip.batch.job import (
    BatchOptions,
    BatchProgress,
    Job,
    Leftovers,
    Options,
    Outcome,
    Tally,
    failure,
    run_job,
    with_threads,
)
from sarzip.errors import OutputError
from sarzip.system.machine import cuda_devices, keep_memory

_SECONDS_TO_STOP = 20.0
_SECONDS_BETWEEN_MESSAGES = 0.2


def run_in_processes(
    jobs: Sequence[Job], options: BatchOptions, progress: BatchProgress | None = None
) -> Generator[Outcome, None, None]:
    """Outcomes of all scenes in the order in which they finish. Closing the generator stops all workers."""
    count = min(options.jobs, len(jobs))
    options = replace(options, each=with_threads(options.each, count))
    tally, waiting = Tally(len(jobs), progress), deque(jobs)
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(number, options) for number in range(count))
        for worker in workers:
            worker.take(waiting.popleft())
        while busy := {worker.connection: worker for worker in workers if worker.job}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                message = worker.receive()
                if isinstance(message, Outcome):
                    if not worker.alive:
                        workers[worker.number] = worker = (
                            _Worker(worker.number, options) if waiting else worker
                        )
                    if waiting:
                        worker.take(waiting.popleft())
                    yield tally.finish(message)
                elif worker.job:
                    tally.advance(worker.job, *message)
    finally:
        for worker in workers:
            worker.tell_to_stop()
        for worker in workers:
            worker.stop()


class _Worker:
    """One worker process, seen from the parent."""

    def __init__(self, number: int, options: BatchOptions) -> None:
        self.number = number
        self.job: Job | None = None
        self.alive = True
        self._leftovers: Leftovers | None = None
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, number, options), daemon=True)
        with _without_interrupts():
            self._process.start()
        theirs.close()

    def take(self, job: Job) -> None:
        """Give it a scene."""
        self.job, self._leftovers = job, Leftovers(job)
        with contextlib.suppress(OSError):  # it is dead; receiving will tell
            self.connection.send(job)

    def receive(self) -> Outcome | tuple[int, int]:
        """Its scene's outcome, or (pixels done, pixels); a dead worker's scene has failed."""
        assert self.job is not None
        try:
            message: Outcome | tuple[int, int] = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            self._clean()
            code = self._process.exitcode or 0
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            error = OutputError(f"{self.job.source}: its worker process {how}")
            message = failure(self.job, error)
        if isinstance(message, Outcome):
            self.job = None
        return message

    def tell_to_stop(self) -> None:
        """Idle workers end when their connection does; busy ones are interrupted."""
        self.connection.close()
        if self.job and self._process.is_alive():
            self._process.terminate()

    def stop(self) -> None:
        """Wait until it has ended, and see that nothing unfinished stays."""
        self._process.join(_SECONDS_TO_STOP)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        if self.job:
            self._clean()

    def _clean(self) -> None:
        if self._leftovers:
            self._leftovers.remove()


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes started inside never see a SIGINT: a terminal sends it to all, and the parent decides."""
    # The first process of all starts this one as well, and lets interrupts through after it.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Stopped(BaseException):
    """SIGTERM as an exception, so that every `finally` runs."""


def _work(connection: Connection, number: int, options: BatchOptions) -> None:
    """The worker: scenes in, outcomes out, until the connection closes."""

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # cleaning up is not to be interrupted
        raise _Stopped

    signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(_Stopped, EOFError, OSError):
        threading.Thread(target=_end_with_parent, daemon=True).start()
        keep_memory()
        each = replace(options.each, device=_own_device(options.each, number))
        while True:
            job = connection.recv()
            connection.send(run_job(job, each, options.resume, _Messages(connection)))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _own_device(options: Options, number: int) -> str:
    """Where there are several GPUs and none was chosen, each worker has its own."""
    if options.device not in ("auto", "cuda"):
        return options.device
    count = cuda_devices()
    return f"cuda:{number % count}" if count else options.device


class _Messages:
    """Sends the progress of a scene to the parent, a few times a second."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last = 0.0

    def __call__(self, done: int, pixels: int) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_MESSAGES:
            self._last = now
            self._connection.send((done, pixels))
