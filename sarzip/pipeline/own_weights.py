"""Weights of the pixel network that a band of a large scene has for itself.

They are found on a sample before the first group is coded, and kept in the header of the band's set.
"""

from __future__ import annotations

from typing import Any

from sarzip.codec.predictive import pixels
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.predictive.plane import PixelBand
from sarzip.codec.predictive.tuning import tuned
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.streams import class_map
from sarzip.container import SetHeader
from sarzip.container.metadata_values import from_base64, to_base64
from sarzip.errors import CorruptError
from sarzip.pipeline.base_step import sample_pieces
from sarzip.pipeline.sources import Source

LEAST_PIXELS = 1 << 21
"""Of a band: in smaller ones the weights take what they save."""
_KEY = "w"
_FEW_CELLS = 16


def own_weights(
    source: Source, number: int, band: PixelBand, bound: Bound | None, network: PixelNetwork
) -> bytes:
    """What makes the network fit a band (0-based) of a source; b"" where that does not pay."""
    size = source.info.width * source.info.height
    if size < LEAST_PIXELS:
        return b""
    pieces = []
    for samples in sample_pieces(source, number):
        measured = class_map.classify(samples, band.specials, band.shared_zero) == 0
        ready = pixels.prepare(samples, measured, band.promise(bound))
        if ready is not None and ready.cells.levels.size >= _FEW_CELLS:
            pieces.append(ready)
    return tuned(network, pieces, size) if pieces else b""


def to_header(weights: bytes) -> dict[str, Any]:
    """What `extra` of a set says of them."""
    return {_KEY: to_base64(weights)} if weights else {}


def network_of(header: SetHeader, network: PixelNetwork) -> PixelNetwork:
    """The network of a set; CorruptError for weights that no encoder writes."""
    told = header.extra.get(_KEY)
    if told is None:
        return network
    try:
        weights = from_base64(told)
    except ValueError:
        raise CorruptError("header gives a set weights that are no base64") from None
    return network.tuned(weights)
