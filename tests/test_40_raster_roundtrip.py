"""Whatever a raster carries comes back field by field from the GeoTIFF the sink writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.rpc import RPC
from rasterio.transform import Affine
from support.rasters import check, copy, make

from sarzip.grid import Window
from sarzip.raster import RasterSink, RasterSource, compare_structure

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")

UTM = {"crs": "EPSG:32631", "transform": Affine(10.1, 0, 500000.3, 0, -10.1, 4e6 + 0.1)}
ROTATED = Affine(7.3, 2.1, 500000.123, -1.9, -8.7, 4123456.789)
CUSTOM_CRS = (
    'PROJCS["strip 7",GEOGCS["WGS 84",DATUM["WGS_1984",SPHEROID["WGS 84",6378137,298.257223563]],'
    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["latitude_of_origin",1.5],PARAMETER["central_meridian",9.123456789],'
    'PARAMETER["scale_factor",0.9996],PARAMETER["false_easting",500000],PARAMETER["false_northing",0],'
    'UNIT["metre",1]]'
)
XMP = '<?xpacket begin="" id="W5M0"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><a b="1">ü = : hi</a></x:xmpmeta>'


@pytest.mark.parametrize(
    "shape", [(1, 1), (15, 700), (700, 15), (3, 1000), (257, 256), (512, 513), (600, 2049)]
)
@pytest.mark.parametrize("dtype", ["uint8", "int16", "float64"])
def test_sizes_and_dtypes(tmp_path: Path, shape: tuple[int, int], dtype: str) -> None:
    make(tmp_path / "a.tif", width=shape[0], height=shape[1], dtype=dtype, count=2)
    check(tmp_path / "a.tif", tmp_path, rows=300)


@pytest.mark.parametrize(
    "options", [{"compress": "deflate"}, {"compress": "ZSTD", "threads": 2}, {"threads": 1}]
)
def test_compression_and_threads_change_nothing(tmp_path: Path, options: dict) -> None:
    make(tmp_path / "a.tif", width=700, height=600, dtype="float32", count=3, **UTM)
    with check(tmp_path / "a.tif", tmp_path, rows=256, **options) as copied:
        assert copied.block_shapes[0] == (256, 256)
        assert copied.profile.get("compress", "none") == options.get("compress", "none").lower()


@pytest.mark.parametrize(
    "georeference",
    [
        {},
        UTM,
        {"crs": "EPSG:32631"},
        {"transform": UTM["transform"]},
        {"crs": "EPSG:4326", "transform": ROTATED},
        {"crs": "EPSG:4326", "transform": Affine(0.1, 0, 7, 0, 0.1, 50)},  # south up
        {"crs": CUSTOM_CRS, "transform": ROTATED},
        {"crs": "ESRI:54009", "transform": ROTATED},
        {"crs": "EPSG:9707", "transform": ROTATED},  # with heights
        {"crs": "+proj=stere +lat_0=90 +lat_ts=70 +lon_0=-33 +datum=WGS84", "transform": ROTATED},
    ],
)
@pytest.mark.parametrize("pixel", ["Area", "Point"])
def test_georeferencing(tmp_path: Path, georeference: dict, pixel: str) -> None:
    def setup(dataset: Any) -> None:
        dataset.update_tags(AREA_OR_POINT=pixel)

    make(tmp_path / "a.tif", setup, **georeference)
    with RasterSource.open(tmp_path / "a.tif") as raster:
        stored = raster.info.tags
    if georeference.get("crs") == "EPSG:32631":
        assert stored["e"] == 32631  # a number, not a kilobyte of WKT
    check(tmp_path / "a.tif", tmp_path)


@pytest.mark.parametrize("pixel", ["Area", "Point"])
def test_ground_control_points_are_exact(tmp_path: Path, pixel: str) -> None:
    rng = np.random.default_rng(5)
    points = [
        GroundControlPoint(i * 4.2, j * 3.123456789 + 0.1, *rng.normal(0, 80, 3))
        for i in range(7)
        for j in range(5)
    ]

    def setup(dataset: Any) -> None:
        dataset.gcps = (points, CRS.from_epsg(4326))
        dataset.update_tags(AREA_OR_POINT=pixel)

    make(tmp_path / "a.tif", setup)
    with check(tmp_path / "a.tif", tmp_path) as copied:
        assert len(copied.gcps[0]) == 35
        assert [p.z for p in copied.gcps[0]] == [p.z for p in points]


@given(
    st.lists(st.tuples(*[st.floats(-1e7, 1e7)] * 5), min_size=1, max_size=8),
    st.lists(st.floats(-1e7, 1e7), min_size=6, max_size=6),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.filterwarnings("ignore")
def test_any_points_and_transforms(
    tmp_path: Path, points: list, transform: list, point: bool, with_gcps: bool
) -> None:
    # Values as a GeoTIFF can hold them: the first file is GDAL's work, the second the sink's.
    def setup(dataset: Any) -> None:
        if with_gcps:
            dataset.gcps = ([GroundControlPoint(*p) for p in points], CRS.from_epsg(4326))
        if point:
            dataset.update_tags(AREA_OR_POINT="Point")

    first = tmp_path / "a.tif"
    first.unlink(missing_ok=True)
    make(first, setup, **({} if with_gcps else {"crs": "EPSG:4326", "transform": Affine(*transform)}))
    copy(first, tmp_path / "b.tif")
    assert compare_structure(first, tmp_path / "b.tif") == []


def test_rpcs(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    c = [rng.normal(0, 1e-3, 20).tolist() for _ in range(4)]
    rpc = RPC(
        height_off=12.5, height_scale=500.0, lat_off=45.123456789, lat_scale=0.7, line_den_coeff=c[0],
        line_num_coeff=c[1], line_off=1500.5, line_scale=1501.0, long_off=-7.1, long_scale=0.9,
        samp_den_coeff=c[2], samp_num_coeff=c[3], samp_off=2000.25, samp_scale=2001.0,
        err_bias=None, err_rand=None,
    )  # fmt: skip

    def setup(dataset: Any) -> None:
        dataset.rpcs = rpc

    make(tmp_path / "a.tif", setup)
    with check(tmp_path / "a.tif", tmp_path) as copied:
        assert copied.rpcs.line_num_coeff == pytest.approx(c[1], rel=1e-12)


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("float32", float("nan")),
        ("float32", float("inf")),
        ("float32", -3.4028234663852886e38),
        ("float32", 0.1),
        ("float64", 1e-300),
        ("float64", -9999.0),
        ("int16", -9999),
        ("uint16", 0),
        ("uint8", 255),
    ],
)
def test_nodata(tmp_path: Path, dtype: str, nodata: float) -> None:
    make(tmp_path / "a.tif", dtype=dtype, nodata=nodata, count=2)
    with RasterSource.open(tmp_path / "a.tif") as raster:
        assert raster.mask_kinds() == ("nodata", "nodata")
        assert not raster.info.has_mask
        assert not isinstance(raster.info.tags["n"], list)  # once, not per band
    check(tmp_path / "a.tif", tmp_path)


def test_band_attributes_and_every_tag_namespace(tmp_path: Path) -> None:
    def setup(dataset: Any) -> None:
        dataset.scales, dataset.offsets = (0.1, 1 / 3), (-7.3, 1e-9)
        dataset.units, dataset.descriptions = ("dB", "m²"), ("Sigma0_VV_db", None)
        dataset.update_tags(POL="VV", TEXT='<a> & "b"\n\tü € 日本', EQUALS="a=b", TIFFTAG_SOFTWARE="SNAP")
        dataset.update_tags(
            TIFFTAG_DATETIME="2018:07:16 00:40:42", TIFFTAG_IMAGEDESCRIPTION="σ⁰".encode().hex()
        )
        for space in ("GEOLOCATION", "IMD", "a space with blanks", "ENVI"):
            dataset.update_tags(ns=space, KEY=f"of {space}")
        for space in ("xml:XMP", "xml:other"):
            head, _, rest = XMP.partition("=")
            dataset.update_tags(ns=space, **{head: rest})
        dataset.update_tags(1, STATISTICS_MEAN="12.5", wavelength="0.055")
        dataset.update_tags(2, ns="B2", only="the second")

    make(tmp_path / "a.tif", setup, count=2, **UTM)
    (tmp_path / "a.IMD").unlink()  # GDAL writes that domain beside the file, too; the sink must not
    with check(tmp_path / "a.tif", tmp_path) as copied:
        assert copied.tags(ns="IMD") == {"KEY": "of IMD"}
        assert copied.tags(ns="xml:XMP") == {"xml:XMP": XMP}
        assert copied.tags(2, ns="B2") == {"only": "the second"}
        assert copied.scales == (0.1, 1 / 3)
    with RasterSource.open(tmp_path / "a.tif") as raster:
        first, second = raster.info.evidence
    assert (first.description, first.unit, first.scale) == ("Sigma0_VV_db", "dB", 0.1)
    assert first.band_tags["wavelength"] == "0.055" and first.dataset_tags["POL"] == "VV"
    assert "Sigma0" not in second.description and second.file_name == "a.tif"
    assert first.descriptions == (first.description, second.description)


keys = st.text(
    st.characters(min_codepoint=48, max_codepoint=122, exclude_characters=":="), min_size=1, max_size=9
)
# Control characters are no XML, leading blanks are cut and empty values dropped by GDAL's GeoTIFF writer.
values = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=30)


@given(
    st.dictionaries(keys, st.dictionaries(keys, values, min_size=1, max_size=3), max_size=3), st.booleans()
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_tags(tmp_path: Path, spaces: dict[str, dict[str, str]], on_band: bool) -> None:
    def setup(dataset: Any) -> None:
        for space, items in spaces.items():
            dataset.update_tags(int(on_band), ns=f"NS_{space}", **items)

    (tmp_path / "a.tif").unlink(missing_ok=True)
    make(tmp_path / "a.tif", setup, width=4, height=4)
    copy(tmp_path / "a.tif", tmp_path / "b.tif")
    assert compare_structure(tmp_path / "a.tif", tmp_path / "b.tif") == []


@pytest.mark.parametrize(
    "colours",
    [
        "gray undefined undefined", "red green blue", "sar_c sar_l alpha", "gray alpha undefined",
        "hue Y nir", "red green blue alpha", "gray undefined undefined undefined",
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_colour_interpretation(tmp_path: Path, colours: str, dtype: str) -> None:
    if colours.startswith("sar") and not hasattr(ColorInterp, "sar_c"):
        pytest.skip("needs GDAL 3.10")
    wanted = [ColorInterp[name] for name in colours.split()]

    def setup(dataset: Any) -> None:
        dataset.colorinterp = wanted

    make(tmp_path / "a.tif", setup, count=len(wanted), dtype=dtype)
    with check(tmp_path / "a.tif", tmp_path) as copied:
        assert list(copied.colorinterp) == wanted
    with RasterSource.open(tmp_path / "a.tif") as raster:
        assert [each.colour == "alpha" for each in raster.info.evidence] == [
            c == ColorInterp.alpha for c in wanted
        ]
        assert not raster.info.has_mask  # alpha is no mask of its own


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colour_map(tmp_path: Path, dtype: str) -> None:
    n = 256 if dtype == "uint8" else 65536
    colours = {i: (i % 256, 255 - i % 256, i // 256, 255) for i in range(n)}

    def setup(dataset: Any) -> None:
        dataset.write_colormap(1, colours)

    make(tmp_path / "a.tif", setup, dtype=dtype)
    with check(tmp_path / "a.tif", tmp_path) as copied:
        assert copied.colormap(1) == colours


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("nodata", [None, 7])
def test_mask_of_the_dataset(tmp_path: Path, count: int, nodata: int | None) -> None:
    mask = np.zeros((600, 700), np.uint8)
    mask[13:577, 5:201] = 255

    def setup(dataset: Any) -> None:
        dataset.write_mask(mask)

    make(tmp_path / "a.tif", setup, count=count, nodata=nodata, width=700, height=600)
    with check(tmp_path / "a.tif", tmp_path, rows=256) as copied:
        assert np.array_equal(copied.dataset_mask(), mask)
    with RasterSource.open(tmp_path / "a.tif") as raster:
        assert np.array_equal(raster.read_mask(Window(10, 0, 20, 700)), mask[10:30])


def test_windows(tmp_path: Path) -> None:
    data = make(tmp_path / "a.tif", width=300, height=200, count=3)
    with RasterSource.open(tmp_path / "a.tif") as raster:
        assert np.array_equal(raster.read([2, 0], Window(190, 7, 10, 5)), data[[2, 0], 190:200, 7:12])
        assert raster.read_mask(Window(0, 0, 10, 300)) is None
        for window in ((199, 0, 2, 300), (-1, 0, 2, 300), (0, 299, 1, 2), (0, 0, 0, 300)):
            with pytest.raises(ValueError, match="not inside"):
                raster.read([0], Window(*window))
    with RasterSink.create(tmp_path / "b.tif", 300, 200, ("uint16",), {}) as sink:
        with pytest.raises(ValueError, match="not inside"):
            sink.write(0, 150, 0, data[0])
        with pytest.raises(TypeError):
            sink.write(0, 0, 0, data[0].astype(np.float32))
        sink.write(0, 0, 0, data[0])


@pytest.mark.parametrize("driver", ["PNG", "ENVI", "JP2OpenJPEG", "PCIDSK"])
@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_other_formats_can_be_read(tmp_path: Path, driver: str) -> None:
    with rasterio.Env() as env:
        if driver not in env.drivers():
            pytest.skip(f"this GDAL has no {driver}")
    path = tmp_path / "scene.img"
    make(tmp_path / "a.tif", dtype="uint8", **UTM)
    options = {"QUALITY": "100", "REVERSIBLE": "YES"} if driver == "JP2OpenJPEG" else {}
    rasterio.shutil.copy(tmp_path / "a.tif", path, driver=driver, **options)
    with RasterSource.open(path) as raster:
        assert raster.info.driver == driver
    warnings = copy(path, tmp_path / "b.tif")
    assert [text for text in warnings if "CRS" in text or "transform" in text] == []
    with rasterio.open(path) as a, rasterio.open(tmp_path / "b.tif") as b:
        assert a.crs == b.crs and a.transform == b.transform and np.array_equal(a.read(), b.read())


def test_comparison_names_what_differs(tmp_path: Path) -> None:
    make(tmp_path / "a.tif", lambda d: d.update_tags(POL="VV"), nodata=3, **UTM)
    make(tmp_path / "b.tif", lambda d: d.update_tags(POL="VH"), dtype="int16", nodata=4, crs="EPSG:32632")
    found = "\n".join(compare_structure(tmp_path / "a.tif", tmp_path / "b.tif"))
    for what in ("dtypes", "CRS", "transform", "nodata", "tag POL", "band 1 mask differs"):
        assert what in found
    make(tmp_path / "c.tif", count=2, width=41)
    found = "\n".join(compare_structure(tmp_path / "a.tif", tmp_path / "c.tif"))
    assert "width" in found and "count" in found


def test_no_warning_about_missing_georeferencing(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    make(tmp_path / "a.tif")
    recwarn.clear()
    with pytest.warns(UserWarning) as seen:
        copy(tmp_path / "a.tif", tmp_path / "b.tif")
        import warnings

        warnings.warn("sentinel", UserWarning, stacklevel=1)
    assert not [w for w in seen if issubclass(w.category, NotGeoreferencedWarning)]
