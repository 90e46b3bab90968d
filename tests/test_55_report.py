"""Pages of `compare` and `bench`: what they say, that it is all inside, and that nothing in it is markup of
others.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.bench import Rounding

import sarzip
from sarzip.bench.page import bench_page, promises_page
from sarzip.bench.promises import PromisePoint, PromiseReport
from sarzip.bench.run import BenchReport, bench
from sarzip.cli import run
from sarzip.errors import UsageError
from sarzip.measure import Strip
from sarzip.report import BandComparison, Comparison, Promise
from sarzip.report.gather import GRAY_PIXELS, PICTURED, WINDOWS, BandGatherer, Layout
from sarzip.report.page import Page, plain
from sarzip.simulate import SceneConfig, simulate

LARGEST = 5_000_000


def scene(**options: object) -> np.ndarray:
    return simulate(SceneConfig(**{"width": 320, "height": 288, "looks": 4.4, "seed": 3, **options}))


def numbers(page: str) -> dict:
    """The JSON that a page carries; there is one such element, and the script after it."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    return json.loads(found)


def verdict(page: str) -> tuple[str, str]:
    (found,) = re.findall(r'<p class="verdict ?(\w*)">(.*?)</p>', page, re.S)
    return found


@pytest.fixture(scope="module")
def dual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bands of backscatter and one of labels."""
    path = tmp_path_factory.mktemp("report") / "dual.tif"
    labels = np.random.default_rng(0).integers(0, 4, (288, 320)).astype(np.uint16)
    profile = {"driver": "GTiff", "width": 320, "height": 288, "count": 3, "dtype": "uint16", "nodata": 0}
    with rasterio.open(path, "w", **profile) as dataset:
        for number, (values, name) in enumerate(
            [(scene(), "VV"), (scene(seed=4), "VH"), (labels, "classification")], start=1
        ):
            dataset.write(values, number)
            dataset.set_band_description(number, name)
    return path


def compared(reference: Path, decoded: Path, **options: object) -> tuple[sarzip.Comparison, str]:
    target = decoded.with_suffix(".html")
    found = sarzip.compare(reference, decoded, html=target, force=True, **options)
    text = target.read_text()
    assert len(target.read_bytes()) < LARGEST
    return found, text


def test_a_page_about_a_quality(dual: Path, tmp_path: Path) -> None:
    packed = tmp_path / "dual.sarz"
    sarzip.compress(dual, packed)
    found, page = compared(dual, packed)
    state, sentence = verdict(page)
    assert state == "open" and sentence.startswith("Coded at quality 60, without a bound: the error is")
    assert sentence.endswith("Promised bit for bit, and so it is: band 3.")
    told = numbers(page)
    own = {key: value for key, value in told.items() if key not in ("page", "charts")}
    assert own == plain(found.to_dict())  # the page says what --json says, and more
    band = told["page"]["band 1"]
    assert sum(each["windows"] for each in band["bias_by_class"]) == found.bands[0].quality.windows
    assert band["autocorrelation_of_ratio"]["by_row"][0] == 1
    assert {image["factor"] for image in band["viewer"]["images"]} == {1}
    labels = [place["label"] for place in band["viewer"]["places"]]
    column, row = found.bands[0].quality.max_error_at
    assert f"Greatest error, column {column}, row {row}" in labels
    assert abs(told["page"]["band 2 over band 1"]["bias_p95_db"]) < 0.2
    assert "identical, pixel by pixel" in page and "VH / VV" in page
    assert {f"band-{n}-{name}" for n in (1, 2) for name in ("histogram", "error", "bias")} <= set(
        told["charts"]
    )


def test_nothing_outside_is_asked_for(dual: Path) -> None:
    _, page = compared(dual, dual)
    outside = re.findall(r"""(?:src|href)=["']?(?!data:|#)[^"' >]+""", page)
    assert not outside and "@import" not in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy and policy[1].startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy[1]


@pytest.mark.parametrize("kind", ["sarz", "tif"])
def test_a_bound_is_found_and_judged(kind: str, dual: Path, tmp_path: Path) -> None:
    """A `.sarz` says it in its header, what was decompressed from it in a tag."""
    judged = tmp_path / "b.sarz"
    sarzip.compress(dual, judged, sarzip.CompressOptions(max_error_db=0.5))
    if kind == "tif":
        sarzip.decompress(judged, tmp_path / "b.tif")
        judged = tmp_path / "b.tif"
    found, page = compared(dual, judged)
    promised = [each for each in found.promises if each.unit == "db"]
    assert [(each.band, each.asked) for each in promised] == [(1, 0.5), (2, 0.5)]
    for each in promised:
        assert each.kept and 0.4 < each.achieved <= 0.5 * (1 + 1e-6)
        assert each.at == found.bands[each.band - 1].quality.max_error_at
    state, sentence = verdict(page)
    assert state == "kept" and found.kept
    assert sentence.startswith("Kept: promised 0.5 dB; greatest error 0.") and "pixel (column " in sentence


def test_a_broken_bound_is_called_so(dual: Path, tmp_path: Path) -> None:
    sarzip.compress(dual, tmp_path / "b.sarz", sarzip.CompressOptions(max_error_db=0.5))
    sarzip.decompress(tmp_path / "b.sarz", tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif", "r+") as dataset:
        values = dataset.read(2)
        values[200, 30] = 4 * values[200, 30] + 50
        dataset.write(values, 2)
    found, page = compared(dual, tmp_path / "b.tif")
    state, sentence = verdict(page)
    assert state == "broken" and found.kept is False and "(column 30, row 200) of band 2, VH" in sentence
    assert [each.kept for each in found.promises] == [True, False]


def test_lossless_is_a_promise_too(dual: Path, tmp_path: Path) -> None:
    sarzip.compress(dual, tmp_path / "l.sarz", sarzip.CompressOptions(lossless=True))
    found, page = compared(dual, tmp_path / "l.sarz")
    assert verdict(page) == ("kept", "Kept, as promised: no pixel of any band differs.")
    assert [each.unit for each in found.promises] == ["exact"] * 3 and found.identical


def test_a_guessed_domain_is_the_files_own(write_raster, tmp_path: Path) -> None:
    """Values without any hint, coded as power: their error in dB is not judged as that of amplitude."""
    source = write_raster(scene(form="power")[None])
    sarzip.compress(source, tmp_path / "p.sarz", sarzip.CompressOptions(domain="power", max_error_db=1.0))
    found = sarzip.compare(source, tmp_path / "p.sarz")
    assert found.bands[0].domain == "power" and found.kept
    sarzip.decompress(tmp_path / "p.sarz", tmp_path / "p.tif")
    wrong = sarzip.compare(source, tmp_path / "p.tif", "amplitude")
    assert wrong.promises[0].achieved == pytest.approx(2 * found.promises[0].achieved, rel=1e-5)


def test_a_broken_promise_in_a_guessed_domain_is_undecided() -> None:
    band = BandComparison(1, "backscatter", "amplitude", 0, None, None, guess=True)
    promise = Promise(1, "db", 0.5, 0.9, (3, 4), sure=False)
    found = Comparison("a", "b", 1, 1.0, (), (band,), (promise,))
    assert found.kept is None and found.verdict.startswith(
        "Undecided: promised 0.5 dB; greatest error 0.9 dB"
    )


def test_texts_of_files_are_no_markup(write_raster, tmp_path: Path) -> None:
    evil = '</script><img src=x onerror="alert(1)">&amp;\u2028'
    source = write_raster(np.stack([scene(width=64, height=64)] * 2))
    with rasterio.open(source, "r+") as dataset:
        dataset.descriptions = (evil, "VH <b>")
    other = tmp_path / "<i>b & c.tif"
    other.write_bytes(source.read_bytes())
    with rasterio.open(other, "r+") as dataset:
        dataset.update_tags(**{"NOTE": evil})
        dataset.update_tags(1, ns="SARZIP", MAX_ERROR_DB=evil)
    found, page = compared(source, other)
    assert not found.promises and numbers(page)["structure"]
    assert "<img src=x" not in page and "<i>b" not in page and "VH <b>" not in page
    assert "&lt;/script&gt;&lt;img src=x" in page
    assert page.count("</script>") == 2 and "\\u2028" in page


def test_scenes_without_much_to_show(write_raster, tmp_path: Path) -> None:
    empty = write_raster(np.full((1, 40, 40), np.nan, np.float32), "empty.tif")
    _, page = compared(empty, empty)
    assert verdict(page) == ("open", "Identical: no pixel of any band differs.")
    tiny = write_raster(np.full((1, 3, 5), 7, np.uint16), "tiny.tif")
    other = write_raster(np.full((1, 3, 5), 9, np.uint16), "other.tif")
    found, page = compared(tiny, other, domain="amplitude")
    assert numbers(page)["page"]["band 1"]["bias_by_class"] == []
    labels = write_raster(np.arange(12, dtype=np.uint8).reshape(1, 3, 4), "landcover_classes.tif")
    with rasterio.open(labels, "r+") as dataset:
        dataset.write_colormap(1, {0: (1, 2, 3), 5: (9, 9, 9)})
    found, page = compared(labels, labels)
    assert found.bands[0].quality is None and "identical, pixel by pixel" in page


@pytest.mark.parametrize("bands", [1, 2, 4, 7])
@pytest.mark.parametrize("shape", [(1, 1), (983, 983), (4096, 4096), (16_685, 25_788), (60_000, 90)])
def test_a_page_stays_small_for_any_scene(shape: tuple[int, int], bands: int) -> None:
    layout = Layout.of(shape, bands)
    rows, columns = (-(-size // layout.factor) for size in shape)
    pixels = min(bands, PICTURED) * 3 * (rows * columns + WINDOWS * layout.window**2)
    assert pixels <= GRAY_PIXELS and max(shape) <= 256 * layout.box
    assert (layout.factor == 1) == (layout.window == 0)


def test_what_is_gathered_does_not_depend_on_strips() -> None:
    reference = scene(form="power", width=110, height=130).astype(np.float32)
    decoded = reference * np.float32(1.1)
    valid = np.random.default_rng(0).random(reference.shape) > 0.1
    found = []
    for rows in (130, 7):
        gatherer = BandGatherer(reference.shape, Layout(3, 20, 8), "power", 1e-9)
        for top in range(0, 130, rows):
            part = slice(top, top + rows)
            gatherer.add(Strip(reference[part], decoded[part], valid[part]))
        found.append(gatherer.result())
    whole, cut = found
    for a, b in (
        (whole.overview.reference, cut.overview.reference),
        (whole.overview.ratio, cut.overview.ratio),
        (whole.error_db, cut.error_db),
        (whole.ratio_correlation.coefficients, cut.ratio_correlation.coefficients),
    ):
        assert np.allclose(a, b, rtol=1e-6, atol=1e-7, equal_nan=True)
    assert whole.overview.reference.shape == (44, 37)
    assert np.nanmean(whole.overview.ratio) == pytest.approx(-10 * np.log10(1.1), abs=1e-5)
    box = np.where(valid[:3, :3], reference[:3, :3].astype(np.float64), 0).sum() / valid[:3, :3].sum()
    assert whole.overview.reference[0, 0] == pytest.approx(10 * np.log10(box), abs=1e-4)


def test_large_scenes_show_windows_in_full_resolution(dual: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sarzip.report.gather.GRAY_PIXELS", 200_000)
    _, page = compared(dual, dual.with_suffix(".tif"))
    images = numbers(page)["page"]["band 1"]["viewer"]["images"]
    assert images[0]["factor"] > 1 and all(image["factor"] == 1 for image in images[1:])
    assert len(images) >= 3 and {image["width"] for image in images[1:]} == {64}


def test_a_page_on_the_command_line(dual: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "r.html"
    assert run(["compare", str(dual), str(dual), "--html", str(page), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["verdict"] == verdict(page.read_text())[1]
    assert run(["compare", str(dual), str(dual), "--html", str(page)]) == 2
    assert "already exists; use --force" in capfd.readouterr().err
    assert run(["compare", str(dual), str(dual), "--html", str(dual), "--force"]) == 2
    assert "is the input itself" in capfd.readouterr().err
    assert run(["compare", str(dual), str(dual), "--html", "-"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("<!doctype html>") and out.rstrip().endswith("</html>")
    assert run(["compare", str(dual), str(dual), "--html", "-", "--json"]) == 2
    assert "both need stdout" in capfd.readouterr().err


def test_a_page_about_a_bench(dual: Path, tmp_path: Path) -> None:
    own = Rounding("sarzip", "sarzip", 0.8)
    report = bench([dual], [own, Rounding(), Rounding("dear", "a <dear> one", 1.1)])
    page = bench_page(report)
    assert "needs 20 % fewer bits than OpenJPEG" in verdict(page)[1]
    told = numbers(page)
    assert told["bd_rates"]["sarzip"]["dual.tif"] == pytest.approx(-0.2, abs=1e-3)
    chart = told["charts"]["rmse_db-0"]
    assert chart["x_log"] and chart["y_log"] and chart["title"] == "dual.tif"
    assert [series["label"] for series in chart["series"]] == ["sarzip", "rounding", "a <dear> one"]
    assert "<dear>" not in page
    nothing = bench_page(BenchReport((), {}, {}, {"x.tif": "complex"}, "a machine"))
    assert "there is no BD-rate" in verdict(nothing)[1] and "Left out" in nothing


@pytest.mark.parametrize("setting", [0.0, 0.5])
def test_a_page_about_promises(setting: float) -> None:
    points = [
        PromisePoint("a.tif", "sarzip", setting, 80, 1.0, True, 1.0, 2.0),
        PromisePoint("a.tif", "LERC", setting, 160, 2.0, False, 1.0, 2.0),
    ]
    page = promises_page(PromiseReport(tuple(points), {}, "a machine"))
    assert verdict(page) == ("kept", "All 1 promises of sarzip were kept, checked on every pixel.")
    points[0] = PromisePoint("a.tif", "sarzip", setting, 80, 1.0, False, 1.0, 2.0)
    state, sentence = verdict(promises_page(PromiseReport(tuple(points), {}, "a machine")))
    assert state == "broken" and "a.tif at " in sentence


@pytest.mark.parametrize("option", ["--qualities", "--bounded"])
def test_numbers_that_are_none_are_a_usage_error(option: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "a.tif", option, "5,abc"]) == 2
    assert f"{option} 5,abc: expected numbers" in capfd.readouterr().err


def test_a_page_does_not_end_its_script_early() -> None:
    page = Page("t", {"text": "</script><!--<script>", "nan": float("nan"), "array": np.arange(2)})
    assert numbers(page.render())["text"] == "</script><!--<script>"
    assert numbers(page.render())["nan"] is None and numbers(page.render())["array"] == [0, 1]


def test_unknown_sizes_are_refused_before_anything_is_written(dual: Path, write_raster, tmp_path) -> None:
    other = write_raster(np.ones((1, 4, 4), np.uint16))
    with pytest.raises(sarzip.SarzipError, match="not comparable"):
        sarzip.compare(dual, other, html=tmp_path / "r.html")
    with pytest.raises(UsageError, match="is a folder"):
        sarzip.compare(dual, dual, html=tmp_path)
    assert not list(tmp_path.glob("r.html*"))


def test_bounds_of_what_is_no_backscatter_are_in_its_own_units(write_raster, tmp_path: Path) -> None:
    angles = 30 + np.random.default_rng(0).normal(0, 1, (60, 80)).cumsum(axis=1).astype(np.float32) * 0.01
    source = write_raster(angles[None].astype(np.float32))
    with rasterio.open(source, "r+") as dataset:
        dataset.set_band_description(1, "local incidence angle")
    sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(others="bound"))
    found, page = compared(source, tmp_path / "a.sarz")
    assert found.bands[0].kind != "backscatter" and found.kept and not found.identical
    assert verdict(page)[1].startswith("Kept: promised 0.001 in stored units; greatest error 0.0")
    assert "differs, in its own units as told below" in page
