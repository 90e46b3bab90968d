"""Parts of a scene: equal to cropping or averaging the whole, in place on the map, few bytes read."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasterio.transform import Affine
from rasterio.warp import transform_bounds
from support.parts import PLACE, part_of, read, scene
from support.scenes import speckled

import sarzip
from sarzip import DecompressOptions
from sarzip.codec.signal.boxes import SCALES, box_classes, box_mean
from sarzip.container import Header, Reader
from sarzip.errors import InputError, UsageError
from sarzip.grid import Window
from sarzip.pipeline import sarzfile
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.coders import DecodeOptions, region_decoder, scene_decoder
from sarzip.pipeline.group import MASK_BAND
from sarzip.pipeline.selection import Region, Selection, resolve
from sarzip.system.machine import Machine


@pytest.fixture(params=["ae16", "lapped16"])
def model(request, tiny_model, lapped_model) -> Path:
    return tiny_model if request.param == "ae16" else lapped_model


def small_groups(model: Path) -> sarzip.CompressOptions:
    """Groups of 256×256 pixels, so that small scenes have many."""
    return sarzip.CompressOptions(model=str(model), group=256)


def assert_same(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for float rounding, which may flip the rounding of single integers."""
    assert found.shape == expected.shape and found.dtype == expected.dtype
    if found.dtype.kind == "f":
        # The noise floor is subtracted: near it, rounding counts relative to the floor.
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-8)
        return
    differences = np.abs(found.astype(np.int64) - expected)
    assert differences.max() <= 1 and np.count_nonzero(differences) <= max(1, found.size // 5000)


WINDOWS = [
    (0, 0, 700, 600),
    (0, 0, 1, 1),
    (699, 599, 1, 1),
    (255, 255, 2, 2),
    (256, 256, 256, 256),
    (100, 30, 333, 400),
    (13, 500, 687, 100),
]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_windows_equal_the_cropped_scene(dtype, model, write_raster, tmp_path):
    source = write_raster(scene(600, 700, dtype), nodata=0, **PLACE)
    packed, whole = tmp_path / "a.sarz", tmp_path / "whole.tif"
    sarzip.compress(source, packed, small_groups(model))
    sarzip.decompress(packed, whole, DecompressOptions(model=str(model)))
    expected = read(whole)
    for column, row, width, height in WINDOWS:
        found = part_of(packed, model, window=(column, row, width, height))
        assert_same(found, expected[:, row : row + height, column : column + width])
        np.testing.assert_array_equal(
            found == 0, expected[:, row : row + height, column : column + width] == 0
        )
    assert_same(part_of(packed, model, window=WINDOWS[5], bands=(2,)), expected[1:, 30:430, 100:433])
    assert_same(part_of(packed, model, bands=(2, 1)), expected[::-1])


@pytest.mark.parametrize("size", [(1, 1), (15, 700), (257, 16), (300, 290)])
@pytest.mark.parametrize("scale", SCALES[1:])
def test_scales_are_means_of_the_decoded_signal(scale, size, model, write_raster, tmp_path):
    packed = tmp_path / "a.sarz"
    values = speckled(*size, "float32")[None]
    values[:, : size[0] // 3, : size[1] // 2] = np.nan
    sarzip.compress(write_raster(values), packed, replace(small_groups(model), domain="power"))
    with packed.open("rb") as file:
        reader = Reader(file)
        coding = BandTransform.from_header(reader.header.bands[0])
        full = signal_of(reader, model)
    classes = coding.classify(values[0])
    expected = coding.restore(box_mean(full, scale), box_classes(classes, scale))
    found = part_of(packed, model, scale=scale)[0]
    assert found.shape == (-(-size[0] // scale), -(-size[1] // scale))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def signal_of(reader: Reader, model: Path) -> np.ndarray:
    """The whole decoded signal, before the radiometric lock."""
    header, found = reader.header, []
    decoder = scene_decoder(header, Machine("cpu", 1), DecodeOptions(model=str(model)))
    plain = type("Plain", (), {"specials": (1,) * 15, "level": False, "restore": lambda self, s, *rest: s})
    decoder._groups.coder(0)._transforms[0] = plain()
    signal = np.empty((header.height, header.width), np.float32)
    for block in decoder.blocks(streams for _, streams in reader):
        place = block.window
        signal[place.row : place.row + place.rows, place.column : place.column + place.columns] = block.values
        found.append(block.band)
    assert MASK_BAND not in found
    return signal


def test_scale_and_window_together(model, write_raster, tmp_path):
    packed = tmp_path / "a.sarz"
    source = write_raster(scene(500, 530, "float32"), nodata=0, **PLACE)
    sarzip.compress(source, packed, small_groups(model))
    whole = part_of(packed, model, scale=4)
    report = sarzip.decompress(
        packed,
        tmp_path / "x.tif",
        DecompressOptions(model=str(model), selection=Selection((130, 203, 301, 297), scale=4)),
    )
    assert report.window == (128, 200, 304, 300) and report.scale == 4
    np.testing.assert_allclose(read(tmp_path / "x.tif"), whole[:, 50:125, 32:108], rtol=1e-4)
    with rasterio.open(tmp_path / "x.tif") as dataset:
        assert dataset.transform == Affine(40, 0, 5e5 + 1280, 0, -40, 5e6 - 2000)


def test_masks_and_alpha_follow(tiny_model, write_raster, tmp_path):
    rng = np.random.default_rng(2)
    alpha = np.repeat(np.repeat(rng.integers(0, 2, (40, 45)), 8, 0), 8, 1).astype(np.uint8) * 255
    values = np.stack([speckled(320, 360, "uint8"), alpha])
    source = write_raster(values, photometric="MINISBLACK", alpha="YES")
    packed = tmp_path / "a.sarz"
    sarzip.compress(source, packed, small_groups(tiny_model))
    np.testing.assert_array_equal(
        part_of(packed, tiny_model, window=(3, 5, 301, 303))[1], alpha[5:308, 3:304]
    )
    np.testing.assert_array_equal(part_of(packed, tiny_model, scale=8)[1], alpha[::8, ::8])
    mask = alpha.copy()
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        source = write_raster(values[:1].repeat(2, 0), "masked.tif")
        with rasterio.open(source, "r+") as dataset:
            dataset.write_mask(mask)
    sarzip.compress(source, packed, sarzip.CompressOptions(model=str(tiny_model), force=True))
    part_of(packed, tiny_model, window=(3, 5, 301, 303), bands=(2,))
    with rasterio.open(tmp_path / "part.tif") as dataset:
        np.testing.assert_array_equal(dataset.read_masks(1), mask[5:308, 3:304])


class Counting(io.BytesIO):
    """A file in memory that counts what is read of it."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def test_only_the_needed_bytes_are_read(lapped_model, write_raster, tmp_path, monkeypatch):
    packed = tmp_path / "a.sarz"
    values = speckled(256 * 5, 256 * 6)[None]
    sarzip.compress(write_raster(values), packed, small_groups(lapped_model))
    with packed.open("rb") as file:
        reader = Reader(file)
        overhead, sizes = reader.overhead, list(reader.frame_sizes)
    for window, groups in [
        ((300, 300, 100, 100), [7]),
        ((500, 300, 100, 100), [7, 8]),
        ((500, 500, 30, 30), [7, 8, 13, 14]),
        # One latent beyond the window's last cell belongs to the next group.
        ((300, 300, 212, 100), [7, 8]),
        ((0, 0, 5, 5), [0]),
        ((1535, 1279, 1, 1), [29]),
    ]:
        counting = Counting(packed.read_bytes())
        part = sarzfile.SarzPart(counting, True)
        region = resolve(Selection(window), part.header)
        decoder, _ = region_decoder(part.header, region, DecodeOptions(model=str(lapped_model)))
        assert decoder.ordinals == groups
        blocks = list(decoder.blocks(part.frames(decoder.ordinals)))
        assert sum(block.values.size for block in blocks) == window[2] * window[3]
        expected = overhead + sum(sizes[group] for group in groups)
        assert part.bytes_read == expected < packed.stat().st_size
        # The end of the trailer, which tells its size, is read before the trailer.
        assert 0 <= counting.taken - expected <= 8


def test_windows_from_a_pipe(lapped_model, write_raster, tmp_path):
    packed = tmp_path / "a.sarz"
    sarzip.compress(write_raster(scene(600, 700)), packed, small_groups(lapped_model))
    expected = part_of(packed, lapped_model, window=(100, 30, 333, 400), bands=(2,))

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    part = sarzfile.SarzPart(Pipe(packed.read_bytes()), False)
    region = resolve(Selection((100, 30, 333, 400), bands=(2,)), part.header)
    decoder, _ = region_decoder(part.header, region, DecodeOptions(model=str(lapped_model)))
    found = np.zeros((400, 333), np.uint16)
    for block in decoder.blocks(part.frames(decoder.ordinals)):
        place = block.window
        found[place.row : place.row + place.rows, place.column : place.column + place.columns] = block.values
    np.testing.assert_array_equal(found, expected[0])
    assert part.bytes_read == packed.stat().st_size


def about(width: int, height: int, **raster: object) -> Header:
    """A header without a model, of one band."""
    from sarzip.container import BandHeader, SetHeader

    return Header(width, height, (BandHeader("uint16", "exact"),), (SetHeader((0,), None),), raster=raster)


def test_selections_that_make_no_sense():
    header = about(700, 600)
    for window in [(600, 0, 101, 5), (0, 0, 700, 601), (-1, 0, 5, 5), (0, 0, 0, 5), (700, 600, 1, 1)]:
        with pytest.raises(UsageError, match="700x600 pixels"):
            resolve(Selection(window), header)
    for fields, words in [
        ({"bands": (2,)}, "1 band"),
        ({"bands": (1, 1)}, "twice"),
        ({"bbox": (0, 0, 1, 1)}, "`window`"),
        ({"bbox": (1, 0, 0, 1)}, "W < E"),
        ({"bbox": (0, 0, float("nan"), 1)}, "expected W,S,E,N"),
    ]:
        with pytest.raises(UsageError, match=words):
            resolve(Selection(**fields), header)
    for fields, words in [
        ({"window": (0, 0, 1, 1), "bbox": (0, 0, 1, 1)}, "exclude"),
        ({"bbox_crs": "EPSG:4326"}, "`bbox`"),
        ({"scale": 3}, "1, 2, 4, 8, 16"),
    ]:
        with pytest.raises(UsageError, match=words):
            Selection(**fields)


def test_rectangles_on_the_map():
    header = about(700, 600, e=32633, t=[10, 0, 500000, 0, -10, 5000000])
    exactly = (500130.0, 4997000.0, 501000.0, 4999900.0)
    assert resolve(Selection(bbox=exactly), header).window == Window(10, 13, 290, 87)
    inner = (500131.0, 4997001.0, 500999.0, 4999899.0)
    assert resolve(Selection(bbox=inner), header).window == Window(10, 13, 290, 87)
    partly = (0.0, 0.0, 500050.0, 6e6)
    assert resolve(Selection(bbox=partly), header).window == Window(0, 0, 600, 5)
    degrees = transform_bounds("EPSG:32633", "EPSG:4326", *exactly, densify_pts=21)
    window = resolve(Selection(bbox=degrees, bbox_crs="EPSG:4326"), header).window
    # The rectangle in degrees around a rectangle in metres is a little larger.
    assert 0 <= 10 - window.row <= 2 and 0 <= 13 - window.column <= 2
    assert 0 <= window.rows - 290 <= 4 and 0 <= window.columns - 87 <= 4
    with pytest.raises(UsageError, match=r"does not meet.*700x600"):
        resolve(Selection(bbox=(510000.0, 0, 520000.0, 1e7)), header)
    with pytest.raises(UsageError, match="EPSG:99999999"):
        resolve(Selection(bbox=degrees, bbox_crs="EPSG:99999999"), header)
    turned = (8.66, 5.0, 7e5, 5.0, -8.66, 4e6)
    header = about(700, 600, e=32633, t=list(turned))
    x, y = 7e5 + 8.66 * 300 + 5 * 200, 4e6 + 5 * 300 - 8.66 * 200
    window = resolve(Selection(bbox=(x - 1, y - 1, x + 1, y + 1)), header).window
    assert window == Window(199, 299, 2, 2)


def control_points(rows: int, columns: int) -> list[GroundControlPoint]:
    """A sheared and slightly curved grid over the scene."""
    return [
        GroundControlPoint(r, c, 10 + 1e-4 * c + 2e-5 * r + 1e-9 * c * c, 50 - 1e-4 * r + 1e-5 * c, 0)
        for r in np.linspace(0, rows, 8)
        for c in np.linspace(0, columns, 9)
    ]


def test_control_points_move_along(lapped_model, write_raster, tmp_path):
    source = write_raster(speckled(600, 700)[None])
    points = control_points(600, 700)
    with rasterio.open(source, "r+") as dataset:
        dataset.gcps = (points, rasterio.CRS.from_epsg(4326))
    packed = tmp_path / "a.sarz"
    sarzip.compress(source, packed, sarzip.CompressOptions(model=str(lapped_model)))
    west, north = points[20].x, points[20].y
    east, south = points[40].x, points[40].y
    part_of(packed, lapped_model, bbox=(west, south, east, north), scale=2)
    with rasterio.open(tmp_path / "part.tif") as dataset, packed.open("rb") as file:
        window = resolve(Selection(bbox=(west, south, east, north), scale=2), Reader(file).header).window
        found = dataset.gcps[0]
        assert dataset.gcps[1] == rasterio.CRS.from_epsg(4326) and len(found) == len(points)
    for a, b in zip(points, found, strict=True):
        assert (a.x, a.y) == (b.x, b.y)
        assert b.row == pytest.approx((a.row - window.row) / 2, abs=1e-6)
        assert b.col == pytest.approx((a.col - window.column) / 2, abs=1e-6)
    # The rectangle between two points spans at least from one to the other.
    assert window.row <= points[20].row and window.row + window.rows >= points[40].row - 1
    assert window.column <= points[20].col and window.column + window.columns >= points[40].col - 1
    # Its sides are slanted in the scene, by less than the shear over its extent.
    assert window.rows <= points[40].row - points[20].row + 0.3 * 700


def test_rpcs_point_to_the_same_ground(lapped_model, write_raster, tmp_path):
    from rasterio.transform import RPCTransformer

    zeros = [0.0] * 19
    rpcs = RPC(
        height_off=100.0, height_scale=500.0, lat_off=50.0, lat_scale=0.05, long_off=10.0, long_scale=0.06,
        line_off=300.25, line_scale=310.0, samp_off=350.75, samp_scale=355.0,
        line_num_coeff=[0.0, 0.02, -1.0, 0.01, *zeros[:16]], line_den_coeff=[1.0, *zeros],
        samp_num_coeff=[0.0, 1.0, 0.03, 0.02, *zeros[:16]], samp_den_coeff=[1.0, *zeros],
    )  # fmt: skip
    source = write_raster(speckled(600, 700)[None])
    with rasterio.open(source, "r+") as dataset:
        dataset.rpcs = rpcs
    packed = tmp_path / "a.sarz"
    sarzip.compress(source, packed, sarzip.CompressOptions(model=str(lapped_model)))
    part_of(packed, lapped_model, window=(128, 64, 320, 256), scale=4)
    with contextlib.ExitStack() as stack:
        places = []
        for path in (source, tmp_path / "part.tif"):
            dataset = stack.enter_context(rasterio.open(path))
            transformer = stack.enter_context(RPCTransformer(dataset.rpcs))
            places.append(np.array(transformer.rowcol([9.99, 10.01], [50.01, 49.99], [100, 300], op=float)))
    a, b = places
    np.testing.assert_allclose(b, (a - np.array([[64], [128]])) / 4, atol=1e-3)


def test_tags_of_the_bands_taken(lapped_model, write_raster, tmp_path):
    source = write_raster(scene(200, 310), nodata=0, **PLACE)
    with rasterio.open(source, "r+") as dataset:
        dataset.descriptions = ("VV", "VH")
        dataset.units = ("DN", "dn")
        dataset.update_tags(1, POL="VV", STATISTICS_MEAN="3")
        dataset.update_tags(2, POL="VH", STATISTICS_MEAN="4")
        dataset.update_tags(MISSION="S1")
    packed = tmp_path / "a.sarz"
    sarzip.compress(source, packed, sarzip.CompressOptions(model=str(lapped_model)))
    part_of(packed, lapped_model, window=(10, 20, 100, 90), bands=(2,))
    with rasterio.open(tmp_path / "part.tif") as dataset:
        assert dataset.descriptions == ("VH",) and dataset.units == ("dn",) and dataset.nodata == 0
        assert dataset.tags(1) == {"POL": "VH"} and dataset.tags()["MISSION"] == "S1"
        assert dataset.transform == Affine(10, 0, 5e5 + 100, 0, -10, 5e6 - 200)
        assert dataset.crs.to_epsg() == 32633
    # Nothing but the bands is lost where all pixels stay, and the statistics of what they were before coding.
    part_of(packed, lapped_model, bands=(2,))
    with rasterio.open(tmp_path / "part.tif") as dataset:
        assert dataset.tags(1) == {"POL": "VH"}


def test_whole_scene_as_a_region_is_the_plain_decode(lapped_model, write_raster, tmp_path):
    packed = tmp_path / "a.sarz"
    sarzip.compress(write_raster(scene(300, 520)), packed, small_groups(lapped_model))
    whole = tmp_path / "whole.tif"
    sarzip.decompress(packed, whole, DecompressOptions(model=str(lapped_model)))
    with packed.open("rb") as file:
        reader = Reader(file)
        region = Region(Window(0, 0, 300, 520), (0, 1))
        assert resolve(Selection(), reader.header) == region
        options = DecodeOptions(threads=2, model=str(lapped_model))
        decoder, _ = region_decoder(reader.header, region, options)
        found = np.zeros((2, 300, 520), np.uint16)
        for block in decoder.blocks(reader.read_frame(ordinal) for ordinal in decoder.ordinals):
            place = block.window
            found[
                block.band, place.row : place.row + place.rows, place.column : place.column + place.columns
            ] = block.values
    assert_same(found, read(whole))


def test_more_than_the_memory_is_refused(lapped_model, write_raster, tmp_path, monkeypatch):
    packed = tmp_path / "a.sarz"
    source = write_raster(speckled(300, 520)[None])
    sarzip.compress(source, packed, sarzip.CompressOptions(model=str(lapped_model)))
    monkeypatch.setattr("sarzip.pipeline.memory.available_memory", lambda: 1000)
    with pytest.raises(InputError, match=r"a\.sarz: needs about .* free"):
        part_of(packed, lapped_model, window=(0, 0, 5, 5))
    assert not (tmp_path / "part.tif").exists()
