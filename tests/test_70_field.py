"""What people in the field ran into, from the shell's side: bits, metadata, outputs, messages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.scenes import speckled

from sarzip.cli import run


@pytest.fixture
def inside(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def scene(inside, write_raster) -> Path:
    return write_raster(speckled(96, 96)[None], "in.tif", crs="EPSG:32633")


def back(source: str, *options: str) -> rasterio.DatasetReader:
    """Compressed and decompressed again."""
    assert run(["compress", source, "-o", "x.sarz", "-q", "--force"]) == 0
    assert run(["decompress", "x.sarz", "-o", "x.tif", "-q", "--force", *options]) == 0
    return rasterio.open("x.tif")


def test_payloads_of_nan_are_kept_where_bands_are_exact(inside, write_raster):
    values = speckled(64, 64).astype(np.float32)
    bits = values.view(np.uint32)
    bits[4, :8], bits[5, :8], values[0, :32] = 0x7FC01234, 0xFFC00001, -0.0
    write_raster(values[None], "in.tif")
    assert run(["compress", "in.tif", "-o", "x.sarz", "--lossless", "-q"]) == 0
    assert run(["decompress", "x.sarz", "-o", "x.tif", "-q"]) == 0
    with rasterio.open("x.tif") as found:
        np.testing.assert_array_equal(found.read(1).view(np.uint32), bits)


@pytest.mark.parametrize("options", [[], ["--cog"]])
def test_domains_of_tags_survive(options, scene):
    geolocation = {"X_DATASET": "lon.tif", "Y_DATASET": "lat.tif", "PIXEL_STEP": "1", "SRS": "EPSG:4326"}
    with rasterio.open(scene, "r+") as dataset:
        dataset.update_tags(ns="ORBIT", REL="44")
        dataset.update_tags(ns="GEOLOCATION", **geolocation)
    with back("in.tif", *options) as found:
        assert found.tags(ns="ORBIT") == {"REL": "44"}
        assert geolocation.items() <= found.tags(ns="GEOLOCATION").items()


def test_statistics_of_other_pixels_go(scene):
    with rasterio.open(scene, "r+") as dataset:
        dataset.update_tags(1, STATISTICS_MAXIMUM="9999", SENSOR="x")
    with back("in.tif") as found:
        assert found.tags(1) == {"SENSOR": "x"}


def test_types_and_nodata_that_differ_between_bands(inside, write_raster):
    values = speckled(96, 96)
    power = np.where(values > 500, np.float32(-8888), values.astype(np.float32))
    write_raster(values[None], "a.tif", nodata=0)
    write_raster(power[None], "b.tif", nodata=-8888)
    bands = [
        f'<VRTRasterBand dataType="{kind}" band="{number}"><NoDataValue>{nodata}</NoDataValue><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        for number, (kind, nodata, name) in enumerate((("UInt16", 0, "a"), ("Float32", -8888, "b")), start=1)
    ]
    Path("in.vrt").write_text(f'<VRTDataset rasterXSize="96" rasterYSize="96">{"".join(bands)}</VRTDataset>')
    with back("in.vrt") as found:
        assert found.nodatavals == (0, -8888)
        np.testing.assert_array_equal(found.read_masks(2) == 0, power == -8888)
    assert run(["decompress", "x.sarz", "-o", "y.tif", "--strict", "-q"]) == 1
    assert not Path("y.tif").exists()


def test_what_lies_beside_a_new_output_does_not_attach(scene):
    beside = Path("new.tif.aux.xml")
    band = '<PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand>'
    beside.write_text(f"<PAMDataset>{band}</PAMDataset>")
    assert run(["compress", "in.tif", "-o", "x.sarz", "-q"]) == 0
    assert run(["decompress", "x.sarz", "-o", "new.tif", "-q"]) == 2
    assert run(["decompress", "x.sarz", "-o", "new.tif", "-q", "--force"]) == 0
    with rasterio.open("new.tif") as found:
        assert found.nodata is None
    assert not beside.exists()


@pytest.mark.parametrize("command", ["decompress", "preview", "decompress --salvage", "compress"])
def test_an_archive_is_never_overwritten_by_what_is_made_of_it(command, scene, capfd):
    assert run(["compress", "in.tif", "-o", "x.sarz", "-q"]) == 0
    Path("same.sarz").symlink_to("x.sarz")
    before = Path("x.sarz").read_bytes()
    for name in ("x.sarz", "same.sarz"):
        assert run([*command.split(), "x.sarz", "-o", name, "--force"]) == 2
        assert "is the input itself" in capfd.readouterr().err
    assert Path("x.sarz").read_bytes() == before


def test_a_raster_and_an_image_on_standard_output(scene):
    assert run(["compress", "in.tif", "-o", "x.sarz", "-q"]) == 0
    for arguments, magic in (
        (["decompress"], b"II*\0"),
        (["decompress", "--cog"], b"II*\0"),
        (["preview"], b"\x89PNG"),
    ):
        command = [sys.executable, "-m", "sarzip", *arguments, "x.sarz", "-o", "-", "-q"]
        done = subprocess.run(command, capture_output=True, check=True)
        assert done.stdout.startswith(magic) and done.stderr == b""
    assert sorted(path.name for path in scene.parent.iterdir()) == ["in.tif", "x.sarz"]


@pytest.mark.parametrize("options", [[], ["--cog"]])
def test_names_as_long_as_they_may_be(options, scene):
    packed, restored = "y" * 250 + ".sarz", "z" * 251 + ".tif"
    assert run(["compress", "in.tif", "-o", packed, "-q"]) == 0
    assert run(["decompress", packed, "-o", restored, "-q", *options]) == 0
    assert sorted(path.name for path in scene.parent.iterdir()) == ["in.tif", packed, restored]


def test_a_store_that_is_a_folder(scene):
    import rasterio.shutil

    rasterio.shutil.copy("in.tif", "z.zarr", driver="Zarr")
    assert run(["compress", "z.zarr", "-o", "z.sarz", "-q"]) == 0


def test_masks_that_differ_between_bands_are_told_and_refused(inside, write_raster, capfd):
    for name, seed in (("a", 0), ("b", 1)):
        write_raster(speckled(64, 64, seed=seed)[None], f"{name}.tif")
        write_raster(np.full((1, 64, 64), 255 * (name == "a"), np.uint8), f"{name}-mask.tif")
    bands = [
        f'<VRTRasterBand dataType="UInt16" band="{number}"><SimpleSource><SourceFilename relativeToVRT="1">'
        f'{name}.tif</SourceFilename></SimpleSource><MaskBand><VRTRasterBand dataType="Byte"><SimpleSource>'
        f'<SourceFilename relativeToVRT="1">{name}-mask.tif</SourceFilename></SimpleSource></VRTRasterBand>'
        "</MaskBand></VRTRasterBand>"
        for number, name in enumerate("ab", start=1)
    ]
    Path("in.vrt").write_text(f'<VRTDataset rasterXSize="64" rasterYSize="64">{"".join(bands)}</VRTDataset>')
    assert run(["compress", "in.vrt", "-o", "x.sarz", "--json"]) == 0
    assert "masks of bands 1, 2 are not kept" in capfd.readouterr().out
    assert run(["compress", "in.vrt", "-o", "y.sarz", "--strict"]) == 3
    assert not Path("y.sarz").exists()


@pytest.mark.parametrize("dtype", ["complex64", "complex_int16"])
def test_the_remedy_for_complex_data_works(dtype, inside, capfd, monkeypatch):
    """As it is named, in a shell."""
    profile = {"driver": "GTiff", "width": 40, "height": 30, "count": 1, "dtype": dtype}
    with rasterio.open("slc.tif", "w", **profile) as dataset:
        dataset.write((speckled(30, 40) * (0.6 + 0.8j)).astype(np.complex64)[None])
    assert run(["compress", "slc.tif", "-o", "x.sarz"]) == 3
    said = capfd.readouterr().err
    remedy = said.split(": ")[-1].strip().replace("IN.tif", "slc.tif").replace("OUT.tif", "amplitude.tif")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    done = subprocess.run(["sh", "-c", remedy], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (remedy, done.stderr)
    with rasterio.open("amplitude.tif") as found:
        np.testing.assert_allclose(found.read(1), speckled(30, 40), atol=1)
    assert run(["compress", "amplitude.tif", "-o", "x.sarz", "-q"]) == 0
