"""A checksum for each band of a pair, in its frame: damage to one band leaves the other (FORMAT.md 9.13).

The checksum of a frame says that something in it is damaged, not what. A check covers all that the samples of
one band depend on within the frame: of the first band its own streams; of the second, which is predicted from
the first, also the latents of that.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

from sarzip.codec.base import HYPER_LATENTS, LATENTS
from sarzip.codec.lapped16.band_pair import Lapped16Pair, first_band
from sarzip.container import StreamKind
from sarzip.container.layout import FIRST_SKIPPABLE_KIND, parse_varint, varint
from sarzip.errors import CorruptError
from sarzip.pipeline.group import GroupCoder

_CHECKS = struct.Struct("<II")
_SHARE = 2000
"""Checks are written where they cost at most one byte of so many, as the copy of the metadata is."""
_COST = _CHECKS.size + 4
"""With kind and length in the directory."""
_OF_ALL = (StreamKind.DATASET_MASK, StreamKind.CODED_DATASET_MASK)
_JOINED = (
    StreamKind.RESIDUAL,
    StreamKind.CODED_MASK,
    StreamKind.CODED_BIAS_CORRECTION,
    StreamKind.OUTLIERS,
)


def checked(coder: GroupCoder) -> bool:
    """Whether the frames of a set may have checks."""
    return isinstance(coder.codec, Lapped16Pair)


def with_checks(streams: dict[int, bytes], ordinal: int) -> dict[int, bytes]:
    """The streams of a pair's frame with its checks, where those cost next to nothing."""
    if sum(map(len, streams.values())) < _COST * _SHARE:
        return streams
    return {**streams, StreamKind.CHECKS: _CHECKS.pack(*_checks(streams, ordinal))}


def intact_bands(streams: Mapping[int, bytes], ordinal: int) -> tuple[int, ...]:
    """Positions of the bands of a pair whose checks hold, in a frame whose own checksum does not."""
    said = streams.get(StreamKind.CHECKS, b"")
    if len(said) != _CHECKS.size:
        return ()
    try:
        found = _checks(streams, ordinal)
    except CorruptError:
        return ()
    return tuple(
        at for at, pair in enumerate(zip(found, _CHECKS.unpack(said), strict=True)) if len({*pair}) == 1
    )


def _checks(streams: Mapping[int, bytes], ordinal: int) -> list[int]:
    """CRC-32 of what each band takes. Raises CorruptError where streams do not come apart."""
    own = first_band(streams)
    found = [crc32(varint(ordinal))] * 2
    for kind in sorted(each for each in streams if each < FIRST_SKIPPABLE_KIND):
        stream = streams[kind]
        if kind in (LATENTS, HYPER_LATENTS):
            parts = own[kind], stream
        elif kind in _OF_ALL:
            parts = stream, stream
        elif kind in _JOINED:
            size, at = parse_varint(stream, 0)
            parts = stream[at : at + size], stream[at + size :]
        else:
            raise CorruptError(f"stream of kind {kind} in a frame with checks")
        for at, part in enumerate(parts):
            found[at] = crc32(part, crc32(bytes([kind]) + varint(len(part)), found[at]))
    return found
