"""Small files of several groups, and the ways in which a file gets damaged."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio

import sarzip
from sarzip.container.layout import COMPACT, COMPACT_END, TRAILER_SIZE
from support import containers


def compress_small_groups(source: Path, target: Path, model: Path, group: int = 256) -> bytes:
    """Compress with small groups, of which a small scene has several; the bytes of the file."""
    sarzip.compress(source, target, sarzip.CompressOptions(model=str(model), force=True, group=group))
    return target.read_bytes()


def parts_of(data: bytes) -> list[bytes]:
    """Head, metadata, data frames, index and trailer of an intact file.

    The trailer of compact files is cut in two: its last 8 bytes count as the trailer.
    """
    *parts, end = containers.parts_of(data)
    last = COMPACT_END.size if data[14] & COMPACT else TRAILER_SIZE
    return [*parts, end[:-last], end[-last:]]


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> str:
    """Let `data` come from standard input, and the name of that."""
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
    return "-"


def read_raster(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        values: np.ndarray = dataset.read()
    return values
