"""Rasters of two bands that look alike, from compress to every way of reading them."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
import rasterio

import sarzip
from sarzip import DecompressOptions
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.container import Header, Reader, Writer
from sarzip.errors import CorruptError
from sarzip.pipeline import plan
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.coders import region_groups
from sarzip.pipeline.decode import Decoder
from sarzip.pipeline.pairing import Grouping, alike, profile
from sarzip.pipeline.quality import Fidelity
from sarzip.pipeline.sarzfile import open_part
from sarzip.pipeline.selection import Selection, resolve
from sarzip.system.machine import Machine
from sarzip.usecases.salvage import salvage
from sarzip.usecases.verify import VerifyOptions, verify

ROWS, COLUMNS = 395, 570
BANDS = ((0, 1), (2,))
QUALITY = Fidelity("quality", 40)


def polarisations(rows: int, columns: int, seed: int = 0) -> np.ndarray:
    """Amplitudes of one scene as VV and VH, then something else: uint16 (3, rows, columns)."""
    rng = np.random.default_rng(seed)
    fields = rng.normal(0, 5, (3, rows // 12 + 1, columns // 12 + 1)).repeat(12, 1).repeat(12, 2)
    fields[1] = 0.7 * fields[0] + 0.3 * fields[1] - 7
    power = 10 ** (fields[:, :rows, :columns] / 10) * rng.gamma(4.0, 0.25, (3, rows, columns))
    return np.clip(300 * np.sqrt(power), 1, 65535).astype(np.uint16)


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray]:
    """(raster of six groups and three bands with a nodata border, its file, the pixels of that)."""
    folder = tmp_path_factory.mktemp("pair")
    values = polarisations(ROWS, COLUMNS)
    values[:, :40, 500:] = 0
    values[1, 100:130, 200:260] = 0  # where one band alone lacks measurements
    source = folder / "a.tif"
    profile = {"width": COLUMNS, "height": ROWS, "count": 3, "dtype": "uint16", "nodata": 0}
    with rasterio.open(source, "w", driver="GTiff", **profile) as dataset:
        dataset.write(values)
    sarzip.compress(source, folder / "a.sarz", sarzip.CompressOptions(QUALITY, verify=True, group=256))
    sarzip.decompress(folder / "a.sarz", folder / "b.tif")
    return source, folder / "a.sarz", read(folder / "b.tif")


def header_of(path: Path) -> Header:
    return Reader(io.BytesIO(path.read_bytes())).header


def test_alike_bands_share_a_set(packed):
    source, file, decoded = packed
    assert tuple(each.bands for each in header_of(file).sets) == BANDS
    values = read(source)
    np.testing.assert_array_equal(decoded == 0, values == 0)
    for band in sarzip.compare(source, file.with_name("b.tif")).bands:
        assert band.mask_differences == 0
        assert band.quality.rmse_db < 2.5 and abs(band.quality.bias_mean_db) < 0.05


def test_together_is_smaller_than_apart(packed, tmp_path, monkeypatch):
    source, file, _ = packed
    monkeypatch.setattr(plan, "can_pair", lambda codec: False)
    sarzip.compress(source, tmp_path / "apart.sarz", sarzip.CompressOptions(QUALITY, group=256))
    assert [each.bands for each in header_of(tmp_path / "apart.sarz").sets] == [(0,), (1,), (2,)]
    together, apart = (sarzip.inspect(path) for path in (file, tmp_path / "apart.sarz"))
    sizes = [sum(band.bytes for band in about.bands[:2]) for about in (together, apart)]
    assert sizes[0] < 0.97 * sizes[1]
    sarzip.decompress(tmp_path / "apart.sarz", tmp_path / "apart.tif")
    decoded = file.with_name("b.tif"), tmp_path / "apart.tif"
    here, there = (sarzip.compare(source, path).bands for path in decoded)
    for one, other in zip(here, there, strict=True):
        assert one.quality.rmse_db < 1.02 * other.quality.rmse_db


@pytest.mark.parametrize("band", [0, 1])
def test_one_band_may_lack_what_the_other_has(band, write_raster, tmp_path, monkeypatch):
    values = polarisations(ROWS, COLUMNS, seed=3)[:2]
    values[band, :150] = 0
    source, sizes = write_raster(values, nodata=0), []
    for able in (True, False):
        if not able:
            monkeypatch.setattr(plan, "can_pair", lambda codec: False)
        sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(QUALITY, force=True))
        assert len(header_of(tmp_path / "a.sarz").sets) == (1 if able else 2)
        sizes.append((tmp_path / "a.sarz").stat().st_size)
        for about in sarzip.compare(source, tmp_path / "a.sarz").bands:
            assert about.mask_differences == 0 and about.quality.rmse_db < 1.6
    assert sizes[0] < sizes[1]


def test_threads_do_not_change_the_file(packed, tmp_path):
    source, file, _ = packed
    sarzip.compress(source, tmp_path / "one.sarz", sarzip.CompressOptions(QUALITY, threads=1, group=256))
    assert (tmp_path / "one.sarz").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("bands", [(), (1,), (2,), (3, 2)])
@pytest.mark.parametrize("window", [None, (250, 100, 300, 270), (7, 3, 20, 11)])
def test_windows_and_bands_equal_the_whole(packed, bands, window, tmp_path):
    _, file, decoded = packed
    options = DecompressOptions(selection=Selection(window, bands=bands))
    sarzip.decompress(file, tmp_path / "part.tif", options)
    left, top, columns, rows = window or (0, 0, COLUMNS, ROWS)
    expected = decoded[:, top : top + rows, left : left + columns]
    expected = expected if not bands else expected[np.array(bands) - 1]
    found = read(tmp_path / "part.tif").astype(int)
    assert found.shape == expected.shape and np.abs(found - expected).max() <= 1
    assert (found != expected).mean() < 1e-3


@pytest.mark.parametrize("scale", [2, 8, 16])
@pytest.mark.parametrize("window", [None, (250, 100, 320, 295)])
def test_reduced_resolution_is_the_mean_of_each_band(packed, scale, window, monkeypatch):
    """Made directly it is what the pixels of both bands give, at cut boxes too."""
    _, file, _ = packed
    with open_part(file) as part:
        region = resolve(Selection(window, scale=scale), part.header)
        found = {}
        for direct in (True, False):
            groups = region_groups(part.header, region, "cpu")
            for number in range(len(part.header.sets)):
                codec = groups.coder(number).codec
                monkeypatch.setattr(type(codec), "reduces", lambda self, scale, direct=direct: direct)
            decoder = Decoder(groups, part.header, Machine("cpu", 1))
            found[direct] = {
                (block.band, block.window.row, block.window.column): block.values.astype(int)
                for block in decoder.blocks(part.frames(decoder.ordinals))
            }
    found, expected = found[True], found[False]
    assert found.keys() == expected.keys() and {band for band, _, _ in found} == {0, 1, 2}
    for key, values in found.items():
        assert values.shape == expected[key].shape and np.abs(values - expected[key]).max() <= 1
        assert (values != expected[key]).mean() < 0.01


def test_targets_count_pairs(packed, tmp_path):
    source, _, _ = packed
    for fidelity in (Fidelity("bpp", 0.5), Fidelity("rmse_db", 2.0)):
        report = sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(fidelity, force=True))
        assert [each.bands for each in header_of(tmp_path / "a.sarz").sets] == list(BANDS)
        found = report.bpp if fidelity.kind == "bpp" else report.rmse_db
        assert found == pytest.approx(fidelity.value, rel=0.02)
        errors = [band.quality.rmse_db for band in sarzip.compare(source, tmp_path / "a.sarz").bands]
        assert fidelity.kind == "bpp" or np.sqrt(np.mean(np.square(errors))) == pytest.approx(2, rel=0.02)


def test_deep_verification_hashes_pairs(packed):
    _, file, _ = packed
    here, there = (verify(file, VerifyOptions(True, threads=count)) for count in (1, 2))
    assert here == there and len(here.decoded_sha256) == 3
    assert len(here.integers_sha256) == 2 and None not in here.integers_sha256


def test_salvage_loses_both_bands_of_a_pair(packed, tmp_path):
    _, file, decoded = packed
    data, reader = bytearray(file.read_bytes()), Reader(io.BytesIO(file.read_bytes()))
    ordinal = reader.header.ordinal(4, 0)
    at = bytes(data).find(reader.read_frame(ordinal)[2][-400:])
    data[at + 20] ^= 255
    (tmp_path / "bad.sarz").write_bytes(data)
    report = salvage(tmp_path / "bad.sarz", tmp_path / "saved.tif")
    assert [(window.group, window.bands) for window in report.lost] == [(4, (1, 2))]
    saved = read(tmp_path / "saved.tif")
    np.testing.assert_array_equal(saved[2], decoded[2])
    np.testing.assert_array_equal(saved[:, :, 544:], decoded[:, :, 544:])
    np.testing.assert_array_equal(saved[:, :224], decoded[:, :224])


def test_streams_cut_short_are_corrupt(packed, tmp_path):
    _, file, _ = packed
    reader, sink = Reader(io.BytesIO(file.read_bytes())), io.BytesIO()
    writer = Writer(sink, reader.header)
    for ordinal in range(reader.frame_count):
        streams = dict(reader.read_frame(ordinal))
        streams[2] = streams[2][:-1] if ordinal == 0 else streams[2]
        writer.write_frame(streams)
    writer.finish()
    (tmp_path / "bad.sarz").write_bytes(sink.getvalue())
    with pytest.raises(CorruptError):
        sarzip.decompress(tmp_path / "bad.sarz", tmp_path / "a.tif")
    assert not (tmp_path / "a.tif").exists()


def test_a_set_of_three_bands_is_refused(packed, tmp_path):
    _, file, _ = packed
    reader, sink = Reader(io.BytesIO(file.read_bytes())), io.BytesIO()
    first = reader.header.sets[0]
    header = dataclasses.replace(reader.header, sets=(dataclasses.replace(first, bands=(0, 1, 2)),))
    writer = Writer(sink, header)
    for ordinal in range(header.frame_count):
        writer.write_frame(reader.read_frame(2 * ordinal))
    writer.finish()
    (tmp_path / "bad.sarz").write_bytes(sink.getvalue())
    for selection in (Selection(), Selection((0, 0, 9, 9))):
        with pytest.raises(CorruptError, match="3 bands"):
            sarzip.decompress(
                tmp_path / "bad.sarz", tmp_path / "a.tif", DecompressOptions(selection=selection)
            )


def _profiles(values: np.ndarray, valid: np.ndarray | None = None) -> list[np.ndarray]:
    coding = BandTransform(Radiometry("amplitude"), "uint16", (), False)
    valid = np.ones(values.shape, bool) if valid is None else valid
    return [profile(band, there, coding) for band, there in zip(values, valid, strict=True)]


def test_neighbours_that_look_alike_are_grouped():
    one, two, other = _profiles(polarisations(64, 640))
    assert alike(one, two) and alike(two, one)
    assert not alike(one, other) and not alike(other, two)
    for bands, expected in (
        ((one, two), [(0, 1)]),
        ((one, two, other), [(0, 1), (2,)]),
        ((other, one, two), [(0,), (1, 2)]),
        ((one, two, one, two), [(0, 1), (2, 3)]),
        ((one, two, one), [(0, 1), (2,)]),
        ((one,), [(0,)]),
    ):
        grouping = Grouping()
        for number, band in enumerate(bands):
            grouping.add(number, band)
        assert grouping.groups == expected


def test_what_cannot_be_compared_stays_alone():
    values = polarisations(64, 640)
    valid = np.ones(values.shape, bool)
    valid[1, :, 200:] = False  # one band lacks most of what the other has
    one, two, _ = _profiles(values, valid)
    assert not alike(one, two)
    narrow = _profiles(values[:, :, :15])
    assert not alike(narrow[0], narrow[1])
    flat = _profiles(np.full((2, 64, 640), 7, np.uint16))
    assert not alike(flat[0], flat[1])
    nothing = _profiles(values, np.zeros(values.shape, bool))
    assert not alike(nothing[0], nothing[1])


def test_info_tells_the_bytes_of_each_band(packed, tmp_path, monkeypatch):
    source, file, _ = packed
    first, second, third = sarzip.inspect(file).bands
    with file.open("rb") as opened:
        reader = Reader(opened)
        both = sum(size for at, size in enumerate(reader.frame_sizes) if reader.header.address(at).set == 0)
    assert first.bytes + second.bytes == pytest.approx(both, abs=1)
    # Apart, the first takes what it takes here, and the second more.
    monkeypatch.setattr(plan, "can_pair", lambda codec: False)
    sarzip.compress(source, tmp_path / "apart.sarz", sarzip.CompressOptions(QUALITY, group=256))
    apart = sarzip.inspect(tmp_path / "apart.sarz").bands
    assert first.bytes == pytest.approx(apart[0].bytes, rel=0.01) and second.bytes < 0.95 * apart[1].bytes
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(file.read_bytes())))
    assert sarzip.inspect("-").bands == (first, second, third)
    damaged = bytearray(file.read_bytes())
    damaged[-200] ^= 1
    (tmp_path / "damaged.sarz").write_bytes(damaged)
    assert len(sarzip.inspect(tmp_path / "damaged.sarz").bands) == 3


def test_verify_tells_its_progress(packed):
    told = []
    verify(packed[1], VerifyOptions(True), lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1] == (3 * ROWS * COLUMNS, 3 * ROWS * COLUMNS)
