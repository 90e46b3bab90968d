"""Packing of integer planes: exact for every value, small for the usual ones, corrupt data told apart."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from sarzip.codec.ae16 import planes
from sarzip.codec.ae16.quantise import LARGEST_INDEX
from sarzip.errors import CorruptError


@settings(max_examples=80, deadline=None)
@given(
    arrays(
        np.int32,
        array_shapes(min_dims=3, max_dims=3, max_side=7),
        elements=st.one_of(st.integers(-3, 3), st.integers(-LARGEST_INDEX, LARGEST_INDEX)),
    )
)
def test_any_indices_come_back(indices: np.ndarray) -> None:
    np.testing.assert_array_equal(planes.unpack(planes.pack(indices), indices.shape), indices)


@settings(max_examples=80, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_never_crash(junk: bytes, framed: bool) -> None:
    payload = zstandard.ZstdCompressor().compress(junk) if framed else junk
    with contextlib.suppress(CorruptError):
        assert planes.unpack(payload, (3, 4, 5)).shape == (3, 4, 5)


def example(scale: float = 3.0) -> np.ndarray:
    """Laplacian channels of falling spread, one smooth, one empty, one with a far outlier."""
    rng = np.random.default_rng(0)
    indices = (
        rng.laplace(0, scale * 0.8 ** np.arange(16)[:, None, None], (16, 33, 29)).round().astype(np.int32)
    )
    indices[3] = 40 * np.sin(np.arange(33)[:, None] / 6) + np.arange(29) / 2
    indices[5] = 0
    indices[7, 4, 4] = -123456789
    return indices


def test_every_width_prediction_and_escape_is_used() -> None:
    indices = example()
    payload = planes.pack(indices)
    codes = zstandard.ZstdDecompressor().decompress(payload)[:16]
    assert {code & 63 for code in codes} >= {0, 2, 4}
    assert codes[3] & 64 and codes[5] == 0
    np.testing.assert_array_equal(planes.unpack(payload, indices.shape), indices)


def test_packing_beats_plain_bytes() -> None:
    indices = example()
    plain = zstandard.ZstdCompressor(level=19).compress(indices.clip(-128, 127).astype(np.int8).tobytes())
    assert len(planes.pack(indices)) < 0.97 * len(plain)


def test_an_outlier_costs_bytes_not_a_channel() -> None:
    indices = np.random.default_rng(1).integers(-1, 2, (4, 64, 64)).astype(np.int32)
    before = len(planes.pack(indices))
    indices[2, 30, 30] = 10**9
    assert len(planes.pack(indices)) < before + 40


def test_empty_planes_cost_nothing() -> None:
    assert len(planes.pack(np.zeros((64, 64, 64), np.int32))) < 40


def test_corrupt_payloads() -> None:
    indices = example()
    payload = planes.pack(indices)
    content = zstandard.ZstdDecompressor().decompress(payload)
    squeeze = zstandard.ZstdCompressor().compress
    broken = [
        b"",
        payload[:-1],
        payload + b"\0",
        b"\x28\xb5\x2f\xfd" + payload[5:],
        squeeze(content[:-1]),
        squeeze(content + b"\0"),
        squeeze(b"\x03" + content[1:]),
        squeeze(b"\x40" + content[1:]),
        squeeze(content[:10]),
    ]
    for each in broken:
        with pytest.raises(CorruptError):
            planes.unpack(each, indices.shape)
    for shape in ((16, 33, 28), (15, 33, 29), (16, 1, 1)):
        with pytest.raises(CorruptError):
            planes.unpack(payload, shape)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(20 << 20))
    with pytest.raises(CorruptError, match="wrong size"):
        planes.unpack(bomb, (4, 8, 8))
