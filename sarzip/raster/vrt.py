"""What GDAL knows of a raster but rasterio does not pass on: read out of a VRT of it, made in memory.

Category names, attribute tables, documents in json: domains, and texts that are not UTF-8 (older producers
wrote Latin-1), on which rasterio fails, or which it leaves out without a word.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

import rasterio.shutil
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from sarzip.container.metadata_values import AttributeTable, Colours

_TABLE = "GDALRasterAttributeTable"
_LATIN_1 = "sarzip-latin-1"
codecs.register_error(
    _LATIN_1,
    lambda error: (error.object[error.start : error.end].decode("latin-1"), error.end),  # type: ignore[attr-defined]
)


@dataclass(frozen=True)
class VrtDescription:
    """A raster's XML. legacy: it has texts that are not UTF-8; their bytes are taken for Latin-1."""

    root: ElementTree.Element
    legacy: bool

    @property
    def bands(self) -> list[ElementTree.Element]:
        """Of every band."""
        return self.root.findall("VRTRasterBand")

    def texts(self, name: str) -> tuple[str | None, ...]:
        """A text of every band, None where there is none: Description or UnitType."""
        return tuple(band.findtext(name) or None for band in self.bands)

    def tags(self, band: int | None = None) -> dict[str, dict[str, str]]:
        """Tags of the dataset or of a 0-based band by namespace; documents under the name of their own."""
        found: dict[str, dict[str, str]] = {}
        for domain in (self.root if band is None else self.bands[band]).findall("Metadata"):
            name = domain.get("domain", "")
            if domain.get("format") == "json":
                found[name] = {name: domain.text or ""}
            elif domain.get("format") is None:
                found[name] = {item.get("key", ""): item.text or "" for item in domain.findall("MDI")}
        return found

    def documents(self) -> dict[str, dict[str, str]]:
        """Those in json: domains of the dataset."""
        return {name: items for name, items in self.tags().items() if name.startswith("json:")}

    def categories(self) -> dict[int, tuple[str, ...]]:
        """Category names by 0-based band."""
        names = {
            number: tuple(each.text or "" for each in band.findall("CategoryNames/Category"))
            for number, band in enumerate(self.bands)
        }
        return {number: each for number, each in names.items() if each}

    def colormaps(self) -> dict[int, Colours]:
        """Entries of colour maps by 0-based band."""
        found = {
            number: tuple(
                tuple(int(entry.get(part, 255 if part == "c4" else 0)) for part in ("c1", "c2", "c3", "c4"))
                for entry in band.findall("ColorTable/Entry")
            )
            for number, band in enumerate(self.bands)
        }
        return {number: entries for number, entries in found.items() if entries}

    def tables(self) -> dict[int, AttributeTable]:
        """Attribute tables by 0-based band."""
        found = ((number, band.find(_TABLE)) for number, band in enumerate(self.bands))
        return {number: _table(each) for number, each in found if each is not None}


def describe_as_vrt(dataset: Any) -> VrtDescription | None:
    """The XML of an open rasterio dataset; None where GDAL cannot give it or it is no XML."""
    try:
        with MemoryFile(ext=".vrt") as memory:
            rasterio.shutil.copy(dataset, memory.name, driver="VRT", COPY_SRC_MDD="YES")
            data = bytes(memory.read())
    except (RasterioError, OSError):
        return None
    text = data.decode("utf-8", _LATIN_1)
    try:
        return VrtDescription(ElementTree.fromstring(text), text.encode() != data)
    except ElementTree.ParseError:
        return None


def _table(element: ElementTree.Element) -> AttributeTable:
    columns = tuple(
        (each.findtext("Name") or "", int(each.findtext("Type") or 0), int(each.findtext("Usage") or 0))
        for each in element.findall("FieldDefn")
    )
    rows = [[cell.text or "" for cell in row.findall("F")] for row in element.findall("Row")]
    full = [(row + [""] * len(columns))[: len(columns)] for row in rows]
    first, size = element.get("Row0Min"), element.get("BinSize")
    return AttributeTable(
        element.get("tableType", ""),
        columns,
        tuple(tuple(row[at] for row in full) for at in range(len(columns))),
        None if first is None or size is None else (first, size),
    )


def table_element(table: AttributeTable) -> ElementTree.Element:
    """A table as GDAL writes and reads it."""
    element = ElementTree.Element(_TABLE)
    if table.bins is not None:
        element.set("Row0Min", table.bins[0])
        element.set("BinSize", table.bins[1])
    if table.kind:
        element.set("tableType", table.kind)
    for index, (name, kind, usage) in enumerate(table.columns):
        field = ElementTree.SubElement(element, "FieldDefn", index=str(index))
        for tag, value in (("Name", name), ("Type", str(kind)), ("Usage", str(usage))):
            ElementTree.SubElement(field, tag).text = value
    for index, cells in enumerate(zip(*table.values, strict=True)):
        row = ElementTree.SubElement(element, "Row", index=str(index))
        for cell in cells:
            ElementTree.SubElement(row, "F").text = cell
    return element
