"""Promises on every way: pipes, windows, reduced, shown, salvaged, in batches, compared."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import rasterio
from support.damage import parts_of, read_raster
from support.scenes import speckled

import sarzip
from sarzip.cli import run

PROMISES = {
    "lossless": ["--lossless"],
    "bound": ["--max-error-db", "0.4"],
    "residual": ["--max-error-db", "3", "--quality", "30"],
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    path = tmp_path_factory.mktemp("promises") / "sigma0_VV_VH.tif"
    values = np.stack([speckled(500, 540, "uint16", seed) for seed in (1, 2)])
    values[:, :40, :200] = 0
    profile = {"width": 540, "height": 500, "count": 2, "dtype": "uint16", "nodata": 0, "crs": "EPSG:32633"}
    with rasterio.open(path, "w", driver="GTiff", **profile) as dataset:
        dataset.write(values)
    return path, values


def call(*words):
    return run([str(word) for word in (*words, "--quiet", "--force")])


@pytest.fixture(scope="module", params=PROMISES)
def packed(request, scene, tmp_path_factory):
    """A `.sarz` of several groups, its raster, and that decompressed."""
    folder = tmp_path_factory.mktemp("packed")
    path, back = folder / "a.sarz", folder / "a.tif"
    given = {"lossless": {"lossless": True}, "bound": {"max_error_db": 0.4}}.get(request.param)
    given = given or {"max_error_db": 3.0, "fidelity": sarzip.Fidelity("quality", 30)}
    sarzip.compress(scene[0], path, sarzip.CompressOptions(group=256, device="cpu", **given))
    sarzip.decompress(path, back)
    return path, scene[1], read_raster(back)


def test_through_pipes(scene, tmp_path):
    command = [sys.executable, "-m", "sarzip"]
    for promise in PROMISES.values():
        with scene[0].open("rb") as source:
            data = subprocess.run(
                [*command, "compress", "-", "-o", "-", *promise], stdin=source, capture_output=True
            )
        back = tmp_path / "back.tif"
        words = [*command, "decompress", "-", "-o", str(back), "--force"]
        subprocess.run(words, input=data.stdout, check=True, capture_output=True)
        errors = np.abs(read_raster(back).astype(int) - scene[1])
        assert (errors[:, :40, :200] == 0).all() and (errors.max() == 0) == (promise == ["--lossless"])


def test_windows_previews_and_reduced_resolution(packed, tmp_path):
    path, _, back = packed
    assert (
        call("decompress", path, "-o", tmp_path / "w.tif", "--window", "200,230,100,60", "--band", "2") == 0
    )
    assert np.array_equal(read_raster(tmp_path / "w.tif")[0], back[1, 230:290, 200:300])
    assert call("decompress", path, "-o", tmp_path / "r.tif", "--scale", "4") == 0
    reduced = read_raster(tmp_path / "r.tif")[0, 12:, 60:].astype(float)
    means = np.exp(np.log(back[0, 48:, 240:].astype(float)).reshape(113, 4, 75, 4).mean((1, 3)))
    assert np.quantile(np.abs(reduced / means - 1), 0.99) < 0.02
    assert call("preview", path, "-o", tmp_path / "p.png") == 0
    assert (tmp_path / "p.png").stat().st_size > 5000


def test_what_is_told_of_them(packed, scene):
    path, values, back = packed
    about = sarzip.inspect(path)
    assert {band.domain for band in about.bands} == {"amplitude"}
    lossless = np.array_equal(values, back)
    assert all(band.treatment == "exact" if lossless else "within" in band.treatment for band in about.bands)
    compared = sarzip.compare(scene[0], path)
    assert all(band.domain == "amplitude" and band.identical == lossless for band in compared.bands)
    assert run(["verify", str(path), "--deep"]) == 0


def test_damage_costs_a_group(packed, tmp_path):
    path, _, back = packed
    parts = parts_of(path.read_bytes())
    broken = bytearray(parts[2])
    broken[len(broken) // 2] ^= 255
    damaged = tmp_path / "damaged.sarz"
    damaged.write_bytes(b"".join([*parts[:2], bytes(broken), *parts[3:]]))
    assert call("decompress", damaged, "-o", tmp_path / "a.tif") == 4
    assert call("decompress", damaged, "-o", tmp_path / "s.tif", "--salvage") == 4
    saved = read_raster(tmp_path / "s.tif")
    assert np.array_equal(saved[:, 300:, 300:], back[:, 300:, 300:])
    assert (saved[0, :256, :256] == 0).all()


def test_in_batches(scene, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.tif", "b.tif"):
        (folder / name).write_bytes(scene[0].read_bytes())
    words = ["compress", folder, "-o", f"{tmp_path / 'out'}/", "--jobs", "2", "--verify", "--lossless"]
    assert call(*words) == 0
    assert call(*words[:-1], "--lossless", "--resume") == 0
    assert (tmp_path / "out" / "a.sarz").read_bytes() == (tmp_path / "out" / "b.sarz").read_bytes()
