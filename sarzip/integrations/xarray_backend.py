"""`xarray.open_dataset("scene.sarz", engine="sarzip", chunks={})`: a variable a band, decoded on demand.

`xarray.open_datatree` has the scene at several resolutions, as groups scale_1, scale_2, … scale_16.

Lossy variables name a container variable, as CF 1.12 has it for quantization (section 8.4; issue 403 and pull
request 519 of cf-conventions): its attributes tell algorithm and implementation, those of the variable the
parameters and the error. CF's own attribute `quantization` admits four algorithms only, so ours are named
`lossy_compression…`, as in the proposal for other methods.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import xarray
    from xarray.backends import BackendArray, BackendEntrypoint
    from xarray.core import indexing
except ImportError as error:
    raise ImportError("this backend needs xarray: pip install 'sarzip[xarray]'") from error

from sarzip.errors import InputError, SarzipError
from sarzip.usecases.coding import BandCoding, asked_of, coding_of
from sarzip.usecases.open import SarzFile, open_file

_LOSSY = "compression_info"


class _Band(BackendArray):
    """A band of an open file, a sample for scale×scale pixels; xarray asks for basic indices of it, from any
    thread.
    """

    def __init__(self, file: SarzFile, number: int, scale: int) -> None:
        self._file, self._number, self._scale = file, number, scale
        self.shape = tuple(-(-size // scale) for size in file.shape)
        dtype = file.dtypes[number - 1]
        if dtype.startswith("complex_int"):
            raise InputError(f"{file.name}: band {number} is {dtype}, which numpy does not have")
        self.dtype = np.dtype(dtype)

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
        window = [
            (low * self._scale, min(high * self._scale, size))
            for (low, high), size in zip(spans, self._file.shape, strict=True)
        ]
        out_shape = tuple(high - low for low, high in spans)
        return np.asarray(self._file.read(self._number, window=window, out_shape=out_shape)[tuple(inner)])


class SarzipBackend(BackendEntrypoint):
    """The entry point; bands are named by their descriptions, chunks are the groups of the file."""

    description = "Open .sarz files (learned compression of SAR imagery)"

    def guess_can_open(self, filename_or_obj: Any) -> bool:
        """By the name's ending."""
        return isinstance(filename_or_obj, (str, os.PathLike)) and str(filename_or_obj).endswith(".sarz")

    supports_groups = True

    def open_groups_as_dict(
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
    ) -> dict[str, xarray.Dataset]:
        """The datasets of `open_datatree`, by path: "/" with the tags alone, "/scale_1" as open_dataset has
        it, and for each of the file's overviews "/scale_2" and so on, decoded at that resolution.
        """
        file = open_file(filename_or_obj)
        try:
            about = {"/": xarray.Dataset(attrs=_global_attributes(file))}
            scales = {f"/scale_{n}": _dataset(file, n) for n in (1, *file.overviews(1))}
        except SarzipError:
            file.close()
            raise
        found = {path: _decoded(each, mask_and_scale, drop_variables) for path, each in scales.items()}
        for each in (about | found).values():
            each.set_close(file.close)
        return about | found

    def open_datatree(self, filename_or_obj: Any, **options: Any) -> Any:
        """The scene at several resolutions; each group has coordinates of its own."""
        groups = self.open_groups_as_dict(filename_or_obj, **options)
        tree = xarray.DataTree.from_dict(groups)
        tree.set_close(groups["/"]._close)
        return tree

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
        decoded = _decoded(found, mask_and_scale, drop_variables)
        decoded.set_close(file.close)
        return decoded


def _decoded(
    found: xarray.Dataset, mask_and_scale: bool, drop_variables: str | Iterable[str] | None
) -> xarray.Dataset:
    return xarray.decode_cf(
        found,
        mask_and_scale=mask_and_scale,
        decode_times=False,
        decode_coords="all",
        drop_variables=drop_variables,
    )


def _dataset(file: SarzFile, scale: int = 1) -> xarray.Dataset:
    edge = file.header.group
    variables: dict[str, Any] = {}
    coding = coding_of(file.header, file.summary)
    for number, name in zip(file.indexes, _names(file), strict=True):
        band = _Band(file, number, scale)
        about = _attributes(file, number) | _of_coding(coding[number - 1])
        chunks = {"preferred_chunks": dict(zip(("y", "x"), (min(edge, n) for n in band.shape), strict=True))}
        variables[name] = xarray.Variable(("y", "x"), indexing.LazilyIndexedArray(band), about, chunks)
    rows, columns = band.shape
    a, b, c, d, e, f = tuple(file.transform)[:6]
    a, b, d, e = a * scale, b * scale, d * scale, e * scale
    coordinates: dict[str, Any] = {"spatial_ref": ((), 0, _spatial_ref(file, (a, b, c, d, e, f)))}
    if b == d == 0 and (file.crs is not None or file.transform != file.transform.identity()):
        what = (
            ("degrees_east", "degrees_north") if file.crs and file.crs.is_geographic else ("metre", "metre")
        )
        coordinates["x"] = ("x", c + a * (np.arange(columns) + 0.5), {"axis": "X", "units": what[0]})
        coordinates["y"] = ("y", f + e * (np.arange(rows) + 0.5), {"axis": "Y", "units": what[1]})
    if any("lossy_compression" in each.attrs for each in variables.values()):
        coordinates[_LOSSY] = ((), 0, _compression_info(file))
    return xarray.Dataset(variables, coordinates, _global_attributes(file))


def _global_attributes(file: SarzFile) -> dict[str, Any]:
    return {"Conventions": "CF-1.12", **file.tags()}


def _compression_info(file: SarzFile) -> dict[str, Any]:
    """Attributes of the container variable."""
    asked, rmse_db = asked_of(file.header, file.summary)
    found: dict[str, Any] = {"algorithm": "sarzip", "implementation": file.header.creator or "sarzip"}
    found["models"] = ", ".join(f"{model.id} (SHA-256 {model.sha256})" for model in file.header.models)
    return found | {name: each for name, each in (("asked", asked), ("rmse_db", rmse_db)) if each is not None}


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


def _of_coding(coding: BandCoding) -> dict[str, Any]:
    """What was promised and what is known of the error, in dB or in stored units; nothing of exact bands."""
    if coding.treatment == "exact":
        return {}
    told = {f"lossy_compression_{name}": value for name, value in coding.facts.items() if name != "treatment"}
    return {"lossy_compression": _LOSSY, **told}


def _spatial_ref(file: SarzFile, transform: tuple[float, ...]) -> dict[str, Any]:
    """Attributes of a grid mapping as rioxarray reads and writes them."""
    a, b, c, d, e, f = transform
    found: dict[str, Any] = {"GeoTransform": f"{c!r} {a!r} {b!r} {f!r} {d!r} {e!r}"}
    if file.crs is not None:
        found |= {"crs_wkt": file.crs.to_wkt(), "spatial_ref": file.crs.to_wkt()}
    return found
