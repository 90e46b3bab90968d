"""Several payloads as one: each after its length, or, more compactly, each but the last."""

from __future__ import annotations

from collections.abc import Sequence

from sarzip.container.layout import parse_varint, varint
from sarzip.errors import CorruptError


def join_compact(payloads: Sequence[bytes]) -> bytes:
    """One payload per band of a set as one: each but the last after its length as varint."""
    return b"".join([varint(len(each)) + each for each in payloads[:-1]] + [*payloads[-1:]])


def split_compact(joined: bytes, count: int) -> list[bytes]:
    """Inverse of join_compact for a set of `count` bands. Raises CorruptError."""
    payloads, at = [], 0
    for _ in range(count - 1):
        size, at = parse_varint(joined, at)
        if size > len(joined) - at:
            raise CorruptError("payloads of the bands do not add up")
        payloads.append(joined[at : at + size])
        at += size
    return [*payloads, joined[at:]]


def join_payloads(payloads: Sequence[bytes]) -> bytes:
    """The same, each preceded by its length as little-endian uint32.

    Nothing at all when every one of them is empty.
    """
    if not any(payloads):
        return b""
    return b"".join(len(payload).to_bytes(4, "little") + payload for payload in payloads)


def split_payloads(joined: bytes, count: int) -> list[bytes]:
    """Inverse of join_payloads for a set of `count` bands. Raises CorruptError."""
    payloads, position = [], 0
    if not joined:
        return [b""] * count
    for _ in range(count):
        size = int.from_bytes(joined[position : position + 4], "little")
        payloads.append(joined[position + 4 : position + 4 + size])
        position += 4 + size
    if position != len(joined):
        raise CorruptError("payloads of the bands do not add up")
    return payloads
