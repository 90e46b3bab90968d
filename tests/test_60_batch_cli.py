"""Batches, standard input and the bar on the command line."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.scenes import speckled

from sarzip.cli import run

PYTHON = [sys.executable, "-m", "sarzip"]
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def day(write_raster, tmp_path):
    """A folder with two good rasters and a bad one."""
    folder = tmp_path / "day"
    folder.mkdir()
    for name, seed in (("a.tif", 0), ("c.tif", 1)):
        write_raster(speckled(64, 80, seed=seed)[None], f"day/{name}")
    (folder / "b.tif").write_text("no raster")
    return folder


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_line_a_scene_and_the_code_of_the_first_error(day, tiny_model, tmp_path, capfd):
    command = ["compress", str(day), "-o", f"{tmp_path}/out/", "--model", str(tiny_model), "--device", "cpu"]
    assert run([*command, "--json"]) == 3
    out, err = capfd.readouterr()
    found = {Path(line["source"]).name: line for line in lines(out)}
    assert [found[name]["status"] for name in ("a.tif", "b.tif", "c.tif")] == ["ok", "failed", "ok"]
    assert found["b.tif"]["exit_code"] == 3 and "b.tif" in found["b.tif"]["error"]
    about = found["a.tif"]
    assert about["error"] is None and about["output_bytes"] == Path(about["output"]).stat().st_size
    for name in ("bpp", "seconds", "mpix_per_s", "peak_memory", "device"):
        assert about[name], name
    assert err.startswith("sarzip: ") and err.count("\n") == 1

    assert run([*command, "--resume"]) == 3
    out, err = capfd.readouterr()
    assert out == "" and "a.sarz: skipped" in err
    assert err.splitlines()[-1].startswith("3 scenes: 0 ok, 2 skipped, 1 failed")

    (day / "b.tif").unlink()
    assert run([*command, "--resume", "--quiet"]) == 0
    assert capfd.readouterr() == ("", "")
    assert run([*command, "--quiet"]) == 2
    assert capfd.readouterr().err.count("already exists") == 2


def test_resume_of_a_single_file(day, tiny_model, tmp_path, capfd):
    target = str(tmp_path / "a.sarz")
    command = ["compress", str(day / "a.tif"), "-o", target, "--model", str(tiny_model), "--resume", "--json"]
    states = []
    for _ in range(2):
        assert run(command) == 0
        states += [line["status"] for line in lines(capfd.readouterr().out)]
    assert states == ["ok", "skipped"]


def test_usage_errors_come_before_any_work(day, tiny_model, tmp_path, capfd):
    a, out = str(day / "a.tif"), f"{tmp_path}/out/"
    for arguments in (
        [a, a, "-o", out],
        [str(day), "-o", str(tmp_path / "missing")],
        [a, "-o", out, "--jobs", "0"],
        [a, "-o", out, "--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"],
        ["-", "-o", out],
        [a, "-", "-o", out],
        [a, str(day / "c.tif"), "-o", "-"],
        [a, "-o", "-", "--resume"],
    ):
        assert run(["compress", *arguments, "--model", str(tiny_model)]) == 2, arguments
        message = capfd.readouterr().err
        assert message.startswith("sarzip: ") and message.count("\n") == 1, message
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day"]


def test_cat_into_compress_and_out_again(day, tmp_path):
    command = [*PYTHON, "compress", "-", "-o", "-"]
    data = (day / "a.tif").read_bytes()
    done = subprocess.run(command, input=data, capture_output=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    assert b"standard input: %d bytes copied" % len(data) in done.stderr
    (tmp_path / "a.sarz").write_bytes(done.stdout)
    assert run(["verify", str(tmp_path / "a.sarz"), "--quiet"]) == 0
    done = subprocess.run(
        command, input=data[: len(data) // 2], capture_output=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 3 and done.stderr.startswith(b"sarzip: standard input: ")
    assert done.stderr.count(b"\n") == 1 and done.stdout == b""


def descendants(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, children) for each in (child, *descendants(child))]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_batches_leave_nothing(number, write_raster, tiny_model, tmp_path):
    """As a terminal does: SIGINT to every process of the group; SIGTERM and SIGKILL to the parent alone."""
    out = tmp_path / "out"
    # More scenes than are begun: the batch cannot be done before the signal arrives.
    scene = write_raster(speckled(1600, 1600)[None], "a.tif")
    sources = [str(scene), *(str(shutil.copy(scene, tmp_path / f"{name}.tif")) for name in "bcdefgh")]
    command = [*PYTHON, "compress", *sources, "-o", f"{out}/", "--model", str(tiny_model), "--jobs", "2"]
    process = subprocess.Popen(
        [*command, "--device", "cpu", "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while len(list(out.iterdir()) if out.exists() else []) < 2:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    workers = descendants(process.pid)
    assert len(workers) >= 2
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, message = process.communicate(timeout=60)
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline + 60
        time.sleep(0.05)
    # A scene may have been finished just before; whatever has its final name must be complete.
    finished = list(out.iterdir())
    for left in finished:
        assert left.name in {f"{name}.sarz" for name in "abcdefgh"}
        assert run(["verify", str(left), "--quiet"]) == 0
    if number != signal.SIGKILL:
        assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
        assert message.splitlines()[-1].startswith(b"sarzip: ") and b"Traceback" not in message, message
        assert finished or message.count(b"\n") == 1, message


def on_a_terminal(command: list[str]) -> str:
    """What a terminal shows of stderr."""
    ours, theirs = pty.openpty()
    wide = ENVIRONMENT | {"COLUMNS": "240"}  # so that long names are not broken
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=wide)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait() == 0
    return shown.decode()


def test_a_terminal_sees_speed_time_and_a_table(day, tmp_path):
    (day / "b.tif").unlink()
    command = [*PYTHON, "compress", str(day), "-o", f"{tmp_path}/out/", "--force"]
    shown = on_a_terminal(command)
    for words in ("compressing", "2/2", "MPix/s", "0:00:00", "scene", "a.tif", "2 scenes: 2 ok"):
        assert words in shown, words
    assert on_a_terminal([*command, "--quiet"]) == ""
