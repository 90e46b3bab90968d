"""The hashes of a deep verification: what is in the raster, whatever threads and order decoded it."""

from __future__ import annotations

import hashlib
import json
import random

import numpy as np
import pytest
from support.damage import compress_small_groups, read_raster
from support.scenes import speckled

import sarzip
from sarzip.cli import run
from sarzip.container import BandHeader, Header, Reader, SetHeader
from sarzip.grid import Window
from sarzip.pipeline.coders import DecodeOptions, scene_decoder
from sarzip.pipeline.decode import DecodedBlock
from sarzip.pipeline.hashes import DecodedHashes
from sarzip.system.machine import Machine
from sarzip.usecases.verify import TOLERANCE_DB, VerifyOptions, verify


@pytest.fixture
def packed(write_raster, tiny_model, tmp_path, monkeypatch):
    """Function that makes a file of several groups of an array of bands."""

    def make(values, **profile):
        source = write_raster(values, **profile)
        compress_small_groups(source, tmp_path / "a.sarz", tiny_model)
        sarzip.decompress(tmp_path / "a.sarz", tmp_path / "b.tif", options(tiny_model))
        return tmp_path / "a.sarz", read_raster(tmp_path / "b.tif")

    return make


def options(model):
    return sarzip.DecompressOptions("cpu", 2, True, str(model))


def sha256(values):
    return hashlib.sha256(np.ascontiguousarray(values)).hexdigest()


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_hashes_are_those_of_the_decompressed_raster(dtype, packed, tiny_model):
    values = np.stack([speckled(300, 600, dtype, seed) for seed in range(2)])
    values[:, 10:40, 200:300] = -9999 if dtype == "float32" else 0
    path, raster = packed(values, nodata=-9999 if dtype == "float32" else 0)
    report = verify(path, VerifyOptions(True, model=str(tiny_model)))
    assert report.decoded_sha256 == tuple(sha256(band) for band in raster)
    assert report.tolerance_db == TOLERANCE_DB and report.mask_sha256 is None
    if dtype == "uint16":
        assert report.rounded_sha256 == (None, None)
    else:
        with np.errstate(invalid="ignore"):
            db = 20 * np.log10(raster.astype(np.float64)) / TOLERANCE_DB  # taken for an amplitude
        steps = np.where(np.isfinite(db), np.rint(db), np.iinfo(np.int32).min).astype("<i4")
        assert report.rounded_sha256 == tuple(sha256(band) for band in steps)
    valid = raster[0][raster[0] > 0].astype(np.float64)
    assert report.mean_db[0] == pytest.approx(np.mean(20 * np.log10(valid)), abs=1e-6)
    assert len(report.integers_sha256) == 2 and None not in report.integers_sha256


def test_threads_change_nothing(packed, tiny_model):
    path, _ = packed(speckled(300, 600)[None])
    reports = {verify(path, VerifyOptions(True, "cpu", threads, str(tiny_model))) for threads in (1, 2, 5)}
    assert len(reports) == 1


def test_order_of_the_groups_in_a_row_changes_nothing(packed, tiny_model):
    path, raster = packed(speckled(300, 600)[None])
    with path.open("rb") as file:
        reader = Reader(file)
        options = DecodeOptions(model=str(tiny_model))
        decoder = scene_decoder(reader.header, Machine("cpu", 1), options)
        blocks = list(decoder.blocks(streams for _, streams in reader))
    rows: dict[int, list[DecodedBlock]] = {}
    for block in blocks:
        rows.setdefault(block.window.row, []).append(block)
    hashes = DecodedHashes(reader.header, TOLERANCE_DB)
    for row in rows.values():
        random.Random(3).shuffle(row)
        for block in row:
            hashes.add(block)
    assert hashes.exact() == (sha256(raster[0]),)


def test_exact_bands_and_masks_have_hashes(packed, tiny_model):
    values = np.stack([speckled(90, 80, "uint8"), (speckled(90, 80, "uint8", 5) > 80) * np.uint8(255)])
    path, raster = packed(values, photometric="MINISBLACK", alpha="YES")
    report = verify(path, VerifyOptions(True, model=str(tiny_model)))
    assert report.decoded_sha256 == tuple(sha256(band) for band in raster)
    assert report.rounded_sha256 == (None, None) and report.mean_db[1] is None
    assert report.integers_sha256[1] is None


def test_small_differences_of_floats_keep_the_rounded_hash():
    """A thousandth of the tolerance leaves the rounded hash alone where no sample is near a boundary."""
    header = Header(64, 64, (BandHeader("float32", "power"),), (SetHeader((0,), None),))
    steps = np.random.default_rng(0).integers(-2000, 500, (64, 64))
    found = []
    for shift in (0.0, 0.001, -0.001, 0.6):
        hashes = DecodedHashes(header, TOLERANCE_DB)
        values = (10 ** ((steps + shift) * TOLERANCE_DB / 10)).astype(np.float32)
        hashes.add(DecodedBlock(0, Window(0, 0, 64, 64), values))
        found.append((hashes.exact()[0], hashes.rounded()[0]))
    exact, rounded = zip(*found, strict=True)
    assert len(set(exact)) == 4 and len(set(rounded[:3])) == 1 and rounded[3] != rounded[0]


def test_json(packed, tiny_model, capfd):
    path, raster = packed(speckled(40, 50)[None])
    assert run(["verify", str(path), "--deep", "--json", "--model", str(tiny_model), "--device", "cpu"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["decoded_sha256"] == [sha256(raster[0])] and report["tolerance_db"] == 0.01
