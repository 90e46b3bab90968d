"""Whole flows on every level of processor that this machine has: the same files, the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.levels import assert_same_on_every_level
from support.scenes import speckled

import sarzip

REDUCED = sarzip.Selection(scale=4)
WAYS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "amplitude": ("uint16", 1, {"domain": "amplitude"}),
    "fast": ("uint16", 1, {"domain": "amplitude", "effort": "fast"}),
    "two bands of power": ("float32", 2, {"domain": "power"}),
    "at an error": ("float32", 1, {"domain": "power", "fidelity": sarzip.Fidelity("rmse_db", 0.8)}),
}


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
