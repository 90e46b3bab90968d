"""Real files: everything beside the pixels survives, and the metadata is small."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
import zstandard

from sarzip.grid import Window
from sarzip.raster import RasterSink, RasterSource, compare_structure

DATA = Path(os.environ.get("SARZIP_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILES = sorted(DATA.glob("test/*.tif")) + sorted(DATA.glob("train/*.tif"))[::12]

pytestmark = pytest.mark.skipif(not FILES, reason="needs the data folder (SARZIP_DATA)")


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.name)
def test_structure_survives(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.tif"
    with RasterSource.open(path) as raster:
        info = raster.info
        is_complex = info.dtypes[0].startswith("complex")
        dtypes = ("float32",) * info.count if is_complex else info.dtypes
        tags = json.loads(json.dumps(info.tags))
        with RasterSink.create(target, info.width, info.height, dtypes, tags) as sink:
            for row in range(0, info.height, 1024):
                pixels = raster.read(
                    range(info.count), Window(row, 0, min(1024, info.height - row), info.width)
                )
                for band in range(info.count):
                    sink.write(band, row, 0, pixels[band].real.astype(dtypes[band]))
    assert sink.warnings == ()
    found = compare_structure(path, target)
    assert [text for text in found if not (is_complex and text.startswith("dtypes"))] == []
    with rasterio.open(path) as a, rasterio.open(target) as b:
        assert is_complex or np.array_equal(a.read(), b.read(), equal_nan=True)
        assert a.tags() == b.tags()
        assert [p.asdict() for p in a.gcps[0]] == [p.asdict() for p in b.gcps[0]]


@pytest.mark.parametrize("path", [p for p in FILES if "GRDH" in p.name], ids=lambda p: p.name)
def test_ground_control_points_are_small(path: Path) -> None:
    with RasterSource.open(path) as raster, rasterio.open(path) as dataset:
        points = dataset.gcps[0]
        stored = json.dumps(raster.info.tags["g"], separators=(",", ":")).encode()
        plain = json.dumps([[p.row, p.col, p.x, p.y, p.z] for p in points], separators=(",", ":")).encode()
    assert len(points) in (210, 294)
    assert len(zstandard.compress(stored, 19)) < len(zstandard.compress(plain, 19)) / 3
