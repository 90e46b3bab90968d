"""Within a bound in dB: pixels from their neighbours, or a decoded signal with a residual? A sample decides.

From a bound of about 0.6 times the noise on, the signal and a residual are smaller, by up to 40 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from numpy.typing import NDArray

from sarzip.codec.base import Quality, SignalCodec
from sarzip.codec.predictive.codec import PredictiveCodec
from sarzip.codec.signal.bounds import Bound
from sarzip.grid import Grid, Neighbourhood, Part, Window, in_latents
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.signal_group import SignalGroups
from sarzip.pipeline.sources import Source

BASE_STEPS: tuple[float, ...] = (1.6, 2.5, 4.0, 6.3, 10.0)
"""Steps in dB that are tried; between them sizes hardly differ."""
_SIDE = 320
_HOPELESS = 1.4  # times what there is already: no other step makes up for that
_PLACES = ((0.6, 0.4), (0.2, 0.2), (0.4, 0.8), (0.85, 0.7))
"""Of the squares, between the first and the last place in either direction."""
_GROUP = 512


def choose_base_step(
    pieces: Sequence[NDArray[Any]],
    steps: Sequence[float],
    direct: PredictiveCodec,
    signal: tuple[SignalCodec, BandTransform, Bound],
) -> float | None:
    """Step of the signal below a residual, of `steps`, or None where pixels by themselves are smaller.

    pieces: samples of a band (rows, columns). direct: the coder of its pixels. signal: the codec of signals,
    on the CPU, with the band's transform and bound.
    """
    least: float = sum(_bytes(direct.encode([piece])[0]) for piece in pieces)
    best, last = None, math.inf
    samples = [_Piece(piece, *signal) for piece in pieces]
    for step in sorted(steps, reverse=True):
        size = sum(piece.size(step) for piece in samples)
        if size < least:
            best, least = step, size
        if size > last or size > _HOPELESS * least:
            break  # sizes have one minimum
        last = size
    return best


class _Piece:
    """Samples of a band, analysed once, coded at any step."""

    def __init__(
        self, samples: NDArray[Any], codec: SignalCodec, transform: BandTransform, bound: Bound
    ) -> None:
        self._place = Window(0, 0, *samples.shape)
        self._grid = Grid(samples.shape[1], samples.shape[0], _GROUP)
        self._codec, self._transform, self._bound = codec, transform, bound
        coder = self._coder(1.0)
        self._analysed = coder.analyse(self._place, coder.prepare([samples], self._place))

    def size(self, step: float) -> int:
        """Bytes of signal and residual."""
        coder, latents = self._coder(step), in_latents(self._place)
        group = coder.encode(self._analysed, self._place, coder.quality)
        assert group.latents is not None
        around = Neighbourhood(latents.rows, latents.columns, 1, coder.halo.latents, coder.mirror_signs)
        whole = around.around(latents, [Part(0, 0, group.latents.samples)])
        return _bytes(coder.finish(group, whole))

    def _coder(self, step: float) -> SignalGroups:
        return SignalGroups(self._codec, Quality(step, self._bound), {0: self._transform}, self._grid)


def sample_pieces(source: Source, band: int) -> Iterator[NDArray[Any]]:
    """A few squares of a band (0-based) along the diagonals of the scene."""
    height, width = source.info.height, source.info.width
    rows, columns = min(_SIDE, height), min(_SIDE, width)
    spread = _PLACES if height * width > len(_PLACES) * _SIDE**2 else _PLACES[:1]
    places = {(round((height - rows) * down), round((width - columns) * across)) for down, across in spread}
    for top, left in sorted(places):
        yield source.read([band], Window(top, left, rows, columns))[0]


def _bytes(streams: dict[int, bytes]) -> int:
    return sum(len(data) for data in streams.values())
