"""Bytes of a payload: numbers and blocks one after the other."""

from __future__ import annotations

from sarzip.container.layout import parse_varint, varint
from sarzip.errors import CorruptError

_MOST_BYTES = 10


def block(data: bytes) -> bytes:
    """Bytes after their length."""
    return varint(len(data)) + data


def number(value: int) -> bytes:
    """A whole number of up to 64 bits, negative ones interleaved with the others, as LEB128."""
    return varint((value << 1) ^ (value >> 63))


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
        size, self._at = parse_varint(self._payload, self._at)
        return self.take(size)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._payload) - self._at)
