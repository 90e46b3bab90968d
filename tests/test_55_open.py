"""`sarzip.open`, `write`, `encode`, `decode`: what rasterio says of the decompressed file, by windows."""

from __future__ import annotations

import doctest
import io
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.windows import Window
from support.scenes import speckled

import sarzip
import sarzip.usecases.open as open_module
import sarzip.usecases.write as write_module
from sarzip.errors import CorruptError, InputError, UsageError
from sarzip.pipeline.coders import DecodeOptions
from sarzip.pipeline.decode import Key
from sarzip.pipeline.group import DecodedGroup
from sarzip.pipeline.reader import GroupCache

OPTIONS = sarzip.CompressOptions(group=256, threads=2)
SAME = (
    *("width", "height", "shape", "count", "indexes", "dtypes", "crs", "transform", "bounds", "res", "rpcs"),
    *("nodata", "nodatavals", "descriptions", "units", "scales", "offsets", "colorinterp"),
)
PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    """A `.sarz` of two bands with a border of nodata, and the GeoTIFF it decompresses to."""
    folder = tmp_path_factory.mktemp("open")
    values = np.stack([speckled(600, 700, seed=1), speckled(600, 700, seed=2)])
    values[:, :, :40] = 0
    path, plain = folder / "a.sarz", folder / "a.tif"
    about = {"crs": "EPSG:32632", "transform": PLACE, "nodata": 0, "descriptions": ["VV", "VH"]}
    sarzip.write(path, values, OPTIONS, tags={"ORBIT": "7"}, **about)
    sarzip.decompress(path, plain)
    return path, plain


def test_says_what_rasterio_says(files) -> None:
    path, plain = files
    with sarzip.open(path) as ours, rasterio.open(plain) as theirs:
        for name in SAME:
            assert getattr(ours, name) == getattr(theirs, name), name
        assert ours.gcps == ([], None) and ours.tags()["ORBIT"] == "7"
        assert ours.block_shapes == [(256, 256)] * 2 and ours.overviews(1) == [2, 4, 8, 16]
        assert "2 x 600 x 700 uint16" in repr(ours)


@pytest.mark.parametrize(
    "window", [(0, 0, 700, 600), (250, 250, 20, 20), (699, 599, 1, 1), (30, 100, 300, 7)]
)
def test_windows_equal_the_whole(files, window) -> None:
    path, plain = files
    with sarzip.open(path) as ours, rasterio.open(plain) as theirs:
        found, expected = (each.read(window=Window(*window)) for each in (ours, theirs))
        assert found.shape == expected.shape and found.dtype == expected.dtype
        wrong = np.abs(found.astype(int) - expected)  # rounding may flip single integers
        assert wrong.max() <= 1 and np.count_nonzero(wrong) <= max(1, found.size // 5000)
        masks = [each.read(2, window=Window(*window), masked=True).mask for each in (ours, theirs)]
        np.testing.assert_array_equal(*masks)


def test_reduced_resampled_boundless(files) -> None:
    path, plain = files
    with sarzip.open(path) as ours, rasterio.open(plain) as theirs:
        assert ours.read(1, out_shape=(150, 175)).shape == (150, 175)
        smooth = ours.read(out_shape=(2, 100, 130), resampling=Resampling.average)
        assert smooth.shape == (2, 100, 130)
        assert abs(float(smooth[0, :, 20:].mean()) / float(theirs.read(1)[:, 100:].mean()) - 1) < 0.1
        around = ours.read(1, window=((-5, 5), (690, 710)), boundless=True, fill_value=9)
        assert (around[:5] == 9).all() and (around[:, 10:] == 9).all()
        np.testing.assert_array_equal(around[5:, :10], ours.read(1, window=((0, 5), (690, 700))))
        assert next(iter(ours.sample([theirs.xy(300, 400)])))[1] == ours.read(2)[300, 400]
        assert next(iter(ours.sample([(0.0, 0.0)]))).tolist() == [0, 0]


def test_threads_and_pickles_and_file_objects(files) -> None:
    path, _ = files
    with sarzip.open(path, cache_bytes=200_000) as ours:
        whole = ours.read()
        windows = [((y, y + 90), (x, x + 90)) for y in range(0, 500, 70) for x in range(0, 600, 70)]
        with ThreadPoolExecutor(4) as pool:
            for (down, across), found in zip(
                windows, pool.map(lambda w: ours.read(window=w), windows), strict=True
            ):
                wrong = np.abs(found.astype(int) - whole[:, slice(*down), slice(*across)])
                assert wrong.max() <= 1 and np.count_nonzero(wrong) <= 4
        with pickle.loads(pickle.dumps(ours)) as again:
            np.testing.assert_array_equal(again.read(), whole)
    with sarzip.open(io.BytesIO(path.read_bytes()), DecodeOptions(threads=1)) as inside:
        np.testing.assert_array_equal(inside.read(), whole)


def test_the_cache_is_bounded_and_forgets_what_was_used_least() -> None:
    cache = GroupCache(100)
    places = [((0,), Key(0, column, 0)) for column in range(4)]

    def ask(place) -> bool:
        _, mine = cache.begin(place)
        if mine:
            cache.done(place, DecodedGroup({1: bytes(40)}))
        return mine

    assert [ask(place) for place in (*places[:2], places[0], places[2])] == [True, True, False, True]
    assert cache.held == 80 and not ask(places[0]) and ask(places[1])
    promise, _ = cache.begin(places[3])
    cache.failed(places[3], CorruptError("broken"))
    with pytest.raises(CorruptError):
        promise.result()
    assert ask(places[3])  # whoever asks again tries again


def test_words_for_what_is_wrong(files, tmp_path) -> None:
    path, _ = files
    with pytest.raises(InputError, match="no such file"):
        sarzip.open(tmp_path / "none.sarz")
    broken = tmp_path / "broken.sarz"
    broken.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CorruptError, match=r"broken\.sarz"):
        sarzip.open(broken)
    with sarzip.open(path) as dataset, pytest.raises(UsageError, match="band 3: there are 2 bands"):
        dataset.read(3)
    with pytest.raises(UsageError, match="closed; open it again"):
        dataset.read(1)
    with pytest.raises(UsageError, match="not a coordinate system"):
        sarzip.write(tmp_path / "x.sarz", np.ones((64, 64), np.uint16), crs="nonsense")


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_bytes_and_back(dtype) -> None:
    scene = speckled(100, 130, dtype)
    data = sarzip.encode(scene, sarzip.CompressOptions(lossless=True))
    np.testing.assert_array_equal(sarzip.decode(data)[0], scene)


@pytest.mark.parametrize("module", [open_module, write_module], ids=["open", "write"])
def test_examples(module, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(module).failed == 0
