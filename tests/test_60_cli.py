"""The command line: exit codes, streams, one-line errors, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.scenes import speckled

from sarzip.cli import run

PYTHON = [sys.executable, "-m", "sarzip"]


def sarzip(*arguments: object, stdin: bytes | None = None, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*PYTHON, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        timeout=120,
        check=False,
    )


def test_help_names_every_exit_code():
    done = sarzip("--help")
    assert done.returncode == 0
    text = " ".join(done.stdout.decode().split())
    for meaning in ("0 done", "1 unexpected", "2 usage", "3 input", "4 corrupt", "5 target", "6 model"):
        assert meaning in text


@pytest.mark.parametrize("command", ["--help", "info", "verify"])
def test_light_commands_do_not_import_torch(command):
    probe = (
        "import sys; from sarzip.cli import run\n"
        f"run(['{command}'] if '{command}' == '--help' else ['{command}', 'missing.sarz'])\n"
        "heavy = {'torch', 'rasterio'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_round_trip_with_json_and_pipes(write_raster, tmp_path):
    source = write_raster(speckled(150, 170)[None])
    packed = tmp_path / "a.sarz"
    done = sarzip("compress", source, "-o", packed, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["output_bytes"] == packed.stat().st_size and report["domains"] == ["amplitude"]
    assert done.stderr == b""

    piped = sarzip("compress", source, "-o", "-", "--quiet")
    assert piped.returncode == 0 and piped.stderr == b""
    assert piped.stdout == packed.read_bytes()

    assert sarzip("verify", packed).returncode == 0
    assert sarzip("verify", "-", stdin=piped.stdout).returncode == 0
    about = json.loads(sarzip("info", packed, "--json").stdout)
    assert about["width"] == 170

    first, second = tmp_path / "first.tif", tmp_path / "second.tif"
    assert sarzip("decompress", packed, "-o", first).returncode == 0
    assert sarzip("decompress", "-", "-o", second, stdin=piped.stdout).returncode == 0
    compared = json.loads(sarzip("compare", first, second, "--json").stdout)
    assert compared["identical"] is True
    table = sarzip("compare", source, first)
    assert table.returncode == 0 and b"RMSE [dB]" in table.stdout


def test_many_files_into_a_folder(write_raster, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    sources = [write_raster(speckled(40, 40, seed=seed)[None], f"{seed}.tif") for seed in range(2)]
    done = sarzip("compress", *sources, tmp_path / "none.tif", "-o", folder)
    assert done.returncode == 3
    assert sorted(path.name for path in folder.iterdir()) == ["0.sarz", "1.sarz"]
    assert b"none.tif" in done.stderr


def bad_inputs(tmp_path: Path, good: Path) -> dict[str, tuple[list[object], int]]:
    text = tmp_path / "text.tif"
    text.write_text("this is no raster")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    empty = tmp_path / "empty.sarz"
    empty.write_bytes(b"")
    target = tmp_path / "target.sarz"
    return {
        "missing": (["compress", tmp_path / "missing.tif", "-o", target], 3),
        "text": (["compress", text, "-o", target], 3),
        "truncated": (["compress", cut, "-o", target], 3),
        "folder missing": (["compress", good, "-o", tmp_path / "no" / "a.sarz"], 1),
        "exists": (["compress", good, "-o", cut], 2),
        "two fidelities": (["compress", good, "-o", target, "--quality", "high"], 2),
        "unknown option": (["compress", good, "-o", target, "--fastest"], 2),
        "unknown command": (["squeeze"], 2),
        "unknown model": (["compress", good, "-o", target, "--model", "ae17"], 6),
        "unknown domain": (["compress", good, "-o", target, "--domain", "linear"], 2),
        "json to stdout": (["compress", good, "-o", "-", "--json"], 2),
        "empty sarz": (["decompress", empty, "-o", tmp_path / "a.tif"], 4),
        "tif as sarz": (["info", good], 4),
        "missing sarz": (["verify", tmp_path / "missing.sarz"], 3),
    }


def test_bad_input_gives_one_line_and_the_documented_code(write_raster, tmp_path, capfd):
    good = write_raster(speckled(300, 300)[None])
    cases = bad_inputs(tmp_path, good)
    before = sorted(tmp_path.iterdir())
    for name, (arguments, code) in cases.items():
        found = run([str(argument) for argument in arguments])
        output, message = capfd.readouterr()
        assert found == code, (name, message)
        assert message.startswith("sarzip: ") and message.count("\n") == 1, (name, message)
        assert output == ""
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_folder(write_raster, tmp_path):
    source = write_raster(speckled(40, 40)[None])
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    done = sarzip("compress", source, "-o", folder / "a.sarz")
    assert done.returncode == 1 and b"not writable" in done.stderr


def test_full_disk_is_one_line(write_raster):
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    source = write_raster(speckled(600, 600)[None])
    command = " ".join([*PYTHON, "compress", str(source), "-o", "-", "-q", ">/dev/full"])
    done = subprocess.run(command, shell=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("sarzip: ") and done.stderr.count(b"\n") == 1


def test_closed_pipe_is_one_line(write_raster):
    source = write_raster(speckled(1200, 1200)[None])  # more than a pipe holds
    command = " ".join([*PYTHON, "compress", str(source), "-o - --lossless -q | head -c 10"])
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("sarzip: ") and done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_interruption_leaves_nothing(number, write_raster, tiny_model, tmp_path):
    import signal
    import time

    source = write_raster(speckled(3000, 3000)[None])
    folder = tmp_path / "out"
    folder.mkdir()
    command = [*PYTHON, "compress", str(source), "-o", str(folder / "a.sarz"), "--model", str(tiny_model)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not list(folder.iterdir()) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(getattr(signal, number))
    _, message = process.communicate(timeout=60)
    assert process.returncode == {"SIGINT": 130, "SIGTERM": 143}[number], message
    assert list(folder.iterdir()) == []
    assert message.count(b"\n") == 1


def test_flipped_bytes_are_noticed(write_raster, tmp_path, capfd):
    """The documented code and one line; test_70_damage flips every byte."""
    source, packed = write_raster(speckled(64, 64)[None]), tmp_path / "a.sarz"
    assert run(["compress", str(source), "-o", str(packed), "-q"]) == 0
    good = packed.read_bytes()
    for position in range(0, len(good), 37):
        bad = bytearray(good)
        bad[position] ^= 0x80
        packed.write_bytes(bad)
        for command in (["verify", str(packed)], ["decompress", str(packed), "-o", str(tmp_path / "a.tif")]):
            assert run(command) == 4, (position, command)
            assert capfd.readouterr().err.count("\n") == 1
        assert not (tmp_path / "a.tif").exists()
