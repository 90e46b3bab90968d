"""Reading rasters: anything GDAL opens, by windows, with everything that must survive."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.windows import Window as GdalWindow

from sarzip.errors import InputError
from sarzip.grid import Window
from sarzip.raster.gdal import CACHE_BYTES, cause_of, gdal_env, opening
from sarzip.raster.info import RasterInfo, describe
from sarzip.raster.metadata import mask_kinds, read_metadata
from sarzip.raster.vrt import VrtDescription, describe_as_vrt
from sarzip.system import buffers

_ROWS = 1024
_CREDENTIALS = ("AWS_", "InvalidAccessKey", "AccessDenied", "403", "401", "GS_", "AZURE_")
_NETWORK = tuple(f"/vsi{kind}" for kind in ("curl", "s3", "gs", "az", "adls", "oss", "swift", "webhdfs"))
_LEAST_CACHE = 16 << 20


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

    def read(self, bands: Sequence[int], window: Window) -> NDArray[Any]:
        """Pixels (len(bands), rows, columns) of 0-based `bands`, in their dtype.

        The bands of one call share their dtype (else ValueError). InputError where pixels cannot be read.
        """
        if len({self.info.dtypes[b] for b in bands}) != 1:
            raise ValueError("bands of one read share their dtype")
        self._check(window)
        try:
            with self._env():
                shape = (len(bands), window.rows, window.columns)
                name = self.info.dtypes[bands[0]]  # GDAL's complex integers are not of numpy
                out = buffers.empty(shape, name) if name in np.sctypeDict else None
                pixels: NDArray[Any] = self._dataset.read(
                    [b + 1 for b in bands], window=_gdal_window(window), out=out
                )
        except (RasterioError, OSError) as error:
            raise InputError(self._cannot_read(window, error)) from error
        return pixels

    def read_mask(self, window: Window) -> NDArray[np.uint8] | None:
        """The dataset's own mask, uint8 (rows, columns), 0 where invalid; None without one."""
        return self.read_band_mask(0, window) if self.info.has_mask else None

    def read_band_mask(self, band: int, window: Window) -> NDArray[np.uint8]:
        """The mask GDAL has for the 0-based `band` (nodata, alpha, mask): uint8 (rows, columns), 0: none."""
        self._check(window)
        try:
            with self._env():
                mask: NDArray[np.uint8] = self._dataset.read_masks(band + 1, window=_gdal_window(window))
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

    def _check(self, window: Window) -> None:
        scene = Window(0, 0, self.info.height, self.info.width)
        if window.intersection(scene) != window or window.rows < 1 or window.columns < 1:
            raise ValueError(f"window {window} is not inside {self.info.height}x{self.info.width}")

    def _cannot_read(self, window: Window, error: Exception) -> str:
        return (
            f"{self._path}: rows {window.row} to {window.bottom - 1} cannot be read ({cause_of(error)}); "
            "the file is truncated or damaged, fetch it again"
        )


def _gdal_window(window: Window) -> GdalWindow:
    return GdalWindow(window.column, window.row, window.columns, window.rows)


def _info(dataset: Any, path: str) -> RasterInfo:
    xml = describe_as_vrt(dataset)
    meta = read_metadata(dataset, xml)
    about = describe(meta, (dataset.width, dataset.height), tuple(dataset.dtypes), PurePath(path).name)
    shape = tuple(dataset.block_shapes[0])
    return replace(about, block_shape=shape, driver=dataset.driver, notes=_notes(dataset, xml))


def _cache_bytes(info: RasterInfo) -> int:
    """What GDAL's cache needs for reads of _ROWS rows, which decode in parallel only where they fit. More
    would be filled, too, and touching memory for the first time takes longer than copying pixels.
    """
    pixel = sum(np.dtype(name).itemsize if name in np.sctypeDict else 16 for name in info.dtypes)
    needed = (_ROWS + info.block_shape[0]) * info.width * pixel * 9 // 8
    return min(max(needed, _LEAST_CACHE), CACHE_BYTES)


def _notes(dataset: Any, xml: VrtDescription | None) -> tuple[str, ...]:
    """What of the source is not kept; what a copy cannot hold is the sink's to report."""
    notes = []
    bands = [f"{band}" for band, kind in enumerate(mask_kinds(dataset), start=1) if kind == "per_band"]
    if bands:
        notes.append(
            f"the masks of bands {', '.join(bands)} are not kept: they differ between bands; mark missing "
            "pixels with nodata, or give one mask for all bands"
        )
    if dataset.subdatasets:
        notes.append(f"only the first of {len(dataset.subdatasets)} images in the file is kept")
    if xml is None:
        notes.append(
            "colour maps, category names and attribute tables are not kept: GDAL cannot describe the raster "
            "in XML"
        )
    elif xml.legacy:
        notes.append("texts that are not UTF-8 are read as Latin-1")
    else:
        domains = {name for band in dataset.indexes for name in dataset.tag_namespaces(band)}
        notes += [
            f"tags of bands in {name} are not kept" for name in sorted(domains) if name.startswith("json:")
        ]
    return tuple(notes)


def _no_bands(name: str, subdatasets: Sequence[str]) -> str:
    if subdatasets:
        return f"{name}: holds {len(subdatasets)} rasters; name one of them, for instance {subdatasets[0]}"
    return f"{name}: holds no raster band; give a GeoTIFF or another raster that GDAL reads"


def _cannot_open(name: str, error: Exception) -> str:
    if isinstance(error, UnicodeError):
        return f"{name}: the file name is not UTF-8, which GDAL needs; rename the file"
    path = Path(name)
    cause = cause_of(error)
    remote = "://" in name or name.startswith(_NETWORK)
    virtual = name.startswith("/vsi")
    if not (remote or virtual or ":" in name or path.exists()) or "No such file or directory" in cause:
        return f"{name}: no such file; check the path"
    if virtual and not remote and "does not exist" in cause:
        return f"{name}: nothing is there; check the name of the archive and of the file in it"
    if path.is_dir():
        return (
            f"{name}: a folder, not a raster in a format GDAL knows; name a file in it, or end the output's "
            "name with '/' to compress all rasters that lie in it"
        )
    if remote and any(word in cause for word in _CREDENTIALS):
        return (
            f"{name}: not allowed without credentials ({cause}); set GDAL's variables for this storage, or "
            "AWS_NO_SIGN_REQUEST=YES for a public bucket"
        )
    if remote and any(word in cause for word in ("CURL", "HTTP", "resolve host", "does not exist")):
        return f"{name}: cannot be fetched ({cause}); check the address and the network"
    if "not recognized" in cause or "supported file format" in cause:
        return (
            f"{name}: not a raster in a format GDAL knows; give a GeoTIFF or another raster that GDAL reads"
        )
    if "ermission denied" in cause:
        return f"{name}: permission denied; make it readable for this user"
    return f"{name}: cannot be read ({cause}); the file is truncated, damaged or of an unsupported kind"
