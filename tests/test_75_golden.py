"""Golden files of every format version: good ones decode to what they always did, bad ones keep failing.

Integers out of the entropy decoder, masks, special values and exact bands must be the same to the last bit.
Samples behind a floating-point network may differ by rounding: one unit of integer types, 0.01 dB of others.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from support import mini_lapped16, mini_pixels, mini_reader, mini_streams
from support.damage import read_raster

import sarzip
from sarzip.cli import run
from sarzip.container import FORMAT_MAJOR, FORMAT_MINOR, Reader, StreamReader
from sarzip.container.salvage import SalvageReader
from sarzip.pipeline.models import ModelStore
from sarzip.usecases.verify import TOLERANCE_DB, VerifyOptions, verify

FOLDER = Path(__file__).parent / "golden"
GOLDEN = {path.parent.name: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*/golden.json"))}
FILES = [(version, name) for version, golden in GOLDEN.items() for name in golden["files"]]
BAD = [(version, name) for version, golden in GOLDEN.items() for name in golden["must_fail"]]


def test_there_are_files_of_the_current_format():
    assert f"{FORMAT_MAJOR}.{FORMAT_MINOR}" in GOLDEN
    for version in GOLDEN:
        assert sum(path.stat().st_size for path in (FOLDER / version).iterdir()) < 200_000


def test_every_released_model_has_golden_files():
    used = {digest for version, name in FILES for digest in GOLDEN[version]["files"][name]["models"]}
    missing = {card.sha256 for card in ModelStore().list()} - used
    assert not missing, "a released model has no golden files: run tests/golden/make.py"


@pytest.mark.parametrize(("version", "name"), FILES)
def test_they_decode_to_what_they_always_did(version, name, tmp_path):
    path, expected = FOLDER / version / name, GOLDEN[version]["files"][name]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected["sha256"], "a golden file was changed"
    about = sarzip.inspect(path)
    assert [about.width, about.height] == expected["size"]
    assert [model["sha256"] for model in about.models] == expected["models"]
    bands = [[band.dtype, band.domain, [repr(value) for value in band.specials]] for band in about.bands]
    assert bands == expected["bands"]
    report = verify(path, VerifyOptions(True, "cpu", 1))
    assert list(report.integers_sha256) == expected["integers_sha256"]
    assert report.mask_sha256 == expected["mask_sha256"]
    sarzip.decompress(path, tmp_path / "a.tif", sarzip.DecompressOptions("cpu", 1))
    samples = read_raster(tmp_path / "a.tif")
    wanted = np.load(path.with_suffix(".npz"))["samples"]
    assert samples.dtype == wanted.dtype and samples.shape == wanted.shape
    for band, found, right in zip(about.bands, samples, wanted, strict=True):
        compare(band, found, right)


def compare(band, found: np.ndarray, right: np.ndarray) -> None:
    """Special values and exact bands to the bit, other samples within the tolerance."""
    if band.domain == "exact":
        np.testing.assert_array_equal(found, right)
        return
    for special in band.specials:
        same = np.isnan(right) if math.isnan(special) else right == special
        np.testing.assert_array_equal(np.isnan(found) if math.isnan(special) else found == special, same)
    if right.dtype.kind in "iu":
        assert np.abs(found.astype(np.int64) - right).max() <= 1
        assert np.mean(found != right) < 0.01
        return
    valid = np.isfinite(right) & ~np.isin(right, [v for v in band.specials if math.isfinite(v)])
    factor = {"amplitude": 20.0, "power": 10.0, "db": 0.0}[band.domain]
    a, b = found[valid].astype(np.float64), right[valid].astype(np.float64)
    difference = a - b if band.domain == "db" else factor * np.log10(a / b)
    assert np.abs(difference).max() < TOLERANCE_DB


@pytest.mark.parametrize(("version", "name"), FILES)
def test_all_readers_agree_on_them(version, name):
    data = (FOLDER / version / name).read_bytes()
    frames = [streams for _, streams in Reader(io.BytesIO(data))]
    assert frames == [streams for _, streams in StreamReader(io.BytesIO(data))]
    assert frames == mini_reader.read(data)[1]
    salvaged = SalvageReader(io.BytesIO(data))
    assert frames == [salvaged.read_frame(ordinal) for ordinal in range(len(frames))]
    assert salvaged.problems == ()


def check_pixels(version, name, meta, number, ordinal, streams, weights) -> None:
    """Samples of a band by FORMAT.md alone, beside those that were kept."""
    (band,) = meta["s"][number]["b"]
    rows, cols, _ = mini_reader.group_shape(meta, ordinal)
    wanted = np.load((FOLDER / version / name).with_suffix(".npz"))["samples"][band]
    found = mini_pixels.band(streams[2], rows, cols, meta["b"][band]["t"], weights)
    if wanted.shape == found.shape:  # one group
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize(("version", "name"), FILES)
def test_the_mini_reader_finds_the_integers(version, name):
    """From FORMAT.md and the model file alone to the hashes of what entropy decoding gives."""
    meta, frames, _ = mini_reader.read((FOLDER / version / name).read_bytes())
    digests: dict[int, list[bytes]] = {}
    for ordinal, streams in enumerate(frames):
        rows, cols, number = mini_reader.group_shape(meta, ordinal)
        about = meta["s"][number]
        if about["m"] is not None:
            _, digest = meta["m"][about["m"]]
            card, weights = weights_of(digest)
            if card.family == "predictive":  # has no integers before its samples
                check_pixels(version, name, meta, number, ordinal, streams, weights)
                continue
            if card.family == "ae16":
                parts = [mini_streams.ae16_indices(streams[2], card.config["latents"], rows, cols)]
            else:
                read = mini_lapped16.integers if len(about["b"]) == 1 else mini_lapped16.pair_integers
                found = read(weights, streams[3], streams[2], (rows, cols), about["q"])
                parts = found[:2] if len(about["b"]) == 1 else [found]
            content = b"".join(part.astype("<i4").tobytes() for part in parts)
            digests.setdefault(number, []).append(hashlib.sha256(content).digest())
    found = [
        hashlib.sha256(b"".join(digests[number])).hexdigest() if number in digests else None
        for number in range(len(meta["s"]))
    ]
    assert found == GOLDEN[version]["files"][name]["integers_sha256"]


def test_checks_are_what_the_format_says():
    """Those of the files that are large enough to have them."""
    found = 0
    for version, name in FILES:
        _, frames, _ = mini_reader.read((FOLDER / version / name).read_bytes())
        for ordinal, streams in enumerate(frames):
            if 128 in streams:
                assert streams[128] == mini_lapped16.checks(ordinal, streams)
                found += 1
    assert found


def weights_of(digest: str):
    """Card and arrays of the released model with a hash as files spell it."""
    wanted = base64.b64decode(digest + "=").hex()
    card = next(card for card in ModelStore().list() if card.sha256 == wanted)
    return ModelStore().load(card.id)


@pytest.mark.parametrize("version", GOLDEN)
def test_everything_the_container_holds(version):
    """No model is needed for this one, so that it outlives them all."""
    data = (FOLDER / version / "container.sarz").read_bytes()
    assert hashlib.sha256(data).hexdigest() == GOLDEN[version]["container_sha256"]
    reader = Reader(io.BytesIO(data))
    header = reader.header
    assert (header.width, header.height, header.group, header.parts) == (600, 300, 256, 2)
    assert [band.dtype for band in header.bands] == ["uint16", "float32", "complex_int16", "float64"]
    assert [each.bands for each in header.sets] == [(1, 0), (3, 2)]
    assert [repr(value) for value in header.bands[1].specials] == ["nan", "-inf", "-0.0"]
    assert header.raster["e"] == 32633 and "'é': 'ü'" in str(header.raster["m"])
    assert reader.summary == {"rmse_db": 1.25}
    meta, frames, summary = mini_reader.read(data)
    assert frames == [streams for _, streams in reader] and summary == reader.summary
    assert meta["m"][1][0] == "lapped16-2.x"
    for ordinal, streams in enumerate(frames):
        full = {1: b"", 2: bytes([ordinal]) * 40, 200: b"may be skipped"}
        assert streams == (full if ordinal % 5 else {})


@pytest.mark.parametrize(("version", "name"), BAD)
def test_bad_files_keep_failing(version, name, tmp_path, capfd):
    code, message = GOLDEN[version]["must_fail"][name]
    source = str(FOLDER / version / name)
    assert run(["decompress", source, "-o", str(tmp_path / "a.tif"), "--device", "cpu"]) == code
    said = capfd.readouterr().err
    assert message in said and said.count("\n") == 1 and list(tmp_path.iterdir()) == []
