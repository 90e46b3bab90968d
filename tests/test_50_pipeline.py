"""The main job through the Python API: structure exact, seams invisible, errors clean."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.damage import compress_small_groups
from support.scenes import real_scenes, speckled

import sarzip
from sarzip.codec.base import Quality
from sarzip.codec.registry import build_codec
from sarzip.codec.signal.cell_power import shift_cells
from sarzip.codec.streams import bias_correction as lock
from sarzip.container import ModelRef, Reader, StreamKind
from sarzip.errors import InputError, ModelError, OutputError, TargetError, UsageError
from sarzip.grid import STRIDE, Neighbourhood, Part, Window
from sarzip.pipeline.band_plan import PlanOptions
from sarzip.pipeline.encode import SceneEncoder
from sarzip.pipeline.models import ModelStore
from sarzip.pipeline.plan import plan_scene
from sarzip.pipeline.quality import Fidelity, quality_to_step
from sarzip.raster import RasterSource, compare_structure
from sarzip.system.machine import Machine

ODD_SIZES = [(1, 1), (15, 700), (257, 256), (1000, 3), (300, 300)]


def round_trip(source: Path, model: Path, tmp_path: Path, **options: object) -> tuple[Path, Path]:
    packed, back = tmp_path / "scene.sarz", tmp_path / "back.tif"
    sarzip.compress(source, packed, sarzip.CompressOptions(model=str(model), force=True, **options))
    sarzip.decompress(packed, back, sarzip.DecompressOptions(model=str(model), force=True))
    return packed, back


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_every_dtype_keeps_its_structure(dtype, write_raster, tiny_model, tmp_path):
    values = np.stack([speckled(200, 310, dtype, seed) for seed in range(2)])
    source = write_raster(values, crs="EPSG:32633", transform=rasterio.Affine(10, 0, 5e5, 0, -10, 5e6))
    _, back = round_trip(source, tiny_model, tmp_path)
    assert compare_structure(source, back) == []
    assert read(back).dtype == dtype


@pytest.mark.parametrize("size", ODD_SIZES)
def test_groups_equal_the_whole_scene(size, write_raster, tiny_model, tmp_path):
    """Small groups against one group: analysis, quantisation and synthesis must not see the cuts."""
    source = write_raster(speckled(*size, "float32")[None])
    card, weights = ModelStore().load(str(tiny_model))
    family = build_codec(card.family, card.config, weights)
    decoded = []
    for group in (256, 1024):
        with RasterSource.open(source) as raster:
            options = PlanOptions("power", group=group)
            plan = plan_scene(raster, options, lambda: (ModelRef(card.id, card.sha256), family))
            encoder = SceneEncoder(raster, plan.header.grid, plan.coders(1.0), Machine("cpu", 2))
            whole = _latents_of_whole(raster, plan.transforms[0], family)
            frames = list(encoder.frames())
        columns = -(-size[1] // group)
        latents = np.concatenate(
            [
                np.concatenate(
                    [
                        family.decode(
                            frames[row * columns + column], _shape(size, group, row, column), Quality(1.0)
                        )
                        for column in range(columns)
                    ],
                    2,
                )
                for row in range(-(-size[0] // group))
            ],
            1,
        )
        decoded.append(latents)
        # Away from a rounding boundary the quantised latents are those of the whole scene, exactly.
        step = family.gains[:, None, None] * np.float32(1.0)
        assert np.abs(latents - whole).max() <= (step * 0.501).max()
    differing = np.mean(decoded[0] != decoded[1])
    assert differing < 1e-4


def _shape(size, group, row, column):
    rows, columns = min(group, size[0] - row * group), min(group, size[1] - column * group)
    return -(-rows // STRIDE), -(-columns // STRIDE)


def _latents_of_whole(raster, band, family):
    scene = Window(0, 0, raster.info.height, raster.info.width)
    signal = band.radiometry.forward(raster.read([0], scene)[0])[None]
    around = Neighbourhood(scene.rows, scene.columns, STRIDE, family.halo.pixels)
    return family.analyse(around.around(scene, [Part(0, 0, signal)]))


@pytest.mark.parametrize("size", ODD_SIZES)
def test_decoding_by_groups_equals_decoding_at_once(size, write_raster, tiny_model, tmp_path):
    values = speckled(*size, "float32")[None]
    source = write_raster(values)
    packed, back = round_trip(source, tiny_model, tmp_path, group=256, domain="power")
    with packed.open("rb") as file:
        header = Reader(file).header
        frames = [streams for _, streams in Reader(file)]
    card, weights = ModelStore().load(str(tiny_model))
    family = build_codec(card.family, card.config, weights)
    columns = header.grid.columns
    rows = []
    for row in range(header.grid.rows):
        parts = [
            family.decode(
                frames[row * columns + column], _shape(size, 256, row, column), Quality(header.sets[0].step)
            )
            for column in range(columns)
        ]
        rows.append(np.concatenate(parts, 2))
    latents = np.concatenate(rows, 1)
    around = Neighbourhood(*latents.shape[1:], 1, family.halo.latents, family.mirror_signs)
    wide = around.around(Window(0, 0, *latents.shape[1:]), [Part(0, 0, latents)])
    at_once = np.ascontiguousarray(family.restore(wide)[0, : size[0], : size[1]])
    about = header.bands[0]
    radiometry = sarzip.codec.signal.radiometry.Radiometry(about.domain, about.floor, about.centre)
    for group, streams in enumerate(frames):
        row, column, height, width = header.window(group)
        part = at_once[row : row + height, column : column + width].copy()
        cells = lock.decode_cells(streams.get(StreamKind.CODED_BIAS_CORRECTION, b""), part.shape)
        if cells is not None:
            shift_cells(part, radiometry.relative_floor, None, cells)
        at_once[row : row + height, column : column + width] = part
    np.testing.assert_allclose(read(back)[0], radiometry.inverse(at_once, "float32"), rtol=2e-4)


def test_threads_do_not_change_the_file(write_raster, tiny_model, tmp_path):
    source = write_raster(speckled(1100, 1300)[None])
    files = []
    for threads in (1, 2, 3):
        target = tmp_path / f"{threads}.sarz"
        sarzip.compress(source, target, sarzip.CompressOptions(model=str(tiny_model), threads=threads))
        files.append(target.read_bytes())
    sizes = {len(file) for file in files}
    assert max(sizes) - min(sizes) < 64


def test_quality_is_monotone(write_raster, tiny_model, tmp_path):
    source = write_raster(speckled(256, 256)[None])
    sizes = []
    for quality in (0, 20, 40, 60, 80, 100):
        options = sarzip.CompressOptions(Fidelity("quality", quality), model=str(tiny_model), force=True)
        sizes.append(sarzip.compress(source, tmp_path / "a.sarz", options).output_bytes)
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
    steps = [quality_to_step(quality) for quality in range(101)]
    assert steps == sorted(steps, reverse=True)


@pytest.mark.parametrize(("kind", "value"), [("bpp", 0.1), ("bpp", 0.25), ("ratio", 100.0), ("size", 2500)])
@pytest.mark.parametrize("size", [(400, 300), (1100, 1100)])
def test_targets_are_hit(kind, value, size, write_raster, tiny_model, tmp_path):
    source = write_raster(speckled(*size)[None])
    options = sarzip.CompressOptions(Fidelity(kind, value), model=str(tiny_model))
    found = sarzip.compress(source, tmp_path / "a.sarz", options).output_bytes
    pixels = size[0] * size[1]
    wanted = {"bpp": value * pixels / 8, "ratio": source.stat().st_size / value, "size": value}[kind]
    assert found == pytest.approx(wanted, rel=0.02)
    assert kind != "size" or found <= value


def test_unreachable_targets_name_the_nearest(write_raster, tiny_model, tmp_path):
    source = write_raster(speckled(200, 200)[None])
    for kind, value in [("bpp", 100), ("size", 200), ("rmse_db", 1e-5)]:
        with pytest.raises(TargetError, match="nearest is"):
            round_trip(source, tiny_model, tmp_path, fidelity=Fidelity(kind, value))
    assert [path.name for path in tmp_path.iterdir()] == ["scene.tif"]


def nodata_scene(dtype: str, nodata: float) -> np.ndarray:
    values = speckled(700, 500, dtype)
    values[:, :60] = nodata
    values[100:130, 200:260] = nodata
    values[650:] = nodata
    return values[None]


@pytest.mark.parametrize(
    ("dtype", "nodata"),
    [
        ("uint16", 0),
        ("uint16", 65535),
        ("uint8", 255),
        ("float32", math.nan),
        ("float32", -9999.0),
        ("int16", 0),
    ],
)
def test_nodata_mask_is_exact(dtype, nodata, write_raster, tiny_model, tmp_path):
    values = nodata_scene(dtype, nodata)
    source = write_raster(values, nodata=nodata)
    _, back = round_trip(source, tiny_model, tmp_path)
    missing = np.isnan(values) if nodata != nodata else values == nodata
    decoded = read(back)
    np.testing.assert_array_equal(np.isnan(decoded) if nodata != nodata else decoded == nodata, missing)
    assert compare_structure(source, back) == []


def test_undeclared_zero_borders_and_odd_floats_are_exact(write_raster, tiny_model, tmp_path):
    values = nodata_scene("uint16", 0)
    _, back = round_trip(write_raster(values), tiny_model, tmp_path)
    border = read(back)[0]
    assert not border[:, :60].any() and not border[650:].any() and not border[100:130, 200:260].any()
    floats = speckled(64, 64, "float32")[None]
    floats[0, 3, 3:7] = [np.inf, -np.inf, np.nan, 0]
    _, back = round_trip(write_raster(floats, "floats.tif"), tiny_model, tmp_path)
    np.testing.assert_array_equal(read(back)[0, 3, 3:7], floats[0, 3, 3:7])
    assert np.isfinite(np.delete(read(back)[0], 3, 0)).all()


@pytest.mark.parametrize("fill", [0, 7, 65535])
@pytest.mark.parametrize("nodata", [None, 0])
def test_constant_scenes(fill, nodata, write_raster, tiny_model, tmp_path):
    source = write_raster(np.full((1, 100, 120), fill, np.uint16), nodata=nodata)
    _, back = round_trip(source, tiny_model, tmp_path)
    assert compare_structure(source, back) == []
    if fill == 0:
        assert not read(back).any()


@pytest.mark.parametrize("value", [math.nan, -9999.0])
def test_scene_without_any_measurement(value, write_raster, tiny_model, tmp_path):
    source = write_raster(np.full((2, 40, 50), value, np.float32), nodata=value)
    _, back = round_trip(source, tiny_model, tmp_path)
    np.testing.assert_array_equal(read(back), read(source))


def test_alpha_and_dataset_mask_are_exact(write_raster, tiny_model, tmp_path):
    values = np.stack([speckled(90, 80, "uint8"), (speckled(90, 80, "uint8", 5) > 80) * np.uint8(255)])
    source = write_raster(values, photometric="MINISBLACK", alpha="YES")
    _, back = round_trip(source, tiny_model, tmp_path)
    np.testing.assert_array_equal(read(back)[1], values[1])
    assert compare_structure(source, back) == []
    mask = np.full((90, 80), 255, np.uint8)
    mask[:30, 7:] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        source = write_raster(values[:1], "masked.tif")
        with rasterio.open(source, "r+") as dataset:
            dataset.write_mask(mask)
    _, back = round_trip(source, tiny_model, tmp_path)
    assert compare_structure(source, back) == []
    with rasterio.open(back) as dataset:
        np.testing.assert_array_equal(dataset.read_masks(1), mask)


def test_compare_reads_sarz_and_rasters_alike(write_raster, tiny_model, tmp_path, monkeypatch):
    source = write_raster(speckled(300, 200)[None])
    released = tmp_path / "released"
    released.mkdir()
    (released / "tiny").symlink_to(tiny_model)
    monkeypatch.setattr("sarzip.pipeline.models.released_folder", lambda: released)
    sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(model="tiny"))
    sarzip.decompress(tmp_path / "a.sarz", tmp_path / "a.tif")
    direct = sarzip.compare(source, tmp_path / "a.sarz").bands[0].quality
    by_raster = sarzip.compare(source, tmp_path / "a.tif").bands[0].quality
    assert direct.to_dict() == by_raster.to_dict()
    assert sarzip.compare(source, source).identical


def test_compare_reads_groups_of_any_size(write_raster, tiny_model, tmp_path, monkeypatch):
    source = write_raster(speckled(1300, 300)[None])
    monkeypatch.setattr("sarzip.pipeline.models.released_folder", lambda: tiny_model.parent)
    compress_small_groups(source, tmp_path / "small.sarz", Path(tiny_model.name), 768)
    sarzip.decompress(tmp_path / "small.sarz", tmp_path / "a.tif")
    compress_small_groups(source, tmp_path / "other.sarz", Path(tiny_model.name), 512)
    direct = sarzip.compare(source, tmp_path / "small.sarz").bands[0].quality
    assert direct.rmse_db == sarzip.compare(source, tmp_path / "a.tif").bands[0].quality.rmse_db
    assert sarzip.compare(tmp_path / "small.sarz", tmp_path / "other.sarz").bands[0].quality.rmse_db < 0.2


def test_summary_in_info(write_raster, tiny_model, tmp_path):
    source = write_raster(np.stack([speckled(100, 90), speckled(100, 90, seed=3)]))
    report = sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(model=str(tiny_model)))
    about = sarzip.inspect(tmp_path / "a.sarz")
    assert (about.width, about.height, len(about.bands)) == (90, 100, 2)
    assert about.bytes == report.output_bytes == (tmp_path / "a.sarz").stat().st_size
    assert about.bpp == pytest.approx(8 * about.bytes / 18000)
    assert about.models[0]["sha256"] == ModelStore().load(str(tiny_model))[0].sha256


def test_refusals_leave_nothing_behind(write_raster, tiny_model, tmp_path):
    source = write_raster(speckled(40, 40)[None])
    options = sarzip.CompressOptions(model=str(tiny_model))
    kept = tmp_path / "kept.sarz"
    kept.write_bytes(b"precious")
    cases = [
        (lambda: sarzip.compress(source, kept, options), UsageError, "`force`"),
        (
            lambda: sarzip.compress(source, source, sarzip.CompressOptions(force=True)),
            UsageError,
            "input itself",
        ),
        (lambda: sarzip.compress(source, tmp_path / "no" / "a.sarz", options), OutputError, "create it"),
        (
            lambda: sarzip.compress(tmp_path / "no.tif", tmp_path / "a.sarz", options),
            InputError,
            "no such file",
        ),
        (
            lambda: Fidelity("quality", 101),
            UsageError,
            "100",
        ),
        (
            lambda: sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(model="nix")),
            ModelError,
            "nix",
        ),
        (
            lambda: sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(device="gpu")),
            UsageError,
            "gpu",
        ),
        (lambda: sarzip.decompress(kept, tmp_path / "a.tif"), sarzip.errors.CorruptError, "kept.sarz"),
    ]
    for call, error, words in cases:
        with pytest.raises(error, match=words):
            call()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.sarz", "scene.tif"]
    assert kept.read_bytes() == b"precious"


def test_complex_is_refused_with_a_remedy(write_raster, tiny_model, tmp_path):
    source = write_raster(np.ones((1, 20, 20), np.complex64))
    with pytest.raises(InputError, match=r"not supported yet.*amplitude"):
        sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(model=str(tiny_model)))


def test_file_of_another_model_is_refused(write_raster, tiny_model, tmp_path):
    source = write_raster(speckled(40, 40)[None])
    sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(model=str(tiny_model)))
    with pytest.raises(ModelError):
        sarzip.decompress(tmp_path / "a.sarz", tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()


@pytest.mark.skipif(not real_scenes(), reason="real scenes are not here")
@pytest.mark.parametrize("scene", real_scenes(), ids=lambda path: path.stem)
def test_real_scenes_keep_everything_but_the_speckle(scene, tiny_model, tmp_path):
    _, back = round_trip(scene, tiny_model, tmp_path, verify=False)
    assert compare_structure(scene, back) == []
    with rasterio.open(scene) as a, rasterio.open(back) as b:
        for band in range(1, a.count + 1):
            np.testing.assert_array_equal(a.read_masks(band), b.read_masks(band))
            assert repr(a.nodatavals) == repr(b.nodatavals)
    comparison = sarzip.compare(scene, back)
    assert all(band.mask_differences == 0 for band in comparison.bands)


def test_an_outlier_of_the_median_level_is_told(write_raster, tiny_model, tmp_path):
    """Its decibels about the centre are zero and take no byte."""
    rng = np.random.default_rng(3)
    values = rng.normal(0, 0.2, (1, 96, 96)).astype(np.float32)
    values[0, :32, :32] -= 15
    values[0, 10, 10] = float(np.median(values))
    source = write_raster(values)
    _, back = round_trip(source, tiny_model, tmp_path)
    assert abs(read(back)[0, 10, 10] - values[0, 10, 10]) < 0.1
