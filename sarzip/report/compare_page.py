"""The page about a comparison: verdict, measures, and what each band looks like before and after."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import combinations
from pathlib import PurePath
from typing import Any

from sarzip.grid import Window
from sarzip.measure.cells import ratio_bias
from sarzip.report.band_section import BandContent, add_band
from sarzip.report.comparison import BandComparison, Comparison, Promise
from sarzip.report.measures import MEASURES, METHODS, UNIT_MEASURES
from sarzip.report.page import Page, number, size, table, terms
from sarzip.report.ratio_section import add_ratio

_STATES = {True: "kept", False: "broken", None: "open"}


def compare_page(comparison: Comparison, scene: Window, contents: Sequence[BandContent]) -> str:
    """HTML. contents: of the bands that are backscatter, as far as they are shown."""
    name = PurePath(comparison.decoded).name
    data: dict[str, Any] = {**comparison.to_dict(), "page": {}}
    page = Page(f"{name} against {PurePath(comparison.reference).name}", data, ("viewer.js",))
    _verdict(page, comparison, scene)
    _measures(page, comparison)
    for content in contents:
        data["page"][f"band {content.band.band}"] = add_band(page, content, scene)
    pairs = [
        (first, second)
        for first, second in combinations(contents, 2)
        if ratio_bias(first.cells, second.cells) is not None
    ]
    if pairs:
        page.section("ratios", "Ratios of bands")
        for first, second in pairs:
            data["page"][f"band {second.band.band} over band {first.band.band}"] = add_ratio(
                page, first, second
            )
    page.section("methods", "How it was measured")
    page.add(terms(METHODS))
    return page.render()


def _verdict(page: Page, comparison: Comparison, scene: Window) -> None:
    kept = comparison.kept
    promised = {each.band for each in comparison.promises}
    if kept and not all(band.identical or band.band in promised for band in comparison.bands):
        kept = None  # the promise is of others only
    state = _STATES[kept]
    page.section("verdict", "Verdict")
    page.add(f'<p class="verdict {state}">{escape(comparison.verdict)}</p>')
    facts = [
        ("Original", comparison.reference),
        ("Judged", comparison.decoded),
        (
            "Scene",
            f"{scene.columns} × {scene.rows} pixels, {len(comparison.bands)} "
            f"band{'s' * (len(comparison.bands) > 1)}: "
            + "; ".join(f"{band.title} ({_what(band)})" for band in comparison.bands),
        ),
        ("Size of the judged file", f"{size(comparison.bytes)}, {comparison.bpp:.4g} bits a pixel and band"),
        ("Everything beside the pixels", _structure(comparison.structure)),
    ]
    if len(comparison.promises) > 1:
        facts.append(("Promises", "; ".join(map(_promise, comparison.promises))))
    page.add(terms(facts))


def _promise(promise: Promise) -> str:
    kept = "kept" if promise.kept else "broken" if promise.sure else "undecided"
    if promise.unit == "exact":
        return f"band {promise.band}: bit for bit, {kept}"
    unit = " dB" if promise.unit == "db" else " in stored units"
    found = f"{promise.asked:g}{unit}, greatest error {promise.achieved:.4g}{unit}"
    return f"band {promise.band}: {found}, {kept}"


def _what(band: BandComparison) -> str:
    kind = f"backscatter, {'dB' if band.domain == 'db' else band.domain}" if band.domain else band.kind
    return kind + (", a guess" if band.guess else "")


def _structure(differences: tuple[str, ...] | None) -> str:
    if differences is None:
        return "not compared, because one of the two is a .sarz; decompress it to compare tags"
    return "; ".join(differences) or "size, type, georeferencing, tags and masks are the same"


def _measures(page: Page, comparison: Comparison) -> None:
    page.section("measures", "Measures")
    bands = comparison.bands
    header = ["Measure", *(band.title for band in bands), "What it says"]
    measured = any(band.quality for band in bands)
    rows = [
        [label, *(number(getattr(band.quality, key, None)) for band in bands), meaning]
        for label, key, meaning in (MEASURES if measured else ())
    ]
    if rows:
        page.add(table("Backscatter", header, rows, [len(header) - 1]))
    others = [band for band in bands if band.quality is None]
    told = [
        f"{band.title} ({band.kind}): "
        + ("identical, pixel by pixel." if band.identical else "differs, in its own units as told below.")
        for band in others
    ]
    page.add("".join(f"<p>{escape(each[0].upper() + each[1:])}</p>" for each in told))
    rows = [
        [label, *(number(getattr(band.units, key, None)) for band in bands), meaning]
        for label, key, meaning in UNIT_MEASURES
    ]
    rows.append(
        [
            "pixels valid in one image only",
            *(str(band.mask_differences) for band in bands),
            "nodata, NaN and masks that changed",
        ]
    )
    page.add(table("As stored", header, rows, [len(header) - 1]))
