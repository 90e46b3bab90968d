"""Which part of a scene is asked for: a window or a rectangle on the map, bands, a reduced resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sarzip.codec.signal.boxes import SCALES
from sarzip.container import Header
from sarzip.container import georeference as tags
from sarzip.errors import UsageError
from sarzip.grid import Window
from sarzip.pipeline.bounds import bound_tags

# A corner that lies on the edge of a pixel but for rounding must not take in the pixel beyond.
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Selection:
    """What is asked for, as the user says it.

    window: column, row, width, height in pixels. bbox: west, south, east, north in `bbox_crs` (anything GDAL
    knows; None: the coordinate system of the scene, or of its control points). bands: 1-based, in the order
    wanted; empty: all. scale: one sample for scale×scale pixels, one of SCALES.
    """

    window: tuple[int, int, int, int] | None = None
    bbox: tuple[float, float, float, float] | None = None
    bbox_crs: str | None = None
    bands: tuple[int, ...] = ()
    scale: int = 1

    def __post_init__(self) -> None:
        if self.window is not None and self.bbox is not None:
            raise UsageError("`window` and `bbox` exclude each other; give one of them")
        if self.bbox_crs is not None and self.bbox is None:
            raise UsageError("`bbox_crs`: give the rectangle with `bbox`")
        if self.scale not in SCALES:
            raise UsageError(f"`scale` {self.scale}: expected one of {', '.join(map(str, SCALES))}")

    @property
    def everything(self) -> bool:
        """Whether the whole scene is asked for as it is."""
        return self.window is None and self.bbox is None and not self.bands and self.scale == 1


EVERYTHING = Selection()
"""The whole scene as it is."""


@dataclass(frozen=True)
class Region:
    """A part of a scene. window: its pixels, whose upper left corner is a multiple of `scale`, and whose size
    is one too unless it ends with the scene. bands: 0-based.
    """

    window: Window
    bands: tuple[int, ...]
    scale: int = 1

    @property
    def rows(self) -> int:
        """Rows of samples."""
        return -(-self.window.rows // self.scale)

    @property
    def columns(self) -> int:
        """Columns of samples."""
        return -(-self.window.columns // self.scale)

    @property
    def samples(self) -> int:
        """Samples of all bands."""
        return self.rows * self.columns * len(self.bands)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Column, row, width, height of its pixels, as users give windows."""
        return self.window.column, self.window.row, self.window.columns, self.window.rows

    def raster_tags(self, header: Header) -> dict[str, object]:
        """The raster's metadata (see container.georeference) for this part."""
        lossy = [band for each in header.sets if not each.lossless for band in each.bands]
        stored = tags.drop_statistics(header.raster, lossy)  # files of format 1.1 have them
        stored = tags.with_band_tags(stored, tags.OWN_TAGS, bound_tags(header))
        if self == whole_scene(header):
            return stored
        from sarzip.raster.crop import Part, crop_metadata

        part = Part(self.window.row, self.window.column, self.scale, self.bands)
        return tags.encode(crop_metadata(tags.decode(stored, len(header.bands)), part))


def whole_scene(header: Header) -> Region:
    """All of it."""
    return Region(Window(0, 0, header.height, header.width), tuple(range(len(header.bands))))


def resolve(selection: Selection, header: Header) -> Region:
    """The part of a scene that a selection means there.

    A window must lie within the scene. Of a rectangle on the map, every pixel that it touches is taken; it
    may reach beyond the scene but not miss it. With a scale, either is widened to whole samples, whose grid
    starts at the scene's upper left corner. Raises UsageError.
    """
    scene = f"the scene has {header.width}x{header.height} pixels"
    if selection.window is not None:
        column, row, columns, rows = selection.window
        inside = 0 <= column < column + columns <= header.width and 0 <= row < row + rows <= header.height
        if not inside:
            text = ",".join(map(str, selection.window))
            raise UsageError(f"`window` {text} (column,row,width,height): not within the scene; {scene}")
        window = Window(row, column, rows, columns)
    elif selection.bbox is not None:
        window = _on_the_map(selection, header, scene)
    else:
        window = Window(0, 0, header.height, header.width)
    whole = window.widened(selection.scale, header.grid.scene)
    return Region(whole, _bands(selection, len(header.bands)), selection.scale)


def _on_the_map(selection: Selection, header: Header, scene: str) -> Window:
    from sarzip.raster.locate import pixel_bounds

    assert selection.bbox is not None
    meta = tags.decode(header.raster, len(header.bands))
    first_row, first_column, last_row, last_column = pixel_bounds(meta, selection.bbox, selection.bbox_crs)
    top, left = max(0, math.floor(first_row + _TOLERANCE)), max(0, math.floor(first_column + _TOLERANCE))
    bottom = min(header.height, math.ceil(last_row - _TOLERANCE))
    right = min(header.width, math.ceil(last_column - _TOLERANCE))
    if top >= bottom or left >= right:
        place = f"columns {first_column:.0f} to {last_column:.0f}, rows {first_row:.0f} to {last_row:.0f}"
        text = ",".join(f"{value:g}" for value in selection.bbox)
        raise UsageError(f"`bbox` {text}: does not meet the scene; it would be {place}, and {scene}")
    return Window(top, left, bottom - top, right - left)


def _bands(selection: Selection, count: int) -> tuple[int, ...]:
    for number in selection.bands:
        if not 1 <= number <= count:
            raise UsageError(
                f"`band` {number}: the scene has {count} band{'s' * (count > 1)}, counted from 1"
            )
        if selection.bands.count(number) > 1:
            raise UsageError(f"`band` {number}: given twice")
    return tuple(number - 1 for number in selection.bands) or tuple(range(count))
