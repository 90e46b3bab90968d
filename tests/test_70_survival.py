"""What a raster carries beside its pixels, through compress, decompress and compare."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from support.scenes import speckled

import sarzip
from sarzip.cli import run
from sarzip.errors import InputError, OutputError


@pytest.fixture
def power():
    return speckled(96, 96, "float32", seed=4)


def through(source, folder, *options, capfd=None):
    """Compress and decompress with the command line; the decompressed raster and the two reports."""
    reports = []
    for command in (
        ["compress", source, "-o", folder / "x.sarz", "--force"],
        ["decompress", folder / "x.sarz", "-o", folder / "x.tif", "--force", *options],
    ):
        assert run([str(word) for word in (*command, "--json")]) == 0
        reports.append(json.loads(capfd.readouterr().out))
    return folder / "x.tif", *reports


def vrt_of(folder, *bands):
    """A VRT of single-band files with further XML for each band: (name, type, xml)."""
    text = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}">{extra}<SimpleSource><SourceFilename '
        f'relativeToVRT="1">{name}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>'
        for number, (name, kind, extra) in enumerate(bands, start=1)
    )
    path = folder / "in.vrt"
    path.write_text(f'<VRTDataset rasterXSize="96" rasterYSize="96">{text}</VRTDataset>')
    return path


def test_nodata_of_each_band(power, write_raster, tmp_path, capfd):
    """Missing pixels of the second band are masked in the output, and their values are what they were."""
    missing = np.zeros(power.shape, bool)
    missing[:20, 30:] = True
    for name, value in (("a", -9999.0), ("b", -8888.0)):
        write_raster(np.where(missing, np.float32(value), power)[None], nodata=value).rename(
            tmp_path / f"{name}.tif"
        )
    text = "<NoDataValue>{}</NoDataValue>"
    source = vrt_of(
        tmp_path, ("a.tif", "Float32", text.format(-9999)), ("b.tif", "Float32", text.format(-8888))
    )
    output, _, report = through(source, tmp_path, capfd=capfd)
    with rasterio.open(output) as dataset:
        assert dataset.nodatavals == (-9999, -8888)
        for band, value in ((1, -9999), (2, -8888)):
            np.testing.assert_array_equal(dataset.read_masks(band) == 0, missing)
            assert (dataset.read(band)[missing] == value).all()
    assert "band 2 nodata" in report["notes"][0] and report["warnings"] == []
    assert run(["compare", str(source), str(output)]) == 0


@pytest.mark.parametrize("cog", [False, True])
def test_own_namespaces_and_categories(cog, power, write_raster, tmp_path, capfd):
    source = write_raster(np.digitize(power, [1, 2]).astype(np.uint8)[None])
    with rasterio.open(source, "r+") as dataset:
        dataset.update_tags(ns="ORBIT", REL="44")
        dataset.update_tags(ns="GEOLOCATION", X_DATASET="lon.tif", Y_DATASET="lat.tif", PIXEL_STEP="1")
    names = "<CategoryNames><Category>land</Category><Category>water</Category></CategoryNames>"
    source.with_name(source.name + ".aux.xml").write_text(
        f'<PAMDataset><PAMRasterBand band="1">{names}</PAMRasterBand></PAMDataset>'
    )
    output, compressed, report = through(source, tmp_path, *(["--cog"] if cog else []), capfd=capfd)
    assert compressed["notes"] == [] or not any("not kept" in note for note in compressed["notes"])
    assert report["warnings"] == [] and "category names" in report["notes"][0]
    with rasterio.open(output) as dataset:
        assert dataset.tags(ns="ORBIT") == {"REL": "44"}
        assert dataset.tags(ns="GEOLOCATION")["X_DATASET"] == "lon.tif"
    assert sarzip.compare(source, output).structure == ()


def test_statistics_of_other_pixels_are_dropped(power, write_raster, tmp_path, capfd):
    """Of a lossy band they would be wrong; of an exact one they are as right as before."""
    values = (power * 1000).astype(np.uint16)[None] + 1
    about = {"STATISTICS_MINIMUM": str(values.min()), "STATISTICS_MAXIMUM": str(values.max()), "POL": "VV"}
    source = write_raster(values, nodata=0)
    with rasterio.open(source, "r+") as dataset:
        dataset.update_tags(1, **about)
    output, _, report = through(source, tmp_path, capfd=capfd)
    with rasterio.open(output) as dataset:
        assert dataset.tags(1) == {"POL": "VV"}
    assert report["warnings"] == []
    assert sarzip.compare(source, output).structure == ()
    exact = sarzip.CompressOptions(lossless=True, force=True)
    sarzip.compress(source, tmp_path / "x.sarz", exact)
    sarzip.decompress(tmp_path / "x.sarz", output, sarzip.DecompressOptions(force=True))
    with rasterio.open(output) as dataset:
        assert dataset.tags(1) == about


def test_types_that_differ_are_not_changed_without_a_word(power, write_raster, tmp_path, capfd):
    write_raster((power * 1000).astype(np.uint16)[None]).rename(tmp_path / "a.tif")
    write_raster(power[None]).rename(tmp_path / "b.tif")
    source = vrt_of(tmp_path, ("a.tif", "UInt16", ""), ("b.tif", "Float32", ""))
    output, _, report = through(source, tmp_path, capfd=capfd)
    assert "band 1 is uint16, written as float32" in report["warnings"][0]
    output, _, report = through(source, tmp_path, "--band", "1", capfd=capfd)
    assert report["warnings"] == []
    with rasterio.open(output) as dataset:
        assert dataset.dtypes == ("uint16",)
    with pytest.raises(OutputError, match="`strict`"):
        sarzip.decompress(
            tmp_path / "x.sarz", tmp_path / "y.tif", sarzip.DecompressOptions(force=True, strict=True)
        )
    assert not (tmp_path / "y.tif").exists()


def test_strict_refuses_what_a_sarz_does_not_keep(power, write_raster, tmp_path):
    source = write_raster(np.stack([power, power]))
    profile = {"driver": "GTiff", "width": 96, "height": 96, "count": 2, "dtype": "uint8"}
    with rasterio.open(source.with_name(source.name + ".msk"), "w", **profile) as dataset:
        dataset.write(np.stack([np.tri(96), 1 - np.tri(96)]).astype(np.uint8) * 255)
        dataset.update_tags(INTERNAL_MASK_FLAGS_1="0", INTERNAL_MASK_FLAGS_2="0")
    with pytest.raises(InputError, match=r"masks of bands 1, 2 are not kept.*`strict`"):
        sarzip.compress(source, tmp_path / "x.sarz", sarzip.CompressOptions(strict=True))
    assert not (tmp_path / "x.sarz").exists()
    assert "not kept" in sarzip.compress(source, tmp_path / "x.sarz").notes[0]


@pytest.mark.parametrize("suffix", [".aux.xml", ".msk", ".ovr"])
def test_left_over_sidecars_do_not_attach(suffix, power, write_raster, tmp_path, capfd):
    source = write_raster(power[None])
    sarzip.compress(source, tmp_path / "x.sarz")
    orphan = tmp_path / f"new.tif{suffix}"
    if suffix == ".aux.xml":
        orphan.write_text(
            '<PAMDataset><PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>'
        )
    else:
        write_raster(np.zeros((1, 96, 96), np.uint8)).rename(orphan)
    command = ["decompress", str(tmp_path / "x.sarz"), "-o", str(tmp_path / "new.tif")]
    assert run(command) == 2
    said = capfd.readouterr().err
    assert orphan.name in said and "--force" in said and said.count("\n") == 1
    assert orphan.exists() and not (tmp_path / "new.tif").exists()
    assert run([*command, "--force"]) == 0  # the remedy
    assert not orphan.exists()
    with rasterio.open(tmp_path / "new.tif") as dataset:
        assert dataset.nodata is None and dataset.overviews(1) == [] and (dataset.read_masks(1) == 255).all()


def test_a_replaced_output_takes_its_sidecar_along(power, write_raster, tmp_path, capfd):
    """One that belonged to the old file goes, one that belongs to the new file comes; never a mixture."""
    for name, value in (("a", 1.5), ("b", None)):
        write_raster(power[None], **({} if value is None else {"nodata": value})).rename(
            tmp_path / f"{name}.tif"
        )
    text = "<NoDataValue>1.5</NoDataValue>"
    source = vrt_of(tmp_path, ("a.tif", "Float32", text), ("b.tif", "Float32", ""))
    output, _, _ = through(source, tmp_path, capfd=capfd)
    assert (tmp_path / "x.tif.aux.xml").exists()
    with rasterio.open(output) as dataset:
        assert dataset.nodatavals == (1.5, None)
    output, _, _ = through(tmp_path / "b.tif", tmp_path, capfd=capfd)
    assert sorted(path.name for path in tmp_path.glob("*x.tif*")) == ["x.tif"]


def test_a_palette_is_called_a_palette(power, write_raster, tmp_path):
    source = write_raster(np.digitize(power, [1, 2]).astype(np.uint8)[None], photometric="PALETTE")
    with rasterio.open(source, "r+") as dataset:
        dataset.write_colormap(1, {k: (80 * k, 0, 0, 255) for k in range(3)})
    report = sarzip.compress(source, tmp_path / "x.sarz")
    assert "palette" in report.reasons[0] and "alpha" not in report.reasons[0]


def test_texts_in_latin_1(power, write_raster, tmp_path, capfd):
    source = write_raster(power[None])
    with rasterio.open(source, "r+") as dataset:
        dataset.set_band_description(1, "sigma@")
    source.write_bytes(source.read_bytes().replace(b"sigma@", b"sigma\xb0"))
    output, report, _ = through(source, tmp_path, capfd=capfd)
    assert any("read as Latin-1" in note for note in report["notes"])
    with rasterio.open(output) as dataset:
        assert dataset.descriptions == ("sigma°",)
    assert run(["compare", str(source), str(output)]) == 0
