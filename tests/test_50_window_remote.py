"""Parts of scenes that lie behind URLs: few bytes fetched, clear errors."""

from __future__ import annotations

import numpy as np
import pytest
from support.parts import PLACE, part_of, read, scene
from support.scenes import speckled

import sarzip
from sarzip import DecompressOptions
from sarzip.errors import InputError
from sarzip.pipeline.quality import Fidelity
from sarzip.pipeline.selection import Selection


def test_sources_by_url(lapped_model, write_raster, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    packed = tmp_path / "a.sarz"
    sarzip.compress(
        write_raster(speckled(300, 520)[None]), packed, sarzip.CompressOptions(model=str(lapped_model))
    )
    with fsspec.open("memory://store/a.sarz", "wb") as file:
        file.write(packed.read_bytes())
    options = DecompressOptions(model=str(lapped_model), selection=Selection((7, 9, 200, 100)))
    sarzip.decompress("memory://store/a.sarz", tmp_path / "remote.tif", options)
    np.testing.assert_array_equal(
        read(tmp_path / "remote.tif"), part_of(packed, lapped_model, window=(7, 9, 200, 100))
    )
    assert sarzip.inspect("memory://store/a.sarz").width == 520
    with pytest.raises(InputError, match=r"cannot be reached .*check the address and the network"):
        sarzip.inspect("http://127.0.0.1:9/a.sarz")
    with pytest.raises(InputError, match="nothing is there"):
        sarzip.inspect("memory://store/missing.sarz")
    with pytest.raises(InputError, match="nonsense"):
        sarzip.inspect("nonsense://store/missing.sarz")


def test_object_stores_are_read_in_small_pieces(lapped_model, write_raster, tmp_path):
    fsspec = pytest.importorskip("fsspec")
    from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

    packed, fetched = tmp_path / "a.sarz", []
    source = write_raster(scene(256 * 6, 256 * 6), **PLACE)
    sarzip.compress(source, packed, sarzip.CompressOptions(Fidelity("quality", 90), model=str(lapped_model)))
    data = packed.read_bytes()

    class Store(AbstractFileSystem):
        """Like those of S3, Google and Azure."""

        protocol = "store"

        def info(self, path: str, **_: object) -> dict[str, object]:
            return {"name": path, "size": len(data), "type": "file"}

        def _open(self, path: str, mode: str = "rb", **options: object) -> object:
            return Stored(self, path, mode, **options)

    class Stored(AbstractBufferedFile):
        DEFAULT_BLOCK_SIZE = 5 << 20

        def _fetch_range(self, start: int, end: int) -> bytes:
            fetched.append(end - start)
            return data[start:end]

    fsspec.register_implementation("store", Store, clobber=True)
    target = tmp_path / "part.tif"
    for selection in (
        Selection(window=(300, 300, 30, 20), bands=(2,)),
        Selection(bbox=(5e5 + 3000, 5e6 - 3200, 5e5 + 3300, 5e6 - 3000)),
    ):
        fetched.clear()
        options = DecompressOptions(model=str(lapped_model), selection=selection, force=True)
        report = sarzip.decompress("store://bucket/a.sarz", target, options)
        assert sum(fetched) <= report.bytes_read + len(fetched) * (1 << 16) < len(data)
        expected = tmp_path / "near.tif"
        sarzip.decompress(packed, expected, options)
        np.testing.assert_array_equal(read(target), read(expected))


def test_url_without_fsspec_names_the_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(InputError, match=r"sarzip\[remote\]"):
        sarzip.inspect("https://example.com/a.sarz")
