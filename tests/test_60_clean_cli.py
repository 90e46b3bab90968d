"""`sarzip clean`: what killed processes left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

from sarzip.cli import run
from sarzip.system.parts import is_part, leftovers, part_path


def killed_in_the_middle(folder):
    """Run a command until its part file is there, and kill it."""
    command = [
        sys.executable,
        "-m",
        "sarzip",
        "sample",
        "-o",
        str(folder / "big.tif"),
        "--size",
        "6000",
        "-q",
    ]
    process = subprocess.Popen(command)
    while process.poll() is None and not any(is_part(each.name) for each in folder.iterdir()):
        time.sleep(0.01)
    assert [each.owner for each in leftovers(folder)] == ["running"]
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_clean_lists_and_removes(tmp_path, capfd):
    below = tmp_path / "below"
    below.mkdir()
    killed_in_the_middle(below)
    own = part_path(tmp_path / "own.tif")
    own.touch()
    old = tmp_path / ".a.00000000.sarzip-part.tif.aux.xml"
    old.touch()
    assert run(["clean", str(tmp_path), "--recursive", "--dry-run"]) == 0
    said = capfd.readouterr().err
    assert "its process is running" in said and "--all removes it" in said and "would be removed" in said
    assert run(["clean", str(tmp_path), "--recursive", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)
    assert [(each["owner"], each["removed"]) for each in listed] == [
        ("unknown", False),
        ("running", False),
        ("gone", True),
    ]
    assert not list(below.iterdir()) and own.exists() and old.exists()
    assert run(["clean", str(tmp_path), "--all", "-q"]) == 0
    assert own.exists() and not old.exists()
    assert run(["clean", str(tmp_path / "missing")]) == 3


def test_the_next_output_in_the_folder_removes_it(tmp_path):
    killed_in_the_middle(tmp_path)
    assert run(["sample", "-o", str(tmp_path / "a.tif"), "--size", "64", "-q"]) == 0
    assert list(tmp_path.iterdir()) == [tmp_path / "a.tif"]
