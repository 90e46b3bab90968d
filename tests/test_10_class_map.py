"""Validity: special values come back bit for bit, and measurements never turn into them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.formats_1_0 import zstd_classes

from sarzip.codec.signal import inpaint
from sarzip.codec.streams import class_map
from sarzip.errors import CorruptError

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)


@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 5)))
def test_class_map_round_trip(classes):
    payload = class_map.encode_classes(classes)
    decoded = class_map.decode_classes(payload, classes.shape, 5)
    if decoded is None:
        assert not classes.any()
    else:
        np.testing.assert_array_equal(decoded, classes)


@given(hnp.arrays(np.uint8, SHAPES, elements=st.sampled_from([0, 0, 1, 3])), st.integers(0, 40))
def test_empty_squares_have_no_measurement(classes, band):
    classes[:band] = 2
    found = class_map.empty(classes)
    for i in range(found.shape[0]):
        for j in range(found.shape[1]):
            assert found[i, j] == (classes[16 * i : 16 * i + 16, 16 * j : 16 * j + 16] > 0).all()


@given(st.binary(max_size=60))
def test_hostile_mask_streams_are_refused(payload):
    for decode in (class_map.decode_classes, class_map.decode_zstd_classes):
        try:
            decoded = decode(payload, (9, 7), 3)
        except CorruptError:
            continue
        assert decoded is None or (decoded.shape == (9, 7) and decoded.max() <= 3)


@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 5)))
def test_class_maps_of_the_first_format(classes):
    if classes.any():
        decoded = class_map.decode_zstd_classes(zstd_classes(classes), classes.shape, 5)
        np.testing.assert_array_equal(decoded, classes)


@given(st.integers(1, 300), st.integers(1, 9), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.5]))
def test_wide_class_maps_round_trip(width, height, seed, noise):
    """Several blocks in a row, borders that move, and pixels that are not plain."""
    rng = np.random.default_rng(seed)
    edge = np.cumsum(rng.integers(-2, 3, height)) + width // 2
    classes = np.where(np.arange(width) < edge[:, None], 2, 0).astype(np.uint8)
    classes[rng.random(classes.shape) < noise] = rng.integers(0, 4)
    payload = class_map.encode_classes(classes)
    decoded = class_map.decode_classes(payload, classes.shape, 3)
    np.testing.assert_array_equal(np.zeros_like(classes) if decoded is None else decoded, classes)
    for bad in (payload + b"\0", payload + b"x", payload[:-1]):
        assert refused_or_of_one_form(bad, classes.shape, 3)


def refused_or_of_one_form(payload: bytes, shape: tuple[int, int], specials: int) -> bool:
    """What the binary coder accepts is just what the encoder makes of what is decoded."""
    try:
        decoded = class_map.decode_classes(payload, shape, specials)
    except CorruptError:
        return True
    return class_map.encode_classes(np.zeros(shape, np.uint8) if decoded is None else decoded) == payload


def test_noise_needs_a_larger_buffer():
    classes = np.random.default_rng(0).integers(0, 16, (200, 333)).astype(np.uint8)
    payload = class_map.encode_classes(classes)
    assert len(payload) < 0.55 * classes.size
    np.testing.assert_array_equal(class_map.decode_classes(payload, classes.shape, 15), classes)
    with pytest.raises(ValueError, match="classes in a map"):
        class_map.encode_classes(np.arange(18, dtype=np.uint8)[None])


def test_mask_stream_of_another_shape_is_refused():
    payload = class_map.encode_classes(np.ones((64, 64), np.uint8))
    assert refused_or_of_one_form(payload, (64, 65), 1)
    with pytest.raises(CorruptError):
        class_map.decode_zstd_classes(zstd_classes(np.ones((64, 64), np.uint8)), (64, 65), 1)
    with pytest.raises(CorruptError):
        class_map.decode_classes(payload, (64, 64), 0)


def test_border_mask_is_small():
    classes = np.zeros((1024, 1024), np.uint8)
    classes[:, :100] = 1
    assert len(class_map.encode_classes(classes)) < 16
    assert len(class_map.encode_classes(np.ones((1024, 1024), np.uint8))) < 8


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
@pytest.mark.parametrize("nodata", [None, 0, 255, -9999, math.nan])
def test_specials_are_restored_and_measurements_keep_off(dtype, nodata):
    kind = np.dtype(dtype)
    specials = class_map.special_values(kind, nodata)
    values = np.full((40, 50), 7, kind)
    values[:5] = 0
    if kind.kind == "f":
        values[10, :3] = [np.nan, np.inf, -np.inf]
    if nodata is not None and specials and specials[0] == nodata:
        values[20:30, 20:30] = nodata
    classes = class_map.classify(values, specials, class_map.shares_zero(kind, nodata))
    assert (classes[:5] > 0).all()
    assert not classes[values == 7].any()
    # The worst decoder: every measurement decodes to a special value.
    for special in specials:
        decoded = np.full(values.shape, special, kind)
        class_map.restore(decoded, classes, specials, class_map.shares_zero(kind, nodata))
        np.testing.assert_array_equal(decoded[classes > 0], values[classes > 0])
        again = class_map.classify(decoded, specials, class_map.shares_zero(kind, nodata))
        if math.isfinite(special) and not (special == 0 and kind.kind in "iu" and nodata != 0):
            np.testing.assert_array_equal(again, classes)


def test_dark_integer_pixels_are_measurements_but_borders_are_not():
    values = np.full((3, 100), 3, np.uint16)
    values[0, :30] = 0
    values[1, 5:10] = 0
    specials = class_map.special_values("uint16", None)
    classes = class_map.classify(values, specials, True)
    assert classes[0, :30].all() and not classes[0, 30:].any() and not classes[1:].any()


def test_narrow_images_count_whole_rows_as_runs():
    values = np.zeros((4, 1), np.uint16)
    values[2] = 9
    classes = class_map.classify(values, class_map.special_values("uint16", None), True)
    assert classes[:, 0].tolist() == [1, 1, 0, 1]


@given(
    hnp.arrays(np.float32, SHAPES, elements=st.floats(-40, 40, width=32)),
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
)
def test_fill_keeps_measurements_and_stays_in_range(signal, seed, share):
    invalid = np.random.default_rng(seed).random(signal.shape) < share
    filled = signal.copy()
    filled[invalid] = np.nan
    inpaint.fill(filled, invalid)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[~invalid], signal[~invalid])
    if not invalid.all():
        low, high = signal[~invalid].min(), signal[~invalid].max()
        assert filled.min() >= low - 1e-3 and filled.max() <= high + 1e-3


def test_fill_continues_smoothly():
    ramp = np.tile(np.linspace(0, 1, 128, dtype=np.float32), (128, 1))
    holed = ramp.copy()
    invalid = np.zeros_like(ramp, bool)
    invalid[40:80, 40:80] = True
    holed[invalid] = 1e9
    inpaint.fill(holed, invalid)
    assert np.abs(holed - ramp).max() < 0.15
