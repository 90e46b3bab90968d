"""`sarzip.write` of open rasterio datasets and of DataArrays: what they say comes along, windows are read."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from support.scenes import speckled

import sarzip
from sarzip.errors import InputError, UsageError

PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)
LOSSLESS = sarzip.CompressOptions(lossless=True, group=256)


@pytest.fixture
def dataset(write_raster):
    values = np.stack([speckled(300, 400, seed=seed) for seed in (1, 2)])
    path = write_raster(values, nodata=0, crs="EPSG:32632", transform=PLACE)
    with rasterio.open(path, "r+") as found:
        found.update_tags(ORBIT="7")
        found.update_tags(2, POL="VH")
        found.descriptions = ("VV", "VH")
    with rasterio.open(path) as found:
        yield found


def test_a_dataset_is_written_as_its_file_would_be(dataset, tmp_path) -> None:
    report = sarzip.write(tmp_path / "a.sarz", dataset, LOSSLESS)
    sarzip.compress(dataset.name, tmp_path / "b.sarz", LOSSLESS)
    assert (tmp_path / "a.sarz").read_bytes() == (tmp_path / "b.sarz").read_bytes()
    assert report.source == dataset.name and report.bands == 2 and not dataset.closed


def test_what_is_given_counts_instead(dataset, tmp_path) -> None:
    sarzip.write(tmp_path / "a.sarz", dataset, LOSSLESS, descriptions=["a", "b"], tags={"X": "1"}, nodata=1)
    with sarzip.open(tmp_path / "a.sarz") as file:
        assert file.descriptions == ("a", "b") and file.nodata == 1 and file.crs == dataset.crs
        assert file.tags()["ORBIT"] == "7" and file.tags()["X"] == "1" and file.tags(2)["POL"] == "VH"
        np.testing.assert_array_equal(file.read(), dataset.read())


def test_points_of_memory_files_and_warped_rasters(tmp_path) -> None:
    points = [GroundControlPoint(r, c, 10 + c / 5e3, 50 - r / 5e3) for r in (0, 100) for c in (0, 120)]
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", width=120, height=100, count=1, dtype="uint16") as made:
            made.write(speckled(100, 120), 1)
            made.gcps = points, CRS.from_epsg(4326)
        with memory.open() as raster:
            sarzip.write(tmp_path / "a.sarz", raster, LOSSLESS)
            with WarpedVRT(raster, src_crs=raster.gcps[1], crs="EPSG:32632", nodata=0) as warped:
                sarzip.write(tmp_path / "b.sarz", warped, LOSSLESS)
                expected, place = warped.read(), warped.transform
    with sarzip.open(tmp_path / "a.sarz") as file:
        assert [(p.row, p.col, p.x, p.y) for p in file.gcps[0]] == [(p.row, p.col, p.x, p.y) for p in points]
    with sarzip.open(tmp_path / "b.sarz") as file:
        assert file.crs.to_epsg() == 32632 and file.transform == place and file.nodata == 0
        np.testing.assert_array_equal(file.read(), expected)


def test_windows_are_read_not_the_whole(write_raster, tmp_path, monkeypatch) -> None:
    from sarzip.raster.source import RasterSource

    sizes, read = [], RasterSource.read

    def watched(self, bands, window):
        sizes.append(window.rows * window.columns)
        return read(self, bands, window)

    monkeypatch.setattr(RasterSource, "read", watched)
    with rasterio.open(write_raster(speckled(4000, 300)[None])) as dataset:
        sarzip.write(tmp_path / "a.sarz", dataset, sarzip.CompressOptions(group=256, threads=1))
    assert sum(sizes) >= 4000 * 300 and max(sizes) < 4000 * 300 / 3


def test_dask_arrays_are_computed_by_rows_of_groups(tmp_path) -> None:
    xr, da = pytest.importorskip("xarray"), pytest.importorskip("dask.array")
    values, asked = speckled(600, 300), []

    def chunk(block, block_info=None):
        asked.append(block_info[0]["chunk-location"])
        return block

    lazy = da.from_array(values, (100, 300)).map_blocks(chunk, dtype=values.dtype, meta=values[:0, :0])
    array = xr.DataArray(lazy, dims=("y", "x"))
    sarzip.write(tmp_path / "a.sarz", array, LOSSLESS)
    with sarzip.open(tmp_path / "a.sarz") as file:
        np.testing.assert_array_equal(file.read(1), values)
    assert set(asked) == {(row, 0) for row in range(6)}


def test_words_for_what_is_wrong(dataset, tmp_path, write_raster) -> None:
    with pytest.raises(UsageError, match="`mask`"):
        sarzip.write(tmp_path / "a.sarz", dataset, mask=np.ones((300, 400), np.uint8))
    with pytest.raises(UsageError, match="1 descriptions for 2 bands"):
        sarzip.write(tmp_path / "a.sarz", dataset, descriptions=["a"])
    with pytest.raises(UsageError, match="is the input itself"):
        sarzip.write(dataset.name, dataset, force=True)
    sarzip.write(tmp_path / "b.sarz", dataset, LOSSLESS)
    with sarzip.open(tmp_path / "b.sarz") as packed, pytest.raises(UsageError, match=r"a \.sarz already"):
        sarzip.write(tmp_path / "a.sarz", packed)
    dataset.close()
    with pytest.raises(UsageError, match=r"scene\.tif: the dataset is closed; open it again"):
        sarzip.write(tmp_path / "a.sarz", dataset)
    rng = np.random.default_rng(0)
    path = write_raster(rng.gamma(4, 0.1, (1, 64, 64)).astype("complex64"), "c.tif")
    with rasterio.open(path) as raster, pytest.raises(InputError, match="complex"):
        sarzip.write(tmp_path / "a.sarz", raster)
    assert not (tmp_path / "a.sarz").exists()
