"""What each pixel of a picture covers of a scene, gathered from blocks that come in any order.

Memory is that of the picture, however large the scene.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.grid import Window


class Canvas(Protocol):
    """A picture of one band in the making."""

    def add(self, values: NDArray[Any], valid: NDArray[np.bool_], place: Window, scale: int) -> None:
        """Put down samples (rows, columns), each for scale×scale pixels of `place` in the scene; at its right
        and lower edge for fewer.
        """
        ...

    def finish(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Values (rows, columns), and where they are measurements."""
        ...


class AreaMean:
    """Means over the measurements in the area of each pixel, which is valid where they are half of it.

    window: of the scene, pixels. shape: rows and columns of the picture, at most those of the window.
    """

    def __init__(self, window: Window, shape: tuple[int, int], dtype: type = np.float64) -> None:
        self._edges = _edges(window, shape)
        self._half = window.rows / shape[0] * window.columns / shape[1] / 2
        self._sums: NDArray[Any] = np.zeros(shape, dtype)
        self._areas = np.zeros(shape, np.float64)

    def add(self, values: NDArray[Any], valid: NDArray[np.bool_], place: Window, scale: int) -> None:
        """See Canvas."""
        down = _Overlap(self._edges[0], place.row, place.bottom, scale)
        across = _Overlap(self._edges[1], place.column, place.right, scale)
        inside = down.pixels, across.pixels
        for target, plane in ((self._sums, np.where(valid, values, 0)), (self._areas, valid)):
            target[inside] += across.integral(down.integral(plane).T).T

    def finish(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See Canvas."""
        return self._sums / np.maximum(self._areas, 1e-9), self._areas >= self._half * (1 - 1e-9)


class Nearest:
    """The sample at the centre of each pixel: for labels, of which there is no mean."""

    def __init__(self, window: Window, shape: tuple[int, int], dtype: type = np.float64) -> None:
        self._centres = tuple((edges[:-1] + edges[1:]) / 2 for edges in _edges(window, shape))
        self._values: NDArray[Any] = np.zeros(shape, dtype)
        self._valid = np.zeros(shape, np.bool_)

    def add(self, values: NDArray[Any], valid: NDArray[np.bool_], place: Window, scale: int) -> None:
        """See Canvas."""
        pixels, samples = [], []
        for centres, start, stop in zip(self._centres, place[:2], (place.bottom, place.right), strict=True):
            found = np.flatnonzero((centres >= start) & (centres < stop))
            pixels.append(found)
            samples.append(((centres[found] - start) / scale).astype(int))
        self._values[np.ix_(*pixels)] = values[np.ix_(*samples)]
        self._valid[np.ix_(*pixels)] = valid[np.ix_(*samples)]

    def finish(self) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See Canvas."""
        return self._values, self._valid


def _edges(window: Window, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and columns of the scene at which the pixels of a picture begin and end."""
    return (
        np.linspace(window.row, window.bottom, shape[0] + 1),
        np.linspace(window.column, window.right, shape[1] + 1),
    )


class _Overlap:
    """Along one axis: which pixels samples from `start` to `stop` meet, and their integrals over these."""

    def __init__(self, edges: NDArray[np.float64], start: int, stop: int, scale: int) -> None:
        first = max(0, int(np.searchsorted(edges, start, "right")) - 1)
        last = min(len(edges) - 1, int(np.searchsorted(edges, stop, "left")))
        self.pixels = slice(first, max(first, last))
        self._samples = np.append(np.arange(start, stop, scale), stop).astype(np.float64)
        self._edges = np.clip(edges[first : max(first, last) + 1], start, stop)

    def integral(self, values: NDArray[Any]) -> NDArray[Any]:
        """Of values (samples, …) over each of the pixels."""
        widths = np.diff(self._samples)
        sums = np.zeros((len(values) + 1, values.shape[1]), np.result_type(values, np.float64))
        np.cumsum(values * widths[:, None], axis=0, out=sums[1:])
        at = np.searchsorted(self._samples, self._edges, "right") - 1
        at = np.clip(at, 0, len(values) - 1)
        begun = (self._edges - self._samples[at])[:, None] * values[at]
        return np.diff(sums[at] + begun, axis=0)
