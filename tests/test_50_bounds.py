"""Files that promise something of every measurement: bit for bit, or within a bound."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.damage import read_raster
from support.levels import assert_same_on_every_level
from support.scenes import speckled

import sarzip
from sarzip.codec.base import Quality
from sarzip.codec.predictive import pixels, residual
from sarzip.codec.predictive.pixels import Promise
from sarzip.codec.predictive.tuning import tuned
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.container import Reader, SetHeader
from sarzip.errors import CorruptError, UsageError
from sarzip.pipeline.bounds import bound_of
from sarzip.pipeline.coders import load_coders
from sarzip.pipeline.own_weights import network_of
from sarzip.pipeline.plan import load_pixel_network
from sarzip.pipeline.signal_group import SignalGroups
from sarzip.usecases.sample import SampleOptions, sample

DTYPES = ("uint8", "uint16", "int16", "int32", "float16", "float32", "float64")


def options(**promise):
    return sarzip.CompressOptions(device="cpu", threads=2, force=True, **promise)


def file_of(write_raster, tmp_path, values, profile=None, **promise):
    """Compressed and decompressed: path of the `.sarz`, report, samples."""
    source = write_raster(values, **(profile or {}))
    report = sarzip.compress(source, tmp_path / "a.sarz", options(**promise))
    sarzip.decompress(tmp_path / "a.sarz", tmp_path / "b.tif", sarzip.DecompressOptions("cpu", 2, True))
    return tmp_path / "a.sarz", report, read_raster(tmp_path / "b.tif")


def based(path):
    """Whether a residual on a signal keeps the bound of the first set."""
    with path.open("rb") as file:
        header = Reader(file).header
    assert bound_of(header.sets[0]) is not None
    return isinstance(load_coders(header, range(len(header.bands)))[0], SignalGroups)


@pytest.mark.parametrize(
    ("dtype", "promise", "has_base"),
    [
        ("uint16", {"max_error_db": 0.2}, False),
        ("float32", {"max_error_db": 0.2}, False),
        ("uint16", {"max_error_db": 3.0}, True),
        (
            "float32",
            {"max_error_db": 3.0, "domain": "power", "fidelity": sarzip.Fidelity("quality", 30)},
            True,
        ),
        ("uint16", {"max_error": 5}, False),
        ("float32", {"max_error": 5}, False),
    ],
    ids=str,
)
def test_a_bound_holds_in_the_decompressed_file(dtype, promise, has_base, write_raster, tmp_path):
    values = np.stack([speckled(300, 280, dtype, 1), speckled(300, 280, dtype, 2)])
    values[0, 40:90, :100] = 0
    path, report, back = file_of(write_raster, tmp_path, values, {"nodata": 0}, **promise)
    assert based(path) == has_base
    decibels = "max_error_db" in promise
    bound = Bound(promise.get("max_error_db", promise.get("max_error")), decibels)
    domain = Radiometry(report.domains[0])
    assert np.array_equal(back == 0, values == 0)
    for band, kept in enumerate(report.bounds):
        errors = bound.errors(values[band], back[band], domain) * (values[band] != 0)
        assert errors.max() == kept.achieved <= bound.size == kept.asked
        assert errors[kept.row, kept.column] == kept.achieved
        assert kept.unit == ("db" if decibels else "value")
    with rasterio.open(tmp_path / "b.tif") as dataset:
        assert dataset.tags(2, "SARZIP") == {"MAX_ERROR_DB" if decibels else "MAX_ERROR": f"{bound.size:g}"}
    assert not sarzip.compare(tmp_path / "scene.tif", tmp_path / "b.tif").structure
    told = sarzip.inspect(path)
    assert all(band.treatment.startswith("within") for band in told.bands)
    assert [row["band"] for row in told.summary["achieved"]] == [1, 2]


@pytest.mark.parametrize("bound", [0.3, 3.0])
def test_windows_and_reduced_resolution_come_from_the_same_pixels(bound, write_raster, tmp_path):
    values = speckled(300, 600, "float32", 3)[None]
    source = write_raster(values)
    path = tmp_path / "a.sarz"
    sarzip.compress(source, path, options(max_error_db=bound, group=256))

    def decoded(*selection):
        sarzip.decompress(path, tmp_path / "b.tif", sarzip.DecompressOptions("cpu", 2, True, *selection))
        return read_raster(tmp_path / "b.tif")[0]

    whole = sarzip.DecompressOptions("cpu", 2, True)
    sarzip.decompress(path, tmp_path / "c.tif", whole)
    full = read_raster(tmp_path / "c.tif")[0]
    for place in ((200, 100, 150, 130), (511, 255, 40, 45), (0, 0, 1, 1)):
        selection = sarzip.Selection(window=place)
        sarzip.decompress(
            path, tmp_path / "w.tif", sarzip.DecompressOptions("cpu", 2, True, selection=selection)
        )
        column, row, columns, rows = place
        expected = full[row : row + rows, column : column + columns]
        assert np.array_equal(read_raster(tmp_path / "w.tif")[0], expected)
    reduced = sarzip.DecompressOptions("cpu", 2, True, selection=sarzip.Selection(scale=4))
    sarzip.decompress(path, tmp_path / "r.tif", reduced)
    logarithms = np.log(full).reshape(75, 4, 150, 4).mean((1, 3))
    difference = np.log(read_raster(tmp_path / "r.tif")[0]) - logarithms
    assert np.quantile(np.abs(difference), 0.98) < 2e-3  # the floor lifts the deepest fades


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    domain=st.sampled_from(["amplitude", "power", "db"]),
    bound=st.one_of(
        st.builds(Bound, st.sampled_from([0.05, 0.5, 1.0, 3.0])),
        st.builds(Bound, st.sampled_from([0.5, 1.0, 10.0]), st.just(False)),
    ),
    level=st.sampled_from([2.0, 100.0]),
    seed=st.integers(0, 1 << 30),
)
def test_a_residual_keeps_any_bound_on_any_base(dtype, domain, bound, level, seed):
    rng = np.random.default_rng(seed)
    values = level * np.sqrt(rng.gamma(4, 0.25, (20, 33)))
    base = values * rng.choice([1.0, 1.1, 0.7, 30.0], values.shape) + 1e-3
    if np.dtype(dtype).kind in "iu":
        values = np.clip(np.rint(values), 1, np.iinfo(dtype).max)
    samples, skip = values.astype(dtype), (rng.random(values.shape) < 0.1).astype(np.uint8)
    promise = Promise(Radiometry(domain), bound, specials=(7,))
    payload, worst = residual.encode(base, samples, skip, promise)
    found = residual.Residual(payload, skip, samples.dtype)
    back = found.add(base, (slice(None), slice(None)), promise)
    errors = promise.errors(samples, back)[skip == 0]
    assert errors.max(initial=0) == worst.error <= bound.size
    part = (slice(3, 15), slice(10, 30))
    assert np.array_equal(found.add(base[part], part, promise), back[part])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 3))
def test_broken_residuals_are_refused(payload, seed):
    skip = (np.random.default_rng(seed).random((9, 11)) < 0.2).astype(np.uint8)
    try:
        found = residual.Residual(payload, skip, np.dtype("float32"))
    except CorruptError:
        return
    assert found.steps.shape == skip.shape


def test_lossless_is_bit_for_bit_in_every_type(write_raster, tmp_path):
    for dtype in set(DTYPES) - {"float16"}:  # which GDAL learned late
        values = speckled(70, 90, "float32", 5)[None]
        values = values.astype(dtype)
        if values.dtype.kind == "f":
            values[0, 3, 3:6] = [np.nan, -0.0, np.inf]
        _, report, back = file_of(write_raster, tmp_path, values, lossless=True)
        assert back.tobytes() == values.tobytes(), dtype
        assert report.bounds == ()


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ({"max_error_db": 1, "max_error": 1}, "`max_error_db` and `max_error`"),
        ({"max_error_db": 1, "lossless": True}, "exclude each other"),
        ({"max_error_db": -1}, "positive"),
        ({"max_error": float("nan")}, "positive"),
        ({"max_error_db": 1, "fidelity": sarzip.Fidelity("bpp", 1)}, "decides the size"),
    ],
)
def test_what_excludes_each_other_is_said(promise, words, write_raster, tmp_path):
    source = write_raster(speckled(40, 40, "uint16", 1)[None])
    with pytest.raises(UsageError, match=words):
        sarzip.compress(source, tmp_path / "a.sarz", options(**promise))


def test_phase_is_kept_within_its_own_bound_where_that_is_allowed(write_raster, tmp_path):
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (120, 130)).astype(np.float32)
    source = write_raster(phase[None])
    with rasterio.open(source, "r+") as dataset:
        dataset.set_band_description(1, "unwrapped_phase")
        dataset.set_band_unit(1, "radians")
    path = tmp_path / "a.sarz"
    sizes = []
    for others in ("exact", "bound"):
        report = sarzip.compress(source, path, options(others=others, band_kinds=("1=phase",)))
        sarzip.decompress(path, tmp_path / "b.tif", sarzip.DecompressOptions("cpu", 2, True))
        error = np.abs(read_raster(tmp_path / "b.tif")[0] - phase).max()
        sizes.append(report.output_bytes)
        assert error == 0 if others == "exact" else 0 < error <= 0.001
    assert sizes[1] < 0.6 * sizes[0]


def test_quality_of_a_set():
    assert Quality().exact and not Quality(bound=Bound(1)).exact and not Quality(2.0).exact


def test_large_scenes_get_weights_of_their_own(tmp_path):
    """Eight bits of amplitude, unlike what the network was trained on; effort fast does without."""
    scene = tmp_path / "scene.tif"
    sample(scene, SampleOptions(size=1500, seed=3))
    with rasterio.open(scene) as dataset:
        values = np.clip(dataset.read(1) // 3, 0, 255).astype(np.uint8)
        profile = dataset.profile | {"dtype": "uint8", "nodata": None}
    with rasterio.open(scene, "w", **profile) as dataset:
        dataset.write(values, 1)
    sizes = {}
    for effort in ("fast", "best"):
        path = tmp_path / f"{effort}.sarz"
        sizes[effort] = sarzip.compress(scene, path, options(lossless=True, effort=effort)).output_bytes
        sarzip.decompress(path, tmp_path / "b.tif", sarzip.DecompressOptions("cpu", 2, True))
        assert np.array_equal(read_raster(tmp_path / "b.tif")[0], values)
    assert sizes["best"] < sizes["fast"]
    with (tmp_path / "best.sarz").open("rb") as file:
        header = Reader(file).header
    assert set(header.sets[0].extra) == {"w"}
    broken = SetHeader((0,), 0, 0.0, {"w": "AAAA"})
    with pytest.raises(CorruptError, match="weights"):
        network_of(broken, load_pixel_network()[1])


def test_tuning_is_the_same_on_every_level():
    rng = np.random.default_rng(0)
    network, promise = load_pixel_network()[1], Promise(Radiometry("amplitude"))
    samples = [rng.poisson(rng.gamma(2, 9, (200, 200))).astype(np.uint8) for _ in range(2)]

    def compute():
        pieces = [pixels.prepare(each, np.ones(each.shape, bool), promise) for each in samples]
        told = tuned(network, pieces, 1 << 24)
        assert told
        return [np.frombuffer(told, np.uint8)]

    assert_same_on_every_level(compute)
