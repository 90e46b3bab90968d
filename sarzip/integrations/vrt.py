"""A `.sarz` for any program on GDAL: a virtual raster whose pixels are decoded when they are looked at."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as xml

from sarzip.container.georeference import IDENTITY
from sarzip.errors import UsageError
from sarzip.system.outputs import atomic_path, check_destination, refuse_same_file
from sarzip.system.remote import is_url
from sarzip.usecases.open import SarzFile, open_file

MODULE = "sarzip.integrations.gdal_pixels"
SETTINGS = {"GDAL_VRT_ENABLE_PYTHON": "TRUSTED_MODULES", "GDAL_VRT_PYTHON_TRUSTED_MODULES": MODULE}
"""What GDAL has to be told before it runs the pixel function."""
_TYPES = {
    **{name: name.title() for name in ("int16", "int32", "int64", "float32", "float64", "int8")},
    **{"uint8": "Byte", "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64"},
    **{"complex64": "CFloat32", "complex128": "CFloat64"},
}
_BLOCK = 512


def python_settings() -> dict[str, str]:
    """Environment in which GDAL's programs load this Python and find sarzip, which the one that they load by
    themselves may not have. PYTHONSO: its library, where it is a shared one. PYTHONPATH: its packages.
    """
    import ctypes.util
    import sysconfig

    places = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    found = {"PYTHONPATH": os.pathsep.join(places)}
    own = Path(sysconfig.get_config_var("LIBDIR") or "", sysconfig.get_config_var("INSTSONAME") or "")
    shared = own.is_file() and ".so" in own.name
    library = str(own) if shared else ctypes.util.find_library(f"python{sysconfig.get_python_version()}")
    return {"PYTHONSO": library, **found} if library else found


@dataclass(frozen=True)
class VrtReport:
    """What was written. settings: configuration options of GDAL that reading it takes. python: environment
    for GDAL's own programs, see python_settings.
    """

    source: str
    output: str
    width: int
    height: int
    bands: int
    settings: tuple[tuple[str, str], ...] = tuple(SETTINGS.items())
    python: tuple[tuple[str, str], ...] = ()


def write_vrt(
    source: str | os.PathLike[str], destination: str | os.PathLike[str], force: bool = False
) -> VrtReport:
    """Write a VRT of a `.sarz` (a path or a URL), which stays where it is. Raises InputError, CorruptError,
    UsageError for sample types that GDAL's VRT does not have, or OutputError.
    """
    check_destination(destination, force)
    refuse_same_file(source, destination)
    path = str(source) if is_url(str(source)) else str(Path(source).absolute())
    with open_file(source) as file, atomic_path(destination, force) as target:
        xml.ElementTree(_dataset(file, path)).write(target, encoding="utf-8")
        size = file.width, file.height, file.count
    return VrtReport(str(source), str(destination), *size, python=tuple(python_settings().items()))


def _dataset(file: SarzFile, path: str) -> xml.Element:
    root = xml.Element("VRTDataset", rasterXSize=str(file.width), rasterYSize=str(file.height))
    points, place = file.gcps
    if file.crs is not None and not points:
        xml.SubElement(root, "SRS").text = file.crs.to_wkt()
    transform = tuple(file.transform)[:6]
    if transform != IDENTITY:
        a, b, c, d, e, f = transform
        xml.SubElement(root, "GeoTransform").text = ", ".join(repr(each) for each in (c, a, b, f, d, e))
    if points:
        listed = xml.SubElement(root, "GCPList", Projection=place.to_wkt() if place else "")
        for point in points:
            about = {"Id": str(point.id), "Info": point.info or "", "Pixel": repr(point.col)}
            about |= {"Line": repr(point.row), "X": repr(point.x), "Y": repr(point.y), "Z": repr(point.z)}
            xml.SubElement(listed, "GCP", about)
    _metadata(root, file.tag_spaces())
    for number in file.indexes:
        _band(root, file, number, path)
    if file.has_mask:
        _derived(xml.SubElement(root, "MaskBand"), "Byte", 0, path)
    return root


def _band(root: xml.Element, file: SarzFile, number: int, path: str) -> None:
    at = number - 1
    if file.dtypes[at] not in _TYPES:
        raise UsageError(
            f"{file.name}: band {number} is {file.dtypes[at]}, which a VRT of GDAL does not have"
        )
    band = _derived(root, _TYPES[file.dtypes[at]], number, path)
    told = {
        "Description": file.descriptions[at],
        "UnitType": file.units[at],
        "NoDataValue": None if file.nodatavals[at] is None else repr(file.nodatavals[at]),
        "ColorInterp": file.colorinterp[at].name.title(),
        "Scale": None if file.scales[at] == 1 else repr(file.scales[at]),
        "Offset": None if file.offsets[at] == 0 else repr(file.offsets[at]),
    }
    for key, value in told.items():
        if value:
            xml.SubElement(band, key).text = value
    _metadata(band, file.tag_spaces(number))


def _derived(parent: xml.Element, kind: str, number: int, path: str) -> xml.Element:
    edge = {"blockXSize": str(_BLOCK), "blockYSize": str(_BLOCK)}
    about = {"dataType": kind, "subClass": "VRTDerivedRasterBand", **edge}
    if number:
        about["band"] = str(number)
    band = xml.SubElement(parent, "VRTRasterBand", about)
    xml.SubElement(band, "PixelFunctionType").text = f"{MODULE}.pixels"
    xml.SubElement(band, "PixelFunctionLanguage").text = "Python"
    xml.SubElement(band, "PixelFunctionArguments", path=path, band=str(number))
    return band


def _metadata(parent: xml.Element, spaces: dict[str, dict[str, str]]) -> None:
    for space, items in spaces.items():
        if space.startswith(("xml:", "json:")):  # documents, which a VRT has in another form
            continue
        listed = xml.SubElement(parent, "Metadata", {"domain": space} if space else {})
        for key, value in items.items():
            xml.SubElement(listed, "MDI", key=key).text = value
