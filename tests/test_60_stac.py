"""STAC items: `compress --stac`, alone and in batches, `sarzip stac`, `sarzip.stac_item`; read by pystac."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine
from support.scenes import real_scenes, speckled

import sarzip
from sarzip.cli import run
from sarzip.errors import UsageError

pytest.importorskip("pystac")
pytest.importorskip("jsonschema")
from support.stac_rules import validate

PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)
GRD = "S1A_IW_GRDH_1SDV_20180716T004042_20180716T004107_022812_02792A_1A2B"
SAFE = {
    "ACQUISITION_START_TIME": "2018-07-16T00:40:42.5", "ACQUISITION_STOP_TIME": "2018-07-16T00:41:07.5",
    "MISSION_ID": "S1A", "BEAM_MODE": "IW", "ORBIT_DIRECTION": "ASCENDING", "ORBIT_NUMBER": "22812",
    "PRODUCT_TYPE": "GRD", "TIFFTAG_SOFTWARE": "Sentinel-1 IPF 002.91",
}  # fmt: skip


@pytest.fixture
def scene(write_raster) -> Path:
    """Two bands with control points and the tags that GDAL finds in a Sentinel-1 product."""
    values = np.stack([speckled(200, 300, seed=seed) for seed in (1, 2)])
    path = write_raster(values, "scene.tif", nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**SAFE)
        dataset.descriptions = ("Sigma0_VV", "Sigma0_VH")
        points = [GroundControlPoint(r, c, 10 + c / 1e4, 50 - r / 1e4) for r in (0, 200) for c in (0, 300)]
        dataset.gcps = points, CRS.from_epsg(4326)
    return path


def compress(*arguments: object) -> int:
    return run(["compress", *map(str, arguments), "--quiet"])


def read(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def test_beside_the_output_with_all_that_is_known(scene, tmp_path) -> None:
    target = tmp_path / "out.sarz"
    assert compress(scene, "-o", target, "--stac", "--verify", "--quality", "70") == 0
    item = read(tmp_path / "out.json")
    found = validate(item)
    about, asset = found.properties, found.assets["data"]
    assert found.id == "out" and found.datetime.isoformat() == "2018-07-16T00:40:55+00:00"
    assert about["start_datetime"] == "2018-07-16T00:40:42.500000Z"
    assert (about["platform"], about["instruments"]) == ("sentinel-1a", ["c-sar"])
    assert (about["sar:instrument_mode"], about["sar:frequency_band"]) == ("IW", "C")
    assert about["sar:polarizations"] == ["VV", "VH"] and about["sar:product_type"] == "GRD"
    assert (about["sat:orbit_state"], about["sat:relative_orbit"]) == ("ascending", 165)
    assert about["proj:code"] is None and about["proj:shape"] == [200, 300]
    assert found.bbox == pytest.approx([10.0, 49.98, 10.03, 50.0], abs=1e-5)
    software = about["processing:software"]
    assert software == {"sarzip": sarzip.__version__, "Sentinel-1 IPF": "002.91"}
    card = sarzip.inspect(target).models[0]
    assert card["sha256"] in about["processing:lineage"] and "scene.tif" in about["processing:lineage"]
    assert "sar/v1.1.0" in str(item["stac_extensions"])

    content = target.read_bytes()
    assert (
        asset.href == "./out.sarz" and asset.roles == ["data"] and asset.media_type.startswith("application/")
    )
    assert asset.extra_fields["file:size"] == len(content)
    assert asset.extra_fields["file:checksum"] == "1220" + hashlib.sha256(content).hexdigest()
    assert asset.extra_fields["sarzip:asked"] == "quality 70"
    first, second = asset.extra_fields["bands"]
    assert (first["name"], first["data_type"], first["nodata"]) == ("Sigma0_VV", "uint16", 0)
    assert second["sar:polarizations"] == ["VH"] and first["sarzip:treatment"] == "lossy"
    errors = sarzip.compare(scene, tmp_path / "out.sarz").bands
    for band, error in zip((first, second), errors, strict=True):
        assert band["sarzip:rmse_db"] == pytest.approx(error.quality.rmse_db, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (["--max-error-db", "0.5"], {"sarzip:treatment": "bounded", "sarzip:max_error_db": 0.5}),
        (["--max-error", "2"], {"sarzip:treatment": "bounded", "sarzip:max_error": 2.0}),
        (["--lossless"], {"sarzip:treatment": "exact"}),
    ],
    ids=["decibels", "units", "lossless"],
)
def test_promises_and_what_became_of_them(scene, tmp_path, options, fields) -> None:
    assert compress(scene, "-o", tmp_path / "a.sarz", "--stac", *options) == 0
    band = validate(read(tmp_path / "a.json")).assets["data"].extra_fields["bands"][0]
    assert {name: band[name] for name in fields} == fields
    for name in ("max_error_db", "max_error"):
        if f"sarzip:{name}" in fields:
            achieved = f"sarzip:{name.replace('max', 'achieved')}"
            assert 0 < band[achieved] <= fields[f"sarzip:{name}"]


def test_from_the_name_alone(write_raster, tmp_path) -> None:
    path = write_raster(speckled(64, 80)[None], f"{GRD}.tif", crs="EPSG:32632", transform=PLACE)
    sarzip.compress(path, tmp_path / f"{GRD}.sarz", sarzip.CompressOptions(lossless=True))
    item = sarzip.stac_item(tmp_path / f"{GRD}.sarz")
    found = validate(item)
    assert found.id == GRD and found.properties["sat:absolute_orbit"] == 22812
    assert "sar:polarizations" not in found.properties  # VV or VH: the name does not tell
    assert "sar/v1.3.0" in str(item["stac_extensions"])
    assert found.properties["proj:code"] == "EPSG:32632"
    assert found.properties["proj:bbox"] == [399960.0, 5899400.0, 400760.0, 5900040.0]


def test_time_by_hand(write_raster, tmp_path, capsys) -> None:
    path, target = write_raster(speckled(64, 80)[None]), tmp_path / "b.sarz"
    assert compress(path, "-o", target, "--stac") == 2
    said = capsys.readouterr().err
    assert "scene.tif: neither tags nor name tell when" in said and "--datetime" in said
    assert not target.exists() and not (tmp_path / "b.json").exists()
    assert compress(path, "-o", target, "--stac", "--datetime", "yesterday") == 2
    assert "expected a time like" in capsys.readouterr().err
    spell = "2020-01-01T00:00:00Z/2020-01-01T00:00:10Z"
    assert compress(path, "-o", target, "--stac", "--datetime", spell) == 0
    found = validate(read(tmp_path / "b.json"))
    assert found.geometry is None and found.bbox is None
    assert found.datetime.isoformat() == "2020-01-01T00:00:05+00:00"
    with pytest.raises(UsageError, match="`datetime`"):
        sarzip.stac_item(target)
    about = sarzip.stac_item(target, sarzip.StacOptions("2021-05-05 10:00:00"))
    assert validate(about).properties["datetime"] == "2021-05-05T10:00:00Z"


def test_a_time_in_a_name_that_is_no_products_is_said(write_raster, tmp_path) -> None:
    path = write_raster(speckled(64, 80)[None], "ship_20180716T004042.tif")
    options = sarzip.CompressOptions(stac=True)
    report = sarzip.compress(path, tmp_path / "a.sarz", options)
    assert any("2018-07-16T00:40:42Z" in note and "`datetime`" in note for note in report.notes)
    assert report.item == str(tmp_path / "a.json")


def test_nothing_is_replaced_unasked_and_nothing_half_done_stays(scene, tmp_path, capsys) -> None:
    target, item = tmp_path / "out.sarz", tmp_path / "out.json"
    item.write_text("mine")
    assert compress(scene, "-o", target, "--stac") == 2
    assert "out.json: already exists" in capsys.readouterr().err
    assert item.read_text() == "mine" and not target.exists()
    assert compress(scene, "-o", target, "--stac", "--force") == 0 and validate(read(item))
    assert compress(scene, "-o", "-", "--stac") == 2
    assert "beside standard output" in capsys.readouterr().err
    assert compress(scene, "-o", tmp_path / "x.sarz", "--datetime", "2020-01-01T00:00:00") == 2
    assert "--stac" in capsys.readouterr().err
    assert compress(scene, "-o", tmp_path / "x.json", "--stac") == 2
    assert "x.json: is where --stac writes the item" in capsys.readouterr().err
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.json", "out.sarz", "scene.tif"]


def test_in_batches_one_for_each_scene(scene, write_raster, tmp_path, capsys) -> None:
    write_raster(speckled(64, 80)[None], "timeless.tif")
    for _ in range(2):  # the second time the item alone is made
        assert compress(scene, tmp_path / "timeless.tif", "-o", f"{tmp_path}/o/", "--stac", "--resume") == 2
        assert "timeless.tif: neither tags nor name" in capsys.readouterr().err
        assert validate(read(tmp_path / "o" / "scene.json")).id == "scene"
        (tmp_path / "o" / "scene.json").unlink()
    assert not (tmp_path / "o" / "timeless.sarz").exists()


def test_the_command_that_makes_it_later(scene, tmp_path, capsys) -> None:
    sarzip.compress(scene, tmp_path / "a.sarz")
    assert run(["stac", str(tmp_path / "a.sarz")]) == 0
    assert validate(read(tmp_path / "a.json")).assets["data"].href == "./a.sarz"
    (tmp_path / "items").mkdir()
    assert run(["stac", str(tmp_path / "a.sarz"), "-o", str(tmp_path / "items" / "x.json")]) == 0
    assert read(tmp_path / "items" / "x.json")["assets"]["data"]["href"] == "../a.sarz"
    capsys.readouterr()
    assert run(["stac", str(tmp_path / "a.sarz"), "-o", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["id"] == "a"
    assert run(["stac", str(tmp_path / "a.sarz")]) == 2
    assert "exists" in capsys.readouterr().err
    assert run(["stac", str(tmp_path / "none.sarz")]) == 3


@pytest.mark.skipif(not real_scenes(), reason="the real data is not there")
def test_real_scenes(tmp_path) -> None:
    with_points = [path for path in real_scenes() if "GRDH" in path.name]
    for path in with_points:
        sarzip.compress(
            path, tmp_path / f"{path.stem}.sarz", sarzip.CompressOptions(stac=True, effort="fast")
        )
        found = validate(read(tmp_path / f"{path.stem}.json"))
        assert found.datetime.year in (2018, 2023) and found.properties["constellation"] == "sentinel-1"
        west, south, east, north = found.bbox
        assert 0 < east - west < 6 and 0 < north - south < 6
