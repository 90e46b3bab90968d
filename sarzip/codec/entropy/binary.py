"""Adaptive binary range coder, for the small streams beside the latents: masks and radiometric corrections.

A range coder as LZMA's (G. N. N. Martin 1979; I. Pavlov), with probabilities of 16 bits that move by
1/(n + 1.5) after n symbols of their context, as a count of the symbols would, until n reaches a limit. All of
it is integer arithmetic. Zeros at the end are left out, and a decoder reads zeros there; a stream has one
form only, which `read_to_end` checks.

Bits are coded in native/binary.h; here a stream begins and ends. `coder` is int64 (3): low or code, range,
position. `model` is uint16 (contexts, 2): probability of a 0 in 1/65536, and n.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EVEN = 32768
_WHOLE, _TOP = 1 << 32, 1 << 24


def new_model(contexts: int) -> NDArray[np.uint16]:
    """A model that knows nothing: uint16 (contexts, 2)."""
    model = np.zeros((contexts, 2), np.uint16)
    model[:, 0] = EVEN
    return model


def new_encoder() -> NDArray[np.int64]:
    """Coder to encode with."""
    return np.array([0, _WHOLE - 1, 0], np.int64)


def new_decoder(payload: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Coder to decode a stream with, and its bytes as compiled functions take them."""
    first = payload[:4].ljust(4, b"\0")
    coder = np.array([int.from_bytes(first, "big"), _WHOLE - 1, 4], np.int64)
    return coder, np.array(bytearray(payload), np.uint8)


def finished(coder: NDArray[np.int64], out: NDArray[np.uint8]) -> bytes:
    """The whole stream, given what was encoded: the shortest bytes within the last interval."""
    low, size, position = (int(value) for value in coder)
    whole = int.from_bytes(out[:position].tobytes(), "big")
    if -low % _WHOLE < size:  # a number whose further bytes are all zeros
        return (whole + (low > 0)).to_bytes(position, "big").rstrip(b"\0")
    last = (low + _TOP - 1) // _TOP
    return (whole * 256 + last).to_bytes(position + 1, "big").rstrip(b"\0")


def read_to_end(coder: NDArray[np.int64], data: NDArray[np.uint8]) -> bool:
    """Whether `data` is just what `finished` makes of all that was decoded."""
    code, size, position = (int(value) for value in coder)
    start = position - 4
    window = data[start:position].tobytes().ljust(4, b"\0")
    low = (int.from_bytes(window, "big") - code) % _WHOLE
    needed = 0 if -low % _WHOLE < size else 1
    expected = -low % (_TOP if needed else _WHOLE)
    return code == expected and data.size <= start + needed and (data.size == 0 or bool(data[-1]))
