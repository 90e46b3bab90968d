"""`sarzip preview`: pictures of scenes on the command line, their colours, their sizes and their place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.transform import Affine
from rasterio.warp import transform as to_other_crs
from support.scenes import speckled

import sarzip
from sarzip.cli import run
from sarzip.picture.colormaps import CYCLIC, colours

PLACE = Affine(10, 0, 5e5, 0, -10, 5e6)
BRIGHT = (60, 220)
"""Row and column of a bright field of 24×24 pixels."""


def report_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert run(["preview", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def field(rows: int = 200, columns: int = 300, dtype: str = "uint16") -> np.ndarray:
    """Weak speckle, and a bright field."""
    values = speckled(rows, columns, dtype)
    inside = np.s_[BRIGHT[0] - 12 : BRIGHT[0] + 12, BRIGHT[1] - 12 : BRIGHT[1] + 12]
    values[inside] = 12 * values.max() * np.random.default_rng(7).uniform(1, 1.5, (24, 24))
    return values


@pytest.fixture
def pack(write_raster, tmp_path):
    """Function that compresses an array (bands, rows, columns) with what rasterio is to be told of it."""

    def made(values: np.ndarray, about=None, **profile: object) -> Path:
        scene = write_raster(values, "made.tif", **profile)
        if about is not None:
            with rasterio.open(scene, "r+") as dataset:
                about(dataset)
        target = tmp_path / "a.sarz"
        sarzip.compress(scene, target, sarzip.CompressOptions(force=True))
        scene.unlink()
        return target

    return made


@pytest.fixture
def dual(pack) -> Path:
    """VH before VV, 440×520 pixels, zeros in a corner and at the right border."""
    values = np.stack([speckled(440, 520, seed=seed) for seed in range(2)])
    values[:, :120, :80] = 0
    values[:, :, 500:] = 0

    def about(dataset) -> None:
        dataset.descriptions = ("amplitude_VH", "amplitude_VV")

    return pack(values, about, nodata=0, crs="EPSG:32633", transform=PLACE)


def test_two_polarisations_become_a_composite(dual, tmp_path, capsys):
    image = tmp_path / "look.png"
    report = report_of(capsys, dual, "-o", image, "--size", 128)
    assert (report["width"], report["height"]) == (128, 108) and report["scale"] == 520 / 128
    assert report["decoded_scale"] == 4 and report["window"] == [0, 0, 520, 440]
    assert report["bands"] == [2, 1] and report["composite"] == "ratio"
    assert [each["shows"] for each in report["channels"]] == ["VV", "VH", "VV/VH"]
    values = read(image)
    assert values.shape == (4, 108, 128)
    assert values[3, 60, 60] == 255 and values[3, 10, 10] == values[3, 60, 126] == 0
    assert values[:3, :, :120].std() > 10
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.sarz", "look.pgw", "look.png", "look.png.aux.xml"]
    assert sorted(Path(each).name for each in report["beside"]) == ["look.pgw", "look.png.aux.xml"]
    # Bands in the order they are given, one twice.
    report = report_of(capsys, dual, "-o", image, "--force", *["--band", 1, "--band", 2, "--band", 1])
    assert report["bands"] == [1, 2, 1] and report["width"] == 520 and report["composite"] is None
    values = read(image)
    assert (values[0] == values[2]).all() and (values[0] != values[1]).any()
    report = report_of(capsys, dual, "-o", image, "--force", "--colormap", "magma", "--limits", "10,50")
    (channel,) = report["channels"]
    assert report["bands"] == [2] and channel["low"] == 10
    assert (channel["colour"], channel["shows"]) == ("magma", "VV")


def test_bright_stays_bright_in_its_place_at_every_size(pack, tmp_path, capsys):
    source = pack(field(dtype="float32")[None])
    for size in (1024, 200, 41):
        image = tmp_path / f"{size}.png"
        report = report_of(capsys, source, "-o", image, "--size", size, "--limits", "0,6")
        assert max(report["width"], report["height"]) == min(size, 300)
        gray = read(image)[0].astype(float)
        rows, columns = (
            (np.arange(n) + 0.5) * whole / n for n, whole in zip(gray.shape, (200, 300), strict=True)
        )
        near = (abs(rows - BRIGHT[0]) < 8)[:, None] & (abs(columns - BRIGHT[1]) < 8)
        far = (abs(rows - BRIGHT[0]) > 20)[:, None] | (abs(columns - BRIGHT[1]) > 20)
        assert gray[near].min() > 240 and gray[far].mean() < 160


def test_where_the_sensor_saturated_it_is_bright(pack, tmp_path, capsys):
    """Such integers are special values in the file, as nodata are; these stay transparent."""
    values = speckled(120, 140)
    values[20:50, 30:60], values[80:, 100:] = 65535, 0
    report = report_of(capsys, pack(values[None], nodata=0), "-o", tmp_path / "look.png")
    gray, alpha = read(tmp_path / "look.png")
    assert (gray[20:50, 30:60] == 255).all() and (alpha[:80] == 255).all() and (alpha[80:, 100:] == 0).all()
    assert report["channels"][0]["high"] < 60  # 65535 is 96 dB


def test_a_window_is_that_part_of_the_picture(dual, tmp_path, capsys):
    common = ["--band", 2, "--limits", "20,50", "--size", 520]
    report_of(capsys, dual, "-o", tmp_path / "whole.png", *common)
    part = report_of(capsys, dual, "-o", tmp_path / "part.png", *common, "--window", "131,57,205,100")
    found, whole = read(tmp_path / "part.png")[0], read(tmp_path / "whole.png")[0]
    assert part["window"] == [131, 57, 205, 100] and part["transform"] == [10, 0, 501310, 0, -10, 4999430]
    assert np.abs(found.astype(int) - whole[57:157, 131:336]).max() <= 1
    box = report_of(
        capsys, dual, "-o", tmp_path / "box.tif", *common, "--bbox", "501310,4998430,503360,4999430"
    )
    assert box["window"] == part["window"]
    assert (read(tmp_path / "box.tif")[0] == found).all()
    small = report_of(capsys, dual, "-o", tmp_path / "c.png", "--window", "131,57,205,100", "--size", 50)
    assert (small["width"], small["height"], small["decoded_scale"]) == (50, 24, 4)
    with rasterio.open(tmp_path / "c.png") as dataset:
        assert dataset.bounds == pytest.approx((501310, 4998430, 503360, 4999430))


def transforms() -> dict[str, Affine]:
    return {
        "north up": PLACE,
        "flipped": Affine(10, 0, 5e5, 0, 10, 4.998e6),
        "mirrored": Affine(-10, 0, 5.03e5, 0, -10, 5e6),
        "turned": Affine.translation(5e5, 5e6) * Affine.rotation(194) * Affine.scale(10, -10),
    }


def points_of(transform: Affine, rows: int = 200, columns: int = 300) -> list[GroundControlPoint]:
    """Control points in degrees of a scene that lies in UTM zone 33 by a transform."""
    places = [(row, column) for row in np.linspace(0, rows, 4) for column in np.linspace(0, columns, 5)]
    x, y = zip(*(transform * (column, row) for row, column in places), strict=True)
    longitudes, latitudes = to_other_crs("EPSG:32633", "EPSG:4326", x, y)
    return [
        GroundControlPoint(row, column, lon, lat, 0.0)
        for (row, column), lon, lat in zip(places, longitudes, latitudes, strict=True)
    ]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_pictures_lie_where_the_scene_does(suffix, pack, tmp_path, capsys):
    """As stored: the corners are those of the scene, and control points move along."""
    image = tmp_path / f"look.{suffix}"
    turned = transforms()["turned"]
    source = pack(field()[None], crs="EPSG:32633", transform=turned)
    report = report_of(capsys, source, "-o", image, "--size", 70)
    assert (report["width"], report["height"], report["north_up"]) == (70, 47, False)
    with rasterio.open(image) as dataset:
        assert dataset.crs.to_epsg() == 32633 and report["crs"] == "EPSG:32633"
        for corner in ((0, 0), (1, 0), (0, 1), (1, 1)):
            found = dataset.transform * (corner[0] * 70, corner[1] * 47)
            assert found == pytest.approx(turned * (corner[0] * 300, corner[1] * 200), abs=1e-5)

    points = points_of(turned)
    source = pack(field()[None], gcps=points, crs="EPSG:4326")
    report = report_of(capsys, source, "-o", image, "--size", 70, "--force")
    assert report["gcps"] == 20 and report["transform"] is None
    assert not image.with_suffix(".pgw").exists() and not image.with_suffix(".jgw").exists()
    with rasterio.open(image) as dataset:
        found, crs = dataset.gcps
        assert crs.to_epsg() == 4326 and len(found) == 20
        for was, now in zip(points, found, strict=True):
            assert (now.x, now.y) == pytest.approx((was.x, was.y), abs=1e-9)
            assert (now.col, now.row) == pytest.approx((was.col * 70 / 300, was.row * 47 / 200), abs=1e-9)


@pytest.mark.parametrize("name", list(transforms()))
@pytest.mark.parametrize("by_points", [False, True])
def test_north_up(name, by_points, pack, tmp_path, capsys):
    """The bright field is found where the map has it, and the longer side is as asked for."""
    transform = transforms()[name]
    profile = (
        {"gcps": points_of(transform), "crs": "EPSG:4326"}
        if by_points
        else {"crs": "EPSG:32633", "transform": transform}
    )
    source, image = pack(field()[None], **profile), tmp_path / "look.png"
    report = report_of(capsys, source, "-o", image, *["--size", "150", "--north-up", "--limits", "50,60"])
    assert max(report["width"], report["height"]) == 150 and report["north_up"]
    assert report["crs"] == "EPSG:32633"
    with rasterio.open(image) as dataset:
        a, b, _, d, e, _ = dataset.transform[:6]
        assert b == d == 0 and a > 0 > e and abs(a / -e - 1) < 0.03
        pixels = dataset.read()
        rows, columns = np.nonzero(pixels[0] > 220)
        found = dataset.transform * (np.median(columns) + 0.5, np.median(rows) + 0.5)
        expected = transform * BRIGHT[::-1]
        assert np.hypot(*np.subtract(found, expected)) < 1.5 * a
        corners = [transform * corner for corner in ((0, 0), (300, 0), (0, 200), (300, 200))]
        x, y = zip(*corners, strict=True)
        bounds = dataset.bounds
        assert bounds == pytest.approx((min(x), min(y), max(x), max(y)), abs=2.5 * a if by_points else 1e-5)
    assert len(pixels) == 2 if name == "turned" else by_points or len(pixels) == 1


def test_north_up_across_the_antimeridian(pack, tmp_path, capsys):
    """A scene in Fiji, whose control points have longitudes of both signs, is in one piece."""
    points = [
        GroundControlPoint(row, column, (179.2 + column / 200 + 180) % 360 - 180, -17 - row / 200, 0.0)
        for row in np.linspace(0, 200, 4)
        for column in np.linspace(0, 300, 5)
    ]
    source, image = pack(field()[None], gcps=points, crs="EPSG:4326"), tmp_path / "look.png"
    report = report_of(capsys, source, "-o", image, *["--size", "150", "--north-up", "--limits", "50,60"])
    assert report["crs"] in ("EPSG:32701", "EPSG:32760") and 90 < report["height"] < 120
    with rasterio.open(image) as dataset:
        rows, columns = np.nonzero(dataset.read(1) > 220)
        x, y = dataset.xy(np.median(rows), np.median(columns))
        (longitude,), (latitude,) = to_other_crs(dataset.crs, "EPSG:4326", [x], [y])
    assert (longitude % 360, latitude) == pytest.approx(
        (179.2 + BRIGHT[1] / 200, -17 - BRIGHT[0] / 200), abs=0.02
    )


def test_what_cannot_be_put_north_up(pack, tmp_path, capsys):
    source, image = pack(field()[None]), tmp_path / "look.png"
    assert run(["preview", str(source), "-o", str(image), "--north-up"]) == 2
    assert "neither a transform nor control points" in capsys.readouterr().err
    report = report_of(capsys, source, "-o", image)
    assert report["transform"] is None and report["beside"] == []
    line = [GroundControlPoint(row, row, 12.0, 48.0, 0.0) for row in range(4)]
    source = pack(field()[None], gcps=line, crs="EPSG:4326")
    assert run(["preview", str(source), "-o", str(image), "--north-up", "--force"]) == 2
    error = capsys.readouterr().err
    assert "--north-up: the scene cannot be put on the map" in error and error.count("\n") == 1


@pytest.fixture
def layers(pack) -> Path:
    """Bands that are no backscatter: wrapped phase, classes with a palette, incidence angle, coherence."""
    down, across = np.mgrid[:160, :200].astype(np.float32)
    phase = np.angle(np.exp(1j * across / 5)).astype(np.float32)
    classes = (across // 50).astype(np.float32)
    angle = (30 + across / 20 + 0.01 * np.sin(down)).astype(np.float32)
    coherence = np.clip(0.5 + 0.4 * np.sin(down / 9 + across / 31), 0, 1).astype(np.float32)
    angle[:10] = -9999

    def about(dataset) -> None:
        dataset.descriptions = ("phase", "class", "incidence_angle", "coherence")
        dataset.units = ("rad", "", "deg", "")

    return pack(np.stack([phase, classes, angle, coherence]), about, nodata=-9999)


def test_bands_that_are_no_backscatter(layers, tmp_path, capsys):
    image = tmp_path / "look.png"
    report = report_of(capsys, layers, "-o", image, "--size", 50)  # none is: the first one is shown
    (channel,) = report["channels"]
    assert report["bands"] == [1] and report["decoded_scale"] == 1
    assert (channel["colour"], channel["unit"]) == (CYCLIC, "rad")
    angles = np.angle(np.exp(1j * np.arange(200) / 5).reshape(50, 4).mean(1))
    levels = np.rint((angles + np.pi) / (2 * np.pi) * 255).astype(int)
    found = read(image)
    assert np.abs(found[:3, 20].T.astype(int) - colours(CYCLIC)[levels]).max() <= 8

    report = report_of(capsys, layers, "-o", image, "--band", 2, "--size", 100, "--force")
    assert (report["channels"][0]["low"], report["channels"][0]["high"]) == (0, 3)
    assert set(read(image)[0].ravel()) == {0, 85, 170, 255}

    report = report_of(capsys, layers, "-o", image, "--band", 3, "--limits", "30,40", "--force")
    assert report["channels"][0]["unit"] == "deg"
    gray, alpha = read(image)
    assert (alpha[:10] == 0).all() and (alpha[10:] == 255).all()
    np.testing.assert_allclose(gray[20], (np.arange(200) / 20) * 25.5, atol=2)

    report = report_of(capsys, layers, "-o", image, "--band", 4, "--force", "--colormap", "viridis")
    assert (report["channels"][0]["low"], report["channels"][0]["high"]) == (0, 1)
    assert run(["preview", str(layers), "-o", str(image), "--force", "--band", "3", "--band", "4"]) == 2
    assert "--band: two make a composite of backscatter" in capsys.readouterr().err


def test_palettes_pictures_and_alpha(pack, tmp_path, capsys):
    image, colour = tmp_path / "look.png", rasterio.enums.ColorInterp
    labels = np.repeat(np.arange(4, dtype=np.uint8), 30)[None, None, :] * np.ones((1, 80, 1), np.uint8)
    palette = {0: (0, 0, 0, 255), 1: (200, 0, 0, 255), 2: (0, 150, 0, 255), 3: (0, 0, 90, 255)}
    source = pack(labels, lambda dataset: dataset.write_colormap(1, palette))
    report = report_of(capsys, source, "-o", image, "--size", 40)
    assert report["channels"][0]["colour"] == "palette"
    assert read(image)[:, 10, 15].tolist() == [200, 0, 0] and read(image)[:, 10, 35].tolist() == [0, 0, 90]

    rgb = np.random.default_rng(0).integers(0, 256, (4, 60, 70), np.uint8)
    rgb[3] = np.where(np.arange(70) < 35, 0, 255)

    def about(dataset) -> None:
        dataset.colorinterp = (colour.red, colour.green, colour.blue, colour.alpha)

    source = pack(rgb, about, photometric="RGB")
    report = report_of(capsys, source, "-o", image, "--force")
    found = read(image)
    assert report["bands"] == [1, 2, 3] and (found[3] == rgb[3]).all()
    assert (found[:3, :, 35:] == rgb[:3, :, 35:]).all()

    scene = np.stack([speckled(90, 100), np.where(np.arange(100) < 40, 0, 65535) * np.ones((90, 1))])
    source = pack(
        scene.astype(np.uint16), lambda dataset: setattr(dataset, "colorinterp", (colour.gray, colour.alpha))
    )
    report_of(capsys, source, "-o", image, "--force")
    assert (read(image)[1] == np.where(np.arange(100) < 40, 0, 255)).all()


def test_jpeg_has_no_alpha_and_a_cog_has_all_in_itself(dual, tmp_path, capsys):
    report_of(capsys, dual, "-o", tmp_path / "a.png")
    report_of(capsys, dual, "-o", tmp_path / "a.JPG")
    report = report_of(capsys, dual, "-o", tmp_path / "a.tif")
    assert report["format"] == "COG" and report["beside"] == []
    png, jpeg, cog = (read(tmp_path / name) for name in ("a.png", "a.JPG", "a.tif"))
    assert (png == cog).all() and jpeg.shape == (3, 440, 520)
    inside = np.s_[:3, 140:, 100:480]
    assert np.corrcoef(jpeg[inside].ravel(), png[inside].ravel())[0, 1] > 0.8
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert [each.name for each in dataset.colorinterp] == ["red", "green", "blue", "alpha"]


def test_nothing_stale_stays_beside_a_picture(pack, tmp_path, capsys):
    image = tmp_path / "look.png"
    source = pack(field()[None], crs="EPSG:32633", transform=PLACE)
    report_of(capsys, source, "-o", image)
    image.unlink()
    for name in ("look.pgw", "look.png.aux.xml"):
        other = "look.png.aux.xml" if name == "look.pgw" else "look.pgw"
        kept = (tmp_path / other).read_bytes()
        (tmp_path / other).unlink()
        assert run(["preview", str(source), "-o", str(image)]) == 2
        assert f"{name}: exists already and would attach itself to look.png" in capsys.readouterr().err
        (tmp_path / other).write_bytes(kept)
    source = pack(field()[None])
    (tmp_path / "look.wld").write_text("1\n0\n0\n-1\n0\n0\n")
    report_of(capsys, source, "-o", image, "--force")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sarz", "look.png"]


def test_streams(dual, tmp_path, capsys):
    report_of(capsys, dual, "-o", tmp_path / "a.png", "--size", 100)
    command = [sys.executable, "-m", "sarzip", "preview", "-", "-o", "-", "--size", "100", "-q"]
    done = subprocess.run(command, input=dual.read_bytes(), capture_output=True, timeout=60, check=True)
    assert done.stdout == (tmp_path / "a.png").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--size 0", "positive"),
        ("--band 7", "2 bands"),
        ("--band 1 --band 1 --band 1 --band 1", "one to three bands"),
        ("--stretch 2", "--stretch 2: expected LOW,HIGH"),
        ("--stretch 2,101", "percentiles from 0 to 100"),
        ("--limits a,b", "--limits a,b: expected LOW,HIGH"),
        ("--colormap jet", "viridis"),
        ("--composite pauli", "cross-ratio"),
        ("--colormap magma --band 1 --band 2", "--colormap: colours a single band"),
        ("--window 500,400,100,100", "520x440 pixels"),
        ("-o picture", "*.png"),
        ("-o picture.gif", "*.png"),
    ],
)
def test_words_for_what_is_refused(arguments, words, dual, tmp_path, capsys):
    output = [] if "-o" in arguments else ["-o", str(tmp_path / "x.png")]
    assert run(["preview", str(dual), *output, *arguments.split()]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.sarz"]
