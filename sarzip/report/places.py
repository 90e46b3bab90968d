"""Where to look in a scene: the places that tell most about what a codec did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sarzip.grid import Window
from sarzip.measure import Quality
from sarzip.measure.impulse import RADIUS, ImpulseResponse
from sarzip.measure.points import PointTarget
from sarzip.measure.strips import WINDOW
from sarzip.measure.windows import Cells
from sarzip.report.gather import Picture

CLUTTER_DB = 20.0
"""Least height of a point target above what surrounds it for its impulse response to be measured."""
RESPONSES = 12
"""Most point targets whose impulse responses are measured."""
_FOCUS = 96


@dataclass(frozen=True)
class View:
    """A place in a scene. window: what is shown of it. picture: in full resolution; None where the overview
    is.
    """

    label: str
    window: Window
    picture: Picture | None = None


@dataclass(frozen=True)
class TargetResponse:
    """The impulse response of a point target in the original and in the decoded image."""

    target: PointTarget
    before: ImpulseResponse
    after: ImpulseResponse


def places(
    quality: Quality, cells: Cells, targets: Sequence[PointTarget], scene: Window, edge: int
) -> Iterator[View]:
    """Windows around the greatest error, the brightest point target, and the calmest and the most varied
    32x32 cells. edge: of the windows; 0 where they are only looked at within the whole scene.
    """
    edge = edge or _FOCUS
    if quality.max_error_at is not None:
        column, row = quality.max_error_at
        yield _view("Greatest error", row, column, edge, scene)
    if targets:
        yield _view("Brightest point target", targets[0].row, targets[0].column, edge, scene)
    variation = np.where(cells.variation > 1e-9, cells.variation, np.nan)
    if np.isfinite(variation).any():
        for label, find in (("Most homogeneous", np.nanargmin), ("Most heterogeneous", np.nanargmax)):
            row, column = (int(at) * WINDOW + WINDOW // 2 for at in divmod(find(variation), cells.shape[1]))
            yield _view(f"{label} 32×32 cell", row, column, edge, scene)


def response_places(targets: Sequence[PointTarget], scene: Window) -> Iterator[tuple[PointTarget, Window]]:
    """The brightest targets that stand out enough, and the pixels around them."""
    found = 0
    for target in targets:
        window = Window(target.row - RADIUS, target.column - RADIUS, 2 * RADIUS, 2 * RADIUS)
        if target.contrast_db >= CLUTTER_DB and window.intersection(scene) == window and found < RESPONSES:
            found += 1
            yield target, window


def _view(label: str, row: int, column: int, edge: int, scene: Window) -> View:
    rows, columns = min(edge, scene.rows), min(edge, scene.columns)
    top = min(max(row - rows // 2, 0), scene.rows - rows)
    left = min(max(column - columns // 2, 0), scene.columns - columns)
    return View(f"{label}, column {column}, row {row}", Window(top, left, rows, columns))
