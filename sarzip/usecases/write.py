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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container.georeference import Metadata
from sarzip.errors import UsageError
from sarzip.pipeline.sources import ArraySource
from sarzip.system.machine import choose_machine
from sarzip.system.outputs import binary_output
from sarzip.usecases.compress import CompressOptions, Job
from sarzip.usecases.open import open_file


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
) -> int:
    """Compress an array (rows, columns) or (bands, rows, columns), or an xarray.DataArray of such dimensions
    whose coordinates and attributes rioxarray would understand; the bytes of the file.

    crs: anything rasterio knows. transform: Affine, from columns and rows to the map. mask: uint8 (rows,
    columns), 0 where nothing was measured. Raises UsageError, InputError, ModelError, TargetError or
    OutputError.
    """
    given = {"crs": crs, "transform": transform, "nodata": nodata, "descriptions": descriptions}
    if hasattr(array, "dims"):
        given = _of_data_array(array) | {key: value for key, value in given.items() if value is not None}
        array = array.values
    source = ArraySource(np.asarray(array), name=os.fspath(path), mask=mask)
    meta = _metadata(len(source.values), given, tags)
    with binary_output(path, force or options.force) as sink:
        return _job(replace(source, metadata=meta), options).write(sink).size


def encode(array: NDArray[Any], options: CompressOptions = CompressOptions()) -> bytes:
    """The bytes of a `.sarz` of an array (rows, columns) or (bands, rows, columns); errors as write."""
    sink = io.BytesIO()
    _job(ArraySource(np.asarray(array)), options).write(sink)
    return sink.getvalue()


def decode(data: bytes) -> NDArray[Any]:
    """All samples (bands, rows, columns) of the bytes of a `.sarz`. Raises CorruptError or ModelError."""
    with open_file(io.BytesIO(data)) as dataset:
        return dataset.read()


def _job(source: ArraySource, options: CompressOptions) -> Job:
    return Job(source, options, choose_machine(options.device, options.threads), source.values.nbytes, None)


def _metadata(count: int, given: Mapping[str, Any], tags: Mapping[str, str] | None) -> Metadata:
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    from sarzip.raster.metadata import crs_text

    meta = Metadata.plain(count)
    if given["crs"] is not None:
        try:
            meta = replace(meta, crs=crs_text(CRS.from_user_input(given["crs"])))
        except CRSError as error:
            raise UsageError(
                f"crs {given['crs']!r}: not a coordinate system that is known ({error})"
            ) from None
    if given["transform"] is not None:
        meta = replace(meta, transform=tuple(float(each) for each in given["transform"])[:6])
    if given["nodata"] is not None:
        meta = replace(meta, nodata=(given["nodata"],) * count)
    if given["descriptions"] is not None:
        if len(given["descriptions"]) != count:
            raise UsageError(f"{len(given['descriptions'])} descriptions for {count} bands")
        meta = replace(meta, descriptions=tuple(given["descriptions"]))
    return replace(meta, tags={"": dict(tags)}) if tags else meta


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
