"""The README's examples run: every command of its shell blocks for users, and its Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.scenes import speckled

import sarzip

README = Path(__file__).resolve().parents[1] / "README.md"
SHELL = ("On the command line", "What a band holds")
ELSEWHERE = {"--window 12000,8000,512,512": "--window 300,200,64,64"}
"""The README speaks of large scenes."""


def blocks(title: str, language: str) -> list[str]:
    """The code blocks of a section."""
    text = README.read_text("utf-8")
    section = re.split(r"^#+ ", text.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, write_raster) -> Path:
    """A folder with the files that the README names; the stack's third band is a wrapped phase."""
    scene = write_raster(speckled(400, 500)[None], nodata=0, crs="EPSG:32633")
    (tmp_path / "scenes").mkdir()
    for name in ("a.tif", "b.tif"):
        shutil.copy(scene, tmp_path / "scenes" / name)
    stack = np.stack([speckled(100, 120, "float32", seed) for seed in range(3)])
    stack[2] = np.angle(np.exp(1j * stack[2] / stack[2].std())).astype(np.float32)
    write_raster(stack, "stack.tif")
    sarzip.compress(scene, tmp_path / "scene.sarz")
    sarzip.decompress(tmp_path / "scene.sarz", tmp_path / "back.tif")
    packed = bytearray((tmp_path / "scene.sarz").read_bytes())
    packed[len(packed) // 2] ^= 0xFF
    (tmp_path / "broken.sarz").write_bytes(packed)
    return tmp_path


def lines(title: str) -> list[str]:
    found = [line for block in blocks(title, "sh") for line in block.splitlines()]
    assert found
    return [
        line for line in found if "ssh" not in line and (not line.startswith("zstd") or shutil.which("zstd"))
    ]


def test_the_shell_examples(folder: Path) -> None:
    shell = f'sarzip() {{ "{sys.executable}" -m sarzip "$@"; }}\n'
    source = str(Path(sarzip.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": source}
    for line in (line for title in SHELL for line in lines(title)):
        for there, here in ELSEWHERE.items():
            line = line.replace(there, here)
        if "sarzip compress" in line or "sarzip decompress" in line or "preview" in line:
            command, mark, comment = line.partition("  #")
            line = f"{command.rstrip()} --force{mark}{comment}"
        done = subprocess.run(
            ["bash", "-c", shell + line], cwd=folder, env=environment, capture_output=True, text=True
        )
        expected = re.search(r"exit code (\d)", line)
        assert done.returncode == (int(expected[1]) if expected else 0), f"{line}\n{done.stderr}"


def test_the_python_examples(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for name in ("scene.sarz", "back.tif"):
        (folder / name).unlink()
    names: dict[str, Any] = {}
    for code in blocks("In Python", "python"):
        exec(compile(code, str(README), "exec"), names)
    assert (folder / "back.tif").exists()
