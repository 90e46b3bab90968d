"""Planes to colours: one becomes gray or pseudo-colour, two a composite, three red, green and blue.

Each channel is stretched between two percentiles of what is shown, or between fixed limits, which make
pictures of several scenes comparable. What is no measurement is transparent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import UsageError
from sarzip.picture.colormaps import COLORMAPS, colours
from sarzip.picture.composites import COMPOSITES, Limits

DECIBELS = "dB"
OPAQUE = 255
_RGB = ("red", "green", "blue")
_LEAST_WIDTH = 1e-6


@dataclass(frozen=True)
class Look:
    """How planes become colours.

    composite: of two bands, one of COMPOSITES. colormap: of a single band, one of COLORMAPS; None: gray, or
    what the band calls for. percentiles: of what is shown, which become black and brightest. limits: fixed
    ones instead, in dB for backscatter and in the unit of any other band; one for all channels, or one for
    each.
    """

    composite: str = "ratio"
    colormap: str | None = None
    percentiles: Limits = (2.0, 98.0)
    limits: tuple[Limits, ...] = ()

    def __post_init__(self) -> None:
        if self.composite not in COMPOSITES:
            raise UsageError(f"`composite` {self.composite}: expected {', '.join(COMPOSITES)}")
        if self.colormap is not None and self.colormap not in COLORMAPS:
            raise UsageError(f"`colormap` {self.colormap}: expected {', '.join(COLORMAPS)}")
        if not 0 <= self.percentiles[0] < self.percentiles[1] <= 100:
            text = ",".join(f"{value:g}" for value in self.percentiles)
            raise UsageError(f"`stretch` {text}: expected two percentiles from 0 to 100, the lower one first")
        if not all(np.isfinite(pair).all() and pair[0] < pair[1] for pair in self.limits):
            raise UsageError("`limits`: expected two numbers, the lower one first")
        if len(self.limits) not in (0, 1, 3):
            raise UsageError("`limits`: give them once for all channels, or for red, green and blue each")


@dataclass(frozen=True)
class Plane:
    """A band, or what is made of two. values: float32 (rows, columns) in `unit`, valid: where there are any.

    limits: of the stretch where the kind of band has natural ones. colormap: what the kind calls for.
    palette: colours of its labels from 0 on, uint8 (n, 4). saturated: from this value on nothing was measured
    but that it is bright; percentiles are those of the rest. smooth: not for labels, which have nothing
    between them.
    """

    shows: str
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    unit: str = DECIBELS
    limits: Limits | None = None
    colormap: str | None = None
    palette: NDArray[np.uint8] | None = None
    saturated: float | None = None
    smooth: bool = True


@dataclass(frozen=True)
class Channel:
    """What a channel of a picture shows. low, high: what is black and what is brightest, in `unit`; None
    where nothing is valid, or where the colours are those of a palette.
    """

    colour: str
    shows: str
    unit: str
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Drawing:
    """pixels: uint8 (1 to 4, rows, columns): gray or red, green, blue, and alpha where not everything is
    valid.
    """

    pixels: NDArray[np.uint8]
    channels: tuple[Channel, ...]


def draw(planes: Sequence[Plane], look: Look = Look()) -> Drawing:
    """Planes of one shape as a picture. Raises UsageError for two that are no backscatter, and for a colour
    map of more than one.
    """
    if len(planes) > 1 and look.colormap is not None:
        raise UsageError("`colormap`: colours a single band; name it with `band`")
    if len(planes) == 1:
        return _single(planes[0], look)
    if len(planes) == 2:
        planes, look = _composed(planes, look)
    limits = _limits(look, 3)
    drawn = [_stretched(plane, look, given) for plane, given in zip(planes, limits, strict=True)]
    channels = tuple(
        Channel(colour, plane.shows, plane.unit, *(ends or (None, None)))
        for colour, plane, (_, ends) in zip(_RGB, planes, drawn, strict=True)
    )
    valid = np.logical_or.reduce([plane.valid for plane in planes])
    return Drawing(with_alpha(np.stack([levels for levels, _ in drawn]), valid), channels)


def with_alpha(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """A picture (channels, rows, columns) with alpha, if that says anything."""
    if valid.all():
        return pixels
    return np.concatenate([pixels, np.where(valid, OPAQUE, 0).astype(np.uint8)[None]])


def _single(plane: Plane, look: Look) -> Drawing:
    if plane.palette is not None and look.colormap is None:
        return _labelled(plane, plane.palette)
    levels, ends = _stretched(plane, look, _limits(look, 1)[0])
    name = look.colormap or plane.colormap
    channel = Channel(name or "gray", plane.shows, plane.unit, *(ends or (None, None)))
    if name is None:
        return Drawing(with_alpha(levels[None], plane.valid), (channel,))
    pixels = np.moveaxis(colours(name)[levels], -1, 0) * plane.valid
    return Drawing(with_alpha(pixels.astype(np.uint8), plane.valid), (channel,))


def _labelled(plane: Plane, palette: NDArray[np.uint8]) -> Drawing:
    """Labels in the colours of their palette; those beyond it are transparent, as GDAL has them."""
    known = plane.valid & (plane.values >= 0) & (plane.values < len(palette))
    found = palette[np.where(known, plane.values, 0).astype(np.int64)] * known[..., None]
    pixels = np.moveaxis(found, -1, 0).astype(np.uint8)
    shown = pixels if (pixels[3] != OPAQUE).any() else pixels[:3]
    return Drawing(shown, (Channel("palette", plane.shows, plane.unit, None, None),))


def _composed(planes: Sequence[Plane], look: Look) -> tuple[list[Plane], Look]:
    """Three planes of two, and the limits of each where they are fixed."""
    if any(plane.unit != DECIBELS for plane in planes):
        raise UsageError("`band`: two make a composite of backscatter; give one of the bands, or three")
    composite = COMPOSITES[look.composite]
    first, second = planes
    names = [f"({plane.shows})" if " " in plane.shows else plane.shows for plane in planes]
    blue = Plane(
        composite.shows.format(*names),
        composite.blue(first.values, second.values),
        first.valid & second.valid,
    )
    if len(look.limits) == 1:
        look = replace(look, limits=(*look.limits * 2, composite.limits(look.limits[0])))
    return ([second, first] if composite.swapped else [first, second]) + [blue], look


def _limits(look: Look, channels: int) -> tuple[Limits | None, ...]:
    if look.limits and channels == 1 and len(look.limits) > 1:
        raise UsageError("`limits`: one band has one pair of them")
    return look.limits * channels if len(look.limits) == 1 else look.limits or (None,) * channels


def _stretched(plane: Plane, look: Look, given: Limits | None) -> tuple[NDArray[np.uint8], Limits | None]:
    """Levels (rows, columns), 0 where nothing is valid, and the values of black and brightest."""
    ends = given or plane.limits
    if ends is None:
        known = plane.values[plane.valid]
        if plane.saturated is not None and (known < plane.saturated).any():
            known = known[known < plane.saturated]
        if not known.size:
            return np.zeros(plane.values.shape, np.uint8), None
        low, high = (float(each) for each in np.percentile(known, look.percentiles))
        ends = low, high
    width = max(ends[1] - ends[0], _LEAST_WIDTH)
    levels = np.clip((plane.values - np.float32(ends[0])) * np.float32(OPAQUE / width), 0, OPAQUE)
    return np.where(plane.valid, np.rint(levels), 0).astype(np.uint8), ends
