"""Arrays in and out: a `.sarz` file from an array, and bytes from an array and back.

>>> import numpy as np, sarzip
>>> scene = np.random.default_rng(0).gamma(4, 0.02, (2, 128, 256)).astype("float32")
>>> data = sarzip.encode(scene, sarzip.CompressOptions(max_error_db=0.5))
>>> back = sarzip.decode(data)
>>> bool(np.abs(10 * np.log10(back / scene)).max() <= 0.5)
True
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container.georeference import Metadata
from sarzip.container.georeference import decode as decode_metadata
from sarzip.errors import UsageError
from sarzip.pipeline.sources import ArraySource, Source
from sarzip.raster.info import RasterInfo, describe
from sarzip.usecases.compress import CompressOptions, CompressReport, Job, compress_job
from sarzip.usecases.open import SarzFile, open_file


def write(
    path: str | os.PathLike[str],
    array: Any,
    options: CompressOptions = CompressOptions(),
    *,
    crs: Any = None,
    transform: Any = None,
    nodata: float | None = None,
    descriptions: Sequence[str | None] | None = None,
    tags: Mapping[str, str] | None = None,
    mask: NDArray[np.uint8] | None = None,
    force: bool = False,
) -> CompressReport:
    """Compress what is in memory or open: an array (rows, columns) or (bands, rows, columns); an
    xarray.DataArray of such dimensions whose coordinates and attributes rioxarray would understand, computed
    row of groups by row of groups where it is one of Dask; an open rasterio dataset, a WarpedVRT included,
    read by windows, with everything that compress keeps of files. What else is given counts instead of what
    these say.

    crs: anything rasterio knows. transform: Affine, from columns and rows to the map. tags: of the dataset,
    added to what it has. mask: uint8 (rows, columns), 0 where nothing was measured, of arrays. Raises
    UsageError, InputError, ModelError, TargetError or OutputError.
    """
    given = {"crs": crs, "transform": transform, "nodata": nodata, "descriptions": descriptions}
    given = {key: value for key, value in given.items() if value is not None}
    source: Source
    name = ""
    if isinstance(array, SarzFile):
        raise UsageError(f"{array.name}: is a .sarz already; copy it, or write what its `read` gives")
    if hasattr(array, "block_windows"):  # which only datasets have
        if mask is not None:
            raise UsageError("`mask`: of arrays; a dataset has its own")
        source, name = _dataset(array, given, tags), array.name
    else:
        if hasattr(array, "dims"):
            given = _of_data_array(array) | given
            array = array.data if hasattr(array.data, "dask") else array.values
        pixels = array if hasattr(array, "dask") else np.asarray(array)
        source = ArraySource(pixels, name=os.fspath(path), mask=mask)
        meta = _metadata(Metadata.plain(len(source.values)), given, tags)
        source = replace(source, metadata=meta)
    job = Job.of(source, replace(options, force=force or options.force))
    return compress_job(job, name, path)


def encode(array: NDArray[Any], options: CompressOptions = CompressOptions()) -> bytes:
    """The bytes of a `.sarz` of an array (rows, columns) or (bands, rows, columns); errors as write."""
    sink = io.BytesIO()
    Job.of(ArraySource(np.asarray(array)), options).write(sink)
    return sink.getvalue()


def decode(data: bytes) -> NDArray[Any]:
    """All samples (bands, rows, columns) of the bytes of a `.sarz`. Raises CorruptError or ModelError."""
    with open_file(io.BytesIO(data)) as dataset:
        return dataset.read()


class _Retold:
    """A source of which other things are said."""

    def __init__(self, source: Source, info: RasterInfo) -> None:
        self._source, self.info = source, info
        self.read, self.read_mask = source.read, source.read_mask


def _dataset(dataset: Any, given: Mapping[str, Any], tags: Mapping[str, str] | None) -> Source:
    """An open dataset of rasterio, which its owner closes."""
    from sarzip.raster import RasterSource

    if dataset.closed or not dataset.count:
        raise UsageError(
            f"{dataset.name}: the dataset is {'closed; open it again' * dataset.closed or 'empty'}"
        )
    source = RasterSource(dataset, dataset.name)
    if not given and not tags:
        return source
    info = source.info
    meta = _metadata(decode_metadata(info.tags, info.count), given, tags)
    told = describe(meta, (info.width, info.height), info.dtypes, PurePath(dataset.name).name)
    told = replace(told, block_shape=info.block_shape, driver=info.driver, notes=info.notes)
    return _Retold(source, told)


def _metadata(meta: Metadata, given: Mapping[str, Any], tags: Mapping[str, str] | None) -> Metadata:
    """`meta` with what is given."""
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    from sarzip.raster.metadata import crs_text

    changed: dict[str, Any] = {}
    if given.get("crs") is not None:
        try:
            changed["crs"] = crs_text(CRS.from_user_input(given["crs"]))
        except CRSError as error:
            raise UsageError(
                f"crs {given['crs']!r}: not a coordinate system that is known ({error})"
            ) from None
    if given.get("transform") is not None:
        changed["transform"] = tuple(float(each) for each in given["transform"])[:6]
    if given.get("nodata") is not None:
        changed["nodata"] = (given["nodata"],) * meta.count
    if given.get("descriptions") is not None:
        if len(given["descriptions"]) != meta.count:
            raise UsageError(f"{len(given['descriptions'])} descriptions for {meta.count} bands")
        changed["descriptions"] = tuple(given["descriptions"])
    if tags:
        changed["tags"] = {**meta.tags, "": {**meta.tags.get("", {}), **tags}}
    return replace(meta, **changed)


def _of_data_array(array: Any) -> dict[str, Any]:
    """What a DataArray says of itself, with rioxarray's accessor where that is installed."""
    found: dict[str, Any] = {"crs": None, "transform": None, "nodata": array.attrs.get("_FillValue")}
    names = array.coords["band"].values.tolist() if "band" in array.coords else None
    whole = isinstance(names, list) and all(isinstance(name, str) for name in names)
    found["descriptions"] = names if whole else None
    if hasattr(array, "rio"):
        found |= {"crs": array.rio.crs, "nodata": array.rio.nodata}
        if {"x", "y"} <= set(array.coords):
            found["transform"] = array.rio.transform()
    elif "spatial_ref" in array.coords:
        about = array.coords["spatial_ref"].attrs
        found["crs"] = about.get("crs_wkt")
        if "GeoTransform" in about:
            c, a, b, f, d, e = map(float, about["GeoTransform"].split())
            found["transform"] = (a, b, c, d, e, f)
    return found
