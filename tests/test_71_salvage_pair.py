"""Salvage of bands that share their frames: what damage to one leaves of the other. And of other kinds."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.damage import parts_of, read_raster
from test_50_pair import polarisations

import sarzip
from sarzip.container import Reader, StreamKind, Writer
from sarzip.container.salvage import SalvageReader
from sarzip.errors import CorruptError
from sarzip.pipeline.band_checks import intact_bands, with_checks
from sarzip.usecases.salvage import APPROXIMATE, INTACT, LOST, salvage

ROWS, COLUMNS, NODATA = 270, 700, 0  # 2 × 3 groups
ORDINAL = 1


def compressed(folder: Path) -> bytes:
    """A file of two bands that are alike, with a mask of the dataset; `good.tif` beside it is its content."""
    values = polarisations(ROWS, COLUMNS)[:2]
    values[:, :40, 500:] = values[1, 100:130, 300:360] = NODATA
    profile = {"width": COLUMNS, "height": ROWS, "count": 2, "dtype": "uint16", "nodata": NODATA}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(folder / "in.tif", "w", driver="GTiff", **profile, **place) as dataset:
        dataset.write(values)
        mask = np.full((ROWS, COLUMNS), 255, np.uint8)
        mask[50:90, 280:310] = mask[200:] = 0
        dataset.write_mask(mask)
    fidelity = sarzip.Fidelity("quality", 90)
    options = sarzip.CompressOptions(fidelity, device="cpu", group=256)
    sarzip.compress(folder / "in.tif", folder / "a.sarz", options)
    sarzip.decompress(folder / "a.sarz", folder / "good.tif", sarzip.DecompressOptions("cpu"))
    return (folder / "a.sarz").read_bytes()


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """(bytes of a file with checks, its pixels, its mask)."""
    folder = tmp_path_factory.mktemp("pair")
    data = compressed(folder)
    with rasterio.open(folder / "good.tif") as dataset:
        return data, dataset.read(), dataset.dataset_mask()


def spoiled(data: bytes, kind: int, at: int, count: int = 1) -> bytes:
    """Some bytes of a stream of the frame ORDINAL are others."""
    stream, bad = Reader(io.BytesIO(data)).read_frame(ORDINAL)[kind], bytearray(data)
    begin = data.find(stream) + (at if at >= 0 else len(stream) + at)
    assert data.count(stream) == 1
    for place in range(begin, begin + count):
        bad[place] ^= 0x55
    return bytes(bad)


def check(data: bytes, pair, folder: Path, selection: sarzip.Selection = sarzip.Selection()):
    """Salvage, and compare every pixel of every band with what report and mask promise; the report."""
    (folder / "bad.sarz").write_bytes(data)
    options = sarzip.DecompressOptions("cpu", force=True, selection=selection)
    report = salvage(folder / "bad.sarz", folder / "a.tif", options, folder / "mask.tif")
    found, mask = read_raster(folder / "a.tif"), read_raster(folder / "mask.tif")
    left, top, width, height = selection.window or (0, 0, COLUMNS, ROWS)
    good = pair[1][:, top : top + height, left : left + width]
    good = good[[band - 1 for band in selection.bands or (1, 2)]]
    if selection.scale == 1:
        np.testing.assert_array_equal(found[mask == INTACT], good[mask == INTACT])
        near = np.abs(found[mask == APPROXIMATE].astype(int) - good[mask == APPROXIMATE])
        assert not near.size or np.median(near) < np.median(good) / 4
    assert (found[mask == LOST] == NODATA).all()
    assert report.damaged
    return report


LATENTS, HYPER, MASK, OUTER = 2, 3, 7, StreamKind.CODED_DATASET_MASK


@pytest.mark.parametrize(
    ("kind", "at", "count", "lost"),
    [
        (LATENTS, -400, 1, (2,)),  # of the second band
        (LATENTS, -9000, 4096, (2,)),  # a sector
        (HYPER, -5, 1, (2,)),
        (MASK, -2, 1, (2,)),
        (LATENTS, 200, 1, (1, 2)),  # of the first, from which the second is predicted
        (LATENTS, 0, 1, (1, 2)),  # the length between them
        (HYPER, 0, 1, (1, 2)),  # the factors, whose length is not known then
        (HYPER, 60, 1, (1, 2)),
        (MASK, 2, 1, (1,)),
        (OUTER, 1, 1, (1, 2)),
        (StreamKind.CHECKS, 1, 1, (1,)),
        (StreamKind.CHECKS, 6, 1, (2,)),
    ],
)
def test_the_band_that_is_intact_comes_back(kind, at, count, lost, pair, tmp_path):
    report = check(spoiled(pair[0], kind, at, count), pair, tmp_path)
    assert [(window.group, window.bands) for window in report.lost] == [(ORDINAL, lost)]
    assert (f"band {lost[0]} of group" in report.verdict) == (len(lost) == 1)
    mask = read_raster(tmp_path / "mask.tif")
    for band in range(2):
        gone = band + 1 in lost
        assert ((mask[band] == LOST).sum() == 256 * 256) == gone and (mask[band] == INTACT).all() != gone
    with rasterio.open(tmp_path / "a.tif") as dataset:
        same = dataset.dataset_mask() == pair[2]
    inside = np.zeros_like(same)
    inside[:256, 256:512] = True
    assert same[~inside].all() and same[inside].all() == (len(lost) == 1)


def test_a_frame_that_is_damaged_beside_its_streams_is_whole(pair, tmp_path):
    """In the checksum of the frame itself: both checks hold."""
    parts = parts_of(pair[0])
    frame = parts[2 + ORDINAL]
    parts[2 + ORDINAL] = frame[:-1] + bytes([frame[-1] ^ 1])
    report = check(b"".join(parts), pair, tmp_path)
    assert not report.lost and report.problems
    np.testing.assert_array_equal(read_raster(tmp_path / "a.tif"), pair[1])


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize(("bands", "lost"), [((), [(2,)]), ((2, 1), [(2,)]), ((1,), []), ((2,), [(2,)])])
def test_a_part_of_it(scale, bands, lost, pair, tmp_path):
    data = spoiled(pair[0], LATENTS, -400)
    part = sarzip.Selection(window=(200, 100, 120, 100), bands=bands, scale=scale)
    report = check(data, pair, tmp_path, part)
    assert [window.bands for window in report.lost] == lost
    assert (report.width, report.height) == (120 // scale, 100 // scale)
    whole = salvage(
        tmp_path / "bad.sarz", tmp_path / "b.tif", sarzip.DecompressOptions("cpu"), tmp_path / "m.tif"
    )
    assert whole.lost[0].bands == (2,)
    chosen = [band - 1 for band in bands or (1, 2)]
    wanted = read_raster(tmp_path / "m.tif")[chosen, 100:200:scale, 200:320:scale]
    np.testing.assert_array_equal(read_raster(tmp_path / "mask.tif"), wanted)


def test_without_index(pair, tmp_path):
    """Cut off behind the last frame."""
    data = spoiled(pair[0], LATENTS, -400)
    head, meta, *frames, _, _ = parts_of(data)
    report = check(b"".join([head, meta, *frames]), pair, tmp_path)
    assert [(window.group, window.bands) for window in report.lost] == [(ORDINAL, (2,))]
    # Without index two frames that differ are both lost, however many checks hold.
    other = parts_of(spoiled(pair[0], LATENTS, -300))[2 + ORDINAL]
    report = check(b"".join([head, meta, *frames, other]), pair, tmp_path)
    assert [window.bands for window in report.lost] == [(1, 2)]


def test_checks_belong_to_their_place(pair):
    """The streams of one group, put in the place of another, have checks that do not hold."""
    streams = Reader(io.BytesIO(pair[0])).read_frame(ORDINAL)
    assert intact_bands(streams, ORDINAL) == (0, 1)
    assert intact_bands(streams, ORDINAL + 1) == ()
    changed = streams[LATENTS][:-1] + bytes([streams[LATENTS][-1] ^ 1])
    assert intact_bands(streams | {LATENTS: changed}, ORDINAL) == (0,)
    assert intact_bands(streams | {StreamKind.OUTLIERS: b"\0"}, ORDINAL) == ()
    assert intact_bands(streams | {StreamKind.MASK: b"\0"}, ORDINAL) == ()
    assert intact_bands(streams | {StreamKind.CHECKS: b"\0"}, ORDINAL) == ()
    assert intact_bands({kind: each for kind, each in streams.items() if kind < 128}, ORDINAL) == ()


def test_they_cost_less_than_a_two_thousandth(pair, tmp_path):
    reader, sink = Reader(io.BytesIO(pair[0])), io.BytesIO()
    writer = Writer(sink, reader.header)
    for ordinal, streams in reader:
        assert (StreamKind.CHECKS in streams) == (reader.frame_sizes[ordinal] > 24_000)
        writer.write_frame({kind: each for kind, each in streams.items() if kind < 128})
    assert 0 < len(pair[0]) - writer.finish() <= len(pair[0]) / 2000
    (tmp_path / "plain.sarz").write_bytes(sink.getvalue())
    sarzip.decompress(tmp_path / "plain.sarz", tmp_path / "a.tif", sarzip.DecompressOptions("cpu"))
    np.testing.assert_array_equal(read_raster(tmp_path / "a.tif"), pair[1])
    # Without them damage to one band costs both.
    report = check(spoiled(sink.getvalue(), LATENTS, -400), pair, tmp_path)
    assert [window.bands for window in report.lost] == [(1, 2)]


def test_each_band_of_a_residual_has_its_check(pair):
    streams = dict(Reader(io.BytesIO(pair[0])).read_frame(ORDINAL))
    del streams[StreamKind.CHECKS]
    joined = with_checks(streams | {StreamKind.RESIDUAL: b"\3abcdef"}, ORDINAL)
    assert intact_bands(joined, ORDINAL) == (0, 1)
    assert intact_bands(joined | {StreamKind.RESIDUAL: b"\3abcdeg"}, ORDINAL) == (0,)
    assert intact_bands(joined | {StreamKind.RESIDUAL: b"\3abddef"}, ORDINAL) == (1,)
    assert intact_bands(joined | {StreamKind.RESIDUAL: b"\2abcdef"}, ORDINAL) == ()


def test_a_file_of_one_group(tmp_path):
    """One band of it is something."""
    values = polarisations(200, 200)[:2]
    options = sarzip.CompressOptions(sarzip.Fidelity("quality", 95))
    sarzip.write(tmp_path / "a.sarz", values, options)
    data = (tmp_path / "a.sarz").read_bytes()
    stream = Reader(io.BytesIO(data)).read_frame(0)[LATENTS]
    at = data.find(stream)
    for place in (at + len(stream) - 9, at + 9):
        bad = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        (tmp_path / "bad.sarz").write_bytes(bad)
        if place == at + 9:
            with pytest.raises(CorruptError, match="no intact group"):
                salvage(tmp_path / "bad.sarz", tmp_path / "b.tif")
        else:
            report = salvage(tmp_path / "bad.sarz", tmp_path / "a.tif")
            assert report.lost[0].bands == (2,)
            np.testing.assert_array_equal(read_raster(tmp_path / "a.tif")[0], sarzip.decode(data)[0])


@pytest.mark.parametrize("promise", [{"lossless": True}, {"max_error_db": 0.05}, {"others": "exact"}])
def test_other_kinds(promise, tmp_path):
    """Lossless, within a bound, and exact beside lossy: windows, scales, lost groups, a lost beginning."""
    values = polarisations(ROWS, COLUMNS)
    values[2] = np.arange(COLUMNS) // 9  # labels
    profile = {"width": COLUMNS, "height": ROWS, "count": 3, "dtype": "uint16", "nodata": NODATA}
    with rasterio.open(tmp_path / "in.tif", "w", driver="GTiff", **profile) as dataset:
        dataset.write(values)
    sarzip.compress(tmp_path / "in.tif", tmp_path / "a.sarz", sarzip.CompressOptions(group=256, **promise))
    sarzip.decompress(tmp_path / "a.sarz", tmp_path / "good.tif", sarzip.DecompressOptions("cpu"))
    reader, good = Reader(io.BytesIO((tmp_path / "a.sarz").read_bytes())), read_raster(tmp_path / "good.tif")
    parts = parts_of((tmp_path / "a.sarz").read_bytes())
    number = len(reader.header.sets) - 1
    gone = reader.header.ordinal(ORDINAL, number)
    parts[2 + gone] = parts[2 + gone][:20] + b"????" + parts[2 + gone][24:]
    (tmp_path / "bad.sarz").write_bytes(b"".join(parts))
    bands = tuple(band + 1 for band in reader.header.sets[number].bands)
    for window in (None, (200, 100, 120, 100)):
        for scale in (1, 2, 16):
            for chosen in ((), bands):
                part = sarzip.Selection(window=window, bands=chosen, scale=scale)
                options = sarzip.DecompressOptions("cpu", force=True, selection=part)
                report = salvage(tmp_path / "bad.sarz", tmp_path / "s.tif", options, tmp_path / "m.tif")
                assert [(each.group, each.bands) for each in report.lost] == [(ORDINAL, bands)]
                sarzip.decompress(tmp_path / "a.sarz", tmp_path / "b.tif", options)
                found, mask = read_raster(tmp_path / "s.tif"), read_raster(tmp_path / "m.tif")
                wanted = read_raster(tmp_path / "b.tif")
                np.testing.assert_array_equal(found[mask == INTACT], wanted[mask == INTACT])
                assert {LOST, INTACT} <= set(mask.flat)
    assert good.shape == values.shape


def test_a_lost_beginning_of_a_pair(pair, tmp_path):
    """Of a file that is large enough for a copy of its metadata."""
    reader, sink = Reader(io.BytesIO(pair[0])), io.BytesIO()
    header = replace(reader.header, creator="")
    writer = Writer(sink, header)
    for _, streams in reader:
        writer.write_frame({**streams, 200: np.random.default_rng(0).bytes(150_000)})
    writer.finish()
    data = spoiled(sink.getvalue(), LATENTS, -400)
    assert SalvageReader(io.BytesIO(bytes(90) + data[90:])).header == header
    report = check(bytes(90) + data[90:], pair, tmp_path, sarzip.Selection(window=(200, 100, 120, 100)))
    assert [(window.group, window.bands) for window in report.lost] == [(ORDINAL, (2,))]
