"""Parts of a scene, COGs and remote files on the command line."""

from __future__ import annotations

import functools
import http.server
import json
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine
from support.models import write_lapped_model
from support.scenes import speckled

import sarzip
from sarzip.cli import run

PLACE = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lapped_model(tmp_path_factory.mktemp("models") / "lapped")


@pytest.fixture
def packed(model, write_raster, tmp_path) -> Path:
    """Two bands of 1100×1300 pixels, zeros in a corner and at the right border."""
    values = np.stack([speckled(1100, 1300, seed=seed) for seed in range(2)])
    values[:, :300, :200] = 0
    values[:, :, 1250:] = 0
    target = tmp_path / "a.sarz"
    options = sarzip.CompressOptions(model=str(model))
    sarzip.compress(write_raster(values, nodata=0, **PLACE), target, options)
    return target


def report_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    assert run([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_window_and_bbox_report_what_they_took(packed, model, tmp_path, capsys):
    common = ["decompress", packed, "--model", model, "--force", "-o", tmp_path / "part.tif"]
    report = report_of(capsys, *common, "--window", "1000,1000,100,90", "--band", 2)
    assert (report["width"], report["height"], report["bands"]) == (100, 90, 1)
    assert report["window"] == [1000, 1000, 100, 90] and report["scale"] == 1 and report["warnings"] == []
    inside = report_of(capsys, *common, "--window", "100,400,100,90", "--band", 2)
    assert inside["bytes_read"] < 0.8 * packed.stat().st_size
    report = report_of(capsys, *common, "--window", "1000,1000,100,90", "--band", 2)
    with rasterio.open(tmp_path / "part.tif") as dataset:
        first = dataset.read(1)
    report = report_of(capsys, *common, "--bbox", "510000,4989100,511000,4990000", "--band", "2")
    assert report["window"] == [1000, 1000, 100, 90]
    with rasterio.open(tmp_path / "part.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), first)
        assert dataset.bounds == (510000, 4989100, 511000, 4990000)
    report = report_of(capsys, *common, "--scale", 8)
    assert (report["width"], report["height"], report["bands"]) == (163, 138, 2)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--window", "1000,1000,400,90"], "1300x1100 pixels"),
        (["--window", "1,2,3"], "COL,ROW,W,H"),
        (["--window", "1,2,3.5,4"], "COL,ROW,W,H"),
        (["--bbox", "0,0,1,1"], "does not meet"),
        (["--bbox", "13,40,14,41", "--bbox-crs", "EPSG:4326"], "does not meet"),
        (["--bbox", "a,b,c,d"], "W,S,E,N"),
        (["--bbox-crs", "EPSG:4326"], "--bbox"),
        (["--band", "3"], "2 bands"),
        (["--scale", "5"], "1, 2, 4, 8, 16"),
        (["--cog", "--salvage"], "--salvage"),
        (["--window", "0,0,5,5", "--bbox", "0,0,1,1"], "exclude"),
    ],
)
def test_selections_refused_in_one_line(arguments, words, packed, model, tmp_path, capsys):
    target = tmp_path / "part.tif"
    assert run(["decompress", str(packed), "-o", str(target), "--model", str(model), *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert not target.exists()


def test_windows_without_torch_and_from_a_pipe(packed, model, tmp_path):
    probe = (
        "import sys; from sarzip.cli import run\n"
        "code = run(sys.argv[1:])\n"
        "heavy = {'torch', 'fsspec'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    options = ["--model", str(model), "--window", "900,900,333,111", "--quiet"]
    files = [tmp_path / "file.tif", tmp_path / "pipe.tif"]
    for source, target, data in [(str(packed), files[0], None), ("-", files[1], packed.read_bytes())]:
        command = [sys.executable, "-c", probe, "decompress", source, "-o", str(target), *options]
        done = subprocess.run(command, input=data, capture_output=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr.decode()
    with rasterio.open(files[0]) as a, rasterio.open(files[1]) as b:
        np.testing.assert_array_equal(a.read(), b.read())
        assert a.transform == b.transform
    # A pipe that ends early is noticed though the window was complete before.
    command = [sys.executable, "-m", "sarzip", "decompress", "-", "-o", str(tmp_path / "no.tif")]
    command += ["--model", str(model), "--window", "0,0,10,10"]
    done = subprocess.run(
        command, input=packed.read_bytes()[:-5], capture_output=True, timeout=100, check=False
    )
    assert done.returncode == 4 and not (tmp_path / "no.tif").exists()


def test_cog(packed, model, write_raster, tmp_path, capsys):
    rio_cogeo = pytest.importorskip("rio_cogeo")
    plain, cog = tmp_path / "plain.tif", tmp_path / "cog.tif"
    common = ["decompress", packed, "--model", model]
    report_of(capsys, *common, "-o", plain)
    report = report_of(capsys, *common, "-o", cog, "--cog")
    assert report["warnings"] == [] and report["output_bytes"] == cog.stat().st_size
    valid, errors, warnings = rio_cogeo.cog_validate(cog, strict=True)
    assert valid, (errors, warnings)
    with rasterio.open(plain) as a, rasterio.open(cog) as b:
        np.testing.assert_array_equal(a.read(), b.read())
        assert b.overviews(1) and (a.transform, a.crs, a.nodata) == (b.transform, b.crs, b.nodata)
        # Overviews of amplitudes keep the power.
        whole, reduced = a.read(1).astype(float), b.read(1, out_shape=(550, 650)).astype(float)
        assert np.sqrt((reduced[200:, :600] ** 2).mean()) == pytest.approx(
            np.sqrt((whole[400:, :1200] ** 2).mean()), rel=0.01
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.sarz", "cog.tif", "plain.tif", "scene.tif"]
    part = report_of(capsys, *common, "-o", cog, "--cog", "--force", "--window", "600,500,600,600")
    assert part["window"] == [600, 500, 600, 600] and rio_cogeo.cog_validate(cog)[0]


def test_cog_keeps_or_names_every_tag(model, write_raster, tmp_path, capsys):
    pytest.importorskip("rio_cogeo")
    source = write_raster(np.stack([speckled(600, 700)] * 2), nodata=0)
    points = [
        rasterio.control.GroundControlPoint(r, c, 10 + 1e-4 * c, 50 - 1e-4 * r, 7.5)
        for r in (0, 300, 599.5)
        for c in (0, 350, 700)
    ]
    with rasterio.open(source, "r+") as dataset:
        dataset.gcps = (points, rasterio.CRS.from_epsg(4326))
        dataset.update_tags(AREA_OR_POINT="Point", MISSION="S1")
        dataset.update_tags(ns="OWN", KEY="value")
        dataset.update_tags(2, POL="VH")
        dataset.descriptions = ("VV", "VH")
        dataset.units = ("DN", "DN")
        dataset.scales = (0.5, 0.25)
    packed, plain, cog = tmp_path / "a.sarz", tmp_path / "plain.tif", tmp_path / "cog.tif"
    sarzip.compress(source, packed, sarzip.CompressOptions(model=str(model)))
    report_of(capsys, "decompress", packed, "--model", model, "-o", plain)
    report = report_of(capsys, "decompress", packed, "--model", model, "-o", cog, "--cog")
    from sarzip.raster import compare_structure

    differences = compare_structure(plain, cog)
    assert len(differences) == len(report["warnings"]), (differences, report["warnings"])
    assert len(differences) <= 1


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves files with range requests, and notes which."""

    served: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data, wanted = path.read_bytes(), self.headers.get("Range", "")
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, stop = int(first or 0), min(int(last or len(data) - 1), len(data) - 1) + 1
        self.served.append(stop - start)
        self.send_response(206 if wanted else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(stop - start))
        self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[start:stop])

    def do_HEAD(self) -> None:
        path = Path(self.translate_path(self.path))
        self.send_response(200 if path.is_file() else 404)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(path.stat().st_size if path.is_file() else 0))
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


class _NoRanges(http.server.SimpleHTTPRequestHandler):
    """Serves whole files, each in one piece; stops in the middle of 'broken.sarz'."""

    def do_GET(self) -> None:
        broken = self.path.endswith("broken.sarz")
        data = Path(self.translate_path(self.path.replace("broken", "a"))).read_bytes()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if broken else data)

    def do_HEAD(self) -> None:
        self.send_error(405)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(params=[_Ranges])
def server(request, tmp_path, monkeypatch) -> Iterator[str]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    _Ranges.served.clear()
    handler = functools.partial(request.param, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        thread = threading.Thread(target=serving.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()


def server_knows_ranges(server: str) -> bool:
    with urllib.request.urlopen(f"{server}/a.sarz") as answer:
        return answer.headers.get("Accept-Ranges") == "bytes"


def test_ranges_over_http(packed, model, server, tmp_path, capsys):
    pytest.importorskip("aiohttp")
    window = ["--window", "1200,1050,30,30", "--model", model]
    near = report_of(capsys, "decompress", packed, "-o", tmp_path / "near.tif", *window)
    far = report_of(capsys, "decompress", f"{server}/a.sarz", "-o", tmp_path / "far.tif", *window)
    assert far["bytes_read"] == near["bytes_read"]
    # What is read ahead comes on top.
    assert sum(_Ranges.served) <= near["bytes_read"] + len(_Ranges.served) * (1 << 16) < packed.stat().st_size
    with rasterio.open(tmp_path / "near.tif") as a, rasterio.open(tmp_path / "far.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())
    assert run(["info", f"{server}/missing.sarz"]) == 3
    assert "missing.sarz" in capsys.readouterr().err


@pytest.mark.parametrize("server", [_Ranges, _NoRanges], indirect=True)
def test_every_reading_command_takes_urls(packed, model, server, tmp_path, capsys):
    pytest.importorskip("aiohttp")
    far, own = f"{server}/a.sarz", ["--model", model]
    for more in (
        ["--bbox", "510000,4989100,511000,4990000", "--band", "2"],
        ["--scale", "8"],
        ["--window", "64,32,640,320", "--scale", "16", "--band", "1"],
        [],
    ):
        report_of(capsys, "decompress", packed, "-o", tmp_path / "near.tif", "--force", *own, *more)
        report_of(capsys, "decompress", far, "-o", tmp_path / "far.tif", "--force", *own, *more)
        with rasterio.open(tmp_path / "near.tif") as a, rasterio.open(tmp_path / "far.tif") as b:
            np.testing.assert_array_equal(a.read(), b.read())
            assert (a.crs, a.transform) == (b.crs, b.transform)
    report_of(capsys, "preview", packed, "-o", tmp_path / "near.png", "--size", 128, *own)
    report_of(capsys, "preview", far, "-o", tmp_path / "far.png", "--size", 128, *own)
    assert (tmp_path / "near.png").read_bytes() == (tmp_path / "far.png").read_bytes()
    assert report_of(capsys, "verify", far, "--deep", *own)["groups"] == 4
    report_of(capsys, "compress", tmp_path / "near.tif", "-o", tmp_path / "near.sarz", *own)
    if server_knows_ranges(server):
        assert report_of(capsys, "info", far)["width"] == 1300
        # Rasters are read by GDAL, which would keep the server of this process waiting.
        command = [sys.executable, "-m", "sarzip", "compress", f"{server}/near.tif", "-o", "far.sarz", *own]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=60)
        assert (tmp_path / "far.sarz").read_bytes() == (tmp_path / "near.sarz").read_bytes()


@pytest.mark.parametrize("server", [_NoRanges], indirect=True)
def test_servers_without_ranges_are_read_like_pipes(packed, model, server, tmp_path, capsys):
    pytest.importorskip("aiohttp")
    window = ["--window", "1200,1050,30,30", "--model", model]
    report_of(capsys, "decompress", packed, "-o", tmp_path / "near.tif", *window)
    far = report_of(capsys, "decompress", f"{server}/a.sarz", "-o", tmp_path / "far.tif", *window)
    assert far["bytes_read"] == packed.stat().st_size
    with rasterio.open(tmp_path / "near.tif") as a, rasterio.open(tmp_path / "far.tif") as b:
        np.testing.assert_array_equal(a.read(), b.read())
    command = ["decompress", f"{server}/broken.sarz", "-o", tmp_path / "no.tif", *window]
    assert run(list(map(str, command))) in (3, 4)
    error = capsys.readouterr().err
    assert "broken.sarz" in error and error.count("\n") == 1 and not (tmp_path / "no.tif").exists()
