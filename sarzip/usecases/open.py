"""`sarzip.open`: a `.sarz` as a read-only dataset with rasterio's habits, decoded window by window."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.boxes import SCALES
from sarzip.container import Reader
from sarzip.container import georeference as tags
from sarzip.container.georeference import Metadata
from sarzip.errors import InputError, UsageError
from sarzip.grid import Window
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.coders import DecodeOptions
from sarzip.pipeline.reader import CACHE_BYTES, Samples, WindowReader
from sarzip.pipeline.sarzfile import open_seekable
from sarzip.pipeline.selection import Region
from sarzip.system.machine import choose_machine
from sarzip.system.outputs import naming

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.control import GroundControlPoint
    from rasterio.coords import BoundingBox
    from rasterio.crs import CRS

Place = tuple[tuple[int, int], tuple[int, int]]
"""Rows from and to, columns from and to, as rasterio takes windows."""


@dataclass(frozen=True)
class OpenOptions:
    """threads: that one read uses, 0 for all cores. cache_bytes: of decoded groups that are kept. model,
    trust_model: see DecodeOptions.
    """

    threads: int = 0
    cache_bytes: int = CACHE_BYTES
    model: str | None = None
    trust_model: bool = False


def open_dataset(
    source: str | os.PathLike[str] | BinaryIO, options: OpenOptions = OpenOptions()
) -> SarzDataset:
    """A path, a URL (extra `remote`) or a seekable file object of bytes, as a dataset to read windows of.

    Of a file or URL only what is needed is read. Raises InputError, CorruptError, ModelError or UsageError.
    """
    stack = contextlib.ExitStack()
    with contextlib.ExitStack() as guard:
        guard.callback(stack.close)
        if isinstance(source, (str, os.PathLike)):
            name, file = str(source), stack.enter_context(open_seekable(source))
        else:
            name, file = str(getattr(source, "name", "file object")), source
            if not file.seekable():
                raise InputError(f"{name}: cannot be read at random positions; open a file, or bytes")
        with naming(name):
            dataset = SarzDataset(name, Reader(file), options, stack)
        guard.pop_all()
    return dataset


class SarzDataset:
    """A `.sarz` that is open: size, types and metadata as rasterio names them, and pixels by windows.

    Reads may come from several threads. Bands count from 1.
    """

    mode = "r"
    driver = "SARZ"

    def __init__(
        self, name: str, reader: Reader, options: OpenOptions, resources: contextlib.ExitStack
    ) -> None:
        """See open_dataset. resources: closed with the dataset."""
        self.name = name
        self.closed = False
        self._resources = resources
        header = reader.header
        how = DecodeOptions("cpu", options.threads, options.model, options.trust_model)
        threads = choose_machine("cpu", options.threads).threads
        self._windows = WindowReader(reader, how, threads, options.cache_bytes)
        self._bands = [BandTransform.from_header(band) for band in header.bands]
        self._meta: Metadata = tags.decode(header.raster, len(header.bands))
        self.width, self.height, self.count = header.width, header.height, len(header.bands)
        self.dtypes = tuple(band.dtype for band in header.bands)
        self.block_shapes = [(min(header.group, self.height), min(header.group, self.width))] * self.count

    def __enter__(self) -> SarzDataset:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<{state} SarzDataset name={self.name!r} {self.width}x{self.height} bands={self.count}>"

    def close(self) -> None:
        """Let go of the file; reading is a UsageError from then on."""
        self.closed = True
        self._resources.close()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def indexes(self) -> tuple[int, ...]:
        """Numbers of the bands, from 1."""
        return tuple(range(1, self.count + 1))

    @property
    def crs(self) -> CRS | None:
        """Coordinate reference system of the map; None without one."""
        from sarzip.raster.metadata import known_crs

        return known_crs(self._meta.crs)

    @property
    def transform(self) -> Affine:
        """From pixels to the map."""
        from affine import Affine

        return Affine(*self._meta.transform)

    @property
    def bounds(self) -> BoundingBox:
        """Left, bottom, right and top of the scene on the map."""
        from rasterio.coords import BoundingBox
        from rasterio.transform import array_bounds

        return BoundingBox(*array_bounds(self.height, self.width, self.transform))

    @property
    def gcps(self) -> tuple[list[GroundControlPoint], CRS | None]:
        """Ground control points and their coordinate reference system."""
        from rasterio.control import GroundControlPoint

        from sarzip.raster.metadata import known_crs

        found = self._meta.gcps
        if found is None:
            return [], None
        names = zip(found.points.tolist(), found.ids, found.infos, strict=True)
        points = [GroundControlPoint(*point, id=name, info=info) for point, name, info in names]
        return points, known_crs(found.crs)

    @property
    def rpcs(self) -> Mapping[str, str]:
        """Rational polynomial coefficients as GDAL's tags; empty without any."""
        return dict(self._meta.tags.get("RPC", {}))

    @property
    def nodatavals(self) -> tuple[float | int | None, ...]:
        """Nodata of each band."""
        return self._meta.nodata

    @property
    def nodata(self) -> float | int | None:
        """Nodata of the first band."""
        return self._meta.nodata[0]

    @property
    def descriptions(self) -> tuple[str | None, ...]:
        """Of each band."""
        return self._meta.descriptions

    @property
    def units(self) -> tuple[str | None, ...]:
        """Of each band."""
        return self._meta.units

    @property
    def scales(self) -> tuple[float, ...]:
        """Of each band: a physical value is sample · scale + offset."""
        return self._meta.scales

    @property
    def offsets(self) -> tuple[float, ...]:
        """Of each band; see scales."""
        return self._meta.offsets

    @property
    def colorinterp(self) -> tuple[Any, ...]:
        """Colour interpretation of each band."""
        from rasterio.enums import ColorInterp

        return tuple(ColorInterp(number) for number in self._meta.colours)

    def tags(self, bidx: int = 0, ns: str | None = None) -> dict[str, str]:
        """Tags of the dataset, or of a band, in a namespace."""
        spaces = self._meta.tags if bidx == 0 else self._meta.band_tags[self._index(bidx)]
        return dict(spaces.get(ns or "", {}))

    def overviews(self, bidx: int) -> list[int]:
        """Factors at which reading decodes less than everything."""
        self._index(bidx)
        return [scale for scale in SCALES if 1 < scale < min(self.shape)]

    @property
    def profile(self) -> dict[str, Any]:
        """What rasterio.open takes to write a GeoTIFF like this one."""
        return {
            "driver": "GTiff",
            "width": self.width,
            "height": self.height,
            "count": self.count,
            "dtype": str(np.result_type(*self.dtypes)),
            "crs": self.crs,
            "transform": self.transform,
            "nodata": self.nodata,
        }

    def read(
        self,
        indexes: int | Sequence[int] | None = None,
        window: Any = None,
        out_shape: tuple[int, ...] | None = None,
        masked: bool = False,
        boundless: bool = False,
        fill_value: float | int | None = None,
    ) -> NDArray[Any]:
        """Pixels (bands, rows, columns), or (rows, columns) of a single band, as rasterio's read.

        window: a rasterio Window, or ((first row, end), (first column, end)). out_shape: rows and columns,
        with or without bands before them; smaller ones are decoded at a reduced resolution, as means in dB,
        and then take the nearest sample. boundless: a window may reach beyond the scene, where fill_value
        (nodata, or 0) is read. masked: a masked array, what is no measurement masked.
        """
        if self.closed:
            raise UsageError(f"{self.name}: the dataset is closed; open it again")
        single = isinstance(indexes, (int, np.integer))
        wanted = [indexes] if single else list(self.indexes if indexes is None else indexes)  # type: ignore[arg-type]
        bands = tuple(self._index(int(band)) for band in wanted)  # type: ignore[arg-type]
        place = self._place(window, boundless)
        rows, columns = (place.rows, place.columns) if out_shape is None else out_shape[-2:]
        inside = place.intersection(Window(0, 0, *self.shape))
        if not (inside.rows and inside.columns):
            size = f"{self.width}x{self.height} pixels"
            raise UsageError(f"{self.name}: window {_told(place)} does not meet the scene of {size}")
        scale = self._scale(place, (rows, columns))
        with naming(self.name):
            distinct = tuple(dict.fromkeys(bands))
            region = _region(inside, scale, distinct, self.shape)
            samples = self._windows.read(region)
        at = [distinct.index(band) for band in bands]
        planes, valid = self._planes(samples, distinct, at, masked)
        down, across = (
            _nearest(first, count, size, origin, have, scale)
            for first, count, size, origin, have in (
                (place.row, place.rows, rows, region.window.row, region.rows),
                (place.column, place.columns, columns, region.window.column, region.columns),
            )
        )
        out = planes[:, np.clip(down, 0, region.rows - 1)][:, :, np.clip(across, 0, region.columns - 1)]
        beyond = (_beyond(down, region.rows)[:, None] | _beyond(across, region.columns)[None]) & boundless
        if beyond.any():
            out[:, beyond] = fill_value if fill_value is not None else self.nodata or 0
        if valid is not None:
            shown = valid[:, np.clip(down, 0, region.rows - 1)][:, :, np.clip(across, 0, region.columns - 1)]
            out = np.ma.MaskedArray(out, ~shown | beyond, fill_value=self.nodata)
        return out[0] if single else out

    def sample(self, xy: Iterable[tuple[float, float]], indexes: Any = None) -> Iterator[NDArray[Any]]:
        """Samples of the bands at points on the map, one array for each; nodata, or 0, beyond the scene."""
        wanted = list(self.indexes) if indexes is None else np.atleast_1d(indexes).tolist()
        inverse = ~self.transform
        for x, y in xy:
            column, row = (int(np.floor(each)) for each in inverse * (x, y))
            if 0 <= row < self.height and 0 <= column < self.width:
                yield self.read(wanted, window=((row, row + 1), (column, column + 1)))[:, 0, 0]
            else:
                yield np.full(len(wanted), self.nodata or 0, np.result_type(*self.dtypes))

    def _planes(
        self, samples: Samples, distinct: tuple[int, ...], at: list[int], masked: bool
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        planes = np.stack([samples.values[place] for place in at])
        if not masked:
            return planes, None
        valid = []
        for place in at:
            values, band = samples.values[place], distinct[place]
            known = self._bands[band].classify(values) == 0
            nodata = self._meta.nodata[band]
            if nodata is not None:
                known &= ~np.isnan(values) if nodata != nodata else values != nodata
            valid.append(known if samples.mask is None else known & (samples.mask > 0))
        return planes, np.stack(valid)

    def _index(self, bidx: int) -> int:
        if not 1 <= bidx <= self.count:
            raise UsageError(f"{self.name}: has no band {bidx}; its bands are 1 to {self.count}")
        return bidx - 1

    def _place(self, window: Any, boundless: bool) -> Window:
        whole = Window(0, 0, *self.shape)
        if window is None:
            return whole
        if hasattr(window, "col_off"):
            rows = window.row_off, window.row_off + window.height
            columns = window.col_off, window.col_off + window.width
        else:
            rows, columns = window
        (top, bottom), (left, right) = (
            (round(first or 0), size if last is None else round(last))
            for (first, last), size in zip((rows, columns), self.shape, strict=True)
        )
        place = Window.between(top, left, bottom, right)
        # As rasterio does: without boundless, what lies beyond the scene is left out.
        return place if boundless else place.intersection(whole)

    def _scale(self, place: Window, out: tuple[int, int]) -> int:
        """The coarsest resolution that still has a sample for each pixel wanted."""
        most = min(place.rows / max(out[0], 1), place.columns / max(out[1], 1))
        return max((scale for scale in SCALES if scale <= most), default=1)


def _region(inside: Window, scale: int, bands: tuple[int, ...], shape: tuple[int, int]) -> Region:
    """A region that holds a window, its corners on whole samples."""
    return Region(inside.widened(scale, Window(0, 0, *shape)), bands, scale)


def _nearest(first: int, count: int, size: int, origin: int, have: int, scale: int) -> NDArray[np.int64]:
    """For each of `size` pixels over `count` ones from `first` on: the sample of a region that begins at
    `origin`, negative or `have` and more beyond it.
    """
    centres = first + (np.arange(size) + 0.5) * count / size
    return np.floor((centres - origin) / scale).astype(np.int64)


def _beyond(index: NDArray[np.int64], have: int) -> NDArray[np.bool_]:
    return (index < 0) | (index >= have)


def _told(place: Window) -> str:
    return f"{place.column},{place.row},{place.columns},{place.rows} (column,row,width,height)"
