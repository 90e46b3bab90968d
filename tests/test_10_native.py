"""Kernels: arrays that do not fit are refused, a level is chosen, and every level gives the same bits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.levels import assert_same_on_every_level

import sarzip
from sarzip.codec.entropy import rans, trellis
from sarzip.codec.entropy.coder import EntropyModel
from sarzip.codec.entropy.tables import build_tables
from sarzip.errors import SarzipError, UsageError
from sarzip.native import kernel, levels, running_on

_count = kernel("histogram", "void(const uint8[::1], int64, int64[:,::1])")
SIGMAS = np.geomspace(0.05, 300.0, 24)


def run(code: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """A Python process that imports sarzip from a folder."""
    command, folder = [sys.executable, "-c", code], folder or Path(sarzip.__file__).parent.parent
    settings = {**os.environ, "PYTHONPATH": str(folder), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=settings, cwd=folder)


def test_arrays_that_do_not_fit_are_refused() -> None:
    cls, counts = np.array([1, 1, 3, 1, 1], np.uint8), np.zeros((4, 256), np.int64)
    frozen = counts.copy()
    frozen.flags.writeable = False
    for arguments in (
        (cls.astype(np.int8), cls.size, counts),
        (cls[::2], 3, counts),
        (cls.reshape(1, -1), cls.size, counts),
        (cls, cls.size, counts.astype(np.int32)),
        (cls, cls.size, counts.T),
        (cls, cls.size, frozen),
        (cls, cls.size),
    ):
        with pytest.raises(TypeError, match="histogram"):
            _count(*arguments)
    assert not counts.any()


def test_constant_arrays_may_be_read_only_and_empty() -> None:
    counts = np.zeros((4, 256), np.int64)
    _count(np.frombuffer(b"\1\1\3\1\1", np.uint8), 5, counts)
    _count(np.empty(0, np.uint8), 0, counts)
    assert counts.sum(axis=0)[:4].tolist() == [0, 4, 0, 1]
    assert counts.sum(axis=1).tolist() == [2, 1, 1, 1]


def test_the_environment_caps_the_level() -> None:
    show = "from sarzip.native import library; print(library._own_level())"
    assert run(show, SARZIP_CPU="baseline").stdout.split() == ["baseline"]
    assert run(show, SARZIP_CPU="avx512").stdout.split() == [levels()[-1]]
    assert "SARZIP_CPU=mmx is unknown" in run(show, SARZIP_CPU="mmx").stderr


def test_levels_that_the_processor_lacks_are_refused() -> None:
    with pytest.raises(UsageError, match="no sse9"), running_on("sse9"):
        pass


def test_a_checkout_without_kernels_tells_what_to_do(tmp_path: Path) -> None:
    source = Path(sarzip.__file__).parent
    for name in ("__init__.py", "errors.py", "version.py"):
        (tmp_path / "sarzip").mkdir(exist_ok=True)
        shutil.copy(source / name, tmp_path / "sarzip" / name)
    shutil.copytree(source / "native", tmp_path / "sarzip" / "native", ignore=lambda *_: ["_kernels.so"])
    alone = "import sys; sys.meta_path = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__]"
    failed = run(f"{alone}; import sarzip.native; sarzip.native.levels()", tmp_path)
    assert "kernels are not built; run `python" in failed.stderr


def test_kernels_of_older_sources_tell_what_to_do() -> None:
    with pytest.raises(SarzipError, match="lack no_such_kernel; run `python"):
        kernel("no_such_kernel", "void(int64)")(1)


@pytest.mark.parametrize("n", [1, 15, 16, 17, 5000])
@pytest.mark.parametrize("n_states", [1, 4, 8, 16, 32, 64])
def test_entropy_coding_is_the_same_on_every_level(n_states: int, n: int) -> None:
    rng = np.random.default_rng(n)
    cls = rng.integers(0, SIGMAS.size, n).astype(np.uint8)
    coef = (rng.standard_normal(n) * SIGMAS[cls] * rng.choice([1, 1, 9], n)).astype(np.float32)
    coef[:: 1 + n // 7] = rng.choice([np.nan, np.inf, -1e12, 0.0, -0.0, 0.5, -1.5], coef[:: 1 + n // 7].size)
    tables = build_tables(SIGMAS, 1 if n_states == 1 else 2, 12, 1.3)
    shifts = rng.integers(-30, 30, (SIGMAS.size, 4)).astype(np.int8)
    model = EntropyModel(tables, n_states, 0.7, 0.12, 5, shifts)

    def compute() -> list[Any]:
        index = trellis.quantise(coef, cls, tables, n_states, 0.1)
        planned = rans.plan(index, cls, tables, n_states)
        data, raw = rans.encode_indices(index, cls, tables, n_states)
        found = rans.decode_indices(data, raw, cls, tables, n_states)
        stream, values = model.code(coef, cls, 0.3)
        decoded = (model.decode(stream, cls, 0.3), model.decode_lattice(stream, cls))
        points = trellis.lattice_points(index, n_states)
        return [index, planned.rows, data, raw, found, stream, values, *decoded, points]

    assert_same_on_every_level(compute)
