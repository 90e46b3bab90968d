"""Batches through the Python API: what goes where, what is skipped, workers that die, standard input."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from support.scenes import speckled

import sarzip
from sarzip.batch import job as batch
from sarzip.batch.job import BatchOptions, Job, Leftovers, Tally
from sarzip.batch.resume import why_not_done
from sarzip.batch.run import plan_jobs, run_batch
from sarzip.errors import NO_MEMORY, InputError, OutputError, UsageError
from sarzip.pipeline.decode import Decoder
from sarzip.pipeline.quality import Fidelity
from sarzip.system.parts import part_path
from sarzip.usecases import compress
from sarzip.usecases.verify import verify


def touch(*paths: Path) -> None:
    for path in paths:
        path.touch()


def test_progress_adds_up():
    seen = []
    tally = Tally(2, lambda *values: seen.append(values))
    a, b = Job("a", "a.sarz"), Job("b", "b.sarz")
    tally.advance(a, 50, 100)
    tally.advance(b, 10, 40)
    tally.finish(batch.failure(a, InputError("a: broken")))
    tally.finish(batch.Outcome("b", "b.sarz", batch.SKIPPED))
    assert seen == [(0.5, 2, 50), (0.75, 2, 60), (1.25, 2, 10), (2, 2, 0)]


@pytest.fixture
def scenes(write_raster, tmp_path):
    """Three small scenes, one of them damaged, and options for them."""
    paths = [write_raster(speckled(64, 80, seed=seed)[None], f"{seed}.tif") for seed in range(3)]
    paths[1].write_bytes(b"no raster")
    out = tmp_path / "out"
    jobs = plan_jobs([str(path) for path in paths], f"{out}/")
    options = sarzip.CompressOptions(device="cpu", threads=2)
    return SimpleNamespace(paths=paths, out=out, jobs=jobs, options=options)


def test_one_bad_scene_does_not_stop_the_others(scenes, tmp_path):
    """On one process or two, with the same files."""
    other = [Job(job.source, str(tmp_path / "other" / Path(job.output).name)) for job in scenes.jobs]
    for jobs, count in ((scenes.jobs, 1), (other, 2)):
        seen: list[tuple[float, int, int]] = []
        options = BatchOptions(scenes.options, jobs=count)
        found = run_batch(jobs, options, lambda *values, seen=seen: seen.append(values))
        by_source = {outcome.source: outcome for outcome in found}
        good, bad = by_source[str(scenes.paths[0])], by_source[str(scenes.paths[1])]
        assert (good.status, good.exit_code, good.error) == ("ok", 0, None)
        assert good.report.output_bytes == Path(good.output).stat().st_size
        assert (bad.status, bad.exit_code, bad.report) == ("failed", 3, None) and "1.tif" in bad.error
        assert seen[-1] == (3, 3, 2 * 64 * 80)
    assert sorted(path.name for path in scenes.out.iterdir()) == ["0.sarz", "2.sarz"]
    for path in scenes.out.iterdir():
        assert path.read_bytes() == (tmp_path / "other" / path.name).read_bytes()


def test_an_unexpected_error_is_an_outcome(scenes, monkeypatch):
    for error, said in (
        (ArithmeticError("no\nsense"), "unexpected ArithmeticError: no sense"),
        (MemoryError("no memory"), NO_MEMORY),
    ):

        def broken(*arguments: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(batch, "compress", broken)
        outcome = batch.run_job(scenes.jobs[0], scenes.options, False)
        assert outcome.exit_code == 1 and outcome.error.endswith(said)


def test_resume_skips_only_what_is_done(scenes, tmp_path, write_raster):
    job = scenes.jobs[0]
    source, output = Path(job.source), Path(job.output)

    def state(options: sarzip.CompressOptions = scenes.options) -> str | None:
        return why_not_done(job.source, job.output, options)

    (first,) = run_batch([job], BatchOptions(scenes.options, resume=True))
    (second,) = run_batch([job], BatchOptions(scenes.options, resume=True))
    assert (first.status, second.status) == ("ok", "skipped")
    assert "options" in state(replace(scenes.options, fidelity=Fidelity("quality", 61)))
    assert "options" in state(replace(scenes.options, fidelity=Fidelity("bpp", 0.3)))
    assert "options" in state(replace(scenes.options, domain="power"))
    assert "options" in state(replace(scenes.options, model="ae16"))
    assert "options" in state(replace(scenes.options, lossless=True))
    assert "options" in state(replace(scenes.options, max_error_db=1.0))
    assert "options" in state(replace(scenes.options, band_kinds=("1=phase",)))
    good = output.read_bytes()

    output.write_bytes(good[: len(good) // 2])
    assert "damaged" in state()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    output.write_bytes(flipped)
    assert "damaged" in state()
    (kept,) = run_batch([job], BatchOptions(scenes.options, resume=True))
    assert kept.exit_code == 2 and "`force`" in kept.error and output.read_bytes() == flipped
    forced = replace(scenes.options, force=True)
    (redone,) = run_batch([job], BatchOptions(forced, resume=True))
    assert redone.status == "ok" and output.read_bytes() == good

    os.utime(source, ns=(0, output.stat().st_mtime_ns + 1))
    assert "older" in state()
    os.utime(source, ns=(0, 0))
    assert state() is None
    shutil.copy(write_raster(speckled(64, 81)[None], "wide.tif"), source)
    os.utime(source, ns=(0, 0))
    assert "another raster" in state()
    with rasterio.open(source, "w", driver="GTiff", width=80, height=64, count=1, dtype="uint16") as dataset:
        dataset.update_tags(SCENE="another")
    os.utime(source, ns=(0, 0))
    assert "another raster" in state()
    source.unlink()
    with pytest.raises(InputError):
        state()


@pytest.mark.parametrize("promise", [{}, {"lossless": True}, {"max_error_db": 0.5}, {"others": "bound"}])
def test_resume_knows_bands_that_no_step_decides(promise, write_raster, tmp_path):
    """Labels are exact in any case, backscatter where it is asked for: nothing of that is made twice."""
    labels = np.arange(64 * 64, dtype=np.int16).reshape(64, 64) // 700
    measured = speckled(64, 64, "uint16", 1)
    for name, values in (("labels", labels), ("scene", measured)):
        source = write_raster(values[None], name=f"{name}.tif")
        output, options = tmp_path / f"{name}.sarz", sarzip.CompressOptions(**promise)
        sarzip.compress(source, output, options)
        assert why_not_done(str(source), str(output), options) is None
    other = sarzip.CompressOptions(max_error_db=0.25)
    assert "options" in (why_not_done(str(source), str(output), other) or "")


@pytest.mark.parametrize("fidelity", [Fidelity("bpp", 0.3), Fidelity("size", 2250)])
def test_resume_knows_what_was_asked_for(fidelity, write_raster, tiny_model, tmp_path):
    options = sarzip.CompressOptions(fidelity, model=str(tiny_model), device="cpu", threads=1)
    job = Job(str(write_raster(speckled(300, 200)[None])), str(tmp_path / "a.sarz"))
    states = [next(run_batch([job], BatchOptions(options, resume=True))).status for _ in range(2)]
    assert states == ["ok", "skipped"]


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if "sarzip-part" in path.name]


def test_a_killed_worker_costs_one_scene(write_raster, tiny_model, tmp_path):
    """As the kernel does when memory runs out."""
    large = write_raster(speckled(2500, 2500)[None], "large.tif")
    small = [write_raster(speckled(40, 40)[None], f"{number}.tif") for number in range(3)]
    jobs = plan_jobs([str(path) for path in (large, *small)], f"{tmp_path}/out/")
    foreign = tmp_path / "out" / ".large.00000000.sarzip-part.sarz"
    foreign.parent.mkdir(exist_ok=True)
    touch(foreign)
    options = sarzip.CompressOptions(model=str(tiny_model), device="cpu", threads=1)
    victims: list[int] = []

    def kill_the_busy_one(*progress: object) -> None:
        if victims or len(parts(tmp_path / "out")) < 2:
            return
        for child in multiprocessing.active_children():
            opened = [os.path.realpath(f) for f in Path(f"/proc/{child.pid}/fd").iterdir()]
            if any(".large." in name for name in opened):
                victims.append(child.pid)
                os.kill(child.pid, signal.SIGKILL)

    found = run_batch(jobs, BatchOptions(options, jobs=2), kill_the_busy_one)
    outcomes = {Path(outcome.source).name: outcome for outcome in found}
    assert victims
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "large.tif": "failed",
        "0.tif": "ok",
        "1.tif": "ok",
        "2.tif": "ok",
    }
    assert "killed by signal 9" in outcomes["large.tif"].error and outcomes["large.tif"].exit_code == 1
    assert parts(tmp_path / "out") == [foreign]


def test_closing_the_batch_stops_the_workers(write_raster, tiny_model, tmp_path):
    sources = [write_raster(speckled(40, 40)[None], "small.tif")]
    sources += [write_raster(speckled(2500, 2500)[None], "0.tif")]
    sources += [shutil.copy(sources[-1], tmp_path / "1.tif")]
    options = sarzip.CompressOptions(model=str(tiny_model), device="cpu", threads=1)
    jobs = plan_jobs([str(path) for path in sources], f"{tmp_path}/out/")
    with contextlib.closing(run_batch(jobs, BatchOptions(options, jobs=2))) as outcomes:
        assert next(outcomes).source == str(sources[0])
        wait_for(lambda: parts(tmp_path / "out"))
    assert multiprocessing.active_children() == []
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["small.sarz"]


def test_leftovers_of_others_stay(tmp_path):
    done = tmp_path / "a.sarz"
    before, after, other = part_path(done), part_path(done), part_path(tmp_path / "a.b.sarz")
    touch(before)
    leftovers = Leftovers(Job("a.tif", str(done)))
    touch(after, other, done)
    leftovers.remove()
    assert sorted(tmp_path.iterdir()) == sorted([before, other, done])


class Pipe(io.BytesIO):
    """Standard input that is no file."""

    def fileno(self) -> int:
        raise OSError("no descriptor")


def from_pipe(monkeypatch, data: bytes | io.IOBase) -> None:
    stream = Pipe(data) if isinstance(data, bytes) else data
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))


def test_standard_input_gives_the_same_file(scenes, tmp_path, monkeypatch):
    options = replace(scenes.options, fidelity=Fidelity("ratio", 32.0))
    by_name, piped, redirected = (tmp_path / f"{name}.sarz" for name in ("name", "pipe", "file"))
    sarzip.compress(scenes.paths[0], by_name, options)
    from_pipe(monkeypatch, scenes.paths[0].read_bytes())
    report = sarzip.compress("-", piped, options)
    size = scenes.paths[0].stat().st_size
    assert report.source == "-" and report.source_bytes == size
    assert f"{size} bytes copied" in report.notes[0]
    guesses = report.notes[1:]
    with scenes.paths[0].open("rb") as file:
        from_pipe(monkeypatch, file)
        assert sarzip.compress("-", redirected, options).notes == guesses
    assert by_name.read_bytes() == piped.read_bytes() == redirected.read_bytes()
    with scenes.paths[0].open("rb") as file:
        file.read(1)
        from_pipe(monkeypatch, file)
        with pytest.raises(InputError, match="standard input: not a raster"):
            sarzip.compress("-", tmp_path / "rest.sarz", options)


def test_standard_input_that_is_no_raster(tmp_path, monkeypatch):
    class Broken(Pipe):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    class Terminal(Pipe):
        def isatty(self) -> bool:
            return True

    for stream, error, words in (
        (b"", InputError, "standard input: is empty"),
        (b"text", InputError, "standard input: not a raster"),
        (Broken(), InputError, "cannot be read"),
        (Terminal(), UsageError, "terminal"),
    ):
        from_pipe(monkeypatch, stream)
        with pytest.raises(error, match=words):
            sarzip.compress("-", tmp_path / "a.sarz")
    from_pipe(monkeypatch, b"data")

    def full(**options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match=r"No space left on device.*TMPDIR"):
        sarzip.compress("-", tmp_path / "a.sarz")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_verify_measures_what_compare_measures(dtype, write_raster, tiny_model, tmp_path):
    values = np.stack([speckled(300, 200, dtype, seed) for seed in range(2)])
    values[:, :, :30] = 0
    source = write_raster(values)
    options = sarzip.CompressOptions(model=str(tiny_model), verify=True)
    report = sarzip.compress(source, tmp_path / "a.sarz", options)
    sarzip.decompress(
        tmp_path / "a.sarz", tmp_path / "a.tif", sarzip.DecompressOptions(model=str(tiny_model))
    )
    bands = sarzip.compare(source, tmp_path / "a.tif").bands
    for error, band in zip(report.errors, bands, strict=True):
        assert error.rmse_db == pytest.approx(band.quality.rmse_db, rel=1e-6)
        assert error.max_error_db == pytest.approx(band.quality.max_error_db, rel=1e-6)
        assert error.bias_p95_db == pytest.approx(band.quality.bias_p95_db, abs=1e-6)
    assert report.rmse_db == max(error.rmse_db for error in report.errors)
    assert report.bias_p95_db == max(error.bias_p95_db for error in report.errors)


def test_verify_notices_values_that_must_be_exact(write_raster, tiny_model, tmp_path, monkeypatch):
    values = speckled(100, 120)[None]
    values[:, 20:40, 30:50] = 0
    source = write_raster(values)
    real = Decoder.blocks

    def wrong(self: object, frames: object) -> object:
        for block in real(self, frames):
            block.values[25, 35] = 1
            yield block

    monkeypatch.setattr(Decoder, "blocks", wrong)
    options = sarzip.CompressOptions(model=str(tiny_model), verify=True)
    with pytest.raises(sarzip.errors.CorruptError, match="band 1 does not decode to the original's values"):
        sarzip.compress(source, tmp_path / "a.sarz", options)
    assert list(tmp_path.iterdir()) == [source]


def test_verify_of_scenes_without_measurements(write_raster, tiny_model, tmp_path):
    source = write_raster(np.full((1, 40, 50), -9999, np.float32), nodata=-9999)
    options = sarzip.CompressOptions(model=str(tiny_model), verify=True)
    report = sarzip.compress(source, tmp_path / "a.sarz", options)
    assert report.rmse_db is None and report.plan[0].treatment == "exact"
    assert verify(tmp_path / "a.sarz").groups == 1


def test_progress_counts_every_pixel(write_raster, tiny_model, tmp_path):
    values = np.stack([speckled(1100, 70, seed=seed) for seed in range(2)])
    seen: list[tuple[int, int]] = []
    sarzip.compress(
        write_raster(values),
        tmp_path / "a.sarz",
        compress.CompressOptions(model=str(tiny_model)),
        lambda done, total: seen.append((done, total)),
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (values.size, values.size)


def test_workers_share_the_gpus_and_the_cores(monkeypatch):
    from sarzip.batch import processes as workers
    from sarzip.batch.processes import _own_device

    monkeypatch.setattr(workers, "cuda_devices", lambda: 2)
    devices = {
        asked: [_own_device(sarzip.CompressOptions(device=asked), number) for number in range(3)]
        for asked in ("auto", "cuda", "cuda:1", "cpu")
    }
    assert devices == {
        "auto": ["cuda:0", "cuda:1", "cuda:0"],
        "cuda": ["cuda:0", "cuda:1", "cuda:0"],
        "cuda:1": ["cuda:1"] * 3,
        "cpu": ["cpu"] * 3,
    }
    shares = [batch.with_threads(sarzip.CompressOptions(threads=8), count).threads for count in (1, 3, 16)]
    assert shares == [8, 2, 1]
