"""What became of the ratio of two bands, on a page: polarimetry as far as detected images have it."""

from __future__ import annotations

from dataclasses import asdict
from html import escape
from typing import Any

import numpy as np

from sarzip.measure.cells import band_ratios, ratio_bias
from sarzip.report.band_section import BandContent
from sarzip.report.page import Chart, Page, Series, number, table


def add_ratio(page: Page, first: BandContent, second: BandContent) -> dict[str, Any]:
    """Of second over first. Gives the numbers that it shows."""
    found = ratio_bias(first.cells, second.cells)
    assert found is not None
    names = [content.band.name or f"band {content.band.band}" for content in (second, first)]
    title = " / ".join(names)
    page.add(f"<h3>{escape(title)}</h3>")
    rows = [
        ["mean [dB]", number(found.mean_reference_db), number(found.mean_decoded_db)],
        ["standard deviation [dB]", number(found.std_reference_db), number(found.std_decoded_db)],
    ]
    page.add(table(f"{title} of {found.windows} cells of 32×32 pixels", ["", "original", "decoded"], rows))
    page.add(
        f"<p>Bias of the ratio, decoded over original: {number(found.bias_mean_db, 2)} dB in the mean, "
        f"{number(found.bias_p95_db, 2)} dB or less in 95 % of the cells.</p>"
    )
    before, after = band_ratios(first.cells, second.cells)
    low, high = np.percentile(before, (0.1, 99.9))
    bins = int(np.clip(np.sqrt(before.size), 10, 60))
    edges = np.linspace(low - 0.5, high + 0.5, bins + 1)
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    shares = [np.histogram(each, edges)[0] / (each.size * width) for each in (before, after)]
    name = f"ratio-{second.band.band}-{first.band.band}"
    chart = Chart(
        f"Histogram of {title}",
        f"{title} of cells [dB]",
        "share per dB",
        (
            Series("original", middles.tolist(), shares[0].tolist(), "line", 1),
            Series("decoded", middles.tolist(), shares[1].tolist(), "dashed", 2),
        ),
        "Ratio of mean power in 32×32 cells.",
    )
    page.add(f'<div class="charts">{page.chart(name, chart)}</div>')
    return asdict(found)
