"""Plan and sources: what can be compressed, and what is decided before the first group is coded."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from support.scenes import speckled

import sarzip
from sarzip.codec.registry import build_codec
from sarzip.container import ModelRef, Reader
from sarzip.container.georeference import Metadata, decode
from sarzip.errors import InputError, UsageError
from sarzip.grid import Window
from sarzip.pipeline.band_plan import PlanOptions
from sarzip.pipeline.coders import scene_decoder
from sarzip.pipeline.models import ModelStore
from sarzip.pipeline.plan import plan_scene
from sarzip.pipeline.sources import ArraySource, Source
from sarzip.pipeline.writer import SceneWriter
from sarzip.raster import RasterSource
from sarzip.system.machine import Machine

CPU = Machine("cpu", 2)


def packed(source: Source, options: PlanOptions = PlanOptions(group=256)) -> bytes:
    """The whole file of a source, by the default model."""

    def load():
        card, weights = ModelStore().load("lapped16")
        return ModelRef(card.id, card.sha256), build_codec(card.family, card.config, weights)

    sink = io.BytesIO()
    SceneWriter(source, plan_scene(source, options, load), CPU).write(sink, 2.5)
    return sink.getvalue()


def unpacked(data: bytes) -> np.ndarray:
    """Its pixels (bands, rows, columns)."""
    reader = Reader(io.BytesIO(data))
    header = reader.header
    values = np.empty((len(header.bands), header.height, header.width), header.bands[0].dtype)
    for block in scene_decoder(header, CPU).blocks(streams for _, streams in reader):
        values[block.band][block.window.slices(header.grid.scene)] = block.values
    return values


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_an_array_is_coded_as_the_file_that_holds_it(dtype, write_raster):
    """Two alike bands, an angle, nodata and a mask; more than one group each way."""
    looks = [speckled(300, 520, dtype, seed) for seed in (1, 1)]
    values = np.stack([*looks, np.mgrid[:300, :520][1].astype(dtype)])
    values[:, :40, :60] = 0
    path = write_raster(values, crs="EPSG:32633", nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("amplitude_VV", "amplitude_VH", "incidence angle")
        dataset.write_mask(values[0] > 0)
    with RasterSource.open(path) as raster:
        meta = decode(raster.info.tags, 3)
        mask = raster.read_mask(raster_window(values))
        from_file = packed(raster)
    array = ArraySource(values, meta, path.name, mask)
    assert packed(array) == from_file
    assert not np.array_equal(unpacked(from_file)[0], values[0])
    np.testing.assert_array_equal(unpacked(from_file)[2], values[2])


def raster_window(values: np.ndarray) -> Window:
    """All of it."""
    return Window(0, 0, *values.shape[1:])


def test_half_floats_are_backscatter_like_others():
    """Whatever GDAL is there can read of them: the array says it."""
    values = (speckled(120, 150, "float32") / 300).astype(np.float16)[None]
    meta = replace(Metadata.plain(1), descriptions=("amplitude_VV",))
    data = packed(ArraySource(values, meta))
    decoded = unpacked(data)
    assert decoded.dtype == np.float16 and len(data) < values.nbytes / 3
    assert np.corrcoef(decoded.ravel().astype(float), values.ravel().astype(float))[0, 1] > 0.95


def test_a_source_of_several_types_keeps_each(tmp_path, write_raster):
    """GDAL's virtual rasters have a type of their own for every band."""
    counts = np.random.default_rng(0).integers(0, 2**31, (50, 70)).astype(np.uint32)
    power = speckled(50, 70, "float32")
    first, second = write_raster(counts[None], "a.tif"), write_raster(power[None], "b.tif")
    bands = "".join(
        f'<VRTRasterBand dataType="{kind}" band="{number}"><Description>{name}</Description><SimpleSource>'
        f"<SourceFilename>{path}</SourceFilename><SourceBand>1</SourceBand></SimpleSource></VRTRasterBand>"
        for number, (kind, name, path) in enumerate(
            [("UInt32", "count", first), ("Float32", "amplitude_VV", second)], start=1
        )
    )
    stack = tmp_path / "stack.vrt"
    stack.write_text(f'<VRTDataset rasterXSize="70" rasterYSize="50">{bands}</VRTDataset>')
    sarzip.compress(stack, tmp_path / "stack.sarz")
    assert [band.dtype for band in sarzip.inspect(tmp_path / "stack.sarz").bands] == ["uint32", "float32"]
    report = sarzip.decompress(tmp_path / "stack.sarz", tmp_path / "back.tif")
    assert any("uint32" in note for note in report.warnings)
    with rasterio.open(tmp_path / "back.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), counts)


@pytest.mark.parametrize("group", [0, -256, 128, 1000, 1 << 20])
def test_groups_have_a_side_that_a_file_can_have(group):
    with pytest.raises(UsageError, match="multiple of 256"):
        PlanOptions(group=group)


def test_complex_samples_are_refused_by_name():
    values = np.ones((1, 32, 32), np.complex64)
    with pytest.raises(InputError, match="complex64"):
        packed(ArraySource(values))


def test_an_array_and_its_metadata_belong_together():
    with pytest.raises(UsageError, match="2 bands for 1"):
        ArraySource(np.ones((4, 5)), Metadata.plain(2))
    with pytest.raises(UsageError, match="shape"):
        ArraySource(np.ones(5))
