"""The second reader, written from FORMAT.md 9.11 alone, decodes what the coder of pixels wrote."""

from __future__ import annotations

import numpy as np
import pytest
from support import mini_pixels

from sarzip.codec.predictive.plane import PixelBand, decode_band, encode_band
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.pipeline.models import PIXEL_MODEL, ModelStore
from sarzip.pipeline.plan import load_pixel_network

NETWORK = load_pixel_network()[1]
TENSORS = ModelStore().load(PIXEL_MODEL)[1]


def scene(dtype, seed=0):
    rng = np.random.default_rng(seed)
    values = np.sqrt(rng.gamma(4, 0.25, (34, 38))) * 90
    values[:, 20:] *= 2.5
    values[10:14] = np.repeat(values[10:14, ::2], 2, axis=1)
    values[30:, :9] = 0
    return np.rint(values).astype(dtype) if np.dtype(dtype).kind in "iu" else values.astype(dtype)


CASES = [
    ("uint8", None),
    ("uint16", None),
    ("int32", None),
    ("float16", None),
    ("float32", None),
    ("float64", None),
    ("uint16", Bound(0.5)),
    ("float32", Bound(0.5)),
    ("float32", Bound(4, False)),
    ("int16", Bound(3, False)),
]


@pytest.mark.parametrize(("dtype", "bound"), CASES, ids=str)
@pytest.mark.parametrize("domain", ["amplitude", "db"])
def test_samples(dtype, bound, domain):
    samples = scene(dtype)
    if domain == "db" and samples.dtype.kind != "u":
        samples -= 100
    payload = encode_band(samples, PixelBand(dtype, Radiometry(domain)), bound, NETWORK).payload
    expected = decode_band(payload, samples.shape, dtype, NETWORK)
    found = mini_pixels.band(payload, *samples.shape, dtype, TENSORS)
    if bound is not None and bound.decibels and samples.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=1e-6)  # its powers of ten are libm's
    else:
        assert found.tobytes() == expected.tobytes()


def test_other_methods():
    rows, columns = np.mgrid[:20, :30]
    cases = (
        np.random.default_rng(0).integers(0, 1 << 32, (20, 30), np.uint32),
        (rows * 7 + columns * 100001).astype(np.int64),
        (rows // 7 + columns // 9).astype(np.uint8),
    )
    for number, samples in enumerate(cases):
        payload = encode_band(samples, PixelBand(str(samples.dtype)), None, NETWORK).payload
        assert payload[0] == number
        found = mini_pixels.band(payload, *samples.shape, str(samples.dtype), TENSORS)
        np.testing.assert_array_equal(found, samples)


def test_repeats_are_used_where_columns_repeat():
    samples = np.repeat(scene("uint16"), 2, axis=1)
    payload = encode_band(samples, PixelBand("uint16", Radiometry("amplitude")), Bound(0.5), NETWORK).payload
    expected = decode_band(payload, samples.shape, "uint16", NETWORK)
    np.testing.assert_array_equal(mini_pixels.band(payload, *samples.shape, "uint16", TENSORS), expected)
    floats = samples * np.float32(1.1)
    payload = encode_band(floats + np.float32(0.1), PixelBand("float32"), None, NETWORK).payload
    found = mini_pixels.band(payload, *floats.shape, "float32", TENSORS)
    assert found.tobytes() == (floats + np.float32(0.1)).tobytes()
