"""Adaptive binary range coder, for the small streams beside the latents: masks and radiometric corrections.

A range coder as LZMA's (G. N. N. Martin 1979; I. Pavlov), with probabilities of 16 bits that move by
1/(n + 1.5) after n symbols of their context, as a count of the symbols would, until n reaches a limit. All of
it is integer arithmetic. Zeros at the end are left out, and a decoder reads zeros there; a stream has one
form only, which `read_to_end` checks.

The functions are for compiled loops. `coder` is int64 (3): low or code, range, position. `model` is uint16
(contexts, 2): probability of a 0 in 1/65536, and n.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.jit.compile import inlined

LIMIT = 250
"""Most symbols that a context counts."""

EVEN = 32768
_LEAST, _MOST = 32, 65504
_RATES = np.array([131072 // (2 * n + 3) for n in range(LIMIT + 1)], np.int64)
_WHOLE, _TOP, _BYTE = 1 << 32, 1 << 24, 0xFF


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


@inlined
def learn(model: Any, context: int, bit: int, limit: int) -> None:
    """Adapt the probability of a context to a bit."""
    chance, count = np.int64(model[context, 0]), np.int64(model[context, 1])
    if bit:
        chance -= (chance * _RATES[count]) >> 16
    else:
        chance += ((65536 - chance) * _RATES[count]) >> 16
    model[context, 0] = min(max(chance, _LEAST), _MOST)
    if count < limit:
        model[context, 1] = count + 1


@inlined
def put(coder: Any, out: Any, chance: int, bit: int) -> None:
    """Encode a bit whose probability of being 0 is chance / 65536.

    `out` (uint8) needs two bytes beyond the position; the caller sees to that.
    """
    bound = (coder[1] >> 16) * chance
    if bit:
        coder[0] += bound
        coder[1] -= bound
        if coder[0] >= _WHOLE:
            coder[0] -= _WHOLE
            _carry(out, coder[2])
    else:
        coder[1] = bound
    while coder[1] < _TOP:
        out[coder[2]] = coder[0] >> 24
        coder[2] += 1
        coder[0] = (coder[0] << 8) & (_WHOLE - 1)
        coder[1] <<= 8


@inlined
def _carry(out: Any, position: int) -> None:
    position -= 1
    while out[position] == _BYTE:
        out[position] = 0
        position -= 1
    out[position] += 1


@inlined
def encode_bit(coder: Any, out: Any, model: Any, context: int, bit: int, limit: int) -> None:
    """Encode a bit in a context and adapt the model."""
    put(coder, out, np.int64(model[context, 0]), bit)
    learn(model, context, bit, limit)


@inlined
def take(coder: Any, data: Any, chance: int) -> int:
    """Decode a bit whose probability of being 0 is chance / 65536. Total: beyond the end there are zeros."""
    bound = (coder[1] >> 16) * chance
    bit = 0
    if coder[0] < bound:
        coder[1] = bound
    else:
        bit = 1
        coder[0] -= bound
        coder[1] -= bound
    while coder[1] < _TOP:
        following = np.int64(0)
        if coder[2] < data.size:
            following = np.int64(data[coder[2]])
        coder[0] = (coder[0] << 8) | following
        coder[1] <<= 8
        coder[2] += 1
    return bit


@inlined
def decode_bit(coder: Any, data: Any, model: Any, context: int, limit: int) -> int:
    """Decode a bit in a context and adapt the model."""
    bit = take(coder, data, np.int64(model[context, 0]))
    learn(model, context, bit, limit)
    return bit


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
