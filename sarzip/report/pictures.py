"""Planes of numbers as images that a page carries."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.raster.png import png_bytes

Colour = tuple[int, int, int]
DIVERGING: tuple[Colour, ...] = (
    (33, 102, 172),
    (146, 197, 222),
    (247, 247, 247),
    (244, 165, 130),
    (178, 24, 43),
)
"""Stops from the least to the greatest; the style sheet draws the same ones as scales."""
SEQUENTIAL: tuple[Colour, ...] = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))
_NO_DATA: Colour = (128, 128, 128)


@dataclass(frozen=True)
class Scale:
    """Numbers from low to high as the values 1 to 255 of a byte; 0 is no data."""

    low: float
    high: float

    def bytes(self, plane: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Of a plane (rows, columns); nan is no data, what lies beyond is the nearest end."""
        width = max(self.high - self.low, 1e-9)
        scaled = np.clip((plane - self.low) * (254 / width), 0, 254)
        return np.where(np.isnan(plane), 0, np.rint(np.nan_to_num(scaled)) + 1).astype(np.uint8)


def gray_uri(plane: NDArray[np.floating], scale: Scale) -> str:
    """A plane in gray, low is dark."""
    return _uri(png_bytes(scale.bytes(plane)))


def coloured_uri(plane: NDArray[np.floating], scale: Scale, stops: tuple[Colour, ...]) -> str:
    """A plane in colours, no data is gray."""
    at = np.linspace(0, len(stops) - 1, 255)
    channels = [np.interp(at, np.arange(len(stops)), channel) for channel in zip(*stops, strict=True)]
    colours = [(int(red), int(green), int(blue)) for red, green, blue in zip(*channels, strict=True)]
    return _uri(png_bytes(scale.bytes(plane), dict(enumerate([_NO_DATA, *colours]))))


def shrunk(plane: NDArray[np.floating], edge: int) -> tuple[NDArray[np.floating], int]:
    """Means of boxes without nan, until no side is longer than `edge`; and the edge of the boxes."""
    factor = -(-max(plane.shape) // edge) if plane.size else 1
    if factor <= 1:
        return plane, 1
    known = np.isfinite(plane)
    sums, counts = (
        np.add.reduceat(
            np.add.reduceat(each, np.arange(0, plane.shape[0], factor), axis=0),
            np.arange(0, plane.shape[1], factor),
            axis=1,
        )
        for each in (np.where(known, plane, 0.0), known.astype(np.float64))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(counts > 0, sums / counts, np.nan), factor


def _uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
