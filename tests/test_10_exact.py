"""Exact planes: every bit pattern survives, foreign bytes are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sarzip.codec.exact.codec import decode_plane, encode_plane
from sarzip.errors import CorruptError

DTYPES = st.sampled_from(["uint8", "int16", "uint16", "int32", "float32", "float64"])
SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30)


@given(DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, SHAPES)))
def test_bit_exact(values):
    decoded = decode_plane(encode_plane(values), values.shape, values.dtype)
    assert decoded.dtype == values.dtype
    assert decoded.tobytes() == values.tobytes()


@given(st.binary(max_size=80))
def test_foreign_bytes_are_refused(payload):
    with pytest.raises(CorruptError):
        decode_plane(payload + b"x", (11, 13), "uint16")


def test_other_shape_is_refused():
    with pytest.raises(CorruptError):
        decode_plane(encode_plane(np.zeros((4, 4), np.uint8)), (4, 5), "uint8")
