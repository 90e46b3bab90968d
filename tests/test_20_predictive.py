"""The coder of pixels: everything comes back, bit for bit or within its bound, on every processor."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.levels import assert_same_on_every_level

from sarzip.codec.predictive import numbering
from sarzip.codec.predictive.cells import MOST_CELLS, build, build_count, fineness
from sarzip.codec.predictive.contexts import contexts
from sarzip.codec.predictive.fit import fit
from sarzip.codec.predictive.plane import PixelBand, decode_band, encode_band
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.errors import CorruptError
from sarzip.pipeline.plan import load_pixel_network

NETWORK = load_pixel_network()[1]
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))
DTYPES = (*INTEGERS, "float16", "float32", "float64")


def speckle(rows=70, columns=90, seed=0, level=40.0):
    """Amplitudes of four looks with a step in the middle."""
    rng = np.random.default_rng(seed)
    values = np.sqrt(rng.gamma(4, 0.25, (rows, columns))) * level
    values[:, columns // 2 :] *= 3
    return values


def stored(values, dtype):
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        values = np.clip(np.rint(values), info.min, info.max)
    return values.astype(dtype)


def same_bits(a, b):
    kind = f"u{a.dtype.itemsize}"
    return a.dtype == b.dtype and np.array_equal(a.view(kind), b.view(kind))


def there_and_back(samples, band, bound=None):
    payload = encode_band(samples, band, bound, NETWORK).payload
    return decode_band(payload, samples.shape, band.dtype, NETWORK), payload


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("domain", ["exact", "amplitude", "db"])
def test_lossless(dtype, domain):
    values = speckle() if domain == "amplitude" or dtype.startswith("u") else speckle() - 60
    samples = stored(values, dtype)
    back, payload = there_and_back(samples, PixelBand(dtype, Radiometry(domain)))
    assert same_bits(back, samples)
    assert len(payload) < samples.nbytes


@settings(max_examples=60, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 1 << 30),
    kind=st.sampled_from(["bits", "few", "ramp", "border", "speckle", "constant"]),
)
def test_lossless_whatever_the_bits(dtype, shape, seed, kind):
    rng = np.random.default_rng(seed)
    size = np.dtype(dtype).itemsize
    bits = rng.integers(0, 256, (shape[0], shape[1] * size), np.uint8).view(dtype)
    samples = {
        "bits": bits,
        "few": bits.ravel()[rng.integers(0, min(20, bits.size), shape)],
        "ramp": stored(np.add.outer(np.arange(shape[0]), 3.0 * np.arange(shape[1])), dtype),
        "border": np.where(rng.random(shape) < 0.1, bits, stored(speckle(*shape, seed), dtype)),
        "speckle": stored(speckle(*shape, seed, level=3.0), dtype),
        "constant": np.full(shape, bits.flat[0]),
    }[kind].astype(dtype)
    back, _ = there_and_back(np.ascontiguousarray(samples), PixelBand(dtype))
    assert same_bits(back, samples)


def bounded_cases():
    decibels = st.builds(Bound, st.sampled_from([0.05, 0.1, 0.5, 1.0, 3.0]))
    units = st.builds(Bound, st.sampled_from([0.5, 1.0, 10.0]), st.just(False))
    return st.one_of(decibels, units)


@settings(max_examples=80, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    domain=st.sampled_from(["amplitude", "power", "db"]),
    bound=bounded_cases(),
    level=st.sampled_from([0.7, 5.0, 400.0]),
    seed=st.integers(0, 1 << 30),
)
def test_a_bound_is_kept_at_every_measurement(dtype, domain, bound, level, seed):
    rng = np.random.default_rng(seed)
    values = speckle(24, 31, seed, level)
    values[rng.random(values.shape) < 0.05] *= 1e3
    samples = stored(values, dtype)
    holes = rng.random(samples.shape) < 0.1
    samples[holes] = 0
    if samples.dtype.kind == "f":
        samples[3, :5] = [np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).tiny / 4]
    radiometry = Radiometry(domain)
    back, _ = there_and_back(samples, PixelBand(dtype, radiometry, (0,)), bound)
    measured = np.isfinite(samples) & (samples != 0)
    assert bound.holds(samples[measured], back[measured], radiometry).all()
    # What is no measurement is not touched, and no measurement becomes such a value.
    assert same_bits(back[~measured], samples[~measured])
    assert (back[measured] != 0).all()


def test_the_worst_error_is_told_with_its_place():
    samples = stored(speckle(), "float32")
    band, bound = PixelBand("float32", Radiometry("amplitude")), Bound(0.5)
    coded = encode_band(samples, band, bound, NETWORK)
    back = decode_band(coded.payload, samples.shape, "float32", NETWORK)
    errors = bound.errors(samples, back, band.radiometry)
    assert coded.worst.error == errors.max() > 0.49
    assert errors[coded.worst.row, coded.worst.column] == coded.worst.error


def test_limits_are_not_left():
    phase = np.random.default_rng(0).uniform(-np.pi, np.pi, (60, 60)).astype(np.float32)
    limits = (-float(np.float32(np.pi)), float(np.float32(np.pi)))
    band = PixelBand("float32", limits=limits)
    back, payload = there_and_back(phase, band, Bound(0.01, False))
    assert np.abs(back - phase).max() <= 0.01 and np.abs(back).max() <= limits[1]
    assert len(payload) < phase.size * 2


def test_a_bound_saves_what_it_allows():
    samples = stored(speckle(256, 256), "float32")
    band = PixelBand("float32", Radiometry("amplitude"))
    sizes = [len(there_and_back(samples, band, Bound(size))[1]) for size in (0.1, 0.5, 2.0)]
    assert sizes[0] > 1.3 * sizes[1] > 1.3 * 1.5 * sizes[2]


def test_repeated_columns_cost_little():
    narrow = stored(speckle(128, 128), "uint16")
    wide = np.repeat(narrow, 2, axis=1)
    band = PixelBand("uint16", Radiometry("amplitude"))
    once, twice = (len(there_and_back(each, band, Bound(0.5))[1]) for each in (narrow, wide))
    assert twice < 1.25 * once


@pytest.mark.parametrize("bound", [None, Bound(0.3), Bound(2, False)])
def test_the_same_bytes_on_every_level(bound):
    samples = stored(speckle(150, 120), "float32")
    samples[:20, :30] = 0
    band = PixelBand("float32", Radiometry("power"), (0.0,))

    def compute():
        back, payload = there_and_back(samples, band, bound)
        return [np.frombuffer(payload, np.uint8), back]

    assert_same_on_every_level(compute)


def test_contexts_see_only_what_came_before():
    rng = np.random.default_rng(0)
    levels = rng.integers(-200, 200, (40, 50)).astype(np.int32)
    coefficients = rng.integers(-60, 60, 18).astype(np.int32)
    inputs, predictions = contexts(levels, coefficients)
    other = levels.copy()
    other[20, 30:] += 99
    other[21:] += 77
    changed_inputs, changed_predictions = contexts(other, coefficients)
    # Row 20 to its column 30, and what lies three columns left of that in the rows below, are not later.
    assert np.array_equal(inputs[:20], changed_inputs[:20])
    assert np.array_equal(inputs[20, :31], changed_inputs[20, :31])
    assert np.array_equal(predictions[20, :31], changed_predictions[20, :31])
    assert not np.array_equal(inputs[20, 31], changed_inputs[20, 31])


def test_fit_of_a_linear_field_predicts_it():
    rows, columns = np.mgrid[:64, :64]
    noise = np.random.default_rng(0).normal(size=(64, 64))
    smooth = 20 * np.sin(rows / 20) * np.cos(columns / 25) + 0.1 * noise
    found = fit(smooth, np.ones(smooth.shape, np.uint8))
    assert 0.05 < found.deviation < 0.3


@settings(max_examples=100, deadline=None)
@given(
    dtype=st.sampled_from(DTYPES),
    logarithmic=st.booleans(),
    ends=st.tuples(st.integers(0, 255), st.integers(0, 255)),
    seed=st.integers(0, 1 << 30),
    deviation=st.floats(1e-6, 1e3),
)
def test_cells_hold_every_number_once(dtype, logarithmic, ends, seed, deviation):
    kind = np.dtype(dtype)
    values = np.random.default_rng(seed).normal(size=50) * (1 + ends[0]) + (0 if not logarithmic else 300)
    samples = stored(np.abs(values) if logarithmic or kind.kind == "u" else values, dtype)
    if logarithmic and kind.kind == "f":
        samples = samples[samples > 0]
    every = numbering.Every(kind, logarithmic)
    numbers = np.sort(every.numbers(samples))
    least, greatest = int(numbers[0]), int(numbers[-1])
    fine = fineness(every, deviation, least, greatest)
    cells = build(every, fine, least, greatest)
    assert cells.levels.size == build_count(every, fine, least, greatest) <= MOST_CELLS
    assert (np.diff(cells.first) > 0).all() and (np.diff(cells.levels) >= 0).all()
    index = cells.index(numbers)
    low = numbers - cells.first[index]
    assert (low >= 0).all() and (low < np.int64(1) << cells.bits[index].astype(np.int64)).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16"])
def test_ordinals_keep_the_order(dtype):
    values = np.sort(np.random.default_rng(0).normal(size=200) * 100).astype(dtype)
    found = numbering.ordinals(values)
    assert (np.diff(found) >= 0).all()
    assert same_bits(numbering.from_ordinals(found, values.dtype), values)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_broken_payloads_are_refused_or_decode_to_something(data):
    samples = stored(speckle(20, 30), data.draw(st.sampled_from(["uint8", "uint16", "float32"])))
    bound = data.draw(st.sampled_from([None, Bound(0.5), Bound(1, False)]))
    band = PixelBand(str(samples.dtype), Radiometry("amplitude"))
    payload = bytearray(encode_band(samples, band, bound, NETWORK).payload)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, min(len(payload) - 1, 160)))
        payload[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(payload)))
    try:
        found = decode_band(bytes(payload[:cut]), samples.shape, band.dtype, NETWORK)
    except CorruptError:
        return
    assert found.shape == samples.shape and found.dtype == samples.dtype
