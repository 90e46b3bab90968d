"""Pages in a real browser: by keyboard and pointer, in both themes, on paper; and they ask for nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.bench import Rounding

import sarzip
from sarzip.bench.page import bench_page
from sarzip.bench.run import bench
from sarzip.simulate import SceneConfig, simulate

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="no playwright is installed")
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pages") / "scene.tif"
    profile = {"driver": "GTiff", "width": 400, "height": 300, "count": 2, "dtype": "uint16"}
    with rasterio.open(path, "w", **profile) as dataset:
        for number, name in enumerate(("VV", "VH"), start=1):
            config = SceneConfig(400, 300, looks=4.4, oversampling=(1.9, 1.8), seed=number)
            dataset.write(simulate(config), number)
            dataset.set_band_description(number, f"{name} <&>")
    return path


@pytest.fixture(scope="module")
def compared(scene: Path) -> Path:
    packed, page = scene.with_name("scene.sarz"), scene.with_name("compared.html")
    sarzip.compress(scene, packed, sarzip.CompressOptions(sarzip.Fidelity("quality", 30)))
    sarzip.compare(scene, packed, html=page)
    return page


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """Function that opens a page; in the end nothing may have been complained of or asked for."""
    contexts: list[Any] = []
    faults: list[str] = []

    def open_page(path: Path, theme: str = "light", width: int = 1280) -> Any:
        context = browser.new_context(color_scheme=theme, viewport={"width": width, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        own = (path.as_uri(), "data:", "blob:")
        page.on("request", lambda asked: asked.url.startswith(own) or faults.append(asked.url))
        page.goto(path.as_uri())
        page.locator(".chart canvas:visible").first.wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not faults


def wait(page: Any, ready: Callable[[], bool]) -> None:
    """Until something that the page does later is done. (Waiting inside the page needs eval, which the page's
    policy forbids.)
    """
    for _ in range(100):
        if ready():
            return
        page.wait_for_timeout(50)
    raise AssertionError("nothing happened")


def pixels(shot: bytes) -> np.ndarray:
    with rasterio.MemoryFile(shot) as memory, memory.open() as image:
        return image.read()[:3].astype(int)


def changed(before: bytes, after: bytes) -> np.ndarray:
    return (pixels(before) != pixels(after)).any(axis=0)


def middle(locator: Any) -> tuple[float, float]:
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def drag(page: Any, locator: Any, right: float) -> None:
    """From the middle, so many pixels to the right."""
    x, y = middle(locator)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + right, y, steps=4)
    page.mouse.up()


def transforms(page: Any) -> set[str]:
    """Of the shown images of the first band; a set of one if they go in step."""
    images = "document.querySelector('.viewer').querySelectorAll('img:not([hidden])')"
    return set(page.evaluate(f"[...{images}].map((image) => image.style.transform)"))


def test_the_slider_uncovers_by_keyboard_and_pointer(opened: Callable[..., Any], compared: Path) -> None:
    page = opened(compared)
    viewer = page.locator(".viewer").first
    pair, slider = viewer.locator(".pair"), viewer.locator("input[type=range]")
    slider.focus()
    page.keyboard.press("Home")
    decoded = pair.screenshot()
    page.keyboard.press("End")
    original = pair.screenshot()
    # Quality 30 changes speckle: most of what is shown, at the left and at the right.
    assert all(half.mean() > 0.3 for half in np.array_split(changed(decoded, original), 2, axis=1))
    for _ in range(30):
        page.keyboard.press("ArrowLeft")
    assert slider.input_value() == "70"
    width = pixels(original).shape[2]
    left, right = np.array_split(changed(original, pair.screenshot()), [width * 6 // 10], axis=1)
    assert left[40:].mean() == 0 and right.mean() > 0.2
    drag(page, viewer.locator(".divider"), -0.45 * pair.bounding_box()["width"])
    assert 24 <= int(slider.input_value()) <= 26
    assert changed(original, pair.screenshot())[:, width // 3 :].mean() > 0.2


def test_zoom_and_pan_go_in_step(opened: Callable[..., Any], compared: Path) -> None:
    page = opened(compared)
    viewer = page.locator(".viewer").first
    pair, ratio = viewer.locator(".pair"), viewer.locator(".stage.ratio")
    (fitted,) = transforms(page)
    before, other = ratio.screenshot(), page.locator(".viewer").nth(1).screenshot()
    for _ in range(4):
        viewer.locator("[data-zoom=in]").click()
    (zoomed,) = transforms(page)
    assert zoomed != fitted and changed(before, ratio.screenshot()).mean() > 0.3
    ratio.focus()
    page.keyboard.press("ArrowRight")
    (panned,) = transforms(page)
    assert panned != zoomed
    drag(page, ratio, 40)
    assert transforms(page) == {zoomed}  # back by as much
    pair.focus()
    page.keyboard.press("0")
    assert transforms(page) == {fitted}
    page.mouse.move(*middle(ratio))
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    wait(page, lambda: transforms(page) != {fitted})
    assert len(transforms(page)) == 1
    viewer.locator("[data-zoom=fit]").click()
    assert transforms(page) == {fitted}
    viewer.locator(".place").select_option("1")  # the greatest error, closely
    assert len(transforms(page)) == 1 and transforms(page) != {fitted}
    assert page.locator(".viewer").nth(1).screenshot() == other


def test_pixels_are_told_and_the_ratio_can_be_toned_down(
    opened: Callable[..., Any], compared: Path, scene: Path
) -> None:
    page = opened(compared)
    viewer = page.locator(".viewer").first
    page.mouse.move(*middle(viewer.locator(".stage.ratio")))
    told = viewer.locator(".readout").text_content()
    column, row = (int(told.split(f"{word} ")[1].split(",")[0].split(":")[0]) for word in ("column", "row"))
    with rasterio.open(scene) as dataset:
        value = 20 * np.log10(dataset.read(1)[row, column])
    shown = told.split("original ")[1].split(" dB")[0].replace("−", "-")
    assert shown[0] in "≤≥" or abs(float(shown) - value) < 0.15
    before = pixels(viewer.locator(".stage.ratio").screenshot()).std()
    viewer.locator(".same").check()
    assert pixels(viewer.locator(".stage.ratio").screenshot()).std() < before


@pytest.mark.parametrize("width", [1280, 390])
def test_both_themes_fit_every_width(opened: Callable[..., Any], compared: Path, width: int) -> None:
    page = opened(compared, "dark", width)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    chart = page.locator(".chart canvas").first
    chart.scroll_into_view_if_needed()
    dark = page.screenshot(), chart.screenshot()
    assert np.median(pixels(dark[0])) < 60
    button = page.locator("#theme")
    button.focus()
    page.keyboard.press("Enter")
    chart.scroll_into_view_if_needed()
    light = page.screenshot(), chart.screenshot()
    assert np.median(pixels(light[0])) > 200
    assert changed(dark[1], light[1]).mean() > 0.9  # charts are redrawn, too
    button.click()
    assert changed(dark[1], chart.screenshot()).mean() < 0.01


def test_on_paper_it_is_light_and_without_tools(opened: Callable[..., Any], compared: Path) -> None:
    page = opened(compared, "dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert not page.locator(".tools").first.is_visible() and page.locator(".stage").first.is_visible()
    assert np.median(pixels(page.screenshot())) > 200
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    widths = page.evaluate("[...document.querySelectorAll('.chart canvas')].map((each) => each.offsetWidth)")
    assert widths and max(widths) < 400
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelector('.chart canvas').offsetWidth") > 400


def test_its_numbers_can_be_saved(opened: Callable[..., Any], compared: Path, tmp_path: Path) -> None:
    page = opened(compared)
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(tmp_path / "numbers.json")
    told = json.loads((tmp_path / "numbers.json").read_text())
    assert told["bands"][0]["rmse_db"] > 0 and "VV <&>" in page.locator("#measures").text_content()


def test_a_bench_page_shows_the_measure_that_is_chosen(opened: Callable[..., Any], scene: Path) -> None:
    path = scene.with_name("bench.html")
    path.write_text(bench_page(bench([scene], [Rounding("sarzip", "sarzip", 0.8), Rounding()])))
    page = opened(path, "dark", 390)
    shown = page.locator(".chart:visible")
    assert shown.count() == 1 and shown.get_attribute("data-chart") == "rmse_db-0"
    page.locator("[data-choose]").select_option("epi")
    assert shown.count() == 1 and shown.get_attribute("data-chart") == "epi-0"
    page.locator("[data-chart=epi-0] canvas").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
