"""Several payloads as one, each after its length."""

from __future__ import annotations

from collections.abc import Sequence

from sarzip.errors import CorruptError


def join_payloads(payloads: Sequence[bytes]) -> bytes:
    """One payload per band of a set as one: each preceded by its length as little-endian uint32.

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
