"""What a bench run says, as a page: curves, BD-rates and speed; or promises and their price."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

import numpy as np

from sarzip.bench.promises import LOSSLESS, OWN, PromiseReport
from sarzip.bench.run import BD_RATES, REFERENCE, BenchReport
from sarzip.bench.summary import CodecSummary, summarise
from sarzip.report.page import Chart, Page, Series, number, table, terms

_METRICS = (
    ("rmse_db", "RMSE [dB]", True),
    ("max_error_db", "largest error [dB]", True),
    ("bias_p95_db", "bias of 32×32 cells, 95th percentile [dB]", True),
    ("enl_ratio", "ENL ratio", False),
    ("epi", "edge preservation (EPI)", False),
    ("psnr_amp", "PSNR of amplitude [dB]", False),
    ("point_error_db", "peak error of point targets [dB]", False),
)
"""Of `BenchPoint`: field, label, whether its axis is logarithmic."""
_COLOURS = 8
_REFERENCE_NAME = "OpenJPEG"

_METHODS = (
    (
        "Rate",
        "Bytes of the whole file, header and georeferencing included, over pixels of all bands; of the peers "
        "the bytes of their streams alone.",
    ),
    (
        "Errors",
        "Of what each codec gives back in the file's own type, pooled over bands, as sarzip compare measures "
        "them.",
    ),
    (
        "BD-rate",
        f"Mean difference of the rate at equal RMSE in dB against {_REFERENCE_NAME}, negative is fewer bits: "
        "ln(rate) as a monotone cubic (PCHIP) of 20·log10(RMSE), averaged over the errors that both curves "
        f"cover at rates of {BD_RATES[0]:g} to {BD_RATES[1]:g} bits a pixel; per image, then the mean.",
    ),
    (
        "Speed",
        "At the point nearest to an RMSE of 1 dB, on the largest image; sarzip from file to file, peers from "
        "memory to memory. Speeds of other machines or loads do not compare.",
    ),
)


def bench_page(report: BenchReport) -> str:
    """HTML about rates, errors and speeds."""
    page = Page("Rate and distortion", {**report.to_dict(), "page": {}})
    rows = summarise(report)
    page.section("result", "Result")
    page.add(f'<p class="verdict">{escape(_sentence(rows))}</p>')
    page.add(f"<p>{len(report.pixels)} images on {escape(report.machine)}.</p>")
    header = [
        "codec",
        "images",
        f"BD-rate against {_REFERENCE_NAME} [%]",
        "without metadata [%]",
        "worst image [%]",
    ]
    header += ["bits a pixel at 1 dB", "bias, 95th percentile [dB]", "point targets [dB]"]
    lines = [
        [row.label, str(row.images)]
        + [number(100 * each, 3) for each in (row.bd_rate, row.bd_rate_of_pixels, row.bd_rate_worst)]
        + [number(row.bpp, 3), number(row.bias_p95_db, 2), number(row.point_error_db, 2)]
        for row in rows
    ]
    page.add(table("Codecs over all images", header, lines))
    page.add(
        "<p>Bits and bias are those of the point nearest to an RMSE of 1 dB; point targets: error of their "
        f"peaks against {_REFERENCE_NAME} at equal rate, negative is better.</p>"
    )
    _curves(page, report)
    page.section("bd-rate", "BD-rate of each image")
    page.add(_bd_rates(report))
    page.section("speed", "Speed")
    page.add(
        table(
            "Million pixels a second",
            ["codec", "encode", "decode"],
            [[row.label, number(row.encode_mpix_s, 3), number(row.decode_mpix_s, 3)] for row in rows],
        )
    )
    _ending(page, report.skipped, dict(_METHODS))
    return page.render()


def _sentence(rows: tuple[CodecSummary, ...]) -> str:
    own = [row for row in rows if row.codec.startswith(OWN) and np.isfinite(row.bd_rate)]
    if not own:
        return f"Without sarzip or {_REFERENCE_NAME} there is no BD-rate; the curves are below."
    best = min(own, key=lambda row: row.bd_rate)
    less, worst = 100 * best.bd_rate, 100 * best.bd_rate_worst
    return (
        f"{best.label} needs {abs(less):.3g} % {'fewer' if less < 0 else 'more'} bits than "
        f"{_REFERENCE_NAME} at equal RMSE in dB, mean of {best.images} image{'s' * (best.images > 1)}; on "
        f"the worst, {best.worst_image}, {abs(worst):.3g} % {'fewer' if worst < 0 else 'more'}."
    )


def _curves(page: Page, report: BenchReport) -> None:
    page.section("curves", "Curves")
    options = "".join(f'<option value="{name}">{escape(label)}</option>' for name, label, _ in _METRICS)
    page.add(
        f'<p class="choices"><label>Measure <select data-choose="metric">{options}</select></label> over the '
        "rate in bits a pixel, logarithmic.</p>"
    )
    for name, label, log in _METRICS:
        charts = []
        for at, scene in enumerate(report.pixels):
            series = tuple(_series(report, scene, name, log))
            if series:
                chart = Chart(scene, "rate [bits a pixel]", label, series, x_log=True, y_log=log)
                charts.append(page.chart(f"{name}-{at}", chart))
        empty = "<p>Nothing to show: no image has it.</p>"
        page.add(
            f'<div class="charts" data-choice="metric" data-value="{name}">{"".join(charts) or empty}</div>'
        )


def _series(report: BenchReport, scene: str, metric: str, log: bool) -> Iterator[Series]:
    for at, (codec, label) in enumerate(report.labels.items()):
        points = [(point.bpp, getattr(point, metric)) for point in report.curve(scene, codec)]
        points = [(bpp, value) for bpp, value in points if np.isfinite(value) and (value > 0 or not log)]
        if points:
            own = codec.startswith(OWN)
            style = "points" if own else "line" if at < _COLOURS else "dashed"
            rates, values = zip(*points, strict=True)
            yield Series(label, rates, values, style, at % _COLOURS + 1)


def _bd_rates(report: BenchReport) -> str:
    codecs = [codec for codec in report.labels if codec != REFERENCE]
    rates = {codec: report.bd_rates(codec) for codec in codecs}
    header = ["image", *(report.labels[codec] for codec in codecs)]
    rows = [
        [scene, *(number(100 * rates[codec].get(scene, float("nan")), 3) for codec in codecs)]
        for scene in report.pixels
    ]
    return table(f"BD-rate against {_REFERENCE_NAME} at equal RMSE [%], negative is fewer bits", header, rows)


def promises_page(report: PromiseReport) -> str:
    """HTML about bytes within a bound, or without loss."""
    rows = list(report.rows())
    lossless = any(row.setting == LOSSLESS for row in rows)
    page = Page("Bytes without loss" if lossless else "Bytes within a bound", report.to_dict())
    page.section("result", "Result")
    own = [point for point in report.points if point.codec == OWN]
    broken = [point for point in own if not point.kept]
    state = "broken" if broken else "kept"
    said = (
        f"{len(broken)} of {len(own)} promises of sarzip were broken: "
        + ", ".join(f"{point.scene} at {_setting(point.setting)}" for point in broken)
        if broken
        else f"All {len(own)} promises of sarzip were kept, checked on every pixel."
    )
    page.add(f'<p class="verdict {state}">{escape(said)}</p><p>{escape(report.machine)}.</p>')
    header = ["codec", "promise", "scenes", "bits a pixel", "against the best peer [%]", "worst scene [%]"]
    header += ["encode [MPix/s]", "decode [MPix/s]", "broken"]
    page.add(
        table(
            "Codecs over all scenes",
            header,
            [
                [row.codec, _setting(row.setting), str(row.scenes), f"{row.bpp:.3f}"]
                + [number(100 * each, 3) for each in (row.change, row.worst)]
                + [number(each, 3) for each in (row.encode_mpix_s, row.decode_mpix_s)]
                + [str(row.broken)]
                for row in rows
            ],
            [1],
        )
    )
    if not lossless and rows:
        page.section("curves", "Curves")
        page.add(f'<div class="charts">{page.chart("bounds", _bounds(report))}</div>')
    methods = {
        "Against the best peer": "Bits a pixel over those of the peer that needs fewest on each scene and "
        "keeps its promise; mean over scenes. Negative is fewer bits.",
        "Rate": "sarzip: its file, header and georeferencing included. Peers: their streams alone.",
        "Broken": "Scenes on which the decoded pixels were not within the promise.",
    }
    _ending(page, report.skipped, methods)
    return page.render()


def _setting(setting: float) -> str:
    return "lossless" if setting == LOSSLESS else f"{setting:g} dB"


def _bounds(report: PromiseReport) -> Chart:
    rows = list(report.rows())
    series = []
    for at, codec in enumerate(dict.fromkeys(row.codec for row in rows)):
        points = [(row.setting, row.bpp) for row in rows if row.codec == codec]
        bounds, rates = zip(*points, strict=True)
        series.append(Series(codec, bounds, rates, "points" if codec == OWN else "line", at % _COLOURS + 1))
    note = "Mean over scenes; less is better."
    return Chart("Rate within a bound", "bound [dB]", "rate [bits a pixel]", tuple(series), note, True, True)


def _ending(page: Page, skipped: Mapping[str, str], methods: Mapping[str, str]) -> None:
    if skipped:
        page.section("skipped", "Left out")
        page.add(terms(skipped.items()))
    page.section("methods", "How it was measured")
    page.add(terms(methods.items()))
