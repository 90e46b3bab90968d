"""Reading rasters: anything GDAL opens, by windows, with everything that must survive."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window

from sarzip.container.georeference import Metadata, Number, encode
from sarzip.errors import InputError
from sarzip.raster.gdal import CACHE_BYTES, cause_of, gdal_env, opening
from sarzip.raster.metadata import mask_kinds, read_metadata

_HINT_VALUE_LENGTH = 300
_ROWS = 1024
_LEAST_CACHE = 16 << 20
_NO_MEASUREMENT = (ColorInterp.alpha, ColorInterp.palette)


@dataclass(frozen=True)
class RasterInfo:
    """What a raster is, beside its pixels.

    `tags` is the compact dict of everything that must survive (see `container.georeference`); `hints` has
    one text per band (description, unit, band tags, dataset tags, file name) to tell amplitude, power and
    dB apart; `has_mask`: the dataset has a mask of its own, neither nodata nor alpha; `notes` names what
    cannot be kept; `exact` tells the bands that are no measurements (alpha, palette) and must come back bit
    for bit.
    """

    width: int
    height: int
    count: int
    dtypes: tuple[str, ...]
    nodata: tuple[Number | None, ...]
    tags: dict[str, Any]
    hints: tuple[str, ...]
    has_mask: bool
    block_shape: tuple[int, int]
    driver: str = ""
    notes: tuple[str, ...] = ()
    exact: tuple[bool, ...] = ()


class RasterSource:
    """An open raster, read by windows. Not to be used by two threads at the same time."""

    def __init__(self, dataset: Any, path: str, threads: int | None = None) -> None:
        self._dataset = dataset
        self._path = path
        self._threads = threads
        self.info = _info(dataset, path)
        self._cache = _cache_bytes(self.info)

    @classmethod
    def open(cls, path: str | Path, threads: int | None = None) -> RasterSource:
        """Open the raster at `path` (or any name GDAL knows); `threads` bounds decoders (None: all cores).

        Raises InputError when it is missing, no raster, truncated or of an unknown format.
        """
        name = str(path)
        try:
            with gdal_env(threads), opening():
                dataset = rasterio.open(name)
                try:
                    if dataset.count == 0:
                        raise InputError(_no_bands(name, dataset.subdatasets))
                    return cls(dataset, name, threads)
                except BaseException:
                    dataset.close()
                    raise
        except (RasterioError, OSError, ValueError) as error:
            raise InputError(_cannot_open(name, error)) from error

    def __enter__(self) -> RasterSource:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; harmless when closed already."""
        with contextlib.suppress(RasterioError, OSError), self._env():
            self._dataset.close()

    def read(
        self, bands: Sequence[int], row: int, rows: int, col: int = 0, cols: int | None = None
    ) -> NDArray[Any]:
        """Pixels (len(bands), rows, cols) of 0-based `bands`, in their dtype; `cols` None: to the right edge.

        The bands of one call share their dtype (else ValueError). InputError where pixels cannot be read.
        """
        if len({self.info.dtypes[b] for b in bands}) != 1:
            raise ValueError("bands of one read share their dtype")
        window = self._window(row, rows, col, cols)
        try:
            with self._env():
                pixels: NDArray[Any] = self._dataset.read([b + 1 for b in bands], window=window)
        except (RasterioError, OSError) as error:
            raise InputError(self._cannot_read(window, error)) from error
        return pixels

    def read_mask(
        self, row: int, rows: int, col: int = 0, cols: int | None = None
    ) -> NDArray[np.uint8] | None:
        """The dataset's own mask, uint8 (rows, cols), 0 where invalid; None without one (`info.has_mask`)."""
        return self.read_band_mask(0, row, rows, col, cols) if self.info.has_mask else None

    def read_band_mask(
        self, band: int, row: int, rows: int, col: int = 0, cols: int | None = None
    ) -> NDArray[np.uint8]:
        """The mask GDAL has for the 0-based `band` (nodata, alpha, mask): uint8 (rows, cols), 0: invalid."""
        window = self._window(row, rows, col, cols)
        try:
            with self._env():
                mask: NDArray[np.uint8] = self._dataset.read_masks(band + 1, window=window)
        except (RasterioError, OSError) as error:
            raise InputError(self._cannot_read(window, error)) from error
        return mask

    def mask_kinds(self) -> tuple[str, ...]:
        """For each band what its mask comes from: all_valid, nodata, alpha, per_dataset or per_band."""
        with self._env():
            return mask_kinds(self._dataset)

    def blocks_complete(self) -> bool:
        """For a GeoTIFF written band by band: does every block lie within the file?"""
        size = Path(self._path).stat().st_size
        with self._env():
            for band in range(1, self.info.count + 1):
                for (row, col), _ in self._dataset.block_windows(band):
                    offset = self._dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band)
                    length = self._dataset.get_tag_item(f"BLOCK_SIZE_{col}_{row}", "TIFF", bidx=band)
                    if offset is None or length is None or int(offset) + int(length) > size:
                        return False
        return True

    def _env(self) -> contextlib.AbstractContextManager[None]:
        return gdal_env(self._threads, self._cache)

    def _window(self, row: int, rows: int, col: int, cols: int | None) -> Window:
        wide = self.info.width - col if cols is None else cols
        inside = 0 <= row <= row + rows <= self.info.height and 0 <= col <= col + wide <= self.info.width
        if not inside or rows < 1 or wide < 1:
            raise ValueError(
                f"window {row}+{rows}, {col}+{wide} is not inside {self.info.height}x{self.info.width}"
            )
        return Window(col, row, wide, rows)

    def _cannot_read(self, window: Window, error: Exception) -> str:
        last = window.row_off + window.height - 1
        return (
            f"{self._path}: rows {window.row_off} to {last} cannot be read ({cause_of(error)}); "
            "the file is truncated or damaged, fetch it again"
        )


def _info(dataset: Any, path: str) -> RasterInfo:
    meta = read_metadata(dataset)
    return RasterInfo(
        width=dataset.width,
        height=dataset.height,
        count=dataset.count,
        dtypes=tuple(dataset.dtypes),
        nodata=meta.nodata,
        tags=encode(meta),
        hints=_hints(meta, PurePath(path).name),
        has_mask=meta.mask,
        block_shape=tuple(dataset.block_shapes[0]),
        driver=dataset.driver,
        notes=_notes(dataset, meta),
        exact=tuple(colour in _NO_MEASUREMENT for colour in meta.colours),
    )


def _cache_bytes(info: RasterInfo) -> int:
    """What GDAL's cache needs for reads of _ROWS rows, which decode in parallel only where they fit. More
    would be filled, too, and touching memory for the first time takes longer than copying pixels.
    """
    pixel = sum(np.dtype(name).itemsize if name in np.sctypeDict else 16 for name in info.dtypes)
    needed = (_ROWS + info.block_shape[0]) * info.width * pixel * 9 // 8
    return min(max(needed, _LEAST_CACHE), CACHE_BYTES)


def _hints(meta: Metadata, name: str) -> tuple[str, ...]:
    shared = [f"{k}={v[:_HINT_VALUE_LENGTH]}" for k, v in meta.tags.get("", {}).items()]
    out = []
    for band in range(meta.count):
        own = [meta.descriptions[band] or "", meta.units[band] or ""]
        own += [f"{k}={v[:_HINT_VALUE_LENGTH]}" for k, v in meta.band_tags[band].get("", {}).items()]
        out.append(" | ".join(text for text in [*own, *shared, name] if text))
    return tuple(out)


def _notes(dataset: Any, meta: Metadata) -> tuple[str, ...]:
    """What a reader of the copy will miss and what only the source knows; the sink reports the rest."""
    notes = []
    if "per_band" in mask_kinds(dataset):
        notes.append("masks that differ between bands are not kept")
    if dataset.subdatasets:
        notes.append(f"only the first of {len(dataset.subdatasets)} images in the file is read")
    if any(name.startswith("json:") for name in dataset.tag_namespaces()):
        notes.append("tags in json: domains are not kept")
    if meta.gcps is not None and any(meta.gcps.infos):
        notes.append("a GeoTIFF does not hold the notes of ground control points")
    return tuple(notes)


def _no_bands(name: str, subdatasets: Sequence[str]) -> str:
    if subdatasets:
        return f"{name}: holds {len(subdatasets)} rasters; name one of them, for instance {subdatasets[0]}"
    return f"{name}: holds no raster band; give a GeoTIFF or another raster that GDAL reads"


def _cannot_open(name: str, error: Exception) -> str:
    path = Path(name)
    cause = cause_of(error)
    if "://" not in name and not name.startswith("/vsi") and ":" not in name and not path.exists():
        return f"{name}: no such file; check the path"
    if "not recognized" in cause or "supported file format" in cause:
        return (
            f"{name}: not a raster in a format GDAL knows; give a GeoTIFF or another raster that GDAL reads"
        )
    if "ermission denied" in cause:
        return f"{name}: permission denied; make it readable for this user"
    return f"{name}: cannot be read ({cause}); the file is truncated, damaged or of an unsupported kind"
