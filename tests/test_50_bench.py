"""`bench`: honest numbers from small scenes, whatever the codec."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
from support.bench import Rounding

from sarzip.bench import codecs as bench_codecs
from sarzip.bench.codecs import BenchScene, Coded, SarzipCodec, choose_codecs, load_scene
from sarzip.bench.peers import PEERS, PeerImage, find_peer
from sarzip.bench.promises import bench_bounded, bench_lossless
from sarzip.bench.run import BenchPoint, BenchReport, bench
from sarzip.bench.summary import plot, summarise
from sarzip.errors import SarzipError, UsageError
from sarzip.measure import to_db
from sarzip.simulate import SceneConfig, simulate
from sarzip.usecases.compress import CompressOptions


def write(path: Path, bands: list[np.ndarray], **options: Any) -> Path:
    height, width = bands[0].shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=width,
        height=height,
        count=len(bands),
        dtype=bands[0].dtype,
        **options,
    ) as dataset:
        for number, band in enumerate(bands, start=1):
            dataset.write(band, number)
    return path


def scene(**options: Any) -> np.ndarray:
    base = SceneConfig(192, 160, looks=4.4, oversampling=(1.9, 1.8), seed=8)
    return simulate(replace(base, **options))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("bench")
    return {
        "amplitude": write(folder / "amplitude.tif", [scene(border=0.1)], nodata=0),
        "db": write(folder / "two_db.tif", [scene(form="db"), scene(form="db", seed=9)]),
        "power": write(folder / "intensity.tif", [scene(form="power", looks=1)]),
    }


def test_scenes_are_read_as_compress_reads_them(files: dict[str, Path]) -> None:
    amplitude = load_scene(files["amplitude"])
    assert [band.domain for band in amplitude.bands] == ["amplitude"]
    band = amplitude.bands[0]
    assert band.floor == 0.5 and np.array_equal(band.valid, band.values > 0)
    two = load_scene(files["db"])
    assert [band.domain for band in two.bands] == ["db", "db"] and two.pixels == 2 * 192 * 160
    power = load_scene(files["power"]).bands[0]
    assert power.domain == "power" and power.floor == power.values.min()


def test_rate_and_error_of_every_point(files: dict[str, Path]) -> None:
    report = bench(list(files.values()), [Rounding()])
    assert not report.skipped and set(report.pixels) == {path.name for path in files.values()}
    curve = report.curve("two_db.tif", "openjpeg")
    assert [point.setting for point in curve] == [4.0, 2.0, 1.0, 0.5]
    for point in curve:
        assert point.bpp == pytest.approx(4 - np.log2(point.setting), abs=0.01)
        # Uniform rounding errors have a standard deviation of step / sqrt(12).
        assert point.rmse_db == pytest.approx(point.setting / np.sqrt(12), rel=0.03)
        assert point.max_error_db == pytest.approx(point.setting / 2, rel=0.01)
        assert point.encode_mpix_s == pytest.approx(2 * report.pixels["two_db.tif"] / 1e6)
        assert point.decode_mpix_s == pytest.approx(2 * point.encode_mpix_s)
    json.dumps(report.to_dict(), allow_nan=False)


def test_bd_rates_and_their_summary(files: dict[str, Path]) -> None:
    codecs = [Rounding(), Rounding("cheaper", "cheaper", 0.8), Rounding("dearer", "dearer", 1.1)]
    report = bench(list(files.values()), codecs)
    assert report.bd_rates("openjpeg") == pytest.approx(dict.fromkeys(report.pixels, 0.0), abs=1e-9)
    assert report.bd_rates("cheaper") == pytest.approx(dict.fromkeys(report.pixels, -0.2), abs=1e-3)
    rows = {row.codec: row for row in summarise(report)}
    assert rows["dearer"].bd_rate == pytest.approx(0.1, abs=3e-3) and rows["dearer"].images == 3
    assert rows["dearer"].worst_image in report.pixels
    assert rows["openjpeg"].bias_p95_db > 0
    assert report.to_dict()["bd_rates"]["cheaper"]["two_db.tif"] == pytest.approx(-0.2, abs=1e-3)


def test_without_the_reference_there_are_no_bd_rates(files: dict[str, Path]) -> None:
    report = bench([files["power"]], [Rounding("alone", "alone")])
    assert report.bd_rates("alone") == {}
    row = summarise(report)[0]
    assert row.images == 0 and np.isnan(row.bd_rate) and np.isfinite(row.bpp)


def test_what_cannot_be_measured_is_said(tmp_path: Path, files: dict[str, Path]) -> None:
    compl = write(tmp_path / "slc.tif", [np.ones((20, 20), np.complex64)])
    empty = write(tmp_path / "empty.tif", [np.full((20, 20), np.nan, np.float32)])

    class Refusing(Rounding):
        def run(self, scene: BenchScene, setting: float) -> Coded:
            raise SarzipError("no")

    report = bench(
        [compl, empty, tmp_path / "missing.tif", files["power"]], [Refusing("refusing"), Rounding()]
    )
    assert set(report.skipped) == {"slc.tif", "empty.tif", "missing.tif", "refusing on intensity.tif"}
    assert "detected" in report.skipped["slc.tif"]
    assert len(report.points) == 4
    assert len(summarise(bench([empty], [Rounding()]))) == 1  # nothing measured is no crash


def test_peers_get_a_smooth_image_without_holes() -> None:
    values = scene(border=0.2)
    valid = values > 0
    db = to_db(values, "amplitude", 0.5).astype(np.float32)
    image = PeerImage.from_db(db, valid)
    assert np.abs(image.db(image.codes) - db)[valid].max() <= 0.51 * image.step + 1e-5
    filled = image.db(image.codes)
    assert filled[~valid].min() > np.percentile(db[valid], 1)  # no cliff down to -6 dB
    with pytest.raises(UsageError):
        PeerImage.from_db(db, np.zeros_like(valid))
    flat = PeerImage.from_db(np.full((20, 20), -7.0, np.float32), np.ones((20, 20), bool))
    assert np.allclose(flat.db(flat.codes), -7.0)


@pytest.mark.parametrize("peer", [peer.name for peer in PEERS])
def test_every_peer_reaches_about_the_error_it_aims_at(peer: str) -> None:
    pytest.importorskip("imagecodecs")
    db = scene(form="db")
    image = PeerImage.from_db(db, np.ones(db.shape, bool))
    sizes, errors = [], []
    for aimed in (0.2, 0.6, 1.8):
        data = find_peer(peer).encode(image, aimed, 1)
        decoded = image.db(find_peer(peer).decode(data, image, 1))
        assert decoded.shape == db.shape
        sizes.append(len(data))
        errors.append(float(np.sqrt(np.mean((decoded - db) ** 2))))
        assert aimed / 2.5 < errors[-1] < aimed * 2.5
        assert abs(np.mean(decoded - db)) < 0.25 * aimed  # no offset from the mapping to codes and back
    assert sizes == sorted(sizes, reverse=True) and errors == sorted(errors)


def test_peers_in_a_run(files: dict[str, Path]) -> None:
    pytest.importorskip("imagecodecs")
    codecs = choose_codecs(["openjpeg", "htj2k", "zstd-tiff"], CompressOptions(), 1)
    seen: list[str] = []
    report = bench([files["amplitude"], files["db"]], codecs, seen.append)
    assert not report.skipped and "OpenJPEG 9/7 on two_db.tif" in seen
    # Without loss the rate is that of the file, which rasterio can check.
    for name in report.pixels:
        (lossless,) = report.curve(name, "zstd-tiff")
        assert lossless.rmse_db == 0 and lossless.bytes > max(p.bytes for p in report.curve(name, "openjpeg"))
        curve = report.curve(name, "openjpeg")
        assert [point.rmse_db for point in curve] == sorted((p.rmse_db for p in curve), reverse=True)
    assert -0.05 < summarise(report)[1].bd_rate < 0.4


def test_decoded_peers_are_judged_in_the_files_own_type(files: dict[str, Path]) -> None:
    band = load_scene(files["amplitude"]).bands[0]
    decoded = band.from_db(to_db(band.values, "amplitude", band.floor) + 1e-5)
    assert decoded.dtype == np.uint16
    assert band.quality(np.where(band.valid, decoded, 0).astype(np.uint16)).identical
    assert band.from_db(np.array([[200.0, -300.0]])).tolist() == [[65535, 0]]


def test_sarzip_is_measured_from_file_to_file(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def fake_compress(source: Path, destination: Path, options: CompressOptions) -> None:
        used.append((options.fidelity.value, options.model))
        shutil.copy(source, destination)

    def fake_decompress(source: Path, destination: Path, options: Any) -> None:
        shutil.copy(source, destination)

    monkeypatch.setattr(bench_codecs, "compress", fake_compress)
    monkeypatch.setattr(bench_codecs, "decompress", fake_decompress)
    monkeypatch.setattr(bench_codecs, "inspect", lambda path: SimpleNamespace(overhead_bytes=120))
    codec = choose_codecs(["sarzip:other"], CompressOptions(threads=1), 1)[0]
    report = bench([files["db"]], [codec])
    assert {model for _, model in used} == {"other"}
    assert {quality for quality, _ in used} == set(bench_codecs.QUALITIES)
    assert all(p.bytes == files["db"].stat().st_size and p.rmse_db == 0 for p in report.points)
    assert all(p.metadata == 120 for p in report.points)
    assert isinstance(codec, SarzipCodec) and codec.name == "sarzip:other"


def test_sarzip_as_a_process_gives_the_same(files: dict[str, Path]) -> None:
    within, apart = (
        bench(
            [files["db"]],
            choose_codecs(["sarzip:lapped16:fast"], CompressOptions(threads=1), 1, (40.0,), how),
        )
        for how in (False, True)
    )
    assert within.points[0].bytes == apart.points[0].bytes
    assert within.points[0].rmse_db == apart.points[0].rmse_db


def test_unknown_codecs_are_refused_before_any_work() -> None:
    with pytest.raises(UsageError, match="jxl-e7"):
        choose_codecs(["jpeg"], CompressOptions(), 1)


def test_without_imagecodecs_the_remedy_is_told(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    report = bench([files["power"]], choose_codecs(["openjpeg"], CompressOptions(), 1))
    assert "sarzip[bench]" in report.skipped["openjpeg on intensity.tif"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_plot(tmp_path: Path, files: dict[str, Path], suffix: str) -> None:
    pytest.importorskip("matplotlib")
    report = bench(list(files.values()), [Rounding(), Rounding("sarzip", "sarzip", 0.8)])
    target = tmp_path / f"curves.{suffix}"
    plot(report, target)
    head = target.read_bytes()[:400]
    assert head.startswith(b"\x89PNG") if suffix == "png" else b"<svg" in head or b"<?xml" in head
    with pytest.raises(UsageError, match="already exists"):
        plot(report, target)
    with pytest.raises(UsageError, match="png"):
        plot(report, tmp_path / "curves.txt")
    with pytest.raises(UsageError, match="nothing"):
        plot(BenchReport((), {}, {}, {}, ""), tmp_path / "none.png")


def test_bd_rates_of_the_pixels_leave_metadata_out() -> None:
    curve = [(0.5, 2.0), (1.0, 1.0), (2.0, 0.5)]
    points = [point(codec, *at, more) for codec, more in (("openjpeg", 0), ("sarzip", 300)) for at in curve]
    report = BenchReport(tuple(points), {"a": 8000}, {"openjpeg": "", "sarzip": ""}, {}, "")
    assert report.bd_rates("sarzip")["a"] > 0.1
    assert abs(report.bd_rates("sarzip", pixels_only=True)["a"]) < 1e-9


def point(codec: str, bpp: float, rmse: float, metadata: int = 0) -> BenchPoint:
    size = int(bpp * 1000) + metadata
    values = dict.fromkeys((field.name for field in fields(BenchPoint)), 1.0)
    values |= {"scene": "a", "codec": codec, "bytes": size, "bpp": size / 1000, "rmse_db": rmse}
    return BenchPoint(**values | {"metadata": metadata})  # type: ignore[arg-type]


def test_a_missing_scipy_is_told_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.interpolate", None)
    told: list[str] = []
    with pytest.raises(UsageError, match=r"scipy.*sarzip\[bench\]"):
        bench(["missing.tif"], [], told.append)
    assert not told
    points = [point(codec, *at) for codec in ("openjpeg", "sarzip") for at in ((0.5, 2.0), (1.0, 1.0))]
    report = BenchReport(tuple(points), {"a": 8000}, {"openjpeg": "", "sarzip": ""}, {}, "")
    with pytest.raises(UsageError, match="scipy"):  # not taken for curves of too few points
        report.bd_rates("sarzip")


def test_promises_are_kept_by_all_and_compared(files: dict[str, Path]) -> None:
    pytest.importorskip("imagecodecs")
    paths = [files["amplitude"], files["db"]]
    bounded = bench_bounded(paths, (0.5, 3.0), CompressOptions(), 2)
    codecs = {point.codec for point in bounded.points}
    assert codecs == {"sarzip", "JPEG XL e7", "JPEG-LS", "SZ3", "SPERR", "LERC"}
    assert all(point.kept for point in bounded.points) and not bounded.skipped
    rows = list(bounded.rows())
    assert [row.scenes for row in rows] == [2] * len(rows) and len(rows) == 12
    best = min(row.bpp for row in rows if row.setting == 0.5)
    assert next(row for row in rows if row.codec == "sarzip").bpp < 1.1 * best
    lossless = bench_lossless(paths, CompressOptions(), 2)
    assert all(point.kept for point in lossless.points)
    assert {"sarzip", "JPEG XL e7", "PNG", "pcodec", "ZSTD GeoTIFF"} <= {p.codec for p in lossless.points}
    assert json.loads(json.dumps(lossless.to_dict()))["rows"]
