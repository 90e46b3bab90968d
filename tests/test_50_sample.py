"""`sample` as a use case: a GeoTIFF that looks like a product, written in bounded memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from sarzip.errors import OutputError, UsageError
from sarzip.simulate import SceneConfig, simulate
from sarzip.usecases.sample import SampleOptions, sample, scene_config


def test_a_utm_scene(tmp_path: Path) -> None:
    target = tmp_path / "scene.tif"
    seen: list[tuple[int, int]] = []
    options = SampleOptions(width=300, height=700, seed=5, threads=2)
    report = sample(target, options, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (700, 700) and report.width == 300 and report.dtype == "uint16"
    with rasterio.open(target) as dataset:
        assert (dataset.width, dataset.height, dataset.dtypes) == (300, 700, ("uint16",))
        assert dataset.crs.to_epsg() == 32632 and dataset.transform.a == 10 and dataset.nodata is None
        assert dataset.tags()["SEED"] == "5" and dataset.tags()["LOOKS"] == "4.4"
        assert np.array_equal(dataset.read(1), simulate(scene_config(options)))
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def test_like_sentinel_1(tmp_path: Path) -> None:
    target = tmp_path / "grd.tif"
    report = sample(target, SampleOptions(like="s1-grdh", size=600))
    with rasterio.open(target) as dataset:
        points, crs = dataset.gcps
        assert len(points) == 210 and crs.to_epsg() == 4326
        assert (points[0].row, points[0].col) == (0, 0)
        assert (points[-1].row, points[-1].col) == (dataset.height - 1, dataset.width - 1)
        assert points[0].y > points[-1].y and points[0].x > points[20].x  # southwards, and west along a row
        assert dataset.transform.is_identity and dataset.nodata == 0
        values = dataset.read(1)
    assert values.shape == (388, 600) == (report.height, report.width)
    assert 0.002 < np.mean(values == 0) < 0.1
    full = scene_config(SampleOptions(like="s1-grdh"))
    assert (full.width, full.height) == (25788, 16685)


def test_two_polarisations_of_one_landscape(tmp_path: Path) -> None:
    """VV is what it is alone; VH is weaker, and its speckle tells nothing of that of VV."""
    options = SampleOptions(size=256, seed=4, form="db", looks=4.4)
    sample(tmp_path / "one.tif", options)
    sample(tmp_path / "two.tif", replace(options, dual_pol=True))
    with rasterio.open(tmp_path / "one.tif") as one, rasterio.open(tmp_path / "two.tif") as two:
        assert two.descriptions == ("sigma0_VV_dB", "sigma0_VH_dB") and two.units == ("dB", "dB")
        first, second = two.read().astype(float)
        assert np.array_equal(one.read(1), first.astype(np.float32))
    assert 4 < (first - second).mean() < 10
    assert np.corrcoef(first[8::16, 8::16].ravel(), second[8::16, 8::16].ravel())[0, 1] > 0.2
    flat = SceneConfig(128, 128, looks=1, landscape="flat")
    speckle = [simulate(replace(flat, cross=cross)).ravel() for cross in (False, True)]
    assert abs(np.corrcoef(*speckle)[0, 1]) < 0.05


@pytest.mark.parametrize(("form", "unit"), [("power", None), ("db", "dB")])
def test_float_forms(tmp_path: Path, form: str, unit: str | None) -> None:
    target = tmp_path / "scene.tif"
    sample(target, SampleOptions(size=64, form=form, looks=1))
    with rasterio.open(target) as dataset:
        assert dataset.dtypes == ("float32",) and dataset.units == (unit,)
        values = dataset.read(1)
        assert dataset.tags()["LOOKS"] == "1"
    assert np.isfinite(values).all()
    assert (values > 0).all() if form == "power" else (values < 0).mean() > 0.8


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("a.tif", "b.tif", "c.tif"))
    sample(first, SampleOptions(size=80, seed=1, threads=1))
    sample(second, SampleOptions(size=80, seed=1, threads=2))
    sample(other, SampleOptions(size=80, seed=2))
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        SampleOptions(size=10, width=10),
        SampleOptions(like="s1-grdh", height=10),
        SampleOptions(like="nothing"),
        SampleOptions(form="complex"),
        SampleOptions(size=0),
        SampleOptions(size=-3),
        SampleOptions(width=0),
        SampleOptions(looks=0.2),
        SampleOptions(threads=-1),
    ],
)
def test_contradictions_are_usage_errors(tmp_path: Path, options: SampleOptions) -> None:
    with pytest.raises(UsageError):
        sample(tmp_path / "scene.tif", options)
    assert not list(tmp_path.iterdir())


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    taken = tmp_path / "taken.tif"
    taken.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        sample(taken, SampleOptions(size=16))
    assert taken.read_text() == "mine"
    sample(taken, SampleOptions(size=16, force=True))
    with pytest.raises(OutputError):
        sample(tmp_path / "no" / "folder.tif", SampleOptions(size=16))
