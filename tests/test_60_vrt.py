"""`sarzip vrt`: GDAL, within rasterio and as its own programs, reads windows of a `.sarz`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from support.scenes import speckled

import sarzip
from sarzip.cli.main import run
from sarzip.integrations.vrt import SETTINGS

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


@pytest.mark.skipif(shutil.which("gdalwarp") is None, reason="GDAL's programs are not installed")
def test_the_programs_of_gdal(vrt) -> None:
    """They load the Python that they find, which must be one that sarzip is importable from."""
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = os.environ | SETTINGS | {"PYTHONPATH": paths}

    def call(*command: str) -> str:
        done = subprocess.run(command, cwd=vrt.parent, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Description = VH" in call("gdalinfo", "a.vrt")
    probe = subprocess.run(
        ["gdal_translate", "-q", "-srcwin", "240", "100", "40", "30", "a.vrt", "part.tif"],
        cwd=vrt.parent, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    if probe.returncode != 0 and "ython" in probe.stderr:
        pytest.skip(f"GDAL finds no Python like this one: {probe.stderr[:200]}")
    assert probe.returncode == 0, probe.stderr
    with rasterio.open(vrt.parent / "part.tif") as part, sarzip.open(vrt.with_suffix(".sarz")) as file:
        np.testing.assert_array_equal(part.read(), file.read(window=((100, 130), (240, 280))))
    call("gdalwarp", "-q", "-t_srs", "EPSG:4326", "a.vrt", "warped.tif")
    with rasterio.open(vrt.parent / "warped.tif") as warped:
        assert warped.crs.to_epsg() == 4326 and 40 < warped.read(1, masked=True).mean() < 200
