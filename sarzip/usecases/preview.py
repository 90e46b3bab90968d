"""A quick look at a `.sarz`: a small picture, decoding at the coarsest resolution that fills it.

One band becomes gray or pseudo-colour. Two polarisations become colours, the usual composite: red the first,
green the second, blue their ratio. Three bands are red, green and blue. Backscatter is stretched in dB, phase
has cyclic colours, labels those of their palette, anything else is stretched as it is.

A picture lies as the scene is stored unless it is wanted north up: so its pixels are those of the scene's
rows and columns, which windows are given in, and nothing is interpolated.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sarzip.container import Header
from sarzip.container import georeference as tags
from sarzip.container.georeference import Metadata
from sarzip.errors import UsageError
from sarzip.picture.draw import Channel, Drawing, Look, draw
from sarzip.pipeline.coders import DecodeOptions
from sarzip.pipeline.sarzfile import SarzPart, open_part
from sarzip.pipeline.selection import EVERYTHING, Region, Selection, resolve
from sarzip.pipeline.shown import Frame, planes_of, usual_bands
from sarzip.system.machine import Machine, peak_memory
from sarzip.system.outputs import (
    STANDARD_STREAM,
    atomic_path,
    check_destination,
    naming,
    refuse_same_file,
)
from sarzip.system.parts import companions

if TYPE_CHECKING:
    from sarzip.raster.picture import Place

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "COG", ".tiff": "COG"}
"""By the suffix of the output; standard output gets a PNG."""
_MOST_BANDS = 3


@dataclass(frozen=True)
class PreviewOptions:
    """size: pixels of the longer side; a smaller scene, or part, keeps its own. bands: 1-based, one, two for
    a composite or three for red, green and blue; empty: the usual (see pipeline.shown). selection: a window
    or rectangle of the scene. north_up: turn the picture so that north is up. For the rest see
    DecompressOptions.
    """

    size: int = 1024
    bands: tuple[int, ...] = ()
    look: Look = field(default_factory=Look)
    selection: Selection = EVERYTHING
    north_up: bool = False
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
        if self.size < 1:
            raise UsageError(f"`size` {self.size}: must be positive")
        if len(self.bands) > _MOST_BANDS:
            raise UsageError(f"`band`: a preview shows one to three bands, not {len(self.bands)}")
        if self.selection.bands or self.selection.scale != 1:
            raise UsageError("`selection`: a preview takes its bands by `band` and its resolution by `size`")


@dataclass(frozen=True)
class PreviewReport:
    """What was drawn. window: column, row, width, height of the pixels shown. bands: 1-based. channels: what
    is what colour, and how it was stretched. composite: of two bands, else None.

    scale: pixels of the scene per pixel along an axis. decoded_scale: what of that the decoder left out. crs,
    transform: of the picture, or of its control points, None where it has none; gcps: number of these.
    beside: files that were written beside it.
    """

    source: str
    output: str
    format: str
    width: int
    height: int
    window: tuple[int, int, int, int]
    bands: tuple[int, ...]
    composite: str | None
    channels: tuple[Channel, ...]
    scale: float
    decoded_scale: int
    north_up: bool
    crs: str | None
    transform: tuple[float, ...] | None
    gcps: int
    beside: tuple[str, ...]
    output_bytes: int
    bytes_read: int
    device: str
    seconds: float
    mpix_per_s: float
    peak_memory: int


def preview(
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    options: PreviewOptions = PreviewOptions(),
) -> PreviewReport:
    """Draw `source` (a path, a URL, or '-' for standard input) as a PNG, JPEG or COG, by the suffix of
    `destination`; '-' is a PNG on standard output. Errors are those of decompress.
    """
    from sarzip.raster.picture import write_picture

    started = time.perf_counter()
    check_destination(destination, options.force)
    refuse_same_file(source, destination)
    kind = _format_of(destination)
    with open_part(source) as part, naming(str(source)):
        meta = tags.decode(part.header.raster, len(part.header.bands))
        region = _region(part.header, meta, options)
        sketch = _sketch(part, meta, region, options)
        with atomic_path(destination, options.force) as target:
            write_picture(target, kind, sketch.drawing.pixels, sketch.place, sketch.machine.threads)
            size = target.stat().st_size
    seconds = time.perf_counter() - started
    pixels = sketch.drawing.pixels
    piped = str(destination) == STANDARD_STREAM
    return PreviewReport(
        source=str(source),
        output=str(destination),
        format=kind,
        width=pixels.shape[2],
        height=pixels.shape[1],
        window=region.box,
        bands=tuple(band + 1 for band in region.bands),
        composite=options.look.composite if len(region.bands) == 2 else None,
        channels=sketch.drawing.channels,
        scale=sketch.factor,
        decoded_scale=sketch.decoded_scale,
        north_up=sketch.place.north_up,
        crs=sketch.place.crs,
        transform=sketch.place.transform,
        gcps=0 if sketch.place.gcps is None else len(sketch.place.gcps.ids),
        beside=() if piped else tuple(str(each) for each in companions(Path(destination)) if each.exists()),
        output_bytes=size,
        bytes_read=part.bytes_read,
        device=sketch.machine.device,
        seconds=seconds,
        mpix_per_s=region.window.rows * region.window.columns * len(region.bands) / seconds / 1e6,
        peak_memory=peak_memory(),
    )


@dataclass(frozen=True)
class _Sketch:
    """A picture before it is written."""

    drawing: Drawing
    place: Place
    factor: float
    decoded_scale: int
    machine: Machine


def _sketch(part: SarzPart, meta: Metadata, region: Region, options: PreviewOptions) -> _Sketch:
    from sarzip.raster.picture import north_up_target, place_of, to_north_up

    window, target = region.window, None
    factor = max(1.0, max(window.rows, window.columns) / options.size)
    if options.north_up:
        whole = place_of(meta, window, (window.rows, window.columns))
        if not whole.north_up:
            target = north_up_target(whole, (window.rows, window.columns), options.size)
            factor = target.factor
    frame = Frame(window, (max(1, round(window.rows / factor)), max(1, round(window.columns / factor))))
    place = place_of(meta, window, frame.shape)
    bands = tuple(dict.fromkeys(region.bands))
    planes, scale, machine = planes_of(part, meta, bands, frame, options.decoding)
    drawing = draw([planes[bands.index(band)] for band in region.bands], options.look)
    if target is not None:
        smooth = all(plane.smooth for plane in planes)
        drawing = replace(drawing, pixels=to_north_up(drawing.pixels, place, target, smooth))
        place = target.place
    return _Sketch(drawing, place, factor, scale, machine)


def _region(header: Header, meta: Metadata, options: PreviewOptions) -> Region:
    """The window and the bands to show, the same one twice if that is wanted."""
    wanted = tuple(dict.fromkeys(options.bands))
    found = resolve(replace(options.selection, bands=wanted), header)
    bands = tuple(number - 1 for number in options.bands) or usual_bands(header, meta)
    if not options.bands and options.look.colormap is not None:
        bands = bands[:1]
    return Region(found.window, bands)


def _format_of(destination: str | os.PathLike[str]) -> str:
    if str(destination) == STANDARD_STREAM:
        return "PNG"
    suffix = Path(destination).suffix.lower()
    if suffix not in FORMATS:
        names = ", ".join(f"*{each}" for each in FORMATS)
        raise UsageError(f"{destination}: a preview is a picture; give it a name like {names}")
    return FORMATS[suffix]
