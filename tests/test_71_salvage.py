"""Salvage: every intact group comes back exactly, whatever happened to the rest of the file."""

from __future__ import annotations

import dataclasses
import errno
import io
import itertools
import json
import random
import time
from pathlib import Path

import numpy as np
import pytest
import rasterio
import zstandard
from support.damage import compress_small_groups, parts_of, pipe, read_raster
from support.scenes import speckled

import sarzip
from sarzip.cli import run
from sarzip.container import BandHeader, Header, ModelRef, Reader, SetHeader, Writer
from sarzip.container.salvage import SalvageReader
from sarzip.errors import CorruptError, ModelError, UsageError
from sarzip.usecases.salvage import APPROXIMATE, INTACT, LOST, salvage

ROWS, COLUMNS = 600, 700  # 3 × 3 groups
NODATA = 7


@pytest.fixture(scope="module")
def monkeymodule():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def scene(tiny_model, tmp_path_factory, monkeymodule):
    """(bytes of a file of nine groups and two bands, its pixels decoded as they should be)."""
    folder = tmp_path_factory.mktemp("scene")
    values = np.stack([speckled(ROWS, COLUMNS, seed=seed) for seed in range(2)])
    values[:, :40, 500:] = NODATA
    profile = {"width": COLUMNS, "height": ROWS, "count": 2, "dtype": "uint16", "nodata": NODATA}
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}
    with rasterio.open(folder / "a.tif", "w", driver="GTiff", **profile, **place) as dataset:
        dataset.write(values)
    data = compress_small_groups(folder / "a.tif", folder / "a.sarz", tiny_model)
    sarzip.decompress(folder / "a.sarz", folder / "b.tif", options(tiny_model))
    return data, read_raster(folder / "b.tif")


def options(model: Path, **more: object) -> sarzip.DecompressOptions:
    return sarzip.DecompressOptions("cpu", 2, force=True, model=str(model), **more)


def check(source: str | Path, good: np.ndarray, model: Path, folder: Path):
    """Salvage, and compare every pixel with what report and mask promise; the report."""
    report = salvage(source, folder / "a.tif", options(model), folder / "mask.tif")
    found, mask = read_raster(folder / "a.tif"), read_raster(folder / "mask.tif")
    expected = np.full(mask.shape, INTACT, np.uint8)
    for window in report.lost:
        rows = slice(window.row, window.row + window.height)
        columns = slice(window.col, window.col + window.width)
        for band in window.bands:
            assert (found[band - 1, rows, columns] == report.fill[band - 1]).all()
            expected[band - 1, rows, columns] = LOST
    np.testing.assert_array_equal(mask == LOST, expected == LOST)
    np.testing.assert_array_equal(found[mask == INTACT], good[mask == INTACT])
    near = mask == APPROXIMATE
    reach = np.abs(found[near].astype(int) - good[near])
    assert near.any() == bool(report.lost and report.approximate_margin and (mask == INTACT).any())
    assert not near.any() or np.median(reach) < np.median(good) / 4  # mirrored neighbours, not zeros
    return report


def test_an_intact_file_is_decompressed(scene, tiny_model, tmp_path):
    path = tmp_path / "a.sarz"
    path.write_bytes(scene[0])
    report = check(path, scene[1], tiny_model, tmp_path)
    assert not report.damaged and not report.lost and report.problems == ()


@pytest.mark.parametrize("share", [0.15, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("piped", [False, True])
def test_truncated(share, piped, scene, tiny_model, tmp_path, monkeypatch):
    data = scene[0][: int(share * len(scene[0]))]
    path = tmp_path / "a.sarz"
    path.write_bytes(data)
    report = check(pipe(monkeypatch, data) if piped else path, scene[1], tiny_model, tmp_path)
    assert report.damaged and report.lost
    sizes = list(map(len, parts_of(scene[0])))
    whole = sum(end <= len(data) for end in list(itertools.accumulate(sizes))[2:-2])
    assert len(report.lost) == 18 - whole
    assert {window.group for window in report.lost} == set(range(whole // 2, 9))


def test_without_index(scene, tiny_model, tmp_path):
    """A stream that was cut at its very end has lost nothing but is damaged."""
    path = tmp_path / "a.sarz"
    path.write_bytes(b"".join(parts_of(scene[0])[:-2]))
    report = check(path, scene[1], tiny_model, tmp_path)
    assert report.damaged and not report.lost and "all 9 groups" in report.verdict


def test_one_lost_band_leaves_the_others(scene, tiny_model, tmp_path):
    parts = parts_of(scene[0])
    parts[2 + 8] = bytes(len(parts[10]))  # group 4, the one in the middle, band 1
    path = tmp_path / "a.sarz"
    path.write_bytes(b"".join(parts))
    report = check(path, scene[1], tiny_model, tmp_path)
    (window,) = report.lost
    assert (window.group, window.bands, window.col, window.row) == (4, (1,), 256, 256)
    found = read_raster(tmp_path / "a.tif")
    np.testing.assert_array_equal(found[1], scene[1][1])
    assert report.approximate_margin > 0


def frames_of(data: bytes) -> dict[int, dict[int, bytes]]:
    """Every frame that salvage finds."""
    reader = SalvageReader(io.BytesIO(data))
    count = range(reader.header.frame_count)
    return {ordinal: reader.read_frame(ordinal) for ordinal in count if reader.why_lost(ordinal) is None}


def container(seed: int = 0, width: int = 600) -> bytes:
    header = Header(
        width,
        300,
        (BandHeader("uint16", "amplitude", 10.0, 43.25, (0,)),),
        (SetHeader((0,), 0, 2.0),),
        (ModelRef("a", "0f" * 32),),
        group=256,
    )
    source, sink = random.Random(seed), io.BytesIO()
    writer = Writer(sink, header)
    inner = zstandard.compress(b"latents" * 9)  # a magic number inside a frame, as ae16 has it
    for _ in range(header.frame_count):
        writer.write_frame({1: b"mask", 2: inner + source.randbytes(20)})
    writer.finish({"rmse_db": 1.0})
    return sink.getvalue()


FILE = container()
FRAMES = frames_of(FILE)


def test_every_flipped_byte_costs_one_frame_at_most():
    """Wherever a byte changes, all other frames are found, and no frame is wrong."""
    first = sum(map(len, parts_of(FILE)[:1]))
    last = first + len(parts_of(FILE)[1])
    for position, change in itertools.product(range(len(FILE)), (1, 128, 255)):
        bad = bytearray(FILE)
        bad[position] ^= change
        if first <= position < last:
            with pytest.raises(CorruptError, match="metadata"):
                SalvageReader(io.BytesIO(bytes(bad)))
            continue
        reader = SalvageReader(io.BytesIO(bytes(bad)))
        found = frames_of(bytes(bad))
        assert len(found) >= len(FRAMES) - 1 and found.items() <= FRAMES.items()
        assert reader.problems or len(found) < len(FRAMES)


def test_truncated_anywhere():
    sizes = list(itertools.accumulate(map(len, parts_of(FILE))))
    for size in range(len(FILE)):
        if size < sizes[1]:
            with pytest.raises(CorruptError):
                SalvageReader(io.BytesIO(FILE[:size]))
            continue
        found = frames_of(FILE[:size])
        assert len(found) == min(len(FRAMES), sum(end <= size for end in sizes[2:]))
        assert found.items() <= FRAMES.items()
        assert SalvageReader(io.BytesIO(FILE[:size])).problems


def test_bytes_inserted_and_deleted_anywhere():
    start = sum(map(len, parts_of(FILE)[:2]))
    for position in range(start, len(FILE)):
        for bad in (FILE[:position] + b"\x28" * 3 + FILE[position:], FILE[:position] + FILE[position + 1 :]):
            found = frames_of(bad)
            assert len(found) >= len(FRAMES) - 1 and found.items() <= FRAMES.items()
            assert SalvageReader(io.BytesIO(bad)).problems


def test_a_lost_head_is_rebuilt():
    for bad in (FILE[:3] + b"XX" + FILE[5:], bytes(28) + FILE[28:], FILE[5:], b"junk" * 5 + FILE[28:]):
        assert frames_of(bad) == FRAMES
        assert SalvageReader(io.BytesIO(bad)).problems


def test_frames_in_disorder():
    head, meta, *frames, index, trailer = parts_of(FILE)
    disorder = [head, meta, *reversed(frames), index, trailer]
    repeated = [head, meta, *frames[:3], *frames, index, trailer]
    for parts in (disorder, repeated, [head, meta, index, *frames], [head, meta, *frames, *frames]):
        assert frames_of(b"".join(parts)) == FRAMES
        assert SalvageReader(io.BytesIO(b"".join(parts))).problems


def test_frames_of_other_files_are_not_taken():
    twin, other = container(seed=1), container(width=601)
    mine, same, foreign = parts_of(FILE), parts_of(twin), parts_of(other)
    assert mine[:2] == same[:2]
    for stranger in (same[3], foreign[3]):
        mixed = [*mine[:3], stranger, *mine[4:]]
        assert frames_of(b"".join(mixed)).keys() == FRAMES.keys() - {1}
    # Without an index nobody can tell which of two frames for one place is right.
    both = b"".join([*mine[:-2], *same[2:-2]])
    assert frames_of(both) == {}
    assert "two different" in (SalvageReader(io.BytesIO(both)).why_lost(0) or "")
    assert frames_of(FILE + twin) == frames_of(FILE + other) == FRAMES


def test_sectors_that_cannot_be_read():
    data = container(width=60_000)
    frames = frames_of(data)

    class Disk(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            begin = self.tell()
            end = begin + size if size is not None and size >= 0 else len(data)
            if begin < 8192 and end > 4096:
                raise OSError(errno.EIO, "input/output error")
            return super().read(size)

    reader = SalvageReader(Disk(data))
    left = [ordinal for ordinal in frames if reader.why_lost(ordinal) is None]
    assert len(frames) // 2 < len(left) < len(frames)
    assert all(reader.read_frame(ordinal) == frames[ordinal] for ordinal in left)
    assert any("could not be read" in problem for problem in reader.problems)


def test_other_versions_are_not_damage():
    import struct
    from zlib import crc32

    head = bytearray(FILE[:24])
    head[12] = 2
    with pytest.raises(CorruptError, match="newer"):
        SalvageReader(io.BytesIO(bytes(head) + struct.pack("<I", crc32(bytes(head))) + FILE[28:]))


@pytest.mark.parametrize("data", [b"", b"hello", bytes(5000), b"\x28\xb5\x2f\xfd" * 2000, FILE[28:40]])
def test_what_is_no_sarz(data):
    with pytest.raises(CorruptError, match="nothing can be salvaged"):
        SalvageReader(io.BytesIO(data))


def test_hostile_overlapping_frames_take_bounded_time():
    """Candidates whose chains of empty blocks all run through the same zeros."""
    start = b"\x28\xb5\x2f\xfd\xa4" + (2**20).to_bytes(4, "little")
    candidates = [start + (12 * left << 3).to_bytes(3, "little") for left in reversed(range(10_000))]
    data = b"".join([*parts_of(container(width=4000))[:2], *candidates, bytes(300_000)])
    started = time.monotonic()
    assert frames_of(data) == {}
    assert time.monotonic() - started < 20
    assert any("given up" in problem for problem in SalvageReader(io.BytesIO(data)).problems)


def test_streams_that_do_not_decode_are_lost(scene, tiny_model, tmp_path):
    """All checksums hold, the latents of one group make no sense."""
    reader = Reader(io.BytesIO(scene[0]))
    sink = io.BytesIO()
    writer = Writer(sink, reader.header)
    for ordinal, streams in reader:
        writer.write_frame(streams | ({2: b"nonsense"} if ordinal == 8 else {}))
    writer.finish()
    path = tmp_path / "a.sarz"
    path.write_bytes(sink.getvalue())
    with pytest.raises(CorruptError):
        sarzip.decompress(path, tmp_path / "b.tif", options(tiny_model))
    report = check(path, scene[1], tiny_model, tmp_path)
    assert [(window.group, window.bands) for window in report.lost] == [(4, (1,))]
    assert "latents" in report.lost[0].reason


@pytest.mark.parametrize(
    ("dtype", "specials", "fill"),
    [("uint16", (), 0), ("float32", (), "nan"), ("float32", (-9999.0, 0.0), -9999.0), ("uint8", (255,), 255)],
)
def test_fill_values(dtype, specials, fill, scene, tiny_model, tmp_path):
    header = Reader(io.BytesIO(scene[0])).header
    bands = tuple(dataclasses.replace(band, dtype=dtype, specials=specials) for band in header.bands)
    frames = dict(Reader(io.BytesIO(scene[0])))
    sink = io.BytesIO()
    writer = Writer(sink, dataclasses.replace(header, bands=bands, raster={}))
    for ordinal in range(17):
        writer.write_frame({kind: data for kind, data in frames[ordinal].items() if kind not in (7, 10)})
    (tmp_path / "a.sarz").write_bytes(sink.getvalue())
    report = salvage(tmp_path / "a.sarz", tmp_path / "a.tif", options(tiny_model))
    assert report.fill == (fill, fill) and [window.group for window in report.lost] == [8]
    corner = read_raster(tmp_path / "a.tif")[1, 512:, 512:]
    assert np.isnan(corner).all() if fill == "nan" else (corner == fill).all()


def test_refusals_leave_nothing(scene, tiny_model, tmp_path):
    path = tmp_path / "a.sarz"
    path.write_bytes(b"".join(parts_of(scene[0])[:2]))
    with pytest.raises(CorruptError, match="no intact group"):
        salvage(path, tmp_path / "a.tif", options(tiny_model))
    path.write_bytes(scene[0][:-50])
    with pytest.raises(ModelError):
        salvage(path, tmp_path / "a.tif")
    with pytest.raises(UsageError, match="different names"):
        salvage(path, tmp_path / "a.tif", options(tiny_model), tmp_path / "a.tif")
    assert list(tmp_path.iterdir()) == [path]


def test_command_line(scene, tiny_model, tmp_path, capfd):
    path, output, mask = tmp_path / "a.sarz", tmp_path / "a.tif", tmp_path / "mask.tif"
    path.write_bytes(scene[0][: len(scene[0]) // 2])
    command = ["decompress", str(path), "-o", str(output), "--model", str(tiny_model), "--device", "cpu"]
    assert run(command) == 4 and not output.exists()
    capfd.readouterr()
    assert run([*command, "--salvage", "--salvage-mask", str(mask), "--json"]) == 4
    assert output.exists() and mask.exists()
    said = capfd.readouterr()
    assert said.err.count("\n") == 1 and "salvaged" in said.err
    report = json.loads(said.out)
    assert report["lost"][-1]["group"] == 8 and report["fill"] == [NODATA, NODATA]
    with rasterio.open(mask) as dataset:
        assert dataset.crs.to_epsg() == 32633
    assert run([*command, "--salvage-mask", str(mask)]) == 2


@pytest.mark.parametrize("scale", [1, 4])
def test_a_part_of_a_damaged_file(scale, scene, tiny_model, tmp_path):
    parts = parts_of(scene[0])
    parts[2 + 8] = bytes(len(parts[10]))  # group 4, the one in the middle, band 1
    path = tmp_path / "a.sarz"
    path.write_bytes(b"".join(parts))
    whole = salvage(path, tmp_path / "whole.tif", options(tiny_model), tmp_path / "whole-mask.tif")
    wanted = sarzip.Selection(window=(200, 200, 120, 100), bands=(2, 1), scale=scale)
    report = salvage(path, tmp_path / "a.tif", options(tiny_model, selection=wanted), tmp_path / "mask.tif")
    inside = np.s_[:, 200:300:scale, 200:320:scale]
    found, mask = read_raster(tmp_path / "a.tif"), read_raster(tmp_path / "mask.tif")
    assert (report.width, report.height, report.bands, report.groups) == (120 // scale, 100 // scale, 2, 4)
    assert report.lost == whole.lost and report.damaged
    np.testing.assert_array_equal(mask[::-1], read_raster(tmp_path / "whole-mask.tif")[inside])
    assert set(mask[1].flat) == {LOST, APPROXIMATE, INTACT} and (mask[0] == INTACT).all()
    assert (found[mask == LOST] == report.fill[1]).all()
    if scale == 1:
        np.testing.assert_array_equal(found[::-1], read_raster(tmp_path / "whole.tif")[:, 200:300, 200:320])
    good = sarzip.Selection(bands=(2,), window=(0, 0, 100, 100))
    report = salvage(path, tmp_path / "a.tif", options(tiny_model, selection=good))
    assert report.damaged and not report.lost
