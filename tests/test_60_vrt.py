"""`sarzip vrt`: GDAL, within rasterio and as its own programs, reads windows of a `.sarz`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.windows import Window
from rasterio.windows import transform as window_transform
from support.scenes import speckled

import sarzip
from sarzip.cli.main import run
from sarzip.integrations.vrt import SETTINGS, python_settings

PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)


@pytest.fixture
def vrt(tmp_path) -> Path:
    values = np.stack([speckled(300, 500, seed=1), speckled(300, 500, seed=2)])
    values[:, :20] = 0
    mask = np.full((300, 500), 255, np.uint8)
    mask[:, :30] = 0
    about = {"crs": "EPSG:32632", "transform": PLACE, "descriptions": ["VV", "VH"], "mask": mask}
    sarzip.write(tmp_path / "a.sarz", values, sarzip.CompressOptions(group=256), tags={"ORBIT": "7"}, **about)
    assert run(["vrt", str(tmp_path / "a.sarz"), "-o", str(tmp_path / "a.vrt")]) == 0
    return tmp_path / "a.vrt"


def test_rasterio_reads_it(vrt) -> None:
    with rasterio.Env(**SETTINGS), rasterio.open(vrt) as ours, sarzip.open(vrt.with_suffix(".sarz")) as file:
        np.testing.assert_array_equal(ours.read(), file.read())
        part = ((250, 270), (240, 280))
        np.testing.assert_array_equal(ours.read(2, window=part), file.read(2, window=part))
        assert ours.read(1, out_shape=(75, 125)).shape == (75, 125)
        assert (ours.crs, ours.transform, ours.descriptions) == (file.crs, PLACE, ("VV", "VH"))
        assert ours.tags()["ORBIT"] == "7"
        mask = ours.dataset_mask()
        assert (mask[:, :30] == 0).all() and (mask[:, 30:] == 255).all()


def test_words_for_what_is_wrong(vrt, tmp_path, capsys) -> None:
    assert run(["vrt", str(tmp_path / "none.sarz"), "-o", str(tmp_path / "b.vrt")]) == 3
    assert "none.sarz: no such file" in capsys.readouterr().err
    assert run(["vrt", str(tmp_path / "a.sarz"), "-o", str(vrt)]) == 2
    assert "exists" in capsys.readouterr().err and not (tmp_path / "b.vrt").exists()


def test_rio_has_the_commands(vrt, capsys) -> None:
    from sarzip.cli.rio_plugin import sarzip as plugin

    with pytest.raises(SystemExit) as ended:
        plugin.main(["info", "--json", str(vrt.with_suffix(".sarz"))])
    assert ended.value.code == 0 and '"width": 500' in capsys.readouterr().out


@pytest.fixture
def call(vrt) -> Callable[..., str]:
    """Runs one of GDAL's programs beside the VRT; gives what it prints."""
    if shutil.which("gdalwarp") is None:
        pytest.skip("GDAL's programs are not installed (Debian's gdal-bin)")
    python = python_settings()
    if "PYTHONSO" not in python:
        pytest.skip("this Python has no shared library that GDAL could load (Debian's libpython3.X)")
    site = vrt.parent / "site"
    site.mkdir()
    # PYTHONPATH alone would do but for editable installations, which need site's .pth files.
    folders = python["PYTHONPATH"].split(os.pathsep)
    lines = ["import site", *(f"site.addsitedir({folder!r})" for folder in folders)]
    (site / "sitecustomize.py").write_text("\n".join(lines))
    environment = os.environ | SETTINGS | python | {"PYTHONPATH": str(site)}

    def run_program(*command: str) -> str:
        done = subprocess.run(command, cwd=vrt.parent, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_program


def test_gdalinfo(vrt, call) -> None:
    told = json.loads(call("gdalinfo", "-json", "-checksum", "a.vrt"))
    with sarzip.open(vrt.with_suffix(".sarz")) as file:
        assert [band["description"] for band in told["bands"]] == ["VV", "VH"]
        assert told["size"] == [500, 300] and told["metadata"][""]["ORBIT"] == "7"
        assert told["geoTransform"] == [PLACE.c, PLACE.a, PLACE.b, PLACE.f, PLACE.d, PLACE.e]
        sarzip.decompress(file.name, vrt.parent / "plain.tif")
    plain = json.loads(call("gdalinfo", "-json", "-checksum", "plain.tif"))
    assert [b["checksum"] for b in told["bands"]] == [b["checksum"] for b in plain["bands"]]


def test_gdal_translate(vrt, call) -> None:
    call("gdal_translate", "-q", "-srcwin", "240", "100", "40", "30", "a.vrt", "part.tif")
    call("gdal_translate", "-q", "-outsize", "125", "75", "a.vrt", "small.tif")
    with sarzip.open(vrt.with_suffix(".sarz")) as file:
        for name, expected in (
            ("part", file.read(window=((100, 130), (240, 280)))),
            ("small", file.read(out_shape=(75, 125))),  # decoded at that resolution
        ):
            with rasterio.open(vrt.parent / f"{name}.tif") as dataset:
                np.testing.assert_array_equal(dataset.read(), expected)
    with rasterio.open(vrt.parent / "part.tif") as part:
        assert part.transform == window_transform(Window(240, 100, 40, 30), PLACE)
        assert part.crs.to_epsg() == 32632


def test_gdalwarp(vrt, call) -> None:
    call("gdalwarp", "-q", "-t_srs", "EPSG:4326", "-r", "bilinear", "a.vrt", "warped.tif")
    sarzip.decompress(vrt.with_suffix(".sarz"), vrt.parent / "plain.tif")
    call("gdalwarp", "-q", "-t_srs", "EPSG:4326", "-r", "bilinear", "plain.tif", "same.tif")
    with rasterio.open(vrt.parent / "warped.tif") as warped, rasterio.open(vrt.parent / "same.tif") as same:
        assert warped.crs.to_epsg() == 4326 and warped.transform == same.transform
        np.testing.assert_array_equal(warped.read(), same.read())
        assert (warped.read(1) > 0).mean() > 0.7


def test_the_words_tell_what_gdal_needs(vrt, tmp_path, capsys) -> None:
    assert run(["vrt", str(vrt.with_suffix(".sarz")), "-o", str(tmp_path / "b.vrt")]) == 0
    said = capsys.readouterr().err
    assert "GDAL_VRT_PYTHON_TRUSTED_MODULES=sarzip.integrations.gdal_pixels" in said and "PYTHONPATH=" in said
