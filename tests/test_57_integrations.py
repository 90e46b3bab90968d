"""Doors to xarray and zarr: found by their entry points, right by windows, exact where promised."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import Affine
from support.scenes import speckled

import sarzip
from sarzip.errors import CorruptError, SarzipError, UsageError
from sarzip.integrations.chunks import ChunkOptions, decode_chunk, encode_chunk

PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)
CHUNK = encode_chunk(speckled(64, 64), ChunkOptions(quality=60))


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    found = tmp_path_factory.mktemp("doors") / "a.sarz"
    values = np.stack([speckled(300, 500, seed=1), speckled(300, 500, seed=2)])
    values[:, :20] = 0
    about = {"crs": "EPSG:32632", "transform": PLACE, "nodata": 0, "descriptions": ["VV", "VH"]}
    sarzip.write(found, values, sarzip.CompressOptions(group=256), **about)
    return found


def test_xarray(path) -> None:
    xr = pytest.importorskip("xarray")
    with xr.open_dataset(path) as dataset, sarzip.open(path) as file:
        whole = file.read(2).astype(np.float32)
        whole[whole == 0] = np.nan
        assert list(dataset.data_vars) == ["VV", "VH"] and dataset.VV.dims == ("y", "x")
        assert float(dataset.x[0]) == PLACE.c + 5 and float(dataset.y[1]) == PLACE.f - 15
        assert dataset.VH.attrs["lossy_compression_step_db"] > 0
        np.testing.assert_allclose(dataset.VH[::-7, 10:450:3].values, whole[::-7, 10:450:3], atol=1)
        np.testing.assert_allclose(dataset.VH[5:40, 7].values, whole[5:40, 7], atol=1)
        lazy = pickle.loads(pickle.dumps(dataset))
        np.testing.assert_allclose(lazy.VH.mean(), np.nanmean(whole), rtol=1e-3)
    with xr.open_dataset(path, engine="sarzip", mask_and_scale=False) as raw:
        assert raw.VV.dtype == np.uint16 and raw.VV.attrs["_FillValue"] == 0


def test_xarray_chunks_are_groups(path) -> None:
    xr, _ = pytest.importorskip("xarray"), pytest.importorskip("dask.array")
    with xr.open_dataset(path, engine="sarzip", chunks={}) as dataset:
        assert dataset.VV.chunks == ((256, 44), (256, 244))
        mean = xr.concat([dataset, dataset, dataset], "time").mean("time")
        np.testing.assert_allclose(mean.VV.values, dataset.VV.values, rtol=1e-6)


def test_xarray_tells_what_compression_did(path, tmp_path) -> None:
    xr = pytest.importorskip("xarray")
    bounded = tmp_path / "bounded.sarz"
    with sarzip.open(path) as file:
        options = sarzip.CompressOptions(max_error_db=0.5, group=256)
        report = sarzip.write(bounded, file.read(), options, nodata=0)
        sarzip.write(tmp_path / "exact.sarz", file.read(), sarzip.CompressOptions(lossless=True))
    with xr.open_dataset(bounded) as dataset:
        for name, kept in zip(("band_1", "band_2"), report.bounds, strict=True):
            about = dataset[name].attrs
            assert about["lossy_compression"] == "compression_info"
            assert about["lossy_compression_max_error_db"] == 0.5
            assert about["lossy_compression_achieved_error_db"] == kept.achieved
        told = dataset.compression_info.attrs
        assert told["algorithm"] == "sarzip" and "pixel (SHA-256 " in told["models"]
    with xr.open_dataset(path) as dataset:
        assert dataset.compression_info.attrs["asked"] == "quality 60"
    with xr.open_dataset(tmp_path / "exact.sarz") as dataset:
        assert "compression_info" not in dataset.coords and "lossy_compression" not in dataset.band_1.attrs


def test_xarray_has_a_tree_of_resolutions(path) -> None:
    xr = pytest.importorskip("xarray")
    if not hasattr(xr, "open_datatree"):
        pytest.skip("this xarray has no trees")
    with xr.open_datatree(path, engine="sarzip") as tree, sarzip.open(path) as file:
        assert tree.groups == ("/", "/scale_1", "/scale_2", "/scale_4", "/scale_8", "/scale_16")
        for scale in (2, 16):
            found = tree[f"scale_{scale}"].to_dataset()
            shape = -(-300 // scale), -(-500 // scale)
            expected = file.read(1, out_shape=shape).astype(np.float32)
            expected[expected == 0] = np.nan
            assert found.VV.shape == shape
            np.testing.assert_array_equal(found.VV.values, expected)
            np.testing.assert_array_equal(found.VV[3:7, 5:9].values, expected[3:7, 5:9])
            assert float(found.x[0]) == PLACE.c + 5 * scale and float(found.y[1]) == PLACE.f - 15 * scale
        assert tree["scale_1/VV"].shape == (300, 500)
        again = pickle.loads(pickle.dumps(tree))
        np.testing.assert_array_equal(again["scale_16/VV"].values, tree["scale_16/VV"].values)
    with pytest.raises(UsageError, match="the dataset is closed; open it again"):
        file.read(1)


def test_rioxarray_finds_the_place(path) -> None:
    xr, _ = pytest.importorskip("xarray"), pytest.importorskip("rioxarray")
    with xr.open_dataset(path, engine="sarzip") as dataset:
        assert dataset.rio.crs.to_epsg() == 32632 and dataset.VV.rio.crs == dataset.rio.crs
        assert dataset.rio.transform() == PLACE
        assert np.isnan(dataset.VV.rio.nodata) and dataset.VV.rio.encoded_nodata == 0
        again = path.with_name("again.sarz")
        sarzip.write(again, dataset.VV.fillna(0), sarzip.CompressOptions(lossless=True), force=True)
    with sarzip.open(again) as file:
        assert file.crs.to_epsg() == 32632 and file.transform == PLACE


@pytest.mark.parametrize("how", [{"quality": 60}, {"max_error_db": 0.5}, {"lossless": True}, {}], ids=str)
def test_zarr(tmp_path, how) -> None:
    zarr = pytest.importorskip("zarr")
    from sarzip.integrations.zarr_codec import SarzipCodec

    cube = np.stack([speckled(300, 500, "float32", seed) for seed in range(3)])
    cube[:, :40] = np.nan
    about = {"shape": cube.shape, "chunks": (1, 256, 256), "dtype": "float32", "fill_value": np.nan}
    array = zarr.create_array(
        str(tmp_path / "a"), serializer=SarzipCodec(domain="power", **how), compressors=None, **about
    )
    array[:] = cube
    found = zarr.open_array(str(tmp_path / "a"), mode="r")  # the codec comes from its entry point
    assert found.metadata.codecs[0].to_dict()["configuration"] == {"domain": "power", **how}
    values = found[:]
    np.testing.assert_array_equal(np.isnan(values), np.isnan(cube))
    if "quality" not in how and "max_error_db" not in how:
        np.testing.assert_array_equal(values, cube)
    error = 10 * np.log10(values[:, 40:] / cube[:, 40:])
    assert np.sqrt(np.mean(error**2)) < 3 and np.abs(error).max() <= how.get("max_error_db", np.inf)
    assert found.nbytes_stored() < cube.nbytes


def test_zarr_2(tmp_path) -> None:
    zarr = pytest.importorskip("zarr")
    from sarzip.integrations.numcodecs_codec import SarzipCompressor

    scene = speckled(300, 500, "float32")
    scene[:40] = np.nan
    array = zarr.create_array(
        str(tmp_path / "a"), zarr_format=2, shape=scene.shape, chunks=(256, 256), dtype="float32",
        fill_value=np.nan, compressors=SarzipCompressor(max_error_db=0.5, domain="power"),
    )  # fmt: skip
    array[:] = scene
    values = zarr.open_array(str(tmp_path / "a"), mode="r")[:]  # the codec comes from its entry point
    np.testing.assert_array_equal(np.isnan(values), np.isnan(scene))
    assert 0 < np.abs(10 * np.log10(values[40:] / scene[40:])).max() <= 0.5


@pytest.mark.parametrize("dtype", ["uint16", "float32", "int16", "uint8", ">f4"])
@pytest.mark.parametrize("shape", [(1, 1), (17, 300), (2, 3, 40, 50)])
def test_lossless_chunks(dtype, shape) -> None:
    values = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    found = decode_chunk(encode_chunk(values, ChunkOptions(), 0))
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(found.reshape(shape), values)


def test_a_chunk_is_not_a_file() -> None:
    from sarzip.integrations.chunks import _Frames

    frames = _Frames(CHUNK)
    streams = [frames.read_frame(ordinal) for ordinal in range(frames.header.frame_count)]
    assert len(CHUNK) - sum(len(data) for each in streams for data in each.values()) < 60


def test_chunks_are_the_same_from_any_thread() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: encode_chunk(speckled(64, 64), ChunkOptions(quality=60)), range(8)))
    assert set(made) == {CHUNK}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(CHUNK) - 1), st.integers(1, 255), st.booleans())
def test_damaged_chunks(place, change, cut) -> None:
    broken = CHUNK[:place] if cut else CHUNK[:place] + bytes([CHUNK[place] ^ change]) + CHUNK[place + 1 :]
    with pytest.raises(CorruptError):
        decode_chunk(broken)


def test_words_for_what_does_not_fit() -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        ChunkOptions(quality=50, lossless=True)
    with pytest.raises(UsageError, match="no rows and columns"):
        encode_chunk(np.ones(5), ChunkOptions())
    with pytest.raises(SarzipError, match="complex"):
        encode_chunk(np.ones((5, 5), np.complex64), ChunkOptions())
