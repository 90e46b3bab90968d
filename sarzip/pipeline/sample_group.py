"""Groups of bands whose samples are coded as they are stored, both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Halo, Quality, SampleCodec, Worst
from sarzip.codec.streams.payloads import SideStreams
from sarzip.container import require_known
from sarzip.grid import Window
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.bounds import Achieved
from sarzip.pipeline.group import (
    KNOWN_STREAMS,
    AnalysedGroup,
    DecodedGroup,
    EncodedGroup,
    Prepared,
    View,
    dataset_mask,
    mask_streams,
)


class SampleGroups:
    """Groups of bands whose samples are coded as they are stored; they look at nothing around them."""

    halo = Halo()
    channels = 0
    mirror_signs = np.ones((2, 0), np.float32)

    def __init__(
        self,
        codec: SampleCodec,
        quality: Quality,
        bands: Mapping[int, BandTransform],
        achieved: Achieved | None = None,
    ) -> None:
        """achieved: is told the worst errors, when encoding within a bound."""
        self.codec = codec
        self._achieved = achieved
        self.quality = quality
        self.bands = tuple(bands)
        self._transforms = list(bands.values())

    def prepare(self, values: list[NDArray[Any]], place: Window) -> Prepared:
        """See GroupCoder."""
        return Prepared(place, values)

    def analyse(self, window: Window, own: Prepared, others: Sequence[Prepared] = ()) -> AnalysedGroup:
        """See GroupCoder."""
        inside = window.slices(own.place)
        return AnalysedGroup([plane[inside] for plane in own.bands], mask_streams(own, inside))

    def encode(self, group: AnalysedGroup, window: Window, quality: Quality) -> EncodedGroup:
        """See GroupCoder."""
        streams, errors = self.codec.encode(group.content)
        if self._achieved is not None:
            for band, (error, row, column) in zip(self.bands, errors, strict=bool(errors)):
                self._achieved.add(band, Worst(error, window.row + row, window.column + column))
        return EncodedGroup(streams | group.streams)

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32] | None) -> dict[int, bytes]:
        """See GroupCoder: the streams are complete."""
        return group.streams

    def decode(
        self, streams: Mapping[int, bytes], window: Window, intact: Sequence[int] | None = None
    ) -> DecodedGroup:
        """See GroupCoder: samples are made when they are wanted."""
        require_known(streams, KNOWN_STREAMS)
        return DecodedGroup(streams)

    def wanted_latents(self, window: Window, view: View) -> None:
        """See GroupCoder."""
        return None

    def restore(
        self, group: DecodedGroup, window: Window, view: View, latents: NDArray[np.float32] | None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """See GroupCoder. Reduced, labels become medians, measurements means in dB."""
        shape = window.rows, window.columns
        for position in view.positions:
            values = self.codec.decode(group.streams, shape, position)[view.inside.slices(window)]
            yield position, self._transforms[position].reduced(values, view.scale)
        yield from dataset_mask(SideStreams(group.streams, len(self.bands), shape), window, view)
