"""What a GeoTIFF cannot hold comes back all the same, from the .aux.xml beside it, or is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from support.rasters import VRT_BAND, copy, make, vrt

from sarzip.container.georeference import Gcps, Metadata, decode, encode
from sarzip.container.metadata_values import AttributeTable
from sarzip.grid import Window
from sarzip.raster import RasterSink, RasterSource, compare_structure

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

TABLE = (
    '<GDALRasterAttributeTable Row0Min="0.5" BinSize="2" tableType="thematic">'
    '<FieldDefn index="0"><Name>Value</Name><Type>0</Type><Usage>5</Usage></FieldDefn>'
    '<FieldDefn index="1"><Name>Clässe &amp; more</Name><Type>2</Type><Usage>2</Usage></FieldDefn>'
    '<Row index="0"><F>1</F><F>water</F></Row><Row index="1"><F>2</F><F></F></Row>'
    "</GDALRasterAttributeTable>"
)
NAMES = "<CategoryNames><Category>land</Category><Category>W&lt;ä&gt;sser</Category></CategoryNames>"
COLOURS = (
    '<ColorTable><Entry c1="1" c2="2" c3="3" c4="255"/><Entry c1="9" c2="8" c3="7" c4="100"/></ColorTable>'
)
FLOAT_BAND = (
    '<VRTRasterBand dataType="Float32" band="{n}">{extra}<SimpleSource>'
    '<SourceFilename relativeToVRT="1">a.tif</SourceFilename><SourceBand>{n}</SourceBand>'
    "</SimpleSource></VRTRasterBand>"
)


def beside(path: Path, *bands: str, extra: str = "") -> None:
    """Write the .aux.xml of a raster: content of the dataset, and of each band."""
    parts = (f'<PAMRasterBand band="{n}">{text}</PAMRasterBand>' for n, text in enumerate(bands, start=1))
    path.with_name(path.name + ".aux.xml").write_text(f"<PAMDataset>{extra}{''.join(parts)}</PAMDataset>")


def test_nodata_of_each_band(tmp_path: Path) -> None:
    """Exact, masks and all; without the file beside it no measurement counts as missing."""
    a = make(tmp_path / "a.tif", dtype="float32", count=2)
    for values in ((3, 5), (3, None), (None, "nan"), ("-3.4028234663852886e+38", 5)):
        texts = ["" if each is None else f"<NoDataValue>{each}</NoDataValue>" for each in values]
        bands = [FLOAT_BAND.format(n=n, extra=text) for n, text in enumerate(texts, start=1)]
        source, target = vrt(tmp_path / "c.vrt", bands), tmp_path / "d.tif"
        notes = copy(source, target)
        assert len(notes) == 1
        assert f"band {1 if values[1] is None else 2} nodata" in notes[0]
        assert compare_structure(source, target) == []
        with rasterio.open(source) as first, rasterio.open(target) as second:
            assert repr(first.nodatavals) == repr(second.nodatavals)
            np.testing.assert_array_equal(first.read_masks(), second.read_masks())
            np.testing.assert_array_equal(second.read(), a)
        if None in values:
            (tmp_path / "d.tif.aux.xml").unlink()
            with rasterio.open(target) as alone:
                assert (alone.read_masks() == 255).all()


def test_categories_and_tables(tmp_path: Path) -> None:
    make(tmp_path / "a.tif", dtype="uint8", count=3)
    beside(tmp_path / "a.tif", NAMES + TABLE, "", NAMES)
    with RasterSource.open(tmp_path / "a.tif") as raster:
        meta = decode(raster.info.tags, 3)
        assert raster.info.notes == ()
    assert meta.categories == {0: ("land", "W<ä>sser"), 2: ("land", "W<ä>sser")}
    columns = (("Value", 0, 5), ("Clässe & more", 2, 2))
    assert meta.tables == {0: AttributeTable("thematic", columns, (("1", "2"), ("water", "")), ("0.5", "2"))}
    notes = copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert len(notes) == 1 and "not kept" not in notes[0] and "belongs to it" in notes[0]
    assert compare_structure(tmp_path / "a.tif", tmp_path / "b.tif") == []
    (tmp_path / "b.tif.aux.xml").unlink()
    found = compare_structure(tmp_path / "a.tif", tmp_path / "b.tif")
    for what in ("band 1 category names", "band 1 attribute table", "band 3 category names"):
        assert f"{what}: missing" in found


def test_transparent_colours(tmp_path: Path) -> None:
    make(tmp_path / "a.tif", dtype="uint8")
    beside(tmp_path / "a.tif", COLOURS)
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert compare_structure(tmp_path / "a.tif", tmp_path / "b.tif") == []
    with rasterio.open(tmp_path / "b.tif") as copied:
        assert copied.colormap(1) == {0: (1, 2, 3, 255), 1: (9, 8, 7, 100)}


def test_colours_of_a_further_band_are_named(tmp_path: Path) -> None:
    """GDAL knows no place for them beside a GeoTIFF; a .sarz has them."""
    make(tmp_path / "a.tif", dtype="uint8", count=2)
    extra = "<ColorInterp>Palette</ColorInterp>" + COLOURS
    source = vrt(
        tmp_path / "c.vrt",
        [FLOAT_BAND.format(n=1, extra=""), FLOAT_BAND.format(n=2, extra=extra).replace("Float32", "Byte")],
    )
    with RasterSource.open(source) as raster:
        assert decode(raster.info.tags, 2).colormaps == {1: ((1, 2, 3, 255), (9, 8, 7, 100))}
    assert any("band 2 colour map: missing" in note for note in copy(source, tmp_path / "b.tif"))


def test_points_beside_a_transform_with_ids_and_notes(tmp_path: Path) -> None:
    make(tmp_path / "a.tif")
    point = '<GCP Id="tie 7" Info="church" Pixel="1" Line="2.1" X="3" Y="0.30000000000000004"/>'
    gcps = f'<GCPList Projection="EPSG:4326">{point}</GCPList>'
    gray = "<ColorInterp>Gray</ColorInterp>"
    source = vrt(
        tmp_path / "c.vrt", [VRT_BAND.format(dtype="UInt16", band=1, file="a.tif", extra=gray)], gcps
    )
    notes = copy(source, tmp_path / "d.tif")
    assert len(notes) == 1 and "ids of ground control points" in notes[0]
    assert compare_structure(source, tmp_path / "d.tif") == []
    with rasterio.open(tmp_path / "d.tif") as copied:
        found = copied.gcps[0][0]
        assert (found.id, found.info, found.row, found.y) == ("tie 7", "church", 2.1, 0.30000000000000004)
        assert copied.gcps[1].to_epsg() == 4326


def test_json_documents(tmp_path: Path) -> None:
    make(tmp_path / "a.tif")
    document = '{"a": ["x=1", "ü: y"]}'
    beside(tmp_path / "a.tif", extra=f'<Metadata domain="json:ISIS3" format="json">{document}</Metadata>')
    with RasterSource.open(tmp_path / "a.tif") as raster:
        assert decode(raster.info.tags, 1).tags["json:ISIS3"] == {"json:ISIS3": document}
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert compare_structure(tmp_path / "a.tif", tmp_path / "b.tif") == []


def test_texts_that_are_not_utf8(tmp_path: Path) -> None:
    """rasterio fails on descriptions and leaves tags out; they are taken for Latin-1, and that is said."""

    def setup(dataset: Any) -> None:
        dataset.set_band_description(1, "sigma@")
        dataset.set_band_unit(1, "m@")
        dataset.update_tags(PLACE="K@ln", GOOD="x")
        dataset.update_tags(1, BAND="@")
        dataset.update_tags(ns="OWN", KEY="@1")

    make(tmp_path / "a.tif", setup)
    data = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(data.replace(b"@", b"\xb0"))
    with RasterSource.open(tmp_path / "a.tif") as raster:
        meta = decode(raster.info.tags, 1)
        assert raster.info.notes == ("texts that are not UTF-8 are read as Latin-1",)
    assert (meta.descriptions, meta.units) == (("sigma°",), ("m°",))
    assert meta.tags == {"": {"PLACE": "K°ln", "GOOD": "x"}, "OWN": {"KEY": "°1"}}
    assert meta.band_tags == ({"": {"BAND": "°"}},)
    assert copy(tmp_path / "a.tif", tmp_path / "b.tif") == ()
    with rasterio.open(tmp_path / "b.tif") as copied:
        assert copied.descriptions == ("sigma°",) and copied.tags()["PLACE"] == "K°ln"
    assert compare_structure(tmp_path / "a.tif", tmp_path / "b.tif") == []


def test_masks_that_differ_between_bands_are_named(tmp_path: Path) -> None:
    make(tmp_path / "a.tif", count=2)
    mask = np.full((2, 30, 40), 255, np.uint8)
    mask[0, :5] = mask[1, :, :5] = 0
    profile = {"driver": "GTiff", "width": 40, "height": 30, "count": 2, "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif.msk", "w", **profile) as dataset:
        dataset.write(mask)
        dataset.update_tags(INTERNAL_MASK_FLAGS_1="0", INTERNAL_MASK_FLAGS_2="0")
    with RasterSource.open(tmp_path / "a.tif") as raster:
        (note,) = raster.info.notes
        assert "masks of bands 1, 2 are not kept" in note


def test_types_that_differ_between_bands(tmp_path: Path) -> None:
    a, b = make(tmp_path / "a.tif"), make(tmp_path / "b.tif", dtype="float32")
    bands = [
        VRT_BAND.format(dtype="UInt16", band=1, file="a.tif", extra="<NoDataValue>3</NoDataValue>"),
        VRT_BAND.format(dtype="Float32", band=2, file="b.tif", extra="<NoDataValue>nan</NoDataValue>"),
    ]
    source = vrt(tmp_path / "c.vrt", bands)
    with RasterSource.open(source) as raster:
        assert raster.info.dtypes == ("uint16", "float32")
        assert repr(raster.info.nodata) == "(3.0, nan)"
        assert raster.read([0], Window(0, 0, 30, 40)).dtype == np.uint16
        with pytest.raises(ValueError, match="share"):
            raster.read([0, 1], Window(0, 0, 30, 40))
    notes = copy(source, tmp_path / "d.tif")
    assert any("band 1 is uint16, written as float32" in text for text in notes)  # said, not silent
    with rasterio.open(tmp_path / "d.tif") as copied:
        assert copied.dtypes == ("float32", "float32")
        assert np.array_equal(copied.read(1), a[0]) and np.array_equal(copied.read(2), b[0])
        assert repr(copied.nodatavals) == "(3.0, nan)"


def test_nothing_beside_what_a_geotiff_holds(tmp_path: Path) -> None:
    """Even where something is lost: an .aux.xml that does not help is not written."""
    make(tmp_path / "a.tif", lambda dataset: dataset.update_tags(BLANK="  x"), nodata=7)
    target = tmp_path / "copy" / "b.tif"
    target.parent.mkdir()
    copy(tmp_path / "a.tif", target)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("crs", ["EPSG:2147483647", "NOWHERE:7", 'PROJCS["broken",', "", "x" * 10000])
def test_coordinate_systems_that_gdal_does_not_know(crs: str, tmp_path: Path) -> None:
    """Of a later GDAL, or hostile: the pixels come back, and what is missing is named."""
    point = np.array([[0.5, 0.5, 3.0, 4.0, 0.0]])
    place = {"transform": (2.0, 0.0, 7.0, 0.0, -2.0, 9.0), "crs": crs}
    for extra in (place, {"gcps": Gcps(point, ("tie",), ("note",), crs)}):
        stored = encode(replace(Metadata.plain(1), **extra))
        with RasterSink.create(tmp_path / "a.tif", 4, 3, ("uint8",), stored) as sink:
            sink.write(0, 0, 0, np.full((3, 4), 7, np.uint8))
        assert any("CRS" in warning for warning in sink.warnings)
        with rasterio.open(tmp_path / "a.tif") as dataset:
            assert (dataset.read() == 7).all() and dataset.crs is None
            assert "gcps" in extra or dataset.transform[2] == 7
