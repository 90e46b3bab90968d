"""Machines on which next to nothing can be written: no temporary files, a read-only installation."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support.damage import pipe
from support.scenes import speckled

from sarzip.cli import run


@pytest.fixture
def scene(tmp_path, monkeypatch, write_raster) -> Path:
    monkeypatch.chdir(tmp_path)
    path = write_raster(speckled(96, 96)[None], "in.tif")
    assert run(["compress", "in.tif", "-o", "x.sarz", "-q"]) == 0
    return path


@pytest.mark.parametrize(
    ("command", "piped"),
    [
        ("compress - -o y.sarz", "in.tif"),
        ("decompress x.sarz -o -", None),
        ("decompress x.sarz -o - --cog", None),
        ("decompress - -o y.tif --salvage", "x.sarz"),
        ("preview x.sarz -o -", None),
        ("sample --size 64 -o -", None),
    ],
)
def test_no_folder_for_temporary_files_is_said_in_one_line(command, piped, scene, monkeypatch, capfd):
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    if piped:
        pipe(monkeypatch, (scene.parent / piped).read_bytes())
    with monkeypatch.context() as patch:  # capfd needs one, too
        patch.setattr(tempfile, "gettempdir", nowhere)
        assert run(command.split()) == 1
    said = capfd.readouterr()
    assert "set TMPDIR" in said.err and said.err.count("\n") == 1 and not said.out
    assert sorted(path.name for path in scene.parent.iterdir()) == ["in.tif", "x.sarz"]


READ_ONLY = """
umask 077
mount --make-rprivate / && mount -t tmpfs none "$1" && mkdir "$1/work" || exit 99
for each in / /tmp /var/tmp /home /root /dev/shm; do
    if mountpoint -q $each; then mount -o remount,ro,bind $each || exit 99; fi
done
if touch /tmp/written /dev/shm/written 2>/dev/null; then exit 99; fi
cd "$1/work" && export TMPDIR=$PWD && unset HOME
s() { "$2" -m sarzip "$@"; }
"""


def read_only(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A script with the function `s`, sarzip, where nothing but `folder`, the current one, can be written."""
    setting = READ_ONLY.replace('"$2"', f'"{sys.executable}"')
    command = ["unshare", "-m", "sh", "-c", setting + script, "sh", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("mounts cannot be changed here")
    return done


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="takes the right to mount")
def test_everything_runs_where_only_the_current_folder_can_be_written(tmp_path, write_raster):
    """No home, no shared memory, an installation nobody may write to, files for the owner alone; several
    processes at the first use.
    """
    write_raster(speckled(96, 96)[None], "a.tif")
    (tmp_path / "alone").mkdir()
    done = read_only(
        """
        s compress ../../a.tif -o 1.sarz -q & s compress ../../a.tif -o 2.sarz -q &
        wait && cmp 1.sarz 2.sarz && cp ../../a.tif a.tif && cp a.tif b.tif || exit 2
        s compress a.tif b.tif -o out/ --jobs 2 -q || exit 3
        cat a.tif | s compress - -o - -q | s decompress - -o - -q > c.tif || exit 4
        s decompress 1.sarz -o d.tif -q && cmp c.tif d.tif || exit 5
        s decompress 1.sarz -o e.tif --salvage --salvage-mask m.tif -q || exit 6
        s verify 1.sarz --deep -q || exit 7
        test "$(stat -c %a 1.sarz)" = 600 || exit 8
        cd / && s compress "$1/work/a.tif" -o x.sarz -q
        """,
        tmp_path / "alone",
    )
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.count("\n") == 1 and "is not writable" in done.stderr
