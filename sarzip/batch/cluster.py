"""A batch on the workers of a Dask cluster that is there already: one task a scene.

The workers need sarzip installed, and see the scenes by URL or by the same path as the client; outputs go to
paths they share. A task on CUDA asks for the resource GPU (`dask worker --resources GPU=1`). Each scene takes
the threads given, or its share of the worker's cores. Scenes of a worker that died are done again elsewhere;
a scene that a client gave up on may still be finished by its worker.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sarzip.batch.job import (
    FAILED,
    OK,
    SKIPPED,
    BatchOptions,
    BatchProgress,
    Job,
    Leftovers,
    Outcome,
    Tally,
    failure,
    run_job,
)
from sarzip.errors import InputError, OutputError, SarzipError, UsageError
from sarzip.pipeline.models import released_folder
from sarzip.system.machine import cores
from sarzip.system.remote import is_url
from sarzip.usecases.compress import CompressOptions

_GPU = {"GPU": 1}


class SceneFailed(Exception):
    """A scene failed in a way that another attempt may mend; holds its outcome."""


def run_on_cluster(
    jobs: Sequence[Job], options: BatchOptions, progress: BatchProgress | None = None
) -> Generator[Outcome, None, None]:
    """Outcomes of all scenes in the order in which they finish. Closing the generator cancels what waits.

    Raises UsageError without the extra or without a GPU worker where one is needed, SarzipError when the
    scheduler cannot be reached.
    """
    each = options.each
    if not isinstance(each, CompressOptions):
        raise UsageError("a cluster only compresses; leave the scheduler out")
    client = _connect(options.scheduler or "")
    import distributed

    try:
        resources = _resources(client, each.device)
        compress = replace(each, model=_model(each.model))
        leftovers = {job: Leftovers(job) for job in jobs}
        tally, run, tasks = Tally(len(jobs), progress), uuid.uuid4().hex[:8], {}
        for number, job in enumerate(jobs):
            # An output that appears later is this run's own, of a worker that died before it could tell.
            resume = options.resume or not Path(job.output).exists()
            future = client.submit(
                _compress_scene,
                Job(_seen_by_all(job.source), str(Path(job.output).absolute())),
                compress,
                resume,
                key=f"sarzip-{run}-{number}",
                retries=options.retries,
                resources=resources,
                pure=False,
            )
            tasks[future] = job
        try:
            with client.as_current():
                finished = distributed.as_completed(tasks)
            for future in finished:
                job = tasks[future]
                outcome = _outcome(future, job, options.resume)
                leftovers[job].remove()
                yield tally.finish(outcome)
        finally:
            client.cancel(list(tasks))
    finally:
        client.close()


def _connect(address: str) -> Any:
    try:
        import distributed
    except ImportError:
        raise UsageError("`scheduler`: needs dask.distributed; pip install 'sarzip[dask]'") from None
    try:
        return distributed.Client(address, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise SarzipError(f"`scheduler` {address}: cannot be reached ({error})") from error


def _resources(client: Any, device: str) -> dict[str, int] | None:
    """What a task asks for; tasks that no worker can take would wait for ever."""
    if not device.startswith("cuda"):
        return None
    try:
        workers = client.scheduler_info(n_workers=-1)["workers"]
    except TypeError:  # releases that always tell of all workers
        workers = client.scheduler_info()["workers"]
    if workers and not any(about.get("resources", {}).get("GPU", 0) >= 1 for about in workers.values()):
        raise UsageError(
            f"`device` {device}: no worker of the cluster offers a GPU; start some with "
            "dask worker --resources GPU=1"
        )
    return dict(_GPU)


def _seen_by_all(name: str) -> str:
    """The absolute path of a file that is there; URLs and names of other kinds as they are."""
    return str(Path(name).absolute()) if Path(name).exists() else name


def _model(name: str) -> str:
    """A released model by its name, as wherever a worker has it; another by its absolute path."""
    return name if (released_folder() / name).is_dir() else _seen_by_all(name)


def _outcome(future: Any, job: Job, resume: bool) -> Outcome:
    """Of a finished task, under the names that the user gave."""
    if future.cancelled():
        return failure(job, OutputError(f"{job.source}: the scheduler gave it up"))
    error = future.exception()
    if isinstance(error, SceneFailed):
        outcome: Outcome = error.args[0]
    elif error is not None:
        return failure(job, OutputError(f"{job.source}: its workers died ({type(error).__name__}: {error})"))
    else:
        outcome = future.result()
    if outcome.status == SKIPPED and not resume:
        outcome = replace(outcome, status=OK)
    return replace(outcome, source=job.source, output=job.output)


def _compress_scene(job: Job, options: CompressOptions, resume: bool) -> Outcome:
    """The task, on a worker."""
    import distributed

    if options.threads == 0:
        at_once = distributed.get_worker().state.nthreads
        options = replace(options, threads=max(1, cores() // at_once))
    outcome = run_job(job, options, resume)
    fleeting = outcome.exit_code == OutputError.exit_code or (
        outcome.exit_code == InputError.exit_code and is_url(job.source)
    )
    if outcome.status == FAILED and fleeting:
        raise SceneFailed(outcome)
    return outcome
