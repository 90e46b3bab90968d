"""The page about a comparison: what it shows is gathered while the bands are measured, then the places that
turned out to matter are read once more, in full resolution.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sarzip.grid import Window
from sarzip.measure import Strip, to_power
from sarzip.measure.impulse import impulse_response
from sarzip.measure.points import PointTarget
from sarzip.report.compare_page import BandContent, compare_page
from sarzip.report.comparison import Comparison
from sarzip.report.gather import PICTURED, BandGatherer, Layout, picture_of
from sarzip.report.places import TargetResponse, View, places, response_places
from sarzip.system.outputs import atomic_path
from sarzip.usecases.compare import Work


class PageWork:
    """Watches a comparison and writes its page in the end."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._scene = Window(0, 0, work.first.height, work.first.width)
        shape = self._scene.rows, self._scene.columns
        self._layout = Layout.of(shape, len(work.quality))
        self._gatherers = {}
        for band in list(work.quality)[:PICTURED]:
            domain = work.readings[band].domain
            assert domain is not None
            self._gatherers[band] = BandGatherer(shape, self._layout, domain, work.floors[band])

    def add(self, band: int, strip: Strip) -> None:
        """A strip of a band in SAR terms; those of bands that are not shown are passed over."""
        if band in self._gatherers:
            self._gatherers[band].add(strip)

    def write(self, comparison: Comparison, destination: str | os.PathLike[str], force: bool) -> None:
        """Raises OutputError."""
        cells = {band: quality.cells() for band, quality in self._work.quality.items()}
        contents = [
            BandContent(
                comparison.bands[band],
                gatherer.result(),
                cells[band],
                tuple(self._views(band, comparison)),
                tuple(self._responses(band)),
            )
            for band, gatherer in self._gatherers.items()
        ]
        page = compare_page(comparison, self._scene, contents)
        with atomic_path(destination, force) as part:
            part.write_text(page, encoding="utf-8")

    def _views(self, band: int, comparison: Comparison) -> Iterator[View]:
        accumulator, quality = self._work.quality[band], comparison.bands[band].quality
        assert quality is not None
        edge = self._layout.window
        for view in places(quality, accumulator.cells(), accumulator.targets(), self._scene, edge):
            if not edge:
                yield view
                continue
            domain = self._work.readings[band].domain
            assert domain is not None
            picture = picture_of(self._read(band, view.window), domain, self._work.floors[band])
            yield replace(view, picture=picture)

    def _responses(self, band: int) -> Iterator[TargetResponse]:
        for target, window in response_places(self._work.quality[band].targets(), self._scene):
            found = self._response(band, target, window)
            if found:
                yield found

    def _response(self, band: int, target: PointTarget, window: Window) -> TargetResponse | None:
        strip, domain = self._read(band, window), self._work.readings[band].domain
        assert domain is not None
        before, after = (to_power(plane, domain) for plane in (strip.reference, strip.decoded))
        if not (strip.valid.all() and np.isfinite(before).all() and np.isfinite(after).all()):
            return None
        return TargetResponse(target, impulse_response(before), impulse_response(after))

    def _read(self, band: int, window: Window) -> Strip:
        ours, theirs = self._work.first.read(window), self._work.second.read(window)
        return self._work.strip(band, ours[band], theirs[band])[0]
