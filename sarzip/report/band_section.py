"""What became of a band, on a page: images to swipe, maps, charts, point targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.grid import Window
from sarzip.measure.autocorrelation import LAGS
from sarzip.measure.cells import bias_by_class
from sarzip.measure.histogram import Histogram
from sarzip.measure.impulse import OVERSAMPLING, RADIUS
from sarzip.measure.windows import Cells
from sarzip.report.comparison import BandComparison
from sarzip.report.gather import Gathered
from sarzip.report.page import Chart, Page, Series, number, table
from sarzip.report.pictures import DIVERGING, SEQUENTIAL, Colour, Scale, coloured_uri, shrunk
from sarzip.report.places import TargetResponse, View
from sarzip.report.viewer import add_viewer

_MAP_EDGE = 256
_BINS = 120
_PROFILE = 12  # pixels on either side that the profile of a target shows
_FLOOR_DB = -40.0
_LEAST_CELLS = 8  # in a class of backscatter, to be in the chart
_SAMPLED = 1.77  # pixels of the 3 dB width of a sinc whose power is just sampled as densely as it must be


@dataclass(frozen=True)
class BandContent:
    """A band: what was measured, gathered and looked at closely."""

    band: BandComparison
    gathered: Gathered
    cells: Cells
    views: tuple[View, ...]
    responses: tuple[TargetResponse, ...]


def add_band(page: Page, content: BandContent, scene: Window) -> dict[str, Any]:
    """A section about it. Gives the numbers that it shows and that are in no chart."""
    band = content.band
    page.section(f"band-{band.band}", band.title[0].upper() + band.title[1:])
    if not content.gathered.reference.total:
        page.add("<p>No pixel is valid in both images.</p>")
        return {}
    viewer = add_viewer(page, band, content.gathered, content.views)
    page.add(f'<div class="maps">{"".join(_maps(content, scene))}</div>')
    charts = [page.chart(f"band-{band.band}-{name}", chart) for name, chart in _charts(content)]
    page.add(f'<div class="charts">{"".join(charts)}</div>')
    _targets(page, content.responses)
    correlation = content.gathered.ratio_correlation
    return {
        "viewer": viewer,
        "bias_by_class": [asdict(each) for each in bias_by_class(content.cells)],
        "autocorrelation_of_ratio": {
            "by_column": correlation.by_column,
            "by_row": correlation.by_row,
            "pixels": correlation.pixels,
        },
        "impulse_responses": [_numbers(each) for each in content.responses],
    }


def _numbers(response: TargetResponse) -> dict[str, Any]:
    return asdict(response.target) | {
        name: {"along_row": asdict(each.along_row), "along_column": asdict(each.along_column)}
        for name, each in (("before", response.before), ("after", response.after))
    }


def _maps(content: BandContent, scene: Window) -> Iterator[str]:
    gathered, bias = content.gathered, content.cells.bias_db
    error = gathered.error_db
    box = gathered.layout.box
    top = float(np.nanpercentile(error, 99.5)) if np.isfinite(error).any() else 0.0
    yield _map(
        "Error",
        f"RMS of decoded − original in boxes of {box}×{box} pixels",
        (error, Scale(0.0, max(top, 1e-3)), SEQUENTIAL),
    )
    if np.isfinite(bias).any():
        shown, factor = shrunk(bias, _MAP_EDGE)
        edge = max(float(np.nanpercentile(np.abs(shown), 99)), 1e-3)
        boxes = f", means of {factor}×{factor} cells" if factor > 1 else ""
        yield _map(
            "Local bias",
            f"mean power of 32×32 cells{boxes}, decoded over original",
            (shown, Scale(-edge, edge), DIVERGING),
        )
    correlation = gathered.ratio_correlation.coefficients
    if np.isfinite(correlation).any():
        around = np.abs(np.delete(correlation.ravel(), correlation.size // 2))
        edge = max(float(np.nanmax(around)), 0.02)
        yield _map(
            "Autocorrelation of the ratio image",
            f"lags up to {LAGS} pixels, 0 in the middle; beyond ±{number(edge, 2)} the colours end",
            (correlation, Scale(-edge, edge), DIVERGING),
            "",
        )


def _map(
    title: str, note: str, drawn: tuple[NDArray[Any], Scale, tuple[Colour, ...]], unit: str = " dB"
) -> str:
    plane, scale, stops = drawn
    kind = "diverging" if stops is DIVERGING else "sequential"
    low, high = (f"{number(value, 2)}{unit}" for value in (scale.low, scale.high))
    text = f"{title}: {note}, from {low} to {high}"
    return (
        f'<figure class="map"><figcaption><b>{escape(title)}</b><br>{escape(note)}</figcaption>'
        f'<img alt="{escape(text)}" src="{coloured_uri(plane, scale, stops)}" width="{plane.shape[1]}" '
        f'height="{plane.shape[0]}"><div class="scale"><span>{escape(low)}</span>'
        f'<span class="bar {kind}"></span><span>{escape(high)}</span></div></figure>'
    )


def _charts(content: BandContent) -> Iterator[tuple[str, Chart]]:
    gathered, quality = content.gathered, content.band.quality
    assert quality is not None
    low, high = gathered.reference.percentile(0.02) - 1, gathered.reference.percentile(99.98) + 1
    yield (
        "histogram",
        Chart(
            "Histogram of backscatter",
            "backscatter [dB]",
            "share per dB",
            tuple(
                _shares(label, each, (low, high), style, colour)
                for label, each, style, colour in (
                    ("original", gathered.reference, "line", 1),
                    ("decoded", gathered.decoded, "dashed", 2),
                )
            ),
            f"{quality.valid_pixels} pixels; the two should lie on each other, but for the steps, twice the "
            "bound apart, of a wide bound.",
        ),
    )
    edge = max(abs(gathered.error.percentile(percent)) for percent in (0.05, 99.95)) * 1.1 + 0.01
    yield (
        "error",
        Chart(
            "Histogram of the error",
            "decoded − original [dB]",
            "share per dB",
            (_shares("error", gathered.error, (-edge, edge), "line", 3),),
            f"RMS {number(quality.rmse_db)} dB, greatest {number(quality.max_error_db)} dB.",
        ),
    )
    yield from _bias_charts(content)
    ratio, speckle = gathered.ratio_correlation, gathered.reference_correlation
    lags = list(range(LAGS + 1))
    yield (
        "autocorrelation",
        Chart(
            "Autocorrelation of the ratio image",
            "lag [pixels]",
            "correlation",
            (
                Series("ratio, along rows", lags, _listed(ratio.by_column), "points", 4),
                Series("ratio, along columns", lags, _listed(ratio.by_row), "points", 5),
                Series("original, along rows", lags, _listed(speckle.by_column), "dashed", 1),
                Series("original, along columns", lags, _listed(speckle.by_row), "dashed", 6),
            ),
            "Noise has none beside lag 0; smoothed speckle has the speckle's own.",
        ),
    )
    if content.responses:
        yield "target", _profile(content.responses[0])


def _shares(label: str, histogram: Histogram, span: tuple[float, float], style: str, colour: int) -> Series:
    middles, shares = histogram.share(*span, _BINS)
    return Series(label, _listed(middles), _listed(shares), style, colour)


def _bias_charts(content: BandContent) -> Iterator[tuple[str, Chart]]:
    classes = list(bias_by_class(content.cells))
    if not classes:
        return
    enough = [each for each in classes if each.windows >= _LEAST_CELLS]
    classes = enough or classes
    middles = [(each.low_db + each.high_db) / 2 for each in classes]
    yield (
        "classes",
        Chart(
            "Bias by class of backscatter",
            "mean backscatter of the cell [dB]",
            "bias [dB]",
            (
                Series("95th percentile", middles, [each.p95_db for each in classes], "dashed", 7),
                Series("mean", middles, [each.mean_db for each in classes], "points", 2),
                Series("5th percentile", middles, [each.p5_db for each in classes], "dashed", 7),
            ),
            f"Decoded over original; classes of 3 dB with {_LEAST_CELLS} cells of 32×32 pixels or more.",
        ),
    )
    quality, bias = content.band.quality, content.cells.bias_db
    assert quality is not None
    bias = bias[np.isfinite(bias)]
    edge = float(np.percentile(np.abs(bias), 99.5)) * 1.1 + 1e-4
    bins = int(np.clip(np.sqrt(bias.size), 8, 60))
    counts, edges = np.histogram(bias, bins, (-edge, edge))
    shares = counts / bias.size * 100
    yield (
        "bias",
        Chart(
            "Local bias of all cells",
            "bias [dB]",
            "cells [%]",
            (Series("cells", _listed((edges[1:] + edges[:-1]) / 2), _listed(shares), "line", 2),),
            f"{quality.windows} cells; 95 % of them within ±{number(quality.bias_p95_db, 3)} dB.",
        ),
    )


def _profile(response: TargetResponse) -> Chart:
    """Of the brightest target, along its row; both peaks at 0 pixels and 0 dB."""
    series = []
    for label, each, style, colour in (
        ("original", response.before, "line", 1),
        ("decoded", response.after, "dashed", 2),
    ):
        peak = int(np.argmax(each.profile))
        first = max(0, peak - _PROFILE * OVERSAMPLING)
        cut = each.profile[first : peak + _PROFILE * OVERSAMPLING + 1 : 2]
        pixels = (np.arange(cut.size) * 2 + first - peak) / OVERSAMPLING
        series.append(Series(label, _listed(pixels), _listed(np.maximum(cut, _FLOOR_DB)), style, colour))
    return Chart(
        "Brightest point target, cut along its row",
        "distance from the peak [pixels]",
        "power below the peak [dB]",
        tuple(series),
        f"At column {response.target.column}, row {response.target.row}; {2 * RADIUS}×{2 * RADIUS} pixels, "
        f"oversampled {OVERSAMPLING} times.",
    )


def _targets(page: Page, responses: Sequence[TargetResponse]) -> None:
    if not responses:
        page.add(
            "<p>No isolated point target stands 20 dB above its surroundings, so no impulse response was "
            "measured.</p>"
        )
        return
    header = ["column, row", "peak [dB]", "above clutter [dB]", "peak error [dB]"]
    header += [
        f"{what}, along {direction}"
        for what in ("resolution [pixels]", "PSLR [dB]", "ISLR [dB]")
        for direction in ("row", "column")
    ]
    coarse = any(each.before.along_row.width < _SAMPLED for each in responses)
    rows = []
    for each in responses:
        target = each.target
        row = [f"{target.column}, {target.row}", number(target.peak_db), number(target.contrast_db, 3)]
        row.append(number(target.error_db, 2))
        for name, digits in (("width", 3), ("pslr_db", 3), ("islr_db", 3)):
            for direction in ("along_row", "along_column"):
                pair = (getattr(getattr(side, direction), name) for side in (each.before, each.after))
                row.append(" → ".join(number(value, digits) for value in pair))
        rows.append(row)
    page.add(table("Impulse responses, original → decoded", header, rows))
    if coarse:
        page.add(
            "<p>A resolution below 1.8 pixels says that the image is sampled too coarsely for its power to "
            "be oversampled without aliasing: take the changes, not the values.</p>"
        )


def _listed(values: NDArray[np.floating]) -> list[float]:
    return values.tolist()
