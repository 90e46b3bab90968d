"""Scenes of two bands, and parts of them as they come out of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import Affine

import sarzip
from sarzip import DecompressOptions
from sarzip.pipeline.selection import Selection
from support.scenes import speckled

PLACE = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def scene(rows: int, columns: int, dtype: str = "uint16") -> np.ndarray:
    values = np.stack([speckled(rows, columns, dtype, seed) for seed in range(2)])
    values[0, 40:90, 100:300] = 0
    values[:, : rows // 5, : columns // 7] = 0
    return values


def part_of(packed: Path, model: Path, **fields: object) -> np.ndarray:
    target = packed.with_name("part.tif")
    options = DecompressOptions(model=str(model), force=True, selection=Selection(**fields))
    report = sarzip.decompress(packed, target, options)
    values = read(target)
    assert (report.height, report.width, report.bands) == (*values.shape[1:], len(values))
    return values
