"""A quick look at a `.sarz`: a small PNG, decoding at the coarsest resolution that fills it.

One band becomes gray. Two become colours, the usual composite of dual-polarised SAR: red the first band,
green the second, blue their ratio. Each is stretched in dB between two percentiles of what is shown; pixels
without a measurement are transparent.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.boxes import SCALES, box_classes, box_mean
from sarzip.codec.signal.radiometry import DOMAINS
from sarzip.container import Header
from sarzip.errors import InputError, UsageError
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.coders import DecodeOptions, region_decoder
from sarzip.pipeline.group import MASK_BAND
from sarzip.pipeline.memory import check_need
from sarzip.pipeline.sarzfile import SarzPart, open_part
from sarzip.pipeline.selection import Region, Selection, resolve
from sarzip.system.machine import Machine, peak_memory
from sarzip.system.outputs import atomic_path, check_destination, naming, refuse_same_file

_LOW, _HIGH = 2.0, 98.0
_OPAQUE = 255
# Decibels, validity, and what shrinking and stretching them makes on the way.
_BYTES_PER_SAMPLE = 20


@dataclass(frozen=True)
class PreviewOptions:
    """max_size: pixels of the longer side at most. bands: 1-based, one or two; empty: the first measurement,
    or the first two. For the rest see DecompressOptions.
    """

    max_size: int = 1024
    bands: tuple[int, ...] = ()
    device: str = "auto"
    threads: int = 0
    model: str | None = None
    trust_model: bool = False
    force: bool = False

    @property
    def decoding(self) -> DecodeOptions:
        """What of it decoding needs."""
        return DecodeOptions(self.device, self.threads, self.model, self.trust_model)

    def __post_init__(self) -> None:
        if self.max_size < 1:
            raise UsageError(f"`max_size` {self.max_size}: must be positive")
        if len(self.bands) > 2:
            raise UsageError(f"`band`: a preview shows one band or two, not {len(self.bands)}")


@dataclass(frozen=True)
class PreviewReport:
    """What was drawn. scale: pixels of the scene per pixel along an axis. decoded_scale: what of that the
    decoder left out. stretch_db: of each channel, what is black and what is brightest; None without any valid
    pixel. bands: 1-based.
    """

    source: str
    output: str
    width: int
    height: int
    bands: tuple[int, ...]
    scale: int
    decoded_scale: int
    stretch_db: tuple[tuple[float, float] | None, ...]
    output_bytes: int
    bytes_read: int
    device: str
    seconds: float
    mpix_per_s: float
    peak_memory: int


@dataclass(frozen=True)
class _Image:
    """Bands of the quick look in dB, float32 (bands, rows, columns), and where they are measurements."""

    decibels: NDArray[np.float32]
    valid: NDArray[np.bool_]


def preview(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: PreviewOptions = PreviewOptions(),
) -> PreviewReport:
    """Draw `source` (a path, a URL, or '-' for standard input) as a PNG; errors are those of decompress."""
    started = time.perf_counter()
    check_destination(destination, options.force)
    refuse_same_file(source, destination)
    with open_part(source) as part, naming(str(source)):
        header = part.header
        factor = _factor(header, options.max_size)
        scale = min(factor, SCALES[-1])
        bands = options.bands or _measured(header)
        region = resolve(Selection(bands=bands, scale=scale), header)
        image, machine = _decode(part, region, options)
        image = _shrink(image, factor // scale)
        channels, stretches = _channels(image)
        with atomic_path(destination, options.force) as target:
            from sarzip.raster.png import write_png

            write_png(target, channels)
            size = target.stat().st_size
    seconds = time.perf_counter() - started
    return PreviewReport(
        source=str(source),
        output=str(destination),
        width=channels.shape[2],
        height=channels.shape[1],
        bands=bands,
        scale=factor,
        decoded_scale=scale,
        stretch_db=stretches,
        output_bytes=size,
        bytes_read=part.bytes_read,
        device=machine.device,
        seconds=seconds,
        mpix_per_s=region.window.rows * region.window.columns * len(bands) / seconds / 1e6,
        peak_memory=peak_memory(),
    )


def _factor(header: Header, max_size: int) -> int:
    """The least power of two that brings the longer side down to max_size."""
    factor = 1
    while -(-max(header.width, header.height) // factor) > max_size:
        factor *= 2
    return factor


def _measured(header: Header) -> tuple[int, ...]:
    """The first two bands that are measurements, 1-based."""
    found = [number for number, band in enumerate(header.bands, start=1) if band.domain in DOMAINS]
    if not found:
        raise InputError("holds no band with measurements; there is nothing to show")
    return tuple(found[:2])


def _decode(part: SarzPart, region: Region, options: PreviewOptions) -> tuple[_Image, Machine]:
    """Decode a region into memory, in dB; and the machine that did."""
    header = part.header
    codings = [BandTransform.from_header(header.bands[band]) for band in region.bands]
    if any(coding.radiometry.domain not in DOMAINS for coding in codings):
        raise UsageError("`band`: only measurements can be shown, not alpha or palette bands")
    decoder, machine = region_decoder(header, region, options.decoding)
    shape = (len(region.bands), region.rows, region.columns)
    check_need(region.samples * _BYTES_PER_SAMPLE, f"{region.columns}x{region.rows} samples")
    image = _Image(np.zeros(shape, np.float32), np.ones(shape, np.bool_))
    for block in decoder.blocks(part.frames(decoder.ordinals)):
        place = block.window
        inside = np.s_[place.row : place.row + place.rows, place.column : place.column + place.columns]
        if block.band == MASK_BAND:
            image.valid[(slice(None), *inside)] &= block.values != 0
            continue
        coding = codings[block.band]
        classes = coding.classify(block.values)
        with np.errstate(invalid="ignore"):
            signal = coding.radiometry.forward(block.values) + np.float32(coding.radiometry.centre)
        image.decibels[(block.band, *inside)] = np.where(classes == 0, signal, 0)
        image.valid[(block.band, *inside)] &= classes == 0
    return image, machine


def _shrink(image: _Image, factor: int) -> _Image:
    """Average the valid pixels of each box; it is valid if at least half of them are."""
    if factor == 1:
        return image
    decibels, valid = [], []
    for plane, known in zip(image.decibels, image.valid, strict=True):
        share = box_mean(known.astype(np.float32), factor)
        decibels.append(box_mean(plane * known, factor) / np.maximum(share, np.float32(1e-6)))
        valid.append(box_classes((~known).astype(np.uint8), factor) == 0)
    return _Image(np.stack(decibels), np.stack(valid))


def _channels(image: _Image) -> tuple[NDArray[np.uint8], tuple[tuple[float, float] | None, ...]]:
    """Gray or red, green, blue, and alpha where not everything is valid: uint8 (channels, rows, columns)."""
    planes, valid = list(image.decibels), list(image.valid)
    if len(planes) == 2:
        planes.append(planes[0] - planes[1])
        valid.append(valid[0] & valid[1])
    drawn, stretches = [], []
    for plane, known in zip(planes, valid, strict=True):
        channel, stretch = _stretched(plane, known)
        drawn.append(channel)
        stretches.append(stretch)
    anywhere = np.logical_or.reduce(valid)
    if not anywhere.all():
        drawn.append(np.where(anywhere, _OPAQUE, 0).astype(np.uint8))
    return np.stack(drawn), tuple(stretches)


def _stretched(
    plane: NDArray[Any], valid: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], tuple[float, float] | None]:
    if not valid.any():
        return np.zeros(plane.shape, np.uint8), None
    low, high = (float(value) for value in np.percentile(plane[valid], (_LOW, _HIGH)))
    width = max(high - low, 1e-3)
    scaled = np.clip((plane - np.float32(low)) * np.float32(255 / width), 0, 255)
    return np.where(valid, np.rint(scaled), 0).astype(np.uint8), (low, high)
