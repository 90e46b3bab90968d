"""Damage of whole files: exit code 4 that names the group, never a wrong pixel, nothing left behind.

SARZIP_FLIPS multiplies the number of samples: `SARZIP_FLIPS=100 pytest tests/test_70_damage.py -s` says how
many pieces of damage were tried.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.damage import compress_small_groups, parts_of, pipe, read_raster
from support.scenes import speckled

import sarzip
import sarzip.usecases.compress
from sarzip.errors import CorruptError
from sarzip.usecases.verify import verify

TIMES = int(os.environ.get("SARZIP_FLIPS", "1"))
TRIED = {"verified": 0, "decompressed": 0}


@pytest.fixture(scope="module", autouse=True)
def tally():
    yield
    print(f"\ndamage refused: {TRIED['verified']} by verify, {TRIED['decompressed']} by decompress")


@pytest.fixture(scope="module")
def monkeymodule():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def small(tiny_model, tmp_path_factory, monkeymodule):
    """A file of one group, as small as they come."""
    return _file(tmp_path_factory.mktemp("small"), (40, 50), tiny_model, monkeymodule)


@pytest.fixture(scope="module")
def scene(tiny_model, tmp_path_factory, monkeymodule):
    """A file of six groups with nodata."""
    return _file(tmp_path_factory.mktemp("scene"), (300, 600), tiny_model, monkeymodule)


def _file(folder: Path, size: tuple[int, int], model: Path, patch: pytest.MonkeyPatch) -> bytes:
    import rasterio

    values = speckled(*size)
    values[:20, :33] = 0
    profile = {"width": size[1], "height": size[0], "count": 1, "dtype": "uint16", "nodata": 0}
    with rasterio.open(folder / "a.tif", "w", driver="GTiff", **profile) as dataset:
        dataset.write(values[None])
    return compress_small_groups(folder / "a.tif", folder / "a.sarz", model)


def refused(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Checks that verify refuses a file and a pipe; both messages."""
    path = tmp_path / "bad.sarz"
    path.write_bytes(data)
    messages = []
    for source in (str(path), pipe(monkeypatch, data)):
        with pytest.raises(CorruptError) as caught:
            verify(source)
        TRIED["verified"] += 1
        messages.append(str(caught.value))
        assert "\n" not in messages[-1] and len(messages[-1]) < 400
    return messages[0], messages[1]


def not_decompressed(data: bytes, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks that decompress refuses a file and a pipe and leaves nothing."""
    path, output = tmp_path / "bad.sarz", tmp_path / "out"
    path.write_bytes(data)
    output.mkdir(exist_ok=True)
    for source in (str(path), pipe(monkeypatch, data)):
        TRIED["decompressed"] += 1
        with pytest.raises(CorruptError):
            sarzip.decompress(source, output / "a.tif", sarzip.DecompressOptions("cpu", 1, model=str(model)))
        assert list(output.iterdir()) == []


def test_every_byte_of_a_small_file(small, tmp_path, monkeypatch):
    """Three bits of every byte, and every byte inverted and zeroed, in a file and a pipe."""
    tried = 0
    first = len(b"".join(parts_of(small)[:2]))
    last = first + len(parts_of(small)[2])
    for position, change in itertools.product(range(len(small)), [1, 16, 128, 255, 0]):
        bad = bytearray(small)
        bad[position] = bad[position] ^ change if change else 0
        if bad == small:
            continue
        messages = refused(bytes(bad), tmp_path, monkeypatch)
        tried += 1
        if first <= position < last:
            assert "group 0 (rows 0-39, columns 0-49), set 0" in messages[0], (position, change)
    assert tried > 4 * len(small)


def test_sampled_flips_never_decode(scene, tiny_model, tmp_path, monkeypatch):
    source = random.Random(1)
    for _ in range(40 * TIMES):
        bad = bytearray(scene)
        bad[source.randrange(len(bad))] ^= source.randrange(1, 256)
        not_decompressed(bytes(bad), tiny_model, tmp_path, monkeypatch)


def test_sampled_flips_of_a_larger_file(tiny_model, tmp_path, monkeypatch, write_raster):
    """Groups of the usual size, one random bit at a time; file and pipe name the same group."""
    source, target = write_raster(speckled(1100, 2100)[None]), tmp_path / "a.sarz"
    quality = sarzip.usecases.compress.Fidelity("quality", 95.0)
    sarzip.compress(source, target, sarzip.CompressOptions(quality, model=str(tiny_model)))
    good, source = target.read_bytes(), random.Random(3)
    first = sum(map(len, parts_of(good)[:2]))
    last = len(good) - sum(map(len, parts_of(good)[-2:]))
    for _ in range(40 * TIMES):
        bad = bytearray(good)
        position = source.randrange(len(bad))
        bad[position] ^= 1 << source.randrange(8)
        messages = refused(bytes(bad), tmp_path, monkeypatch)
        assert not first <= position < last or "group" in messages[0]


def edits(data: bytes, source: random.Random) -> dict[str, bytes]:
    """One random piece of every other kind of damage."""
    first, second = sorted(source.sample(range(len(data)), 2))
    second = min(second, first + 300)
    cut = source.randrange(len(data))
    return {
        "truncated": data[:cut],
        "deleted": data[:first] + data[second:],
        "inserted": data[:cut] + source.randbytes(source.randrange(1, 99)) + data[cut:],
        "duplicated": data[:second] + data[first:],
        "zeroed": data[:first] + bytes(second - first) + data[second:],
        "overwritten": data[:first] + source.randbytes(second - first) + data[second:],
        "tail zeroed": data[:cut] + bytes(len(data) - cut),
        "appended": data + source.randbytes(source.randrange(1, 99)),
    }


def test_sampled_edits_of_every_kind(scene, tiny_model, tmp_path, monkeypatch):
    source = random.Random(2)
    for number in range(60 * TIMES):
        for bad in edits(scene, source).values():
            if bad != scene:
                refused(bad, tmp_path, monkeypatch)
                if number < TIMES:
                    not_decompressed(bad, tiny_model, tmp_path, monkeypatch)


def swapped(parts: list[bytes], a: int, b: int) -> list[bytes]:
    parts = list(parts)
    parts[a], parts[b] = parts[b], parts[a]
    return parts


FRAME_EDITS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "swapped": lambda parts: swapped(parts, 3, 5),
    "neighbours swapped": lambda parts: swapped(parts, 2, 3),
    "duplicated": lambda parts: [*parts[:4], parts[3], *parts[4:]],
    "one in place of another": lambda parts: [*parts[:4], parts[3], *parts[5:]],
    "missing": lambda parts: [*parts[:4], *parts[5:]],
    "zeroed": lambda parts: [*parts[:4], bytes(len(parts[4])), *parts[5:]],
    "without index": lambda parts: [*parts[:-2], parts[-1]],
    "without trailer": lambda parts: parts[:-1],
    "two files": lambda parts: [*parts, *parts],
    "index first": lambda parts: swapped(parts, 2, -2),
}


@pytest.mark.parametrize("kind", FRAME_EDITS)
def test_frames_moved_about(kind, scene, tiny_model, tmp_path, monkeypatch):
    bad = b"".join(FRAME_EDITS[kind](parts_of(scene)))
    refused(bad, tmp_path, monkeypatch)
    not_decompressed(bad, tiny_model, tmp_path, monkeypatch)


def test_frames_of_another_file(scene, small, tiny_model, tmp_path, monkeypatch):
    parts = parts_of(scene)
    parts[4] = parts_of(small)[2]
    bad = b"".join(parts)
    assert "another file" in refused(bad, tmp_path, monkeypatch)[1]
    not_decompressed(bad, tiny_model, tmp_path, monkeypatch)
    not_decompressed(scene + small, tiny_model, tmp_path, monkeypatch)


def test_the_damaged_group_is_named(scene, tmp_path, monkeypatch):
    parts = parts_of(scene)
    for group in range(6):
        bad = list(parts)
        bad[2 + group] = bad[2 + group][:-20] + bytes([bad[2 + group][-20] ^ 4]) + bad[2 + group][-19:]
        row, column = divmod(group, 3)
        place = f"group {group} (rows {256 * row}-{(255, 299)[row]}, columns {256 * column}-"
        for message in refused(b"".join(bad), tmp_path, monkeypatch):
            assert place in message


def test_the_intact_file_decodes_alike_from_file_and_pipe(scene, tiny_model, tmp_path, monkeypatch):
    """What all of the above is measured against."""
    path = tmp_path / "good.sarz"
    path.write_bytes(scene)
    options = sarzip.DecompressOptions("cpu", 1, model=str(tiny_model), force=True)
    rasters = []
    for source in (str(path), pipe(monkeypatch, scene)):
        sarzip.decompress(source, tmp_path / "a.tif", options)
        rasters.append(read_raster(tmp_path / "a.tif"))
    np.testing.assert_array_equal(*rasters)
    assert not rasters[0][0, :20, :33].any()


def test_windows_of_a_damaged_file(scene, tiny_model, tmp_path):
    """A window that needs the damaged group is refused, one that does not has the right pixels."""
    from sarzip.pipeline.selection import Selection

    good, bad = tmp_path / "good.sarz", tmp_path / "bad.sarz"
    good.write_bytes(scene)
    parts = parts_of(scene)
    parts[2 + 2] = bytes(len(parts[4]))  # group 2: rows 0-255, columns 512-599
    bad.write_bytes(b"".join(parts))
    for scale in (1, 4):
        for window, fine in (((0, 0, 200, 120), True), ((520, 8, 40, 40), False), ((500, 0, 12, 40), False)):
            selection = Selection(window, scale=scale)
            options = sarzip.DecompressOptions("cpu", 1, True, str(tiny_model), selection=selection)
            sarzip.decompress(good, tmp_path / "good.tif", options)
            if fine:
                sarzip.decompress(bad, tmp_path / "bad.tif", options)
                expected = read_raster(tmp_path / "good.tif")
                np.testing.assert_array_equal(read_raster(tmp_path / "bad.tif"), expected)
                (tmp_path / "bad.tif").unlink()
                continue
            with pytest.raises(CorruptError, match="group 2"):
                sarzip.decompress(bad, tmp_path / "bad.tif", options)
            assert not (tmp_path / "bad.tif").exists()
