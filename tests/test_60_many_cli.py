"""decompress, verify and info of many files and folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.scenes import speckled

from sarzip.cli import run


@pytest.fixture
def archive(write_raster, tmp_path) -> Path:
    """A folder of two good files and a damaged one, one more below, and what is no .sarz."""
    folder = tmp_path / "archive"
    (folder / "below").mkdir(parents=True)
    source = write_raster(speckled(64, 80)[None])
    for name in ("a", "b", "c", "below/d"):
        assert run(["compress", str(source), "-o", str(folder / f"{name}.sarz"), "-q"]) == 0
    data = bytearray((folder / "b.sarz").read_bytes())
    data[-60] ^= 1
    (folder / "b.sarz").write_bytes(data)
    (folder / "notes.txt").write_text("no archive")
    return folder


def reports(capfd) -> dict[str, dict]:
    return {Path(line["source"]).stem: line for line in map(json.loads, capfd.readouterr().out.splitlines())}


@pytest.mark.parametrize("jobs", ["1", "3"])
@pytest.mark.parametrize("command", ["verify", "decompress"])
def test_a_line_a_file_and_the_code_of_the_first_error(command, jobs, archive, tmp_path, capfd):
    capfd.readouterr()
    out = ["-o", f"{tmp_path}/out/"] if command == "decompress" else []
    assert run([command, str(archive), *out, "--json", "--jobs", jobs]) == 4
    found = reports(capfd)
    assert {name: line["status"] for name, line in found.items()} == {"a": "ok", "b": "failed", "c": "ok"}
    assert found["b"]["exit_code"] == 4 and "b.sarz" in found["b"]["error"]
    if command == "decompress":
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.tif", "c.tif"]
        assert found["a"]["width"] == 80
    else:
        assert found["a"]["groups"] == 1 and found["a"]["output"] == ""


def test_what_a_person_sees(archive, tmp_path, capfd):
    capfd.readouterr()
    names = [str(archive / f"{name}.sarz") for name in "ac"]
    assert run(["verify", *names, str(archive / "below")]) == 0
    out, err = capfd.readouterr()
    assert out == "" and err.count("every checksum holds") == 3
    assert err.splitlines()[-1].startswith("3 files: 3 ok, 0 failed")
    assert run(["decompress", *names, "-o", f"{tmp_path}/out/", "--scale", "2"]) == 0
    out, err = capfd.readouterr()
    assert out == "" and err.count("40x32, 1 band") == 2
    assert run(["decompress", names[0], "-o", f"{tmp_path}/out"]) == 2
    assert "already exists" in capfd.readouterr().err
    assert run(["decompress", str(archive), "-o", f"{tmp_path}/new/", "--recursive", "-q"]) == 4
    assert (tmp_path / "new" / "below" / "d.tif").exists()


def test_info_of_many(archive, capfd):
    capfd.readouterr()
    assert run(["info", str(archive / "a.sarz"), str(archive / "below"), "--json"]) == 0
    found = reports(capfd)
    assert found["a"]["width"] == found["d"]["width"] == 80
    assert run(["info", str(archive / "a.sarz"), str(archive / "c.sarz")]) == 0
    out, err = capfd.readouterr()
    assert out.count("80x64 pixels") == 2 and err == ""


def test_requests_that_make_no_sense(archive, tmp_path, capfd):
    (tmp_path / "empty").mkdir()
    a, c, out = str(archive / "a.sarz"), str(archive / "c.sarz"), f"{tmp_path}/out/"
    for arguments, code in (
        (["verify", a, "-"], 2),
        (["verify", a, a], 2),
        (["verify", str(tmp_path / "empty")], 3),
        (["verify", a, c, "--jobs", "0"], 2),
        (["decompress", a, c, "-o", str(tmp_path / "one.tif")], 2),
        (["decompress", a, c, "-o", "-"], 2),
        (["decompress", "-", "-o", out], 2),
        (["decompress", a, c, "-o", out, "--salvage"], 2),
        (["decompress", a, str(archive / "below" / "d.sarz"), a, "-o", out], 2),
    ):
        capfd.readouterr()
        assert run(arguments) == code, arguments
        message = capfd.readouterr().err
        assert message.startswith("sarzip: ") and message.count("\n") == 1, message
    assert not Path(out).exists()
