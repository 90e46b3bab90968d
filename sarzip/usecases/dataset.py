"""What a `.sarz` says beside its pixels, as a rasterio dataset says it; rasterio comes when it is needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sarzip.codec.signal.boxes import SCALES
from sarzip.container import Header
from sarzip.container.georeference import ALPHA, Metadata
from sarzip.errors import UsageError
from sarzip.usecases.resample import held_nodata

if TYPE_CHECKING:
    from rasterio.control import GroundControlPoint
    from rasterio.coords import BoundingBox
    from rasterio.crs import CRS
    from rasterio.enums import ColorInterp, MaskFlags
    from rasterio.rpc import RPC
    from rasterio.transform import Affine
    from rasterio.windows import Window as RasterWindow


class NoSuchBand(UsageError, IndexError):
    """A band that is not there; an IndexError, as rasterio raises."""


class Dataset:
    """Size, types, georeferencing, tags. Bands count from 1."""

    driver, mode = "sarzip", "r"

    def __init__(self, name: str, header: Header, meta: Metadata) -> None:
        self.name, self._header, self._meta = name, header, meta

    @property
    def header(self) -> Header:
        """What the file says about itself in sarzip's own terms."""
        return self._header

    @property
    def width(self) -> int:
        """Columns."""
        return self.header.width

    @property
    def height(self) -> int:
        """Rows."""
        return self.header.height

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def count(self) -> int:
        """Number of bands."""
        return len(self.header.bands)

    @property
    def indexes(self) -> tuple[int, ...]:
        """Numbers of the bands."""
        return tuple(range(1, self.count + 1))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Sample type of each band."""
        return tuple(band.dtype for band in self.header.bands)

    @property
    def block_shapes(self) -> list[tuple[int, int]]:
        """Rows and columns of the groups, which are decoded as a whole."""
        edge = self.header.group
        return [(min(edge, self.height), min(edge, self.width))] * self.count

    @cached_property
    def crs(self) -> CRS | None:
        """Coordinate system; None without one."""
        from sarzip.raster.metadata import known_crs

        return known_crs(self._meta.crs)

    @cached_property
    def transform(self) -> Affine:
        """From columns and rows to map coordinates."""
        from rasterio.transform import Affine

        return Affine(*self._meta.transform)

    @property
    def bounds(self) -> BoundingBox:
        """Map coordinates of the edges."""
        from rasterio.coords import BoundingBox

        a, b, c, d, e, f = self._meta.transform
        right, bottom = (
            a * self.width + b * self.height + c,
            d * self.width + e * self.height + f,
        )
        return BoundingBox(c, bottom, right, f)

    @property
    def res(self) -> tuple[float, float]:
        """Width and height of a pixel on the map."""
        return self.transform.a, -self.transform.e

    @property
    def gcps(self) -> tuple[list[GroundControlPoint], CRS | None]:
        """Ground control points and their coordinate system."""
        from rasterio.control import GroundControlPoint

        from sarzip.raster.metadata import known_crs

        found = self._meta.gcps
        if found is None:
            return [], None
        each = zip(found.points.tolist(), found.ids, found.infos, strict=True)
        points = [GroundControlPoint(*place, id=name, info=info) for place, name, info in each]
        return points, known_crs(found.crs)

    @property
    def rpcs(self) -> RPC | None:
        """Rational polynomials; None without, or where they are not complete."""
        from rasterio.rpc import RPC

        try:
            return RPC.from_gdal(dict(self._meta.tags.get("RPC", {})))
        except (LookupError, ValueError):
            return None

    @property
    def nodatavals(self) -> tuple[float | None, ...]:
        """Of each band, the value that says that there is none; None for what its samples cannot be."""
        return tuple(map(held_nodata, self._meta.nodata, self.dtypes))

    @property
    def nodata(self) -> float | None:
        """That of the first band."""
        return self.nodatavals[0]

    @property
    def descriptions(self) -> tuple[str | None, ...]:
        """Names of the bands."""
        return self._meta.descriptions

    @property
    def units(self) -> tuple[str | None, ...]:
        """Units of the bands."""
        return self._meta.units

    @property
    def scales(self) -> tuple[float, ...]:
        """Factors that stored values are to be multiplied with."""
        return self._meta.scales

    @property
    def offsets(self) -> tuple[float, ...]:
        """What is to be added then."""
        return self._meta.offsets

    @property
    def colorinterp(self) -> tuple[ColorInterp, ...]:
        """Meaning of the bands for display."""
        from rasterio.enums import ColorInterp

        return tuple(ColorInterp(number) for number in self._meta.colours)

    @property
    def profile(self) -> dict[str, Any]:
        """What rasterio.open needs to create a raster like this one, but for its driver."""
        return {
            "dtype": self.dtypes[0],
            "nodata": self.nodata,
            "width": self.width,
            "height": self.height,
            "count": self.count,
            "crs": self.crs,
            "transform": self.transform,
        }

    def tags(self, bidx: int = 0, ns: str | None = None) -> dict[str, str]:
        """Tags of the dataset (0) or of a band, in a namespace."""
        return self.tag_spaces(bidx).get(ns or "", {})

    def tag_spaces(self, bidx: int = 0) -> dict[str, dict[str, str]]:
        """All tags of the dataset (0) or of a band, by namespace; "" is the default one."""
        spaces = self._meta.band_tags[self._band(bidx)] if bidx else self._meta.tags
        return {name: dict(items) for name, items in spaces.items()}

    @property
    def has_mask(self) -> bool:
        """Whether the dataset has a mask of its own, beside nodata."""
        return self._meta.mask

    @property
    def alpha(self) -> int | None:
        """The 0-based band that tells of the others which pixels are valid, by GDAL's rule; None without."""
        last = self.count - 1
        told = self.count in (2, 4) and self._meta.colours[last] == ALPHA
        return last if told and not self.has_mask and self.dtypes[last] in ("uint8", "uint16") else None

    @property
    def mask_flag_enums(self) -> tuple[list[MaskFlags], ...]:
        """Of each band, where its mask comes from."""
        from rasterio.enums import MaskFlags

        alpha = self.alpha

        def of(band: int) -> list[MaskFlags]:
            if self.has_mask:
                return [MaskFlags.per_dataset]
            if self.nodatavals[band] is not None:
                return [MaskFlags.nodata]
            if alpha not in (None, band):
                return [MaskFlags.per_dataset, MaskFlags.alpha]
            return [MaskFlags.all_valid]

        return tuple(map(of, range(self.count)))

    def overviews(self, bidx: int) -> list[int]:
        """Factors of the reduced resolutions, which are decoded and not stored."""
        self._band(bidx)
        return [scale for scale in SCALES[1:] if max(self.shape) >= scale]

    @property
    def meta(self) -> dict[str, Any]:
        """As profile."""
        return self.profile

    def tag_namespaces(self, bidx: int = 0) -> list[str]:
        """Those of tags beside the default one."""
        return [name for name in self.tag_spaces(bidx) if name]

    def colormap(self, bidx: int) -> dict[int, tuple[int, ...]]:
        """Colours by value; empty without a colour map (where rasterio raises ValueError)."""
        return dict(enumerate(self._meta.colormaps.get(self._band(bidx), ())))

    def block_windows(self, bidx: int = 0) -> Iterator[tuple[tuple[int, int], RasterWindow]]:
        """Row and column of each group, and its pixels: what is best read at a time."""
        from rasterio.windows import Window as RasterWindow

        if bidx:
            self._band(bidx)
        grid = self.header.grid
        for row, column in itertools.product(range(grid.rows), range(grid.columns)):
            place = grid.window(row, column)
            yield (row, column), RasterWindow(place.column, place.row, place.columns, place.rows)

    # --- places, as rasterio has them for every transform -----------------------------------------------

    def xy(self, row: float, col: float, offset: str = "center") -> tuple[float, float]:
        """Map coordinates of a pixel."""
        from rasterio.transform import xy

        x, y = xy(self.transform, row, col, offset=offset)
        return float(x), float(y)

    def index(self, x: float, y: float) -> tuple[int, int]:
        """Row and column of a place on the map."""
        from rasterio.transform import rowcol

        row, column = rowcol(self.transform, x, y)
        return int(row), int(column)

    def window(self, left: float, bottom: float, right: float, top: float) -> RasterWindow:
        """The pixels of a rectangle on the map, in fractions."""
        from rasterio.windows import from_bounds

        return from_bounds(left, bottom, right, top, transform=self.transform)

    def window_transform(self, window: RasterWindow) -> Affine:
        """The transform of a window's pixels."""
        from rasterio.windows import transform

        return transform(window, self.transform)

    def window_bounds(self, window: RasterWindow) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of a window on the map."""
        from rasterio.windows import bounds

        found: tuple[float, float, float, float] = bounds(window, self.transform)
        return found

    def _band(self, number: int) -> int:
        if not 1 <= number <= self.count:
            many = f"{self.count} band{'s' * (self.count > 1)}"
            raise NoSuchBand(f"{self.name}: band {number}: there are {many}, counted from 1")
        return number - 1
