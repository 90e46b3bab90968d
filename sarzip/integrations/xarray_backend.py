"""`xarray.open_dataset("scene.sarz", engine="sarzip", chunks={})`: a variable a band, decoded on demand."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray
from numpy.typing import NDArray
from xarray.backends import BackendArray, BackendEntrypoint
from xarray.core import indexing

from sarzip.container import SetHeader
from sarzip.errors import InputError, SarzipError
from sarzip.pipeline.bounds import bound_of
from sarzip.usecases.open import SarzFile, open_file
from sarzip.version import __version__

_LOSSY = "compression_info"


class _Band(BackendArray):
    """A band of an open file; xarray asks for basic indices of it, from any thread."""

    def __init__(self, file: SarzFile, number: int) -> None:
        self._file, self._number = file, number
        dtype = file.dtypes[number - 1]
        if dtype.startswith("complex_int"):
            raise InputError(f"{file.name}: band {number} is {dtype}, which numpy does not have")
        self.shape, self.dtype = file.shape, np.dtype(dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> NDArray[Any]:
        values: NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )
        return values

    def _read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        spans: list[tuple[int, int]] = []
        inner: list[int | slice] = []
        for each, size in zip(key, self.shape, strict=True):
            if isinstance(each, slice):
                chosen = range(size)[each]
                low = min(chosen[0], chosen[-1]) if chosen else 0
                high = max(chosen[0], chosen[-1]) + 1 if chosen else 0
                inner.append(slice(None, None, chosen.step) if chosen else slice(0))
            else:
                low, high = int(each), int(each) + 1
                inner.append(0)
            spans.append((low, high))
        if any(low == high for low, high in spans):
            return np.empty([hi - lo for lo, hi in spans], self.dtype)[tuple(inner)]
        return np.asarray(self._file.read(self._number, window=spans)[tuple(inner)])


class SarzipBackend(BackendEntrypoint):
    """The entry point; bands are named by their descriptions, chunks are the groups of the file."""

    description = "Open .sarz files (learned compression of SAR imagery)"

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """By the name's ending."""
        return isinstance(filename_or_obj, (str, os.PathLike)) and str(filename_or_obj).endswith(".sarz")

    def open_dataset(
        self,
        filename_or_obj: Any,
        *,
        mask_and_scale: bool = True,
        decode_times: Any = True,
        concat_characters: bool = True,
        decode_coords: Any = True,
        drop_variables: str | Iterable[str] | None = None,
        use_cftime: bool | None = None,
        decode_timedelta: Any = None,
    ) -> xarray.Dataset:
        """Of a path, a URL or a file object. mask_and_scale: nodata becomes NaN, packed values measurements.
        Raises InputError or CorruptError.
        """
        file = open_file(filename_or_obj)
        try:
            found = _dataset(file)
        except SarzipError:
            file.close()
            raise
        decoded = xarray.decode_cf(
            found,
            mask_and_scale=mask_and_scale,
            decode_times=False,
            decode_coords="all",
            drop_variables=drop_variables,
        )
        decoded.set_close(file.close)
        return decoded


def _dataset(file: SarzFile) -> xarray.Dataset:
    edge = file.header.group
    variables, names = {}, _names(file)
    sets = {band: each for each in file.header.sets for band in each.bands}
    for number, name in zip(file.indexes, names, strict=True):
        data = indexing.LazilyIndexedArray(_Band(file, number))
        about = _attributes(file, number) | _of_coding(sets[number - 1])
        chunks = {"preferred_chunks": {"y": min(edge, file.height), "x": min(edge, file.width)}}
        variables[name] = xarray.Variable(("y", "x"), data, about, chunks)
    coordinates: dict[str, Any] = {"spatial_ref": ((), 0, _spatial_ref(file))}
    a, b, c, d, e, f = tuple(file.transform)[:6]
    if b == d == 0 and (file.crs is not None or (a, e) != (1.0, 1.0)):
        what = (
            ("degrees_east", "degrees_north") if file.crs and file.crs.is_geographic else ("metre", "metre")
        )
        coordinates["x"] = ("x", c + a * (np.arange(file.width) + 0.5), {"axis": "X", "units": what[0]})
        coordinates["y"] = ("y", f + e * (np.arange(file.height) + 0.5), {"axis": "Y", "units": what[1]})
    if any("lossy_compression" in each.attrs for each in variables.values()):
        info = {"algorithm": "sarzip", "implementation": f"sarzip version {__version__}"}
        coordinates[_LOSSY] = ((), 0, info)
    attributes = {"Conventions": "CF-1.12", **file.tags()}
    return xarray.Dataset(variables, coordinates, attributes)


def _names(file: SarzFile) -> list[str]:
    """A name for each band: its description where these differ, else band_1 and so on."""
    found = [text or "" for text in file.descriptions]
    taken = {"x", "y", "spatial_ref", _LOSSY}
    if all(found) and len(set(found)) == len(found) and not taken & set(found):
        return found
    return [f"band_{number}" for number in file.indexes]


def _attributes(file: SarzFile, number: int) -> dict[str, Any]:
    at, dtype = number - 1, np.dtype(file.dtypes[number - 1])
    found: dict[str, Any] = {"grid_mapping": "spatial_ref"}
    nodata = file.nodatavals[at]
    if nodata is not None:
        found["_FillValue"] = dtype.type(nodata)
    if (file.scales[at], file.offsets[at]) != (1.0, 0.0):
        found |= {"scale_factor": file.scales[at], "add_offset": file.offsets[at]}
    if file.units[at]:
        found["units"] = file.units[at]
    if file.descriptions[at]:
        found["long_name"] = file.descriptions[at]
    return found | {key: value for key, value in file.tags(number).items() if key not in found}


def _of_coding(each: SetHeader) -> dict[str, Any]:
    """What CF 1.12, section 8.4, has for quantisation, said of this coding."""
    if each.lossless:
        return {}
    bound = bound_of(each)
    if bound is not None:
        unit = "db" if bound.decibels else "stored_units"
        return {"lossy_compression": _LOSSY, f"lossy_compression_max_error_{unit}": bound.size}
    return {"lossy_compression": _LOSSY, "lossy_compression_step_db": each.step}


def _spatial_ref(file: SarzFile) -> dict[str, Any]:
    """Attributes of a grid mapping as rioxarray reads and writes them."""
    a, b, c, d, e, f = tuple(file.transform)[:6]
    found: dict[str, Any] = {"GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}
    if file.crs is not None:
        found |= {"crs_wkt": file.crs.to_wkt(), "spatial_ref": file.crs.to_wkt()}
    return found
