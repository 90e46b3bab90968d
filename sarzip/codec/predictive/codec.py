"""`predictive`: pixels from their neighbours, lossless or with a hard bound on the error.

 samples ─┬─ class map: special values, and what fits nowhere (raw)
          └─ numbering ─► numbers ─┬─ low bits, as they are
             (what is lost)        └─ cells ─► 18 neighbours, running means ─► network ─► distribution ─► rANS

Every group is coded by itself, in strips of rows. Read `numbering` (what a bound does to samples), `cells`,
`fit` (what a group tells the network), `strips` and native/pixel.h. A band that this does not suit, such as a
mask or a few labels, takes whichever is smaller of the other methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from sarzip.codec.base import LATENTS, Quality, Streams, Worst
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.predictive.plane import PixelBand, decode_band, encode_band
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.streams.framing import join_compact, split_compact


class PredictiveCodec:
    """Any number of bands of any real dtypes, each by itself. With a bound, measurements of every band stay
    within it; without one everything comes back bit for bit.
    """

    id = "predictive"

    def __init__(self, network: PixelNetwork, bands: Sequence[PixelBand], bound: Bound | None = None) -> None:
        self.inputs = len(bands)
        self._network = network
        self._bands = tuple(bands)
        self._bound = bound

    def encode(self, samples: Sequence[NDArray[Any]]) -> tuple[dict[int, bytes], list[Worst]]:
        """Samples (rows, columns) of every band to one stream; with a bound the worst error of each."""
        coded = [
            encode_band(plane, band, self._bound, self._network)
            for plane, band in zip(samples, self._bands, strict=True)
        ]
        streams = {LATENTS: join_compact([each.payload for each in coded])}
        return streams, [each.worst for each in coded] if self._bound else []

    def decode(self, streams: Streams, shape: tuple[int, int], band: int) -> NDArray[Any]:
        """Samples (rows, columns) of the band at a position in the set; CorruptError if undecodable."""
        payload = split_compact(streams.get(LATENTS, b""), self.inputs)[band]
        return decode_band(payload, shape, self._bands[band].dtype, self._network)

    def integers(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> None:
        """There is nothing between the stream and the samples."""
        return None
