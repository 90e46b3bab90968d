"""The command line with streams that are closed, full, without a reader, or of another character set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.scenes import speckled

from sarzip.cli import run

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


@pytest.fixture
def folder(write_raster, tmp_path) -> Path:
    source = write_raster(speckled(150, 170)[None])
    source.rename(tmp_path / "in.tif")
    assert run(["compress", str(tmp_path / "in.tif"), "-o", str(tmp_path / "in.sarz"), "-q"]) == 0
    return tmp_path


def shell(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a shell command in which `sarzip` is this one."""
    function = f'sarzip() {{ {sys.executable} -m sarzip "$@"; }}; set -o pipefail; '
    return subprocess.run(
        ["bash", "-c", function + command],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        "compress in.tif -o x.sarz",
        "decompress in.sarz -o x.tif",
        "decompress in.sarz -o x.tif --cog",
        "preview in.sarz -o x.png",
        "sample -o x.tif --size 64",
    ],
)
def test_closed_streams_do_not_stop_what_does_not_need_them(folder, command):
    done = shell(folder, f"sarzip {command} <&- >&- 2>&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    made = [path for path in folder.iterdir() if path.stem == "x"]
    assert len(made) == 1 and made[0].stat().st_size > 100
    done = shell(folder, f"sarzip {command} --force 2>/dev/full")
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("compress - -o y.sarz <&-", 2, "standard input is closed"),
        ("decompress - -o y.tif <&-", 2, "standard input is closed"),
        ("verify - <&-", 2, "standard input is closed"),
        ("compress in.tif -o - >&-", 2, "standard output is closed"),
        ("decompress in.sarz -o - >&-", 2, "standard output is closed"),
        ("compress in.tif -q -o - >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("decompress in.sarz -q -o - >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("preview in.sarz -o - >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("info in.sarz >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("info in.sarz >&-", 1, "standard output: cannot be written (Bad file descriptor"),
        ("info in.sarz --json >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("compare in.tif in.sarz >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("models list >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("--help >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("--version >/dev/full", 1, "standard output: cannot be written (No space left"),
        ("decompress in.sarz -o - -q | true", 1, "the reader closed the pipe before the end"),
    ],
)
def test_streams_that_are_needed_are_missed_in_one_line(folder, command, code, said):
    done = shell(folder, f"sarzip {command}")
    lines = done.stderr.decode().splitlines()
    assert done.returncode == code and len(lines) == 1 and said in lines[0], done.stderr
    assert lines[0].startswith("sarzip: ")


def test_a_reader_that_has_seen_enough_of_a_text_is_no_news(folder):
    assert shell(folder, "sarzip info in.sarz | true").stderr == b""
    assert shell(folder, "sarzip info in.sarz >&- 2>&-").returncode == 1


def test_names_of_files_are_utf_8_in_every_locale(folder):
    (folder / "in.tif").rename(folder / "nöt.tif")
    done = shell(folder, "sarzip compress nöt.tif -o ü.sarz --json", **ASCII)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["output"] == "ü.sarz" and (folder / "ü.sarz").exists()
    done = shell(folder, "sarzip compare nöt.tif ü.sarz && sarzip info ü.sarz", **ASCII)
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.isascii()


def test_names_that_are_not_utf_8(folder):
    for suffix in ("tif", "sarz"):
        (folder / f"in.{suffix}").rename(folder / f"\udce9.{suffix}")
    done = shell(folder, "sarzip compress ?.tif -o x.sarz")
    assert done.returncode == 3 and b"the file name is not UTF-8" in done.stderr
    done = shell(folder, "sarzip info ?.sarz --json && sarzip decompress ?.sarz -o back.tif -q")
    assert done.returncode == 0 and json.loads(done.stdout)["file"] == "\udce9.sarz"


def test_no_warnings_of_libraries_on_stderr(write_raster, tmp_path):
    pixels = 10 * np.log10(speckled(64, 64).astype(np.float32) / 1e4 + 1e-6)
    pixels[:9], pixels[9:12] = -np.inf, np.nan
    source = write_raster(pixels[None])
    done = shell(
        tmp_path,
        f"sarzip compress {source} -o x.sarz -q --domain db && sarzip compare {source} x.sarz >/dev/null && "
        "sarzip preview x.sarz -o x.png -q && sarzip decompress x.sarz -o x.tif --scale 4 -q && "
        "sarzip verify x.sarz --deep -q",
        PYTHONWARNINGS="default",
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", ["preview in.sarz -o x.png", "compress in.tif -o x.sarz"])
def test_no_room_for_the_output(folder, command):
    done = shell(folder, f"ulimit -f 1; sarzip {command} -q")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 1, done.stderr
    assert b"unexpected" not in done.stderr and b"cannot be written" in done.stderr
    assert not list(folder.glob("*x.*")) and not list(folder.glob(".*"))


def test_no_memory_is_told_in_one_line(folder, monkeypatch, capfd):
    def greedy(*arguments: object) -> None:
        raise MemoryError("Unable to allocate 9 GB")

    monkeypatch.setattr("sarzip.usecases.compare.compare", greedy)
    assert run(["compare", str(folder / "in.tif"), str(folder / "in.sarz")]) == 1
    message = capfd.readouterr().err
    assert message.count("\n") == 1 and "not enough memory" in message and "unexpected" not in message
