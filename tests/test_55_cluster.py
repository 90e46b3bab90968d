"""Batches on a Dask cluster of two processes on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest
from support.scenes import speckled

import sarzip
from sarzip.batch import cluster
from sarzip.batch.job import BatchOptions, Job
from sarzip.batch.run import plan_jobs, run_batch
from sarzip.cli import run
from sarzip.errors import SarzipError, UsageError
from sarzip.usecases.verify import verify


def test_without_the_extra(monkeypatch, tmp_path, capfd):
    monkeypatch.setitem(sys.modules, "distributed", None)
    scene = tmp_path / "a.tif"
    scene.touch()
    assert run(["compress", str(scene), "-o", f"{tmp_path}/out/", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "pip install 'sarzip[dask]'" in capfd.readouterr().err


def test_a_failure_that_may_pass_is_tried_again(monkeypatch):
    """A full disk or a server that stutters, but not a damaged raster."""
    from sarzip.batch.job import failure
    from sarzip.errors import InputError, OutputError

    options = sarzip.CompressOptions(threads=1)
    monkeypatch.setitem(sys.modules, "distributed", type(sys)("distributed"))
    for source, error, again in (
        ("a.tif", OutputError("disk full"), True),
        ("a.tif", MemoryError(), True),
        ("a.tif", InputError("damaged"), False),
        ("https://host/a.tif", InputError("timeout"), True),
        ("https://host/a.tif", UsageError("exists"), False),
    ):
        job = Job(source, "a.sarz")
        monkeypatch.setattr(cluster, "run_job", lambda job, *more, error=error: failure(job, error))
        if again:
            with pytest.raises(cluster.SceneFailed) as caught:
                cluster._compress_scene(job, options, False)
            assert caught.value.args[0].error
        else:
            assert cluster._compress_scene(job, options, False).status == "failed"


@pytest.fixture(scope="module")
def local_cluster(tmp_path_factory):
    """Two worker processes; their numbers change when one is killed."""
    distributed = pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("dask")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=":0",
        local_directory=str(folder),
        silence_logs=50,
    ) as running:
        yield running


def process_holding(cluster: object, name: str) -> int | None:
    """The worker that has a file open whose name contains `name`."""
    for worker in cluster.workers.values():
        pid = worker.process.pid
        try:
            opened = [os.path.realpath(link) for link in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        if any(name in path for path in opened):
            return pid
    return None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_a_killed_worker_costs_nothing(local_cluster, write_raster, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the workers have another folder
    write_raster(speckled(1600, 1600)[None], "large.tif")
    write_raster(speckled(60, 70)[None], "small.tif")
    Path("bad.tif").write_text("no raster")
    shutil.copytree(tiny_model, tmp_path / "tiny")
    jobs = plan_jobs(["large.tif", "small.tif", "bad.tif"], "out/")
    options = sarzip.CompressOptions(model="./tiny", device="cpu")
    settings = BatchOptions(options, scheduler=local_cluster.scheduler_address)

    killed: list[int] = []
    stop = threading.Event()

    def killer() -> None:
        while not stop.wait(0.01):
            pid = process_holding(local_cluster, "/.large.")
            if pid is not None:
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)
                return

    thread = threading.Thread(target=killer)
    thread.start()
    seen: list[float] = []
    try:
        found = {o.source: o for o in run_batch(jobs, settings, lambda done, *more: seen.append(done))}
    finally:
        stop.set()
        thread.join()
    assert killed
    states = {name: (outcome.status, outcome.exit_code) for name, outcome in found.items()}
    assert states == {"large.tif": ("ok", 0), "small.tif": ("ok", 0), "bad.tif": ("failed", 3)}
    assert seen == [1, 2, 3]
    assert sorted(path.name for path in Path("out").iterdir()) == ["large.sarz", "small.sarz"]
    assert verify("out/large.sarz").groups == 4
    again = run_batch(jobs[:2], BatchOptions(options, resume=True, scheduler=settings.scheduler))
    assert [outcome.status for outcome in again] == ["skipped", "skipped"]


def test_gpus_are_asked_for(local_cluster, tmp_path):
    options = sarzip.CompressOptions(device="cuda")
    job = Job(str(tmp_path / "a.tif"), str(tmp_path / "a.sarz"))
    with pytest.raises(UsageError, match="GPU=1"):
        list(run_batch([job], BatchOptions(options, scheduler=local_cluster.scheduler_address)))


def test_a_scheduler_that_is_not_there(tmp_path):
    pytest.importorskip("distributed")
    import dask

    job = Job(str(tmp_path / "a.tif"), str(tmp_path / "a.sarz"))
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        seconds = dask.config.set({"distributed.comm.timeouts.connect": "1s"})
        with seconds, pytest.raises(SarzipError, match="cannot be reached"):
            list(run_batch([job], BatchOptions(scheduler=address)))
