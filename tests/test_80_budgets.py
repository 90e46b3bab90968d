"""What the released codec costs, pinned: bytes and error of simulated scenes, memory, what start-up imports.

Kernels give the same on every processor, so that not a byte of what they code may come or go unseen, nor a
per mille of error. The bytes of ae16 are torch's, and the simulated scenes numpy's: those, and scenes that
another numpy makes otherwise, have a per mille of play. A change that means to move a figure changes it here,
and says so in CHANGELOG.md.
"""

from __future__ import annotations

import subprocess
import sys
import zlib
from dataclasses import dataclass

import numpy as np
import pytest
from support.scenes import speckled

import sarzip


@dataclass(frozen=True)
class Budget:
    """A scene and a way to code it. crc: of its samples; coded: bytes without the header; rmse_db: of the
    worst band.
    """

    name: str
    dtype: str
    bands: int
    options: sarzip.CompressOptions
    crc: int
    coded: int
    rmse_db: float


def _quality(value: float, **options: object) -> sarzip.CompressOptions:
    return sarzip.CompressOptions(sarzip.Fidelity("quality", value), device="cpu", **options)  # type: ignore[arg-type]


BUDGETS = (
    Budget("amplitude", "uint16", 1, _quality(60), 0x8804E9A0, 148_291, 0.7116),
    Budget("amplitude, fast", "uint16", 1, _quality(60, effort="fast"), 0x8804E9A0, 154_027, 0.7679),
    Budget("amplitude, coarse", "uint16", 1, _quality(20), 0x8804E9A0, 1_115, 2.4103),
    Budget("amplitude, fine", "uint16", 1, _quality(90), 0x8804E9A0, 265_420, 0.2633),
    Budget("8 bits", "uint8", 1, _quality(60), 0xC2516BD5, 148_291, 0.7116),
    Budget("power", "float32", 1, _quality(60, domain="power"), 0xA5C73512, 147_158, 0.7101),
    Budget("two alike", "float32", 2, _quality(60, domain="power"), 0x89542C98, 218_979, 0.7101),
    Budget("ae16", "uint16", 1, _quality(60, model="ae16"), 0x8804E9A0, 36_466, 2.2664),
)


def _scene(budget: Budget) -> np.ndarray:
    """Textured speckle with a border of nodata, several groups wide."""
    bands = np.stack([speckled(600, 1100, budget.dtype, seed) for seed in range(budget.bands)])
    if budget.bands > 1:  # what lies on the ground is common to both
        bands[1:] = (bands[:1] * bands[1:]) ** 0.5
    bands[:, :, :40] = 0
    return bands


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda each: each.name)
def test_bytes_and_error(budget, write_raster, tmp_path):
    bands = _scene(budget)
    scene = write_raster(bands, nodata=0, crs="EPSG:32633")
    sarzip.compress(scene, tmp_path / "scene.sarz", budget.options)
    sarzip.decompress(tmp_path / "scene.sarz", tmp_path / "back.tif")
    comparison = sarzip.compare(scene, tmp_path / "back.tif", budget.options.domain)
    rmse_db = max(band.quality.rmse_db for band in comparison.bands)
    info = sarzip.inspect(tmp_path / "scene.sarz")
    coded = info.bytes - info.overhead_bytes
    same = zlib.crc32(bands) == budget.crc and budget.options.model != "ae16"
    assert coded == (budget.coded if same else pytest.approx(budget.coded, rel=1e-3))
    assert info.overhead_bytes < 200
    assert rmse_db == pytest.approx(budget.rmse_db, rel=1e-3)


_PEAK = """
import sys, sarzip
from sarzip.system.machine import peak_memory
sarzip.compress(*sys.argv[1:3], sarzip.CompressOptions(device="cpu", threads=2))
sarzip.decompress(*sys.argv[2:4])
print(peak_memory())
"""


def test_memory_does_not_grow_with_the_height(tmp_path):
    """Peak memory of a tall scene against one of half its height: rows of groups are let go of."""
    peaks = []
    for height in (4096, 8192):
        subprocess.run(
            [
                sys.executable,
                "-m",
                "sarzip",
                "sample",
                "-o",
                f"{height}.tif",
                "--width",
                "1024",
                "--height",
                str(height),
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        names = [f"{height}.tif", f"{height}.sarz", f"{height}-back.tif"]
        done = subprocess.run(
            [sys.executable, "-c", _PEAK, *names], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < 400e6
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.parametrize("arguments", [["--help"], ["info", "x.sarz"], ["verify", "x.sarz"]])
def test_start_up_imports_nothing_heavy(arguments, write_raster, tmp_path):
    """What answers at once must not load what computes."""
    scene = write_raster(speckled(64, 64)[None])
    sarzip.compress(scene, tmp_path / "x.sarz")
    code = (
        "import sys; from sarzip.cli import run; run(sys.argv[1:]); "
        "heavy = {'torch', 'rasterio', 'pydantic'}.intersection(sys.modules); "
        "print('heavy:', *heavy, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "heavy:"
