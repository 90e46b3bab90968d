"""A morning in a notebook: three scenes of one place through every door; and what closed doors say.

Each step uses a door as its library does, and would fail if that door were shut.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from support.scenes import speckled

import sarzip
from sarzip.cli import run

PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)
DAYS = ("20180716", "20180728", "20180809")
ROWS, COLUMNS = 160, 240


def name_of(day: str) -> str:
    return f"S1A_IW_GRDH_1SDV_{day}T004042_{day}T004107_022812_02792A_1A2B"


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Path:
    """Three scenes of two bands and their STAC items, as a batch leaves them."""
    folder = tmp_path_factory.mktemp("doors")
    for number, day in enumerate(DAYS):
        values = np.stack([speckled(ROWS, COLUMNS, "float32", 2 * number + band) for band in (0, 1)])
        values[:, :30] = 0
        with rasterio.open(
            folder / f"{name_of(day)}.tif", "w", driver="GTiff", count=2, height=ROWS, width=COLUMNS,
            dtype="float32", nodata=0, crs="EPSG:32632", transform=PLACE,
        ) as dataset:  # fmt: skip
            dataset.write(values)
            dataset.descriptions = ("Gamma0_VV", "Gamma0_VH")
    command = [
        "compress",
        str(folder),
        "-o",
        f"{folder}/archive/",
        "--stac",
        "--max-error-db",
        "0.5",
        "--quiet",
    ]
    assert run(command) == 0
    return folder / "archive"


def of(archive: Path, day: str, suffix: str = ".sarz") -> Path:
    return archive / f"{name_of(day)}{suffix}"


def original(archive: Path, day: str) -> np.ndarray:
    with rasterio.open(archive.parent / f"{name_of(day)}.tif") as dataset:
        return dataset.read()


def decibels(values: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(values)


def test_open_read_and_plot(archive, tmp_path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with sarzip.open(of(archive, DAYS[0])) as scene:
        window = scene.read(1, window=((60, 124), (100, 164)), masked=True)
        quick = scene.read(1, out_shape=(80, 120), masked=True)
        left, bottom, right, top = scene.bounds
    error = decibels(window) - decibels(original(archive, DAYS[0])[0, 60:124, 100:164])
    assert 0 < np.abs(error).max() <= 0.5
    figure, axes = pyplot.subplots()
    image = axes.imshow(decibels(quick), extent=(left, right, bottom, top), vmin=-20, vmax=0, cmap="gray")
    figure.savefig(tmp_path / "quick.png")
    pyplot.close(figure)
    drawn = image.get_array()
    assert np.ma.getmaskarray(drawn)[:15].all() and not np.ma.getmaskarray(drawn)[15:].any()
    assert (tmp_path / "quick.png").stat().st_size > 5000


def test_mean_over_time_and_a_cube(archive, tmp_path) -> None:
    xr, zarr = pytest.importorskip("xarray"), pytest.importorskip("zarr")
    pytest.importorskip("dask.array")
    from sarzip.integrations.zarr_codec import SarzipCodec

    opened = [xr.open_dataset(of(archive, day), engine="sarzip", chunks={}) for day in DAYS]
    times = np.array([f"{day[:4]}-{day[4:6]}-{day[6:]}" for day in DAYS], "datetime64[ns]")
    stack = xr.concat(opened, xr.Variable("time", times))
    mean = stack["Gamma0_VV"].mean("time").compute()
    expected = np.mean([original(archive, day)[0] for day in DAYS], axis=0)
    assert mean.dims == ("y", "x") and np.isnan(mean[:30]).all()
    assert np.abs(decibels(mean.values[30:]) - decibels(expected[30:])).max() <= 0.5
    assert float(mean.x[1] - mean.x[0]) == 10.0 and stack.sizes["time"] == 3

    cube = zarr.create_array(
        str(tmp_path / "cube.zarr"), shape=stack["Gamma0_VV"].shape, chunks=(1, 128, 128), dtype="float32",
        fill_value=np.nan, serializer=SarzipCodec(lossless=True, domain="power"), compressors=None,
    )  # fmt: skip
    cube[:] = stack["Gamma0_VV"].values
    again = zarr.open_array(str(tmp_path / "cube.zarr"), mode="r")
    np.testing.assert_array_equal(again[:], stack["Gamma0_VV"].values)
    for each in opened:
        each.close()


def test_through_gdal_onto_another_map(archive, tmp_path) -> None:
    from sarzip.integrations.vrt import SETTINGS, write_vrt

    write_vrt(of(archive, DAYS[1]), tmp_path / "scene.vrt")
    with (
        rasterio.open(archive.parent / f"{name_of(DAYS[1])}.tif") as plain,
        WarpedVRT(plain, crs="EPSG:4326") as to,
    ):
        expected, place = to.read(2, masked=True), to.transform
    with (
        rasterio.Env(**SETTINGS),
        rasterio.open(tmp_path / "scene.vrt") as virtual,
        WarpedVRT(virtual, crs="EPSG:4326") as warped,
    ):
        found = warped.read(2, masked=True)
        assert warped.transform == place and warped.descriptions == ("Gamma0_VV", "Gamma0_VH")
    np.testing.assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
    assert np.abs(decibels(found) - decibels(expected)).max() <= 0.5


def test_found_in_a_catalogue(archive) -> None:
    pytest.importorskip("jsonschema")
    pystac = pytest.importorskip("pystac")
    from support.stac_rules import validate

    items = [validate(json.loads(of(archive, day, ".json").read_text())) for day in DAYS]
    catalogue = pystac.Catalog("archive", "scenes")
    catalogue.add_items([pystac.Item.from_file(str(of(archive, day, ".json"))) for day in DAYS])
    wanted = [item for item in catalogue.get_items() if item.datetime.day == 28]
    (found,) = wanted
    assert found.properties["sar:polarizations"] == ["VV", "VH"] and len(items) == 3
    with sarzip.open(found.assets["data"].get_absolute_href()) as scene:
        west, south, east, north = found.bbox
        assert 7 < west < east < 8 and 53 < south < north < 54 and scene.count == 2
        kept = found.assets["data"].extra_fields["bands"][1]["sarzip:achieved_error_db"]
        error = decibels(scene.read(2)[30:]) - decibels(original(archive, DAYS[1])[1, 30:])
        assert np.abs(error).max() == pytest.approx(kept, abs=1e-3) and kept <= 0.5


def test_what_closed_doors_say(archive, tmp_path) -> None:
    """One line each, which names the file, the cause and what to do."""
    scene, broken = of(archive, DAYS[0]), tmp_path / "broken.sarz"
    broken.write_bytes(scene.read_bytes()[:-200])
    dataset = sarzip.open(scene)
    with sarzip.open(scene) as closed:
        pass

    def said(call) -> str:
        with pytest.raises(sarzip.SarzipError) as raised:
            call()
        return str(raised.value)

    words = {
        "none.sarz: no such file; check the name": lambda: sarzip.open(tmp_path / "none.sarz"),
        "broken.sarz: ": lambda: sarzip.open(broken),
        "the dataset is closed; open it again": lambda: closed.read(1),
        "band 3: there are 2 bands, counted from 1": lambda: dataset.read(3),
        "not a coordinate system": lambda: sarzip.write(tmp_path / "a", np.ones((9, 9)), crs="Atlantis"),
    }
    for expected, call in words.items():
        text = said(call)
        assert expected in text and "\n" not in text
    assert run(["info", str(broken)]) == 4 and run(["info", str(tmp_path / "none.sarz")]) == 3
    dataset.close()


EXTRAS = {
    "xarray": ("xarray_backend", "sarzip[xarray]"),
    "zarr.abc.codec": ("zarr_codec", "sarzip[zarr]"),
    "numcodecs.abc": ("numcodecs_codec", "sarzip[zarr]"),
}


def test_what_a_missing_extra_says() -> None:
    code = "import sys\n" + "".join(
        f"sys.modules[{missing!r}] = None\n"
        f"try: import sarzip.integrations.{module}\nexcept ImportError as error: print(error)\n"
        for missing, (module, _) in EXTRAS.items()
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    said = done.stdout.splitlines()
    assert len(said) == len(EXTRAS)
    for line, (_, extra) in zip(said, EXTRAS.values(), strict=True):
        assert line.endswith(f"pip install '{extra}'")
