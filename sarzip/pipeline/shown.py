"""How bands are shown, and the way of their pixels into a picture: decoded at the coarsest resolution that
suffices, and averaged to the picture's own.

Backscatter is averaged in dB, as at any reduced resolution (see codec.signal.boxes); phase as the sum of unit
vectors, from full resolution; of labels the one at the pixel's centre is taken; anything else is averaged in
its own unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.boxes import SCALES
from sarzip.codec.signal.radiometry import DOMAINS
from sarzip.container import Header
from sarzip.container.georeference import ALPHA, BLUE, GREEN, RED, Metadata
from sarzip.grid import Window
from sarzip.kinds import Kind
from sarzip.kinds.units import read_unit
from sarzip.kinds.words import tokens
from sarzip.picture.average import AreaMean, Canvas, Nearest
from sarzip.picture.colormaps import CYCLIC
from sarzip.picture.composites import POLARISATIONS, pair_of
from sarzip.picture.draw import DECIBELS, Plane
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.coders import DecodeOptions, region_decoder
from sarzip.pipeline.group import MASK_BAND
from sarzip.pipeline.memory import check_need
from sarzip.pipeline.sarzfile import SarzPart
from sarzip.pipeline.selection import Region
from sarzip.system.machine import Machine

_FILLS = (9999, 99999)
"""What is written where there is nothing, although it is greater than any measurement."""
_LABELS = (Kind.CLASS, Kind.DATE, Kind.COUNT)
# Sums and areas of each band, its plane, and the levels drawn of it.
_BYTES_PER_PIXEL = 40


@dataclass(frozen=True)
class Frame:
    """What a picture covers. window: pixels of the scene. shape: rows and columns of the picture, not more
    than those of the window.
    """

    window: Window
    shape: tuple[int, int]

    @property
    def scale(self) -> int:
        """The coarsest resolution that has no fewer samples than the picture pixels."""
        ratio = min(self.window.rows / self.shape[0], self.window.columns / self.shape[1])
        return max(each for each in SCALES if each <= ratio)


class ShownBand:
    """A band in a picture; this one shows quantities: linear, in the band's unit."""

    mean_of_samples = True
    """Whether a picture may be made of a reduced resolution."""

    def __init__(self, header: Header, meta: Metadata, band: int) -> None:
        """band: 0-based. Raises InputError for sample types that cannot be restored."""
        self.band = band
        self.about = header.bands[band]
        self.kind = str(self.about.extra.get("kind", ""))
        self.meta = meta
        self.transform = BandTransform.from_header(self.about)
        self.name = (polarisations(meta)[band] or meta.descriptions[band] or f"band {band + 1}").strip()

    @property
    def unit(self) -> str:
        """Unit of what is shown."""
        return self.meta.units[self.band] or ""

    def canvas(self, frame: Frame) -> Canvas:
        """An empty one."""
        return AreaMean(frame.window, frame.shape)

    def samples(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """What is averaged of decoded values, and where these are measurements."""
        measured = values * self.meta.scales[self.band] + self.meta.offsets[self.band]
        return measured, self.valid(values) & np.isfinite(measured)

    def valid(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Finite and not nodata."""
        known = np.isfinite(values)
        nodata = self.meta.nodata[self.band]
        return known if nodata is None else known & (values != nodata)

    def plane(self, canvas: Canvas) -> Plane:
        """What the canvas holds in the end."""
        values, valid = _narrow(canvas)
        limits = None
        if self.kind == Kind.COHERENCE:
            limits = (0.0, 1.0)
        elif self.kind == Kind.PICTURE and self.about.dtype == "uint8":
            limits = (0.0, 255.0)
        return Plane(self.name, values, valid, self.unit, limits)


class ShownBackscatter(ShownBand):
    """In decibels. Integers at which the sensor saturated are kept apart in the file, but are bright here."""

    def __init__(self, header: Header, meta: Metadata, band: int) -> None:
        """See ShownBand."""
        super().__init__(header, meta, band)
        self._radiometry = self.transform.radiometry
        nodata = meta.nodata[band]
        bright = (
            value
            for value in self.about.specials
            if self._is_bright(value) and value not in (nodata, *_FILLS)
        )
        self._saturated = next(bright, None)

    @property
    def unit(self) -> str:
        """See ShownBand."""
        return DECIBELS

    def samples(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See ShownBand."""
        valid = self.transform.classify(values) == 0
        if self._saturated is not None:
            valid |= values == self._saturated
        return np.where(valid, self._decibels(values), 0), valid

    def plane(self, canvas: Canvas) -> Plane:
        """See ShownBand."""
        values, valid = _narrow(canvas)
        top = None if self._saturated is None else float(self._decibels(self._as_array(self._saturated)))
        return Plane(self.name, values, valid, DECIBELS, saturated=top)

    def _is_bright(self, value: float) -> bool:
        integer = np.dtype(self.about.dtype).kind in "iu"
        return integer and float(self._decibels(self._as_array(value))) > self._radiometry.centre

    def _as_array(self, value: float) -> NDArray[Any]:
        return np.array(value, self.about.dtype)

    def _decibels(self, values: NDArray[Any]) -> NDArray[np.float32]:
        with np.errstate(invalid="ignore"):
            return self._radiometry.forward(values) + np.float32(self._radiometry.centre)


class ShownPhase(ShownBand):
    """Within one turn, in cyclic colours; unwrapped phase as fringes."""

    mean_of_samples = False

    @property
    def turn(self) -> float:
        """One turn in the band's unit: radians unless it says degrees."""
        unit = read_unit(self.unit)
        return 360.0 if unit is not None and unit.degrees else 2 * math.pi

    def canvas(self, frame: Frame) -> Canvas:
        """See ShownBand."""
        return AreaMean(frame.window, frame.shape, np.complex128)

    def samples(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See ShownBand."""
        measured, valid = super().samples(values)
        return np.exp(2j * math.pi / self.turn * np.where(valid, measured, 0)), valid

    def plane(self, canvas: Canvas) -> Plane:
        """See ShownBand."""
        values, valid = canvas.finish()
        angles = np.angle(values) * (self.turn / (2 * math.pi))
        half = self.turn / 2
        return Plane(
            self.name, angles.astype(np.float32), valid, self.unit or "rad", (-half, half), colormap=CYCLIC
        )


class ShownLabels(ShownBand):
    """Classes, masks, dates and counts: in the colours of their palette, else from the least to the
    greatest.
    """

    @property
    def palette(self) -> NDArray[np.uint8] | None:
        """Colours, uint8 (n, 4)."""
        entries = self.meta.colormaps.get(self.band)
        return None if entries is None else np.clip(entries, 0, 255).astype(np.uint8)

    def canvas(self, frame: Frame) -> Canvas:
        """See ShownBand."""
        return Nearest(frame.window, frame.shape)

    def samples(self, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """See ShownBand."""
        return values, self.valid(values)

    def plane(self, canvas: Canvas) -> Plane:
        """See ShownBand."""
        values, valid = _narrow(canvas)
        found = values[valid]
        limits = (float(found.min()), float(found.max())) if found.size else None
        return Plane(self.name, values, valid, self.unit, limits, palette=self.palette, smooth=False)


def _narrow(canvas: Canvas) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """What a canvas holds in the end; what float32 cannot hold is not shown."""
    values, valid = canvas.finish()
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    known = valid & np.isfinite(narrow)
    return np.where(known, narrow, np.float32(0)), known


def shown_band(header: Header, meta: Metadata, band: int) -> ShownBand:
    """How a band (0-based) is shown."""
    about = header.bands[band]
    if about.domain in DOMAINS:
        return ShownBackscatter(header, meta, band)
    kind = about.extra.get("kind")
    if kind == Kind.PHASE:
        return ShownPhase(header, meta, band)
    if kind in _LABELS or band in meta.colormaps or meta.colours[band] == ALPHA:
        return ShownLabels(header, meta, band)
    return ShownBand(header, meta, band)


def usual_bands(header: Header, meta: Metadata) -> tuple[int, ...]:
    """What a scene is shown by, 0-based: two polarisations of backscatter, or its first two bands of it, or
    one; without any its red, green and blue, or its first band.
    """
    measured = [number for number, band in enumerate(header.bands) if band.domain in DOMAINS]
    if measured:
        known = polarisations(meta)
        pair = pair_of([(known[band] or "").lower() for band in measured])
        return tuple(measured[:2]) if pair is None else (measured[pair[0]], measured[pair[1]])
    if {RED, GREEN, BLUE} <= set(meta.colours):
        return tuple(meta.colours.index(colour) for colour in (RED, GREEN, BLUE))
    return (0,)


def polarisations(meta: Metadata) -> tuple[str | None, ...]:
    """The polarisation of each band ('VV'), by its description or its tags, or by a tag of the dataset that
    lists as many as there are bands; None where nothing tells.
    """
    found = []
    for description, spaces in zip(meta.descriptions, meta.band_tags, strict=True):
        told = [description or "", *_polarisation_tags(spaces.get("", {}))]
        named = [name for text in told for name in tokens(text) if name in POLARISATIONS]
        found.append(named[0].upper() if named else None)
    if any(found):
        return tuple(found)
    for text in _polarisation_tags(meta.tags.get("", {})):
        listed = [name.upper() for name in tokens(text) if name in POLARISATIONS]
        if len(listed) == meta.count:
            return tuple(listed)
    return tuple(found)


def _polarisation_tags(tags: Any) -> list[str]:
    return [value for key, value in tags.items() if "pol" in key.lower()]


def planes_of(
    part: SarzPart, meta: Metadata, bands: Sequence[int], frame: Frame, options: DecodeOptions
) -> tuple[list[Plane], int, Machine]:
    """Bands (0-based, each once) as a picture has them; the resolution that was decoded, and the machine that
    did.
    """
    header = part.header
    shown = [shown_band(header, meta, band) for band in bands]
    alpha = [band for band, colour in enumerate(meta.colours) if colour == ALPHA and band not in bands][:1]
    scale = frame.scale if all(each.mean_of_samples for each in shown) else 1
    scene = Window(0, 0, header.height, header.width)
    region = Region(frame.window.widened(scale, scene), (*bands, *alpha), scale)
    pixels = frame.shape[0] * frame.shape[1]
    check_need(pixels * len(bands) * _BYTES_PER_PIXEL, f"{frame.shape[1]}x{frame.shape[0]} pixels")
    canvases = [each.canvas(frame) for each in shown]
    decoder, machine = region_decoder(header, region, options)
    frames = part.frames(decoder.ordinals)
    # Blocks of a group follow each other: its mask belongs to all its bands.
    for place, blocks in groupby(decoder.blocks(frames), lambda block: block.window):
        covered = _pixels(place, region)
        found = {block.band: block.values for block in blocks}
        masks = [found[key] != 0 for key in (MASK_BAND, len(shown)) if key in found]
        for position, (each, canvas) in enumerate(zip(shown, canvases, strict=True)):
            with np.errstate(all="ignore"):  # absurd scales of a hostile file
                samples, valid = each.samples(found[position])
            canvas.add(samples, np.logical_and.reduce([valid, *masks]), covered, scale)
    return [each.plane(canvas) for each, canvas in zip(shown, canvases, strict=True)], scale, machine


def _pixels(place: Window, region: Region) -> Window:
    """Pixels of the scene that samples of a region stand for."""
    scale = region.scale
    whole = Window(
        region.window.row + place.row * scale,
        region.window.column + place.column * scale,
        place.rows * scale,
        place.columns * scale,
    )
    return whole.intersection(region.window)
