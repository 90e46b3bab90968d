"""Writing GeoTIFFs by windows, with everything that must survive inside the one file."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.dtypes import dtype_fwd
from rasterio.errors import RasterioError
from rasterio.windows import Window

from sarzip.container.georeference import Metadata, decode, without_namespace
from sarzip.errors import InputError, OutputError
from sarzip.raster.gdal import CACHE_BYTES, captured_stderr, cause_of, free_bytes, gdal_env, opening
from sarzip.raster.metadata import apply_metadata, creation_options, is_point
from sarzip.raster.pam import beside_note, complete
from sarzip.raster.source import RasterSource

_GDAL_ERRORS = (RasterioError, OSError, ValueError)
_FLOAT_PREDICTOR, _INTEGER_PREDICTOR = 3, 2
_PREDICTED = ("DEFLATE", "LZW", "ZSTD")
_STRIP_BYTES = 1 << 18


class RasterSink:
    """A GeoTIFF being written at exactly the path given; temporary names are the caller's.

    After `close`, `notes` name what of the metadata a GeoTIFF could not hold and lies in NAME.aux.xml
    beside it, `warnings` what is nowhere. Not to be used by two threads at the same time.
    """

    def __init__(
        self, dataset: Any, path: Path, meta: Metadata, threads: int | None, changed: tuple[str, ...]
    ) -> None:
        """changed: what is not kept of the samples' types, in words."""
        self._dataset: Any = dataset
        self._path = path
        self._meta = meta
        self._threads = threads
        self._dtype = np.dtype(dataset.dtypes[0])
        # GDAL stores the IMD domain in the file, and then once more beside it.
        sidecar = path.with_suffix(".IMD")
        self._sidecar = None if sidecar.exists() else sidecar
        self.changed = changed
        self.warnings: tuple[str, ...] = changed
        self.notes: tuple[str, ...] = ()

    @classmethod
    def create(
        cls,
        path: str | Path,
        width: int,
        height: int,
        dtypes: Sequence[str],
        tags: Mapping[str, Any],
        *,
        compress: str | None = None,
        threads: int | None = None,
    ) -> RasterSink:
        """Create a GeoTIFF of `width` x `height` pixels, one band for each of `dtypes`, carrying `tags`.

        A GeoTIFF has one dtype: bands of different ones get the smallest that holds them all (a warning).
        `compress` is GDAL's creation option (None: uncompressed), `threads` the compressing threads (None:
        all cores). Raises OutputError (folder, permission, space) and CorruptError (tags that make no
        sense).
        """
        meta = decode(tags, len(dtypes))
        target = Path(path)
        dtype = _common_type(dtypes)
        options = _layout(width, height, dtype, compress)
        if compress is None:
            _check_space(target, width * height * len(dtypes) * dtype.itemsize)
        sink: RasterSink | None = None
        try:
            with gdal_env(threads, **_settings(meta)), opening():
                shape = {"width": width, "height": height, "count": len(dtypes), "dtype": dtype.name}
                dataset = _create(str(target), {**shape, **options}, creation_options(meta))
                sink = cls(dataset, target, meta, threads, _changed_types(dtypes, dtype))
                apply_metadata(dataset, meta if sink._sidecar else without_namespace(meta, "IMD"))
        except _GDAL_ERRORS as error:
            if sink is not None:
                sink._abandon()
            raise OutputError(_cannot_write(target, cause_of(error))) from error
        return sink

    def __enter__(self) -> RasterSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def write(self, band: int, row: int, col: int, array: NDArray[Any]) -> None:
        """Put the 2-D `array` at (row, col) of the 0-based `band`; its dtype must fit the file's."""
        if array.dtype != self._dtype:
            array = array.astype(self._dtype, casting="safe")
        window = self._window(row, col, array)
        with self._writing(array.nbytes):
            self._dataset.write(array, band + 1, window=window)

    def write_mask(self, row: int, col: int, array: NDArray[Any]) -> None:
        """Put the 2-D `array` (0: invalid, else valid) at (row, col) of the dataset's own mask."""
        window = self._window(row, col, array)
        with self._writing(array.size):
            self._dataset.write_mask(np.where(array != 0, np.uint8(255), np.uint8(0)), window=window)

    def close(self) -> None:
        """Finish the file and read its structure back: OutputError if incomplete, else `warnings`."""
        if self._dataset.closed:
            return
        with self._writing(0):
            self._dataset.close()
        self._remove_sidecar()
        self._check()

    def _abandon(self) -> None:
        """Let go of an unfinished file without a word; the caller deletes it."""
        try:
            with gdal_env(self._threads, **_settings(self._meta)), captured_stderr():
                self._dataset.close()
        except _GDAL_ERRORS:
            pass
        self._remove_sidecar()

    def _remove_sidecar(self) -> None:
        if self._sidecar is not None:
            self._sidecar.unlink(missing_ok=True)

    def _window(self, row: int, col: int, array: NDArray[Any]) -> Window:
        height, width = self._dataset.height, self._dataset.width
        inside = (
            array.ndim == 2 and 0 <= row <= height - array.shape[0] and 0 <= col <= width - array.shape[1]
        )
        if not inside:
            raise ValueError(f"array {array.shape} at {row}, {col} is not inside {height}x{width}")
        return Window(col, row, array.shape[1], array.shape[0])

    @contextmanager
    def _writing(self, size: int) -> Iterator[None]:
        """Run one write of about `size` bytes; every way it can fail becomes an OutputError."""
        try:
            with gdal_env(self._threads, **_settings(self._meta)):
                free = free_bytes(self._path)
                # What waits in the cache may be written now; only libtiff's words on stderr tell it failed.
                if free is None or free < 2 * CACHE_BYTES + 2 * size:
                    with captured_stderr() as lines:
                        yield
                    if lines:
                        raise OSError(lines[0].partition(": ")[2])
                else:
                    yield
        except _GDAL_ERRORS as error:
            raise OutputError(_cannot_write(self._path, cause_of(error))) from error

    def _check(self) -> None:
        try:
            with RasterSource.open(self._path) as written:
                whole = written.blocks_complete()
            outcome = complete(self._path, self._meta)
        except (InputError, OSError) as error:
            raise OutputError(_cannot_write(self._path, cause_of(error))) from error
        if not whole:
            raise OutputError(_cannot_write(self._path, "the file ends early"))
        self.warnings += tuple(f"not kept in GeoTIFF: {text}" for text in outcome.lost)
        self.notes = beside_note(outcome)


def _settings(meta: Metadata) -> dict[str, Any]:
    """GDAL's configuration while the file is written: all in the one file, coordinates as they are given."""
    out: dict[str, Any] = {"GDAL_PAM_ENABLED": False, "GDAL_TIFF_INTERNAL_MASK": True}
    if is_point(meta):
        out["GTIFF_POINT_GEO_IGNORE"] = True
    return out


def _create(name: str, layout: dict[str, Any], content: dict[str, Any]) -> Any:
    try:
        return rasterio.open(name, "w", driver="GTiff", **layout, **content)
    except ValueError:
        # rasterio refuses a nodata value outside the range of the dtype, which a source may well have.
        if "nodata" not in content:
            raise
        rest = {key: value for key, value in content.items() if key != "nodata"}
        return rasterio.open(name, "w", driver="GTiff", **layout, **rest)


def _common_type(dtypes: Sequence[str]) -> np.dtype[Any]:
    """The smallest type that holds all bands exactly; InputError if there is none in a GeoTIFF."""
    types = [np.dtype(each) for each in dtypes]
    common = np.result_type(*types)
    if common.kind == "f" and any(each.kind in "iu" and each.itemsize > 4 for each in types):
        raise InputError(
            f"bands of the types {', '.join(dict.fromkeys(dtypes))} fit no common type of a GeoTIFF without "
            "loss; decompress them one by one with `band`"
        )
    if common == np.float16 and "float16" not in dtype_fwd.values():  # GDAL before 3.11
        return np.dtype(np.float32)
    return common


def _changed_types(dtypes: Sequence[str], common: np.dtype[Any]) -> tuple[str, ...]:
    """What a reader of the GeoTIFF should know of bands whose type is another there."""
    bands = [f"band {number} is {each}" for number, each in enumerate(dtypes, start=1) if each != common.name]
    if not bands:
        return ()
    return (
        f"not kept in GeoTIFF: {', '.join(bands)}, written as {common.name} with the same values (a GeoTIFF "
        "has one type; `band` N writes one band in its own)",
    )


def _layout(width: int, height: int, dtype: np.dtype[Any], compress: str | None) -> dict[str, Any]:
    """Creation options that shape the file: tiles for scenes, strips for what tiles would only pad."""
    out: dict[str, Any] = {"interleave": "band", "bigtiff": "IF_SAFER"}
    side = 512 if min(width, height) >= 2048 else 256
    if min(width, height) >= 512:
        out |= {"tiled": True, "blockxsize": side, "blockysize": side}
    else:
        out |= {"tiled": False, "blockysize": min(height, max(1, _STRIP_BYTES // (width * dtype.itemsize)))}
    if compress is not None and compress.upper() != "NONE":
        out["compress"] = compress
        if compress.upper() in _PREDICTED:
            out["predictor"] = _FLOAT_PREDICTOR if dtype.kind == "f" else _INTEGER_PREDICTOR
    return out


def _check_space(path: Path, size: int) -> None:
    free = free_bytes(path)
    if free is not None and free < size:
        raise OutputError(
            f"{path}: cannot be written: it needs {size / 1e6:.0f} MB and {free / 1e6:.0f} MB are free; "
            "make room or choose another folder"
        )


def _cannot_write(path: Path, cause: str) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"{path}: cannot be written: there is no folder {folder}; create it first"
    if path.is_dir():
        return f"{path}: cannot be written: it is a folder; name a file"
    if "ermission denied" in cause:
        return f"{path}: cannot be written: permission denied; choose a folder you may write to"
    free = free_bytes(path)
    full = "No space left" in cause or "ends early" in cause or (free is not None and free < CACHE_BYTES)
    if full or stat.S_ISCHR(path.stat().st_mode if path.exists() else 0):
        return f"{path}: cannot be written: no space left on the device; make room or choose another folder"
    return f"{path}: cannot be written ({cause}); choose another folder or check the file system"
