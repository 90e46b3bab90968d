"""Compiled functions: machine code on disk is loaded without numba, and made anew when anything is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sarzip.jit.compile import compiled, inlined

SOURCE = """
import numpy as np
from sarzip.jit.compile import compiled, inlined

@inlined
def twice(x):
    return x + x

@compiled("float64(float64[::1], int64, boolean)")
def total(values, times, negative):
    scratch = np.zeros(values.size)
    for i in range(values.size):
        scratch[i] = twice(values[i]) * times
    return -scratch.sum() if negative else scratch.sum()
"""
CALL = """
import sys
import numpy as np
import loops
print(loops.total(np.arange(4.0), 3, True), "numba" in sys.modules)
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "code" / "loops.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


def call(module: Path) -> tuple[float, bool]:
    """The result in a process of its own, and whether that had to compile."""
    env = os.environ | {"PYTHONPATH": str(module.parent), "XDG_CACHE_HOME": str(module.parents[1] / "cache")}
    done = subprocess.run([sys.executable, "-c", CALL], env=env, capture_output=True, text=True, check=True)
    result, compiles = done.stdout.split()
    return float(result), compiles == "True"


def stored(module: Path) -> Path:
    (path,) = module.parents[1].rglob("*.machine")
    return path


def test_the_second_process_runs_without_numba(module):
    assert call(module) == (-36.0, True)
    assert call(module) == (-36.0, False)
    assert stored(module).parent == module.parent / "__pycache__"


@pytest.mark.parametrize("kind", ["cut", "empty", "changed", "no head", "other machine", "other environment"])
def test_what_is_wrong_on_disk_is_made_anew(module, kind):
    call(module)
    path = stored(module)
    head, _, code = path.read_bytes().partition(b"\n")
    told = json.loads(head)
    if kind == "other machine":
        told["for"][1] = "z80"
    elif kind == "other environment":
        told["symbols"].append("no_such_function")
    damaged = {
        "cut": path.read_bytes()[:-100],
        "empty": b"",
        "changed": head + b"\n" + bytes([code[0] ^ 1]) + code[1:],
        "no head": code,
    }
    path.write_bytes(damaged.get(kind, json.dumps(told).encode() + b"\n" + code))
    assert call(module) == (-36.0, True)
    assert call(module) == (-36.0, False)


def test_an_edited_source_is_compiled(module):
    call(module)
    module.write_text(SOURCE.replace("return x + x", "return x + x + x"))
    assert call(module) == (-54.0, True)
    assert call(module) == (-54.0, False)


def test_without_a_place_beside_the_module_the_users_cache_takes_it(module):
    (module.parent / "__pycache__").write_text("not a folder")
    assert call(module) == (-36.0, True)
    assert call(module) == (-36.0, False)
    assert stored(module).parent == module.parents[1] / "cache" / "sarzip"


def test_two_source_trees_with_one_cache_do_not_share_code(tmp_path):
    """Neither can write beside its sources, so both use the same folder; times and sizes are equal."""
    results = []
    for tree, text in (("a", SOURCE), ("b", SOURCE.replace("x + x", "x - x"))):
        path = tmp_path / tree / "loops.py"
        path.parent.mkdir()
        path.write_text(text)
        os.utime(path, (1e9, 1e9))
        (path.parent / "__pycache__").write_text("not a folder")
        call(path)
        results.append(call(path))
    assert results == [(-36.0, False), (0.0, False)]


@inlined
def _half(x):
    return x / 2


@compiled("float64(float32[:,:], int64[::1])")
def _sum(values, weights):
    total = 0.0
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            total += _half(values[i, j]) * weights[j]
    return total


def test_arguments_are_checked():
    values, weights = np.arange(12, dtype=np.float32).reshape(3, 4), np.arange(4)
    expected = float((values / 2 * weights).sum())
    assert _sum(values, weights) == expected
    assert _sum(np.repeat(values, 2, axis=1)[:, ::2], weights) == expected
    frozen = weights.copy()
    frozen.flags.writeable = False
    wrong = [
        (values.astype(np.float64), weights),
        (values[0], weights),
        (values, np.arange(8)[::2]),
        (values, weights.astype(np.int32)),
        (values, frozen),
    ]
    for arguments in wrong:
        with pytest.raises(TypeError, match="does not fit"):
            _sum(*arguments)
    with pytest.raises(TypeError):
        _sum(values, weights, weights)
