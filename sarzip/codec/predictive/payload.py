"""Bytes of a payload: numbers and blocks one after the other, and bits that are sent as they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.container.layout import varint
from sarzip.errors import CorruptError
from sarzip.native import kernel

_MOST_BYTES = 10
_put_low = kernel("pixel_put_low", "int64(const int64[::1], const uint8[::1], int64, uint8[::1])")
_take_low = kernel("pixel_take_low", "void(int64[::1], const uint8[::1], int64, const uint8[::1])")


def block(data: bytes) -> bytes:
    """Bytes after their length."""
    return varint(len(data)) + data


def number(value: int) -> bytes:
    """A whole number of up to 64 bits, negative ones interleaved with the others, as LEB128."""
    rest, out = (value << 1) ^ (value >> 63), bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*out, rest])


class Reading:
    """Takes a payload apart. CorruptError where it ends early."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next bytes."""
        if size > len(self._payload) - self._at:
            raise CorruptError("pixels end early")
        self._at += size
        return self._payload[self._at - size : self._at]

    def number(self) -> int:
        """See number."""
        value = 0
        for place in range(_MOST_BYTES):
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                if byte == 0 and place:
                    break
                return (value >> 1) ^ -(value & 1)
        raise CorruptError("pixels have a number that no encoder writes")

    def block(self) -> bytes:
        """See block."""
        size = 0
        for place in range(5):
            (byte,) = self.take(1)
            size |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return self.take(size)
        raise CorruptError("pixels have a length that no encoder writes")

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._payload) - self._at)


def pack_low(values: NDArray[np.int64], bits: NDArray[np.uint8]) -> bytes:
    """The low `bits` bits (at most 56) of each value, the lowest first."""
    size = (int(bits.sum(dtype=np.int64)) + 7) // 8
    out = np.zeros(size, np.uint8)
    _put_low(values, bits, values.size, out)
    return out.tobytes()


def add_low(values: NDArray[np.int64], bits: NDArray[np.uint8], data: bytes) -> None:
    """Adds to each value its low bits. CorruptError where `data` is not as long as they are."""
    size = int(bits.sum(dtype=np.int64))
    if len(data) != (size + 7) // 8 or (size % 8 and data[-1] >> size % 8):
        raise CorruptError("the low bits of pixels have a wrong size")
    _take_low(values, bits, values.size, np.frombuffer(data, np.uint8))
