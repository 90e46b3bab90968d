"""A `.sarz` as a dataset with rasterio's habits: opened once, read by windows, only what they need decoded.

>>> import numpy as np, sarzip
>>> scene = np.random.default_rng(0).gamma(4, 30, (300, 400)).astype("uint16")
>>> _ = sarzip.write("scene.sarz", scene, crs="EPSG:32632", force=True)
>>> with sarzip.open("scene.sarz") as dataset:
...     print(dataset.shape, dataset.dtypes, dataset.crs)
...     window = dataset.read(1, window=((10, 20), (100, 164)))
...     quick = dataset.read(1, out_shape=(75, 100))
(300, 400) ('uint16',) EPSG:32632
>>> window.shape, quick.shape
((10, 64), (75, 100))
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.boxes import SCALES
from sarzip.container import Header, Reader
from sarzip.container import georeference as tags
from sarzip.errors import InputError, UsageError
from sarzip.grid import Window
from sarzip.pipeline.coders import DecodeOptions
from sarzip.pipeline.reader import CACHE_BYTES, GroupCache, Pixels, PullReader
from sarzip.pipeline.sarzfile import open_seekable
from sarzip.pipeline.selection import whole_scene
from sarzip.system.outputs import naming
from sarzip.usecases.resample import held_nodata, resampled

if TYPE_CHECKING:
    from rasterio.control import GroundControlPoint
    from rasterio.coords import BoundingBox
    from rasterio.crs import CRS
    from rasterio.enums import ColorInterp, Resampling
    from rasterio.rpc import RPC
    from rasterio.transform import Affine


class SarzFile:
    """An open `.sarz`, read-only; names and meanings are those of a rasterio dataset. Bands count from 1.

    Reads may come from several threads at once. Pickled, it is a path and opens again.
    """

    driver, mode = "sarzip", "r"

    def __init__(
        self, source: str | os.PathLike[str] | BinaryIO, options: DecodeOptions, cache_bytes: int
    ) -> None:
        self._source, self._options, self._cache_bytes = source, options, cache_bytes
        self._is_path = isinstance(source, (str, os.PathLike))
        self.name = str(source) if self._is_path else str(getattr(source, "name", "file object"))
        self._stack = contextlib.ExitStack()
        self._closed, self._lock = False, threading.Lock()
        with contextlib.ExitStack() as stack, naming(self.name):
            file = stack.enter_context(open_seekable(cast(str, source))) if self._is_path else source
            self._reader = PullReader(Reader(cast(BinaryIO, file)), options, GroupCache(cache_bytes))
            header = self._reader.header
            self._meta = tags.decode(whole_scene(header).raster_tags(header), len(header.bands))
            self._stack = stack.pop_all()

    def __enter__(self) -> SarzFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        size = f"{self.count} x {self.height} x {self.width}"
        return f"<{state} SarzFile name={self.name!r} {size} {', '.join(dict.fromkeys(self.dtypes))}>"

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._is_path:
            raise UsageError(f"{self.name}: a file object cannot be pickled; open a path or a URL")
        return SarzFile, (self._source, self._options, self._cache_bytes)

    def close(self) -> None:
        """Let go of the file; harmless when closed already. InputError if it was written to meanwhile."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self._stack.close()

    @property
    def closed(self) -> bool:
        """Whether it is."""
        return self._closed

    @property
    def header(self) -> Header:
        """What the file says about itself in sarzip's own terms."""
        return self._reader.header

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

    def overviews(self, bidx: int) -> list[int]:
        """Factors of the reduced resolutions, which are decoded and not stored."""
        self._band(bidx)
        return [scale for scale in SCALES[1:] if max(self.shape) >= scale]

    def read(
        self,
        indexes: int | Sequence[int] | None = None,
        window: Any = None,
        out_shape: tuple[int, ...] | None = None,
        masked: bool = False,
        boundless: bool = False,
        fill_value: float | None = None,
        resampling: Resampling | int = 0,
    ) -> NDArray[Any]:
        """Samples of a band (rows, columns), or of several (bands, rows, columns), in their dtype.

        window: a rasterio Window or ((row, row beyond), (column, column beyond)). out_shape: resampled to
        this, from the coarsest resolution that suffices. masked: as a masked array. boundless: where the
        window leaves the scene there is fill_value, else nodata, else 0. UsageError for what is not there.
        """
        numbers = (
            [indexes] if isinstance(indexes, int) else list(self.indexes if indexes is None else indexes)
        )
        bands = [self._band(number) for number in numbers]
        if not bands or len({self.dtypes[band] for band in bands}) > 1:
            raise UsageError(f"{self.name}: bands of one read share their dtype; they are {self.dtypes}")
        asked = self._window(window)
        inside = asked.intersection(Window(0, 0, *self.shape))
        if (inside != asked and not boundless) or min(asked.rows, asked.columns) < 1:
            raise UsageError(f"{self.name}: {asked} are not inside the scene of {self.width}x{self.height}")
        shape = (asked.rows, asked.columns) if out_shape is None else (out_shape[-2], out_shape[-1])
        if inside != asked and shape != (asked.rows, asked.columns):
            raise UsageError(f"{self.name}: out_shape of a window that leaves the scene; read it as it is")
        if min(inside.rows, inside.columns) < 1:
            values, valid = np.empty((len(bands), 0, 0), self.dtypes[bands[0]]), np.empty((0, 0, 0), np.bool_)
        else:
            values, valid = self._read(inside, bands, shape if inside == asked else inside[2:], resampling)
        if inside != asked:
            values, valid = self._padded(values, valid, (asked, inside), bands, fill_value)
        if isinstance(indexes, int):
            values, valid = values[0], valid[0]
        if not masked:
            return values
        fill = self.nodatavals[bands[0]] if fill_value is None else fill_value
        return np.ma.MaskedArray(values, ~valid, fill_value=fill)

    def sample(
        self, xy: Iterable[tuple[float, float]], indexes: int | Sequence[int] | None = None
    ) -> Iterator[NDArray[Any]]:
        """The samples of the bands at places on the map; nodata, or 0, beyond the scene."""
        numbers = [indexes] if isinstance(indexes, int) else list(indexes or self.indexes)
        inverse = ~self.transform
        for x, y in xy:
            column = int(np.floor(inverse.a * x + inverse.b * y + inverse.c))
            row = int(np.floor(inverse.d * x + inverse.e * y + inverse.f))
            yield self.read(numbers, ((row, row + 1), (column, column + 1)), boundless=True)[:, 0, 0]

    def _band(self, number: int) -> int:
        if not 1 <= number <= self.count:
            many = f"{self.count} band{'s' * (self.count > 1)}"
            raise UsageError(f"{self.name}: band {number}: there are {many}, counted from 1")
        return number - 1

    def _window(self, window: Any) -> Window:
        if window is None:
            return Window(0, 0, *self.shape)
        if hasattr(window, "col_off"):
            left, top = round(window.col_off), round(window.row_off)
            return Window(top, left, round(window.height), round(window.width))
        (top, bottom), (left, right) = window
        return Window.between(top, left, bottom, right)

    def _read(
        self, window: Window, bands: list[int], shape: tuple[int, ...], resampling: Any
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Samples and where they are measurements, both (bands, rows, columns), in a window of the scene."""
        if self._closed:
            raise UsageError(f"{self.name}: the dataset is closed; open it again")
        ratio = min(window.rows / shape[0], window.columns / shape[1])
        scale = max(each for each in SCALES if each <= max(1.0, ratio))
        wide = window.widened(scale, Window(0, 0, *self.shape))
        with naming(self.name):
            try:
                found = self._reader.read(wide, bands, scale)
            except (ValueError, InputError):  # of a file that another thread closed
                if self._closed:
                    raise UsageError(f"{self.name}: the dataset was closed while it was read") from None
                raise
        values = np.stack(found.bands)
        valid = np.stack([self._valid(found, at, band) for at, band in enumerate(bands)])
        if values.shape[1:] == shape and wide == window:
            return values, valid
        place = (window.row - wide.row) / scale, (window.column - wide.column) / scale
        part = (*place, window.rows / scale, window.columns / scale)
        nodata = self.nodatavals[bands[0]]
        return (
            resampled(values, part, (shape[0], shape[1]), int(resampling), nodata),
            resampled(valid.view(np.uint8), part, (shape[0], shape[1])) > 0,
        )

    def _valid(self, found: Pixels, at: int, band: int) -> NDArray[np.bool_]:
        values, nodata = found.bands[at], self.nodatavals[band]
        if found.mask is not None:  # which GDAL, too, asks before nodata
            return found.mask != 0
        if nodata is not None:
            valid = ~np.isnan(values) if np.isnan(nodata) else values != np.asarray(nodata, values.dtype)
            return np.asarray(valid, np.bool_)
        return np.ones(values.shape, np.bool_)

    def _padded(
        self,
        values: NDArray[Any],
        valid: NDArray[np.bool_],
        windows: tuple[Window, Window],
        bands: list[int],
        fill_value: float | None,
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        asked, inside = windows
        shape = (len(bands), asked.rows, asked.columns)
        wide, known = np.zeros(shape, values.dtype), np.zeros(shape, np.bool_)
        for at, band in enumerate(bands):
            wide[at] = fill_value if fill_value is not None else self.nodatavals[band] or 0
        if values.size:
            place = (slice(None), *inside.slices(asked))
            wide[place], known[place] = values, valid
        return wide, known


def open_file(
    source: str | os.PathLike[str] | BinaryIO,
    options: DecodeOptions = DecodeOptions(),
    cache_bytes: int = CACHE_BYTES,
) -> SarzFile:
    """Open a `.sarz` (a path, a URL that fsspec knows, a seekable file object) for reading by windows.

    cache_bytes: of decoded groups that are kept. Raises InputError or CorruptError.
    """
    return SarzFile(source, options, cache_bytes)
