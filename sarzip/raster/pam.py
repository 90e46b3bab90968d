"""What a GeoTIFF cannot hold, in a file that GDAL reads beside it: NAME.aux.xml (PAM, "persistent auxiliary
metadata").

Nodata that differ between bands, names of categories, attribute tables, colour maps of several bands or with
transparency, ids and notes of control points, documents in json: domains, control points beside a transform,
coordinate systems without GeoTIFF keys. What stands there comes before what the GeoTIFF says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from rasterio.enums import ColorInterp

from sarzip.container.georeference import IDENTITY, Gcps, Metadata, Namespaces, decode
from sarzip.raster.compare import metadata_differences
from sarzip.raster.metadata import known_crs
from sarzip.raster.source import RasterSource
from sarzip.raster.vrt import table_element

SUFFIX = ".aux.xml"


def sidecar_of(path: Path) -> Path:
    """Where GDAL looks for what belongs to a raster."""
    return path.with_name(path.name + SUFFIX)


def sidecar(wanted: Metadata, found: Metadata) -> bytes | None:
    """The file that adds to a raster with the metadata `found` what it lacks of those `wanted`; None for
    nothing.
    """
    root = Element("PAMDataset")
    if wanted.crs != found.crs and wanted.gcps is None:
        root.extend(_crs(wanted.crs))
    if wanted.gcps is not None and wanted.gcps != found.gcps:
        root.append(_points(wanted.gcps))
    if wanted.transform not in (IDENTITY, found.transform):
        numbers = ", ".join(repr(wanted.transform[at]) for at in (2, 0, 1, 5, 3, 4))
        SubElement(root, "GeoTransform").text = numbers
    root.extend(_tags(wanted.tags, found.tags))
    for band in range(wanted.count):
        element = Element("PAMRasterBand", band=str(band + 1))
        element.extend(_band(wanted, found, band))
        if len(element):
            root.append(element)
    if not len(root):
        return None
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"


@dataclass(frozen=True)
class Outcome:
    """What of the metadata of a written raster is beside it, and what is nowhere; in words."""

    beside: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def complete(path: Path, wanted: Metadata) -> Outcome:
    """Put beside the raster at `path` what it does not hold itself of its metadata. Raises InputError."""
    found = _metadata_of(path)
    lost = metadata_differences(wanted, found)
    data = sidecar(wanted, found) if lost else None
    if data is None:
        return Outcome(lost=tuple(lost))
    sidecar_of(path).write_bytes(data)
    left = metadata_differences(wanted, _metadata_of(path))
    if len(left) >= len(lost):
        sidecar_of(path).unlink()
        return Outcome(lost=tuple(lost))
    subjects = [text.partition(":")[0] for text in lost if text not in left]
    return Outcome(tuple(subjects), tuple(left))


def beside_note(outcome: Outcome) -> tuple[str, ...]:
    """What to tell whoever gets the raster."""
    if not outcome.beside:
        return ()
    return (f"in the {SUFFIX} beside the raster, which belongs to it: {', '.join(outcome.beside)}",)


def _metadata_of(path: Path) -> Metadata:
    with RasterSource.open(path) as written:
        return decode(written.info.tags, written.info.count)


def _band(wanted: Metadata, found: Metadata, band: int) -> Iterator[Element]:
    value = wanted.nodata[band]
    if value is not None and repr(value) != repr(found.nodata[band]):
        yield _leaf("NoDataValue", repr(value))
    if band in wanted.colormaps and wanted.colormaps[band] != found.colormaps.get(band):
        if wanted.colours[band] == ColorInterp.palette:
            yield _leaf("ColorInterp", "Palette")
        table = Element("ColorTable")
        for entry in wanted.colormaps[band]:
            SubElement(table, "Entry", {f"c{at + 1}": str(part) for at, part in enumerate(entry)})
        yield table
    elif wanted.colours[band] != found.colours[band] and wanted.colours[band] in _COLOUR_NAMES:
        yield _leaf("ColorInterp", _COLOUR_NAMES[wanted.colours[band]])
    if band in wanted.categories and wanted.categories[band] != found.categories.get(band):
        names = Element("CategoryNames")
        for name in wanted.categories[band]:
            SubElement(names, "Category").text = name
        yield names
    if band in wanted.tables and wanted.tables[band] != found.tables.get(band):
        yield table_element(wanted.tables[band])
    yield from _tags(wanted.band_tags[band], found.band_tags[band])


# As GDAL spells them.
_COLOUR_NAMES = {
    int(each): each.name.capitalize()
    for each in (ColorInterp.gray, ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
} | {int(ColorInterp.undefined): "Undefined"}


def _leaf(name: str, text: str) -> Element:
    element = Element(name)
    element.text = text
    return element


def _tags(wanted: Namespaces, found: Namespaces) -> Iterator[Element]:
    """Whole namespaces of which something is missing: what PAM says of one replaces what the file says."""
    for space, items in wanted.items():
        if items == found.get(space) or space == "RPC":
            continue
        element = Element("Metadata", {"domain": space} if space else {})
        if space.startswith("json:"):
            element.set("format", "json")
            element.text = items.get(space, "")
        elif space.startswith("xml:"):
            element.set("format", "xml")
            try:
                element.append(ElementTree.fromstring(items.get(space, "")))
            except ElementTree.ParseError:
                continue
        else:
            for key, value in items.items():
                SubElement(element, "MDI", key=key).text = value
        yield element


def _crs(text: str | None) -> Iterator[Element]:
    crs = known_crs(text)
    if crs is not None:
        yield _leaf("SRS", crs.to_wkt())


def _points(gcps: Gcps) -> Element:
    element = Element("GCPList")
    crs = known_crs(gcps.crs)
    if crs is not None:
        element.set("Projection", crs.to_wkt())
        element.set("dataAxisToSRSAxisMapping", "2,1" if crs.is_geographic else "1,2")
    for (row, col, x, y, z), name, info in zip(gcps.points.tolist(), gcps.ids, gcps.infos, strict=True):
        place = {"Pixel": repr(col), "Line": repr(row), "X": repr(x), "Y": repr(y), "Z": repr(z)}
        point = SubElement(element, "GCP", {"Id": name, **place})
        if info:
            point.set("Info", info)
    return element
