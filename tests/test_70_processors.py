"""Whole flows on every level of processor that this machine has: the same files, the same pixels."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.levels import assert_same_on_every_level
from support.scenes import speckled

import sarzip
from sarzip.native import levels

REDUCED = sarzip.Selection(scale=4)
WAYS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "amplitude": ("uint16", 1, {"domain": "amplitude"}),
    "fast": ("uint16", 1, {"domain": "amplitude", "effort": "fast"}),
    "two bands of power": ("float32", 2, {"domain": "power"}),
    "lossless": ("uint16", 2, {"lossless": True}),
    "within a bound": ("float32", 1, {"domain": "power", "max_error_db": 0.4}),
    "a residual": ("uint16", 1, {"domain": "amplitude", "max_error_db": 3.0}),
    "at an error": ("float32", 1, {"domain": "power", "fidelity": sarzip.Fidelity("rmse_db", 0.8)}),
}


OLDER = {
    "SARZIP_CPU": "baseline",
    "OPENBLAS_CORETYPE": "Nehalem",
    "OMP_NUM_THREADS": "1",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
}
"""What makes the kernels, BLAS and numpy work as on an older processor."""


def _pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as src:
        return np.asarray(src.read())


@pytest.mark.parametrize("way", WAYS)
def test_bytes_and_pixels_do_not_depend_on_the_processor(
    way: str, write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    dtype, count, settings = WAYS[way]
    bands = np.stack([speckled(300, 430, dtype, seed) for seed in range(count)])
    bands[1:] = (bands[:1] * bands[1:]) ** 0.5
    bands[:, 40:80, 300:] = 0
    scene = write_raster(bands, nodata=0, crs="EPSG:32633")
    options = sarzip.CompressOptions(device="cpu", force=True, **settings)

    def flow() -> list[Any]:
        packed, back, small = tmp_path / "scene.sarz", tmp_path / "back.tif", tmp_path / "small.tif"
        sarzip.compress(scene, packed, options)
        sarzip.decompress(packed, back, sarzip.DecompressOptions(force=True))
        sarzip.decompress(packed, small, sarzip.DecompressOptions(force=True, selection=REDUCED))
        return [np.frombuffer(packed.read_bytes(), np.uint8), _pixels(back), _pixels(small)]

    assert_same_on_every_level(flow)


DECIDING = """
import numpy as np
from sarzip.kinds.statistics import measure
power = np.random.default_rng(0).gamma(1, 1, (200, 8, 256))
print(*(measure(each, each > 0) for each in power))
"""


@pytest.mark.skipif(len(levels()) < 2, reason="this processor is an older one")
def test_nor_does_what_tells_kinds_of_bands() -> None:
    """To the last bit, so that no threshold is met by one processor and missed by another."""
    said = [
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", DECIDING],
            env=os.environ | changes,
            check=True,
            capture_output=True,
        ).stdout
        for changes in ({}, OLDER)
    ]
    assert said[0] == said[1] and b"log_variance" in said[0]


@pytest.mark.skipif(len(levels()) < 2, reason="this processor is an older one")
@pytest.mark.parametrize("more", [["--rmse-db", "0.8"], ["--max-error-db", "0.4"]], ids=["lossy", "bound"])
def test_whole_processes_do_not_depend_on_it_either(
    more: list[str], write_raster: Callable[..., Path], tmp_path: Path
) -> None:
    scene = write_raster(speckled(300, 430, "float32", 4)[None], nodata=0)
    outputs = []
    for name, changes in (("new", {}), ("old", OLDER)):
        packed, back = tmp_path / f"{name}.sarz", tmp_path / f"{name}.tif"
        for command in (
            ["compress", scene, "-o", packed, "--domain", "power", *more],
            ["decompress", packed, "-o", back],
        ):
            words = [sys.executable, "-W", "ignore", "-m", "sarzip", *command, "--quiet"]
            subprocess.run(list(map(str, words)), env=os.environ | changes, check=True)
        outputs.append((packed.read_bytes(), _pixels(back)))
    (packed_here, here), (packed_there, there) = outputs
    assert packed_here == packed_there
    np.testing.assert_array_equal(here, there)
