"""Original, decoded and ratio of a band to be swiped, zoomed and panned together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from sarzip.grid import Window
from sarzip.report.comparison import BandComparison
from sarzip.report.gather import Gathered, Picture
from sarzip.report.page import Page, number
from sarzip.report.pictures import Scale, gray_uri
from sarzip.report.places import View

_LOW, _HIGH = 1.0, 99.5
"""Percentiles of the original that are drawn black and white."""
_RATIO = 4.0
"""The ratio is drawn to so many times the RMS error on either side."""


@dataclass(frozen=True)
class _Images:
    """A picture of a part of the scene. factor: pixels of the scene along an axis of one of its own."""

    window: Window
    factor: int
    picture: Picture


def add_viewer(page: Page, band: BandComparison, gathered: Gathered, views: Sequence[View]) -> dict[str, Any]:
    """Gives what its script needs to know: scales, places, and where each image lies in the scene."""
    quality = band.quality
    assert quality is not None
    low, high = gathered.reference.percentile(_LOW), gathered.reference.percentile(_HIGH)
    stretch = Scale(low, max(high, low + 1.0))
    edge = max(_RATIO * quality.rmse_db, 0.05)
    ratio = Scale(-edge, edge)
    shape = gathered.overview.reference.shape
    whole = _Images(Window(0, 0, *shape), gathered.layout.factor, gathered.overview)
    images = [whole, *(_Images(view.window, 1, view.picture) for view in views if view.picture)]
    page.add(_markup(band, images, (stretch, ratio), [label for label, *_ in _places(views)]))
    return {
        "stretch_db": [stretch.low, stretch.high],
        "ratio_db": [ratio.low, ratio.high],
        "images": [
            {
                "column": each.window.column,
                "row": each.window.row,
                "factor": each.factor,
                "width": each.picture.reference.shape[1],
                "height": each.picture.reference.shape[0],
            }
            for each in images
        ],
        "places": [
            {"label": label, "image": image, "focus": focus} for label, image, focus in _places(views)
        ],
    }


def _places(views: Sequence[View]) -> Iterator[tuple[str, int, list[int] | None]]:
    """Label, number of the image, and what of it is to be shown (column, row, width, height); None: all."""
    yield "Whole scene", 0, None
    image = 0
    for view in views:
        if view.picture:
            image += 1
            yield view.label, image, None
        else:
            window = view.window
            yield view.label, 0, [window.column, window.row, window.columns, window.rows]


def _markup(
    band: BandComparison, images: Sequence[_Images], scales: tuple[Scale, Scale], labels: Sequence[str]
) -> str:
    stretch, ratio = scales
    name = escape(band.title)
    options = "".join(f'<option value="{at}">{escape(label)}</option>' for at, label in enumerate(labels))
    before, after, ratios = (
        "".join(_image(at, gray_uri(plane, scale)) for at, plane in enumerate(planes))
        for planes, scale in (
            ([each.picture.reference for each in images], stretch),
            ([each.picture.decoded for each in images], stretch),
            ([each.picture.ratio for each in images], ratio),
        )
    )
    whole = images[0]
    mean = (
        f" The whole scene is shown in means of {whole.factor}×{whole.factor} pixels, the other places in "
        "full resolution."
        if whole.factor > 1
        else ""
    )
    shown = f"black {number(stretch.low, 3)} dB to white {number(stretch.high, 3)} dB, both alike.{mean}"
    span = f"black {number(ratio.low, 3)} dB, mid-gray 0 dB, white {number(ratio.high, 3)} dB"
    return f"""<div class="viewer" data-viewer="{band.band}">
<div class="tools" role="group" aria-label="What is shown of {name}">
<label>Place <select class="place">{options}</select></label>
<span class="zooms"><button type="button" data-zoom="out" aria-label="Zoom out">−</button>
<button type="button" data-zoom="in" aria-label="Zoom in">+</button>
<button type="button" data-zoom="fit">Fit</button> <button type="button" data-zoom="one">1:1</button></span>
<label class="swipe">original <input type="range" min="0" max="100" step="1" value="50"
 aria-label="Divider between original and decoded, {name}"> decoded</label>
<label><input type="checkbox" class="same"> ratio in the images’ contrast</label>
</div>
<div class="panes">
<figure><div class="stage pair" tabindex="0" role="group"
 aria-label="Original and decoded image of {name}: arrow keys pan, plus and minus zoom, 0 fits">
<div class="layer before">{before}</div><div class="layer after">{after}</div>
<div class="divider"></div><span class="tag left">original</span><span class="tag right">decoded</span></div>
<figcaption><b>Original | decoded</b>, {escape(shown)}</figcaption></figure>
<figure><div class="stage ratio" tabindex="0" role="group"
 aria-label="Ratio image of {name}: arrow keys pan, plus and minus zoom, 0 fits">
<div class="layer">{ratios}</div><span class="tag left">original / decoded</span></div>
<figcaption><b>Ratio image</b>, {escape(span)}.</figcaption></figure>
</div>
<output class="readout">Point at a pixel to read its values; drag to pan; zoom by Ctrl and wheel, or by + and
−.</output>
</div>"""


def _image(at: int, uri: str) -> str:
    return f'<img alt="" data-image="{at}" src="{uri}"{" hidden" * (at > 0)}>'
