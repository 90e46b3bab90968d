"""How many bytes of a `.sarz` each band takes, of those that are coded together, too."""

from __future__ import annotations

from collections.abc import Sequence

from sarzip.codec.lapped16.band_pair import band_bytes
from sarzip.codec.streams.payloads import SideStreams
from sarzip.container import Reader
from sarzip.errors import CorruptError

_EVERYTHING = 1 << 28
_SAMPLE = 16


def band_shares(reader: Reader, number: int, local: bool) -> list[float]:
    """Bytes of each band of a set; a share of what the bands have in common included.

    Which band of a pair takes what is told by the frames. Of large files, and of those that are not `local`,
    a few are looked at; what cannot be read counts as halves.
    """
    header = reader.header
    bands = len(header.sets[number].bands)
    ordinals = [at for at in range(reader.frame_count) if header.address(at).set == number]
    total = sum(reader.frame_sizes[at] for at in ordinals)
    if bands == 1 or header.sets[number].model is None:
        return [total / bands] * bands
    if total > _EVERYTHING or not local:
        ordinals = ordinals[:: -(-len(ordinals) // _SAMPLE)]
    found = [0] * bands
    for ordinal in ordinals:
        try:
            found = [sum(both) for both in zip(found, _of_frame(reader, ordinal, bands), strict=True)]
        except CorruptError:
            continue
    known = sum(found)
    return [total * each / known for each in found] if known else [total / bands] * bands


def _of_frame(reader: Reader, ordinal: int, bands: int) -> Sequence[int]:
    streams = reader.read_frame(ordinal)
    place = reader.header.window(reader.header.address(ordinal).group)
    side = SideStreams(streams, bands, (place.rows, place.columns)).band_bytes
    return [sum(both) for both in zip(side, band_bytes(streams), strict=True)]
