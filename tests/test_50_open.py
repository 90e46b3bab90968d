"""`sarzip.open`: what rasterio would say of the decompressed file, without decompressing it."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window
from support.scenes import speckled

import sarzip
from sarzip.errors import CorruptError, InputError, UsageError


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A scene of backscatter and labels in several groups: its `.sarz`, and that decompressed."""
    folder = tmp_path_factory.mktemp("open")
    values = np.stack([speckled(700, 820, "float32", seed) for seed in (1, 2)] + [np.zeros((700, 820), "f4")])
    values[2] = np.add.outer(np.arange(700) // 90, np.arange(820) // 70)
    values[:2, 100:180, 300:460] = -9999
    profile = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), "nodata": -9999}
    with rasterio.open(
        folder / "scene.tif", "w", driver="GTiff", width=820, height=700, count=3, dtype="float32", **profile
    ) as dataset:
        dataset.write(values)
        dataset.update_tags(MISSION="test")
        dataset.update_tags(1, POL="VV")
        dataset.descriptions = ("VV", "VH", "classes")
        dataset.units = ("1", "1", "")
    options = sarzip.CompressOptions(group=256, device="cpu", domain="power", band_kinds=("3=class",))
    sarzip.compress(folder / "scene.tif", folder / "scene.sarz", options)
    sarzip.decompress(folder / "scene.sarz", folder / "back.tif", sarzip.DecompressOptions("cpu", 2))
    return folder / "scene.sarz", folder / "back.tif"


@pytest.fixture
def both(files):
    with sarzip.open(files[0]) as ours, rasterio.open(files[1]) as theirs:
        yield ours, theirs


SAME = (
    *("width", "height", "shape", "count", "indexes", "dtypes", "crs", "transform", "bounds"),
    *("nodata", "nodatavals", "descriptions", "scales", "offsets", "colorinterp"),
)


def test_it_says_of_itself_what_rasterio_says(both):
    ours, theirs = both
    for name in SAME:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert tuple(unit or None for unit in ours.units) == tuple(unit or None for unit in theirs.units)
    assert ours.tags()["MISSION"] == "test" and ours.tags(1) == theirs.tags(1)
    assert ours.gcps == ([], None) and ours.rpcs == {} and ours.overviews(1) == [2, 4, 8, 16]
    assert ours.block_shapes == [(256, 256)] * 3
    assert {key: ours.profile[key] for key in ("width", "count", "dtype", "nodata")} == {
        key: theirs.profile[key] for key in ("width", "count", "dtype", "nodata")
    }
    assert "820x700" in repr(ours) and not ours.closed


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"indexes": 2},
        {"indexes": [3, 1], "window": Window(200, 90, 300, 200)},
        {"indexes": [1, 1], "window": ((5, 260), (None, 31))},
        {"indexes": 1, "window": Window(700, 600, 300, 300)},
        {"indexes": 1, "window": Window(-20, -30, 100, 90), "boundless": True},
        {"indexes": [1, 3], "window": Window(790, 680, 60, 50), "boundless": True, "fill_value": 7},
    ],
    ids=str,
)
def test_pixels_are_those_of_the_decompressed_file(both, how):
    ours, theirs = both
    found, expected = ours.read(**how), theirs.read(**how)
    assert found.dtype == expected.dtype and np.array_equal(found, expected)


def test_masked_arrays_mask_what_is_missing(both):
    window = Window(280, 90, 100, 100)
    found, expected = (each.read([1, 3], window=window, masked=True) for each in both)
    assert np.array_equal(found.mask, expected.mask) and found.mask.any()
    assert np.array_equal(found.data, expected.data)


def test_smaller_shapes_are_means_of_the_pixels(both):
    ours, theirs = both
    found = ours.read(1, window=Window(0, 200, 320, 320), out_shape=(20, 20))
    full = theirs.read(1, window=Window(0, 200, 320, 320))
    means = np.exp(np.log(full).reshape(20, 16, 20, 16).mean((1, 3)))
    assert (
        found.shape == (20, 20) and np.median(np.abs(np.log(found / means))) < 0.08
    )  # bias is not corrected
    assert ours.read([1, 2], out_shape=(2, 33, 44)).shape == (2, 33, 44)
    assert np.array_equal(
        ours.read(3, window=Window(0, 0, 8, 8), out_shape=(16, 16))[::2, ::2], full[:8, :8] * 0
    )


def test_samples_at_points(both):
    points = [(500005, 4999995), (503333, 4997777), (0, 0)]
    found, expected = (list(each.sample(points, [1, 3])) for each in both)
    assert np.array_equal(found[:2], expected[:2])
    assert found[2].tolist() == [-9999, -9999]


def test_threads_read_the_same(both):
    ours, theirs = both
    windows = [Window(column, row, 150, 120) for column in range(0, 650, 90) for row in range(0, 560, 110)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda window: ours.read(1, window=window), windows))
    for window, values in zip(windows, found, strict=True):
        assert np.array_equal(values, theirs.read(1, window=window))


def test_bytes_in_memory_and_what_is_no_file(files, both):
    with sarzip.open(io.BytesIO(files[0].read_bytes())) as dataset:
        assert np.array_equal(dataset.read(1), both[1].read(1))
    with pytest.raises(InputError, match="no such file"):
        sarzip.open("nothing.sarz")
    with pytest.raises(CorruptError):
        sarzip.open(files[1])


def test_what_cannot_be_read_is_said(files, both):
    ours, _ = both
    with pytest.raises(UsageError, match="no band 4"):
        ours.read(4)
    with pytest.raises(UsageError, match="does not meet"):
        ours.read(1, window=Window(900, 0, 10, 10))
    dataset = sarzip.open(files[0])
    dataset.close()
    with pytest.raises(UsageError, match="closed"):
        dataset.read(1)


def test_only_what_is_needed_is_read(files):
    class Counting(io.BytesIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    file = Counting(files[0].read_bytes())
    with sarzip.open(file) as dataset:
        opened = file.count
        dataset.read(1, window=Window(10, 10, 50, 50))
        once = file.count
        dataset.read(1, window=Window(60, 40, 50, 50))
    assert opened < 4000 and once < len(file.getvalue()) / 3
    assert file.count == once  # the group was kept
