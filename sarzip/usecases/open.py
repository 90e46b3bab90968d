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
from numbers import Integral
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.boxes import SCALES
from sarzip.container import Reader
from sarzip.container import georeference as tags
from sarzip.errors import InputError, UsageError
from sarzip.grid import Window
from sarzip.pipeline.coders import DecodeOptions
from sarzip.pipeline.reader import CACHE_BYTES, GroupCache, PullReader
from sarzip.pipeline.sarzfile import open_seekable
from sarzip.pipeline.selection import whole_scene
from sarzip.system.outputs import naming
from sarzip.usecases.dataset import Dataset
from sarzip.usecases.resample import NEAREST, resampled

if TYPE_CHECKING:
    from rasterio.enums import Resampling

Place = tuple[float, float, float, float]
"""Row, column, rows, columns in fractions of pixels."""


class _How(NamedTuple):
    """resampling: rasterio's number. fill_value: beyond the scene. masks: whether anybody asks for them."""

    resampling: int
    fill_value: float | None
    masks: bool


class SarzFile(Dataset):
    """An open `.sarz`, read-only; names and meanings are those of a rasterio dataset. Bands count from 1.
    summary: what its encoder found, such as the errors within bounds.

    Reads may come from several threads at once. Pickled, it is a path and opens again.
    """

    def __init__(
        self, source: str | os.PathLike[str] | BinaryIO, options: DecodeOptions, cache_bytes: int
    ) -> None:
        self._source, self._options, self._cache_bytes = source, options, cache_bytes
        self._is_path = isinstance(source, (str, os.PathLike))
        name = str(source) if self._is_path else str(getattr(source, "name", "file object"))
        self._closed, self._lock = False, threading.Lock()
        with contextlib.ExitStack() as stack, naming(name):
            file = stack.enter_context(open_seekable(cast(str, source))) if self._is_path else source
            container = Reader(cast(BinaryIO, file))
            self.summary = container.summary or {}
            self._reader = PullReader(container, options, GroupCache(cache_bytes))
            header = self._reader.header
            meta = tags.decode(whole_scene(header).raster_tags(header), len(header.bands))
            super().__init__(name, header, meta)
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

    def read(
        self,
        indexes: int | Sequence[int] | None = None,
        out: NDArray[Any] | None = None,
        window: Any = None,
        masked: bool = False,
        out_shape: tuple[int, ...] | None = None,
        boundless: bool = False,
        resampling: Resampling | int = NEAREST,
        out_dtype: Any = None,
        fill_value: float | None = None,
    ) -> NDArray[Any]:
        """Samples of a band (rows, columns), or of several (bands, rows, columns), in their dtype. Arguments
        are rasterio's, and mean what they mean there:

        indexes: bands, from 1. out: an array to fill. window: a rasterio Window, also of fractions, or ((row,
        row beyond), (column, column beyond)); what leaves the scene is left out, unless `boundless`: then
        there is fill_value, else nodata, else 0. out_shape: resampled to this, from the coarsest resolution
        that suffices, whose pixels are means (as those of a file with averaged overviews). masked: as a
        masked array. fill_value: without `masked`, stands where nothing was measured. UsageError for what is
        not there, NoSuchBand for bands.
        """
        self._check_open()
        single = isinstance(indexes, Integral)
        bands = [self._band(number) for number in self._numbers(indexes)]
        if not bands or len({self.dtypes[band] for band in bands}) > 1:
            raise UsageError(f"{self.name}: bands of one read share their dtype; they are {self.dtypes}")
        place = self._place(window, boundless)
        shape = self._shape(out.shape if out is not None else out_shape, len(bands), place)
        how = _How(int(resampling), fill_value, masked or (fill_value is not None and not boundless))
        values, valid = self._read(place, bands, shape, how)
        if single:
            values, valid = values[0], valid[0]
        if how.masks:
            alike = {repr(self.nodatavals[band]) for band in bands}
            fill = self.nodatavals[bands[0]] if fill_value is None and len(alike) == 1 else fill_value
            found = np.ma.MaskedArray(values, ~valid, fill_value=fill)
            values = found if masked else found.filled()
        if out_dtype is not None:
            values = values.astype(out_dtype)
        if out is None:
            return values
        if out.size != values.size:
            raise UsageError(f"{self.name}: `out` {out.shape} does not hold {values.shape}")
        out[...] = values.reshape(out.shape)
        return out

    def read_masks(
        self,
        indexes: int | Sequence[int] | None = None,
        window: Any = None,
        out_shape: tuple[int, ...] | None = None,
        boundless: bool = False,
    ) -> NDArray[np.uint8]:
        """uint8, shaped as read: 255 where there are measurements, else 0."""
        numbers = self._numbers(indexes)
        found = [self.read(n, None, window, True, out_shape and out_shape[-2:], boundless) for n in numbers]
        masks = np.stack([np.where(np.ma.getmaskarray(each), 0, 255) for each in found]).astype(np.uint8)
        return masks[0] if isinstance(indexes, Integral) else masks

    def dataset_mask(
        self, window: Any = None, out_shape: tuple[int, ...] | None = None, boundless: bool = False
    ) -> NDArray[np.uint8]:
        """uint8 (rows, columns): 255 where any band has a measurement."""
        others = [number for number in self.indexes if number - 1 != self.alpha]
        others = others if self.nodata is not None and not self.has_mask else others[:1]  # all alike
        masks: NDArray[np.uint8] = self.read_masks(others, window, out_shape, boundless).max(0)
        return masks

    def sample(
        self,
        xy: Iterable[tuple[float, float]],
        indexes: int | Sequence[int] | None = None,
        masked: bool = False,
    ) -> Iterator[NDArray[Any]]:
        """The samples (bands,) at places on the map; nodata, or 0, beyond the scene."""
        self._check_open()
        numbers = self._numbers(indexes)
        inverse = ~self.transform
        for x, y in xy:
            column = int(np.floor(inverse.a * x + inverse.b * y + inverse.c))
            row = int(np.floor(inverse.d * x + inverse.e * y + inverse.f))
            pixel = ((row, row + 1), (column, column + 1))
            yield self.read(numbers, None, pixel, masked, boundless=True)[:, 0, 0]

    def _check_open(self) -> None:
        if self._closed:
            raise UsageError(f"{self.name}: the dataset is closed; open it again")

    def _numbers(self, indexes: Any) -> list[int]:
        if isinstance(indexes, Integral):
            return [int(indexes)]
        return list(self.indexes if indexes is None else indexes)

    def _place(self, window: Any, boundless: bool) -> Place:
        """Row, column, rows, columns of what is wanted, in fractions of pixels."""
        if window is None:
            return 0, 0, self.height, self.width
        if hasattr(window, "col_off"):
            found = window.row_off, window.col_off, window.height, window.width
        else:
            (top, bottom), (left, right) = (
                _span(each, size, boundless) for each, size in zip(window, self.shape, strict=True)
            )
            found = top, left, bottom - top, right - left
        if boundless:
            return found
        (top, bottom), (left, right) = (
            (min(max(at, 0), size), max(0, min(at + length, size)))
            for at, length, size in zip(found[:2], found[2:], self.shape, strict=True)
        )
        return top, left, max(0, bottom - top), max(0, right - left)

    def _shape(self, given: tuple[int, ...] | None, count: int, place: Place) -> tuple[int, int]:
        """Rows and columns of the result."""
        if given is None:
            return int(np.floor(place[2] + 0.5)), int(np.floor(place[3] + 0.5))
        if len(given) not in (2, 3) or (len(given) == 3 and given[0] != count):
            raise UsageError(f"{self.name}: `out_shape` {given}: {count} bands of rows and columns expected")
        return int(given[-2]), int(given[-1])

    def _read(
        self, place: Place, bands: list[int], shape: tuple[int, int], how: _How
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Samples and where they are measurements, both (bands, rows, columns)."""
        row, column, rows, columns = place
        scene = Window(0, 0, *self.shape)
        hull = Window.between(
            int(np.floor(row)),
            int(np.floor(column)),
            int(np.ceil(row + rows)),
            int(np.ceil(column + columns)),
        )
        if 0 in shape or not (rows and columns):
            empty = (len(bands), *shape)
            return np.zeros(empty, self.dtypes[bands[0]]), np.zeros(empty, np.bool_)
        scale = _scale(place, shape, self.shape)
        wide = hull.intersection(scene).widened(scale, scene)
        values, valid = self._decoded(wide, bands, scale, how.masks)
        if hull.intersection(scene) != hull:
            values, valid, wide = _padded(
                (values, valid, wide), hull, scale, self._beyond(bands, how.fill_value)
            )
        if wide == hull and tuple(hull) == tuple(place) and values.shape[1:] == shape:
            return values, valid
        part = (row - wide.row) / scale, (column - wide.column) / scale, rows / scale, columns / scale
        nodata = self.nodatavals[bands[0]]
        return (
            resampled(values, part, shape, how.resampling, nodata),
            resampled(valid.view(np.uint8), part, shape) > 0,
        )

    def _decoded(
        self, window: Window, bands: list[int], scale: int, masks: bool
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Of a window of the scene, which may be empty; all of it measurements where nobody asks."""
        if min(window.rows, window.columns) < 1:
            empty = (len(bands), 0, 0)
            return np.zeros(empty, self.dtypes[bands[0]]), np.zeros(empty, np.bool_)
        alpha = self.alpha if masks else None
        members = list(dict.fromkeys(bands if alpha is None else [*bands, alpha]))
        with naming(self.name):
            try:
                found = self._reader.read(window, members, scale)
            except (ValueError, InputError):  # of a file that another thread closed
                if self._closed:
                    raise UsageError(f"{self.name}: the dataset was closed while it was read") from None
                raise
        by_band = dict(zip(members, found.bands, strict=True))
        values = _stacked([by_band[band] for band in bands])
        if not masks:
            return values, np.broadcast_to(np.True_, values.shape)
        opaque = None if alpha is None else by_band[alpha] != 0
        valid = [
            _valid(by_band[band], self.nodatavals[band], found.mask, None if band == alpha else opaque)
            for band in bands
        ]
        return values, _stacked(valid)

    def _beyond(self, bands: list[int], fill_value: float | None) -> list[float]:
        """What stands beyond the scene in each band."""
        return [self.nodatavals[band] or 0 if fill_value is None else fill_value for band in bands]


def _stacked(planes: list[NDArray[Any]]) -> NDArray[Any]:
    """Planes as (planes, rows, columns); a single one is not copied."""
    return planes[0][None] if len(planes) == 1 else np.stack(planes)


def _scale(place: Place, shape: tuple[int, int], scene: tuple[int, int]) -> int:
    """The coarsest resolution whose samples are no larger than those that are wanted, or just these."""

    def enough(n: int, start: float, length: float, size: int, end: int) -> bool:
        # The last sample of a scene may cover less than n pixels.
        last = start % n == 0 and start + length == end and -(-length // n) == size
        return length >= n * size or (last and 2 * length > n * size)

    axes = list(zip(place[:2], place[2:], shape, scene, strict=True))
    return max(n for n in SCALES if n == 1 or all(enough(n, *axis) for axis in axes))


def _valid(
    values: NDArray[Any],
    nodata: float | None,
    mask: NDArray[np.uint8] | None,
    opaque: NDArray[np.bool_] | None,
) -> NDArray[np.bool_]:
    """Where there are measurements, as GDAL has it: by the dataset's own mask, else nodata, else alpha."""
    if mask is not None:
        return mask != 0
    if nodata is not None:
        valid = ~np.isnan(values) if np.isnan(nodata) else values != np.asarray(nodata, values.dtype)
        return np.asarray(valid, np.bool_)
    return np.ones(values.shape, np.bool_) if opaque is None else opaque


def _span(each: Any, size: int, boundless: bool) -> tuple[float, float]:
    """From and to of a slice or a pair; None is the scene's edge, negative ones count from its end."""
    start, stop = (each.start, each.stop) if isinstance(each, slice) else each
    start, stop = 0 if start is None else start, size if stop is None else stop
    if boundless:
        return start, stop
    return start + size * (start < 0), stop + size * (stop < 0)


def _padded(
    found: tuple[NDArray[Any], NDArray[np.bool_], Window], hull: Window, scale: int, beyond: list[float]
) -> tuple[NDArray[Any], NDArray[np.bool_], Window]:
    """Grown to cover `hull`: samples of scale×scale pixels that begin at a multiple of `scale`."""
    values, valid, wide = found
    if not values.size:
        wide = Window(hull.row // scale * scale, hull.column // scale * scale, 0, 0)
    top, left = -(-max(0, wide.row - hull.row) // scale), -(-max(0, wide.column - hull.column) // scale)
    row, column = wide.row - top * scale, wide.column - left * scale
    rows, columns = -(-(hull.bottom - row) // scale), -(-(hull.right - column) // scale)
    rows, columns = max(rows, top + values.shape[1]), max(columns, left + values.shape[2])
    out = np.empty((len(values), rows, columns), values.dtype)
    out[:] = np.array(beyond)[:, None, None]
    known = np.zeros(out.shape, np.bool_)
    inside = slice(None), slice(top, top + values.shape[1]), slice(left, left + values.shape[2])
    out[inside], known[inside] = values, valid
    return out, known, Window(row, column, rows * scale, columns * scale)


def open_file(
    source: str | os.PathLike[str] | BinaryIO,
    options: DecodeOptions = DecodeOptions(),
    cache_bytes: int = CACHE_BYTES,
) -> SarzFile:
    """Open a `.sarz` (a path, a URL that fsspec knows, a seekable file object) for reading by windows.

    cache_bytes: of decoded groups that are kept. Raises InputError or CorruptError.
    """
    return SarzFile(source, options, cache_bytes)
