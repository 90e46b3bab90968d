"""Binary coder: kernels and plain Python agree to the last bit, streams have one form, decoding is total."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference_binary import Decoder, Encoder, Model

from sarzip.codec.entropy import binary as bc
from sarzip.native import kernel

CONTEXTS = 5


_encode = kernel(
    "binary_encode",
    "void(int64[::1], uint8[::1], uint16[:,::1], const int64[::1], const int64[::1], int64, int64)",
)
_decode = kernel(
    "binary_decode",
    "void(int64[::1], const uint8[::1], int64, uint16[:,::1], const int64[::1], int64[::1], int64, int64)",
)


def encode(contexts: np.ndarray, bits: np.ndarray, limit: int) -> bytes:
    coder, out = bc.new_encoder(), np.zeros(2 * bits.size + 8, np.uint8)
    _encode(coder, out, bc.new_model(CONTEXTS), contexts, bits, bits.size, limit)
    return bc.finished(coder, out)


def decode(data: bytes, contexts: np.ndarray, limit: int) -> tuple[np.ndarray, bool]:
    found = np.zeros(contexts.size, np.int64)
    coder, stream = bc.new_decoder(data)
    _decode(coder, stream, stream.size, bc.new_model(CONTEXTS), contexts, found, found.size, limit)
    return found, bc.read_to_end(coder, stream)


@st.composite
def symbols(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Contexts (negative: a fixed chance), bits of a chance of their own, and the limit of the counts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(0, 400))
    contexts = rng.integers(0, CONTEXTS, size)
    fixed = rng.random(size) < draw(st.sampled_from([0, 0.1]))
    contexts[fixed] = -rng.choice([32, 32768, 40000, 65504], int(fixed.sum()))
    bits = (rng.random(size) < draw(st.sampled_from([0, 0.001, 0.1, 0.5, 0.97, 1]))).astype(np.int64)
    return contexts, bits, draw(st.sampled_from([1, 30, 250]))


@settings(max_examples=150, deadline=None)
@given(symbols())
def test_round_trip_and_reference(case):
    contexts, bits, limit = case
    data = encode(contexts, bits, limit)
    found, whole = decode(data, contexts, limit)
    np.testing.assert_array_equal(found, bits)
    assert whole
    encoder, model = Encoder(), Model(CONTEXTS, limit)
    for context, bit in zip(contexts.tolist(), bits.tolist(), strict=True):
        encoder.put(-context if context < 0 else model.chance(context), bit)
        if context >= 0:
            model.learn(context, bit)
    assert encoder.finish() == data
    decoder, model = Decoder(data), Model(CONTEXTS, limit)
    for context, bit in zip(contexts.tolist(), bits.tolist(), strict=True):
        assert decoder.take(-context if context < 0 else model.chance(context)) == bit
        if context >= 0:
            model.learn(context, bit)
    assert decoder.at_end()


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=30), st.integers(0, 2**32 - 1))
def test_any_bytes_decode_and_have_one_form(data, seed):
    contexts = np.random.default_rng(seed).integers(0, CONTEXTS, 120)
    bits, whole = decode(data, contexts, 30)
    assert whole == (encode(contexts, bits, 30) == data)
    decoder, model = Decoder(data), Model(CONTEXTS, 30)
    for context, bit in zip(contexts.tolist(), bits.tolist(), strict=True):
        assert decoder.take(model.chance(context)) == bit
        model.learn(context, bit)
    assert decoder.at_end() == whole


def test_it_comes_close_to_the_entropy():
    rng = np.random.default_rng(0)
    bits = (rng.random(20_000) < 0.02).astype(np.int64)
    share = bits.mean()
    ideal = -bits.size * (share * np.log2(share) + (1 - share) * np.log2(1 - share)) / 8
    assert len(encode(np.zeros_like(bits), bits, 250)) < 1.02 * ideal + 4


def test_nothing_and_zeros_take_no_bytes():
    nothing = np.zeros(0, np.int64)
    assert encode(nothing, nothing, 30) == b""
    assert encode(np.zeros(9, np.int64), np.zeros(9, np.int64), 30) == b""
