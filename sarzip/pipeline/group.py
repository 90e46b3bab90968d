"""One group of one set of bands, both ways: THE unit of the pipeline.

In: `prepare` (what is done pixel by pixel, for a strip at a time), `analyse` (nothing that depends on the
quality), `encode`, and with the latents of the groups around it `finish`. Out: `decode`, and with the latents
around it `restore`. Drivers (`encode`, `decode`, `rate_control`) decide which groups, in what order, on which
threads. `signal_group` serves codecs that see decibels, `sample_group` those that see samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Codec, Halo, Quality
from sarzip.codec.signal.boxes import box_median
from sarzip.codec.streams.outliers import Outliers
from sarzip.codec.streams.payloads import SIDE_STREAMS, SideStreams, dataset_mask_stream
from sarzip.container import StreamKind
from sarzip.grid import STRIDE, Part, Window

MASK_BAND = -1
"""Where a band is asked for: the mask of the whole dataset."""
# A stream that is not here would be needed for the right pixels.
KNOWN_STREAMS = (StreamKind.LATENTS, StreamKind.HYPER_LATENTS, *SIDE_STREAMS)


@dataclass(frozen=True)
class Prepared:
    """A rectangle of a set before coding.

    bands: of a codec of signals the filled signal (bands, rows, columns); else the samples of each band.
    validity: class maps of the same shape, 0: a measurement. outliers: of each band. empty: flags (bands,
    rows/16, columns/16) of squares without a measurement. mask: of the dataset, where this set carries it.
    """

    place: Window
    bands: Any
    validity: NDArray[np.uint8] | None = None
    outliers: tuple[Outliers, ...] = ()
    empty: NDArray[np.uint8] | None = None
    mask: NDArray[np.uint8] | None = None
    thin: tuple[NDArray[Any], ...] = ()
    """The samples of each band as they are stored, of the rows and columns that doubt.Watch looks at."""
    samples: tuple[NDArray[Any], ...] = ()
    """All of them, where a bound has to be kept."""

    def tail(self, rows: int) -> Prepared | None:
        """Copies of the last rows of signal and flags, for those below; None where nobody looks at them."""
        if not rows or self.empty is None:
            return None
        row = self.place.bottom - rows
        place = Window(row, self.place.column, rows, self.place.columns)
        return Prepared(place, self.bands[:, -rows:].copy(), empty=self.empty[:, -rows // STRIDE :].copy())


@dataclass(frozen=True)
class AnalysedGroup:
    """A group before anything depends on the quality.

    content: latents (C, h, w), or samples of each band. power: of every cell for each band. streams: those
    that are complete. thin, samples: see Prepared.
    """

    content: Any
    streams: dict[int, bytes]
    validity: NDArray[np.uint8] | None = None
    power: tuple[NDArray[np.float64], ...] = ()
    thin: tuple[NDArray[Any], ...] = ()
    samples: tuple[NDArray[Any], ...] = ()


@dataclass(frozen=True)
class EncodedGroup:
    """A group on its way into the file. latents: dequantised, as the decoder will have them."""

    streams: dict[int, bytes]
    latents: Part | None = None
    analysed: AnalysedGroup | None = None


@dataclass(frozen=True)
class DecodedGroup:
    """A group on its way out. latents: None where there are none. lost: why it could not be decoded; intact:
    positions of the bands that could be all the same. known: so many channels have latents; None: all.
    """

    streams: Mapping[int, bytes] = field(default_factory=dict)
    latents: Part | None = None
    lost: str | None = None
    intact: tuple[int, ...] = ()
    known: int | None = None


@dataclass(frozen=True)
class View:
    """What is wanted of a group: pixels within it, at one sample for scale×scale of them, and which bands of
    the set, by their positions.
    """

    inside: Window
    positions: Sequence[int]
    scale: int = 1


class GroupCoder(Protocol):
    """Codes groups of one set."""

    bands: tuple[int, ...]
    quality: Quality
    halo: Halo
    channels: int
    mirror_signs: NDArray[np.float32]

    @property
    def codec(self) -> Codec:
        """What codes them."""
        ...

    def prepare(self, values: list[NDArray[Any]], place: Window) -> Prepared:
        """Samples of every band in a rectangle whose corner lies on latents, made ready."""
        ...

    def analyse(self, window: Window, own: Prepared, others: Sequence[Prepared] = ()) -> AnalysedGroup:
        """A group out of the rectangle that holds it and those with its halo."""
        ...

    def encode(self, group: AnalysedGroup, window: Window, quality: Quality) -> EncodedGroup:
        """Its streams, as far as they do not depend on the groups around it."""
        ...

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32] | None) -> dict[int, bytes]:
        """All its streams, given its dequantised latents with the halo."""
        ...

    def decode(
        self, streams: Mapping[int, bytes], window: Window, intact: Sequence[int] | None = None
    ) -> DecodedGroup:
        """What can be decoded without the groups around it. intact: positions of the bands whose streams are
        not damaged; None for all. Raises CorruptError.
        """
        ...

    def wanted_latents(self, window: Window, view: View) -> Window | None:
        """The latents, without their halo, that restoring a view of a group takes; None for none."""
        ...

    def restore(
        self, group: DecodedGroup, window: Window, view: View, latents: NDArray[np.float32] | None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Position of a band in the set, or MASK_BAND, and its samples in a view; latents with the halo."""
        ...


def mask_streams(own: Prepared, inside: tuple[slice, slice]) -> dict[int, bytes]:
    """The stream of the dataset's mask in a group, where its set carries that."""
    return {} if own.mask is None else dataset_mask_stream(own.mask[inside])


def dataset_mask(side: SideStreams, window: Window, view: View) -> Iterator[tuple[int, NDArray[Any]]]:
    """MASK_BAND and the mask of the dataset in a view, where the group has one."""
    mask = side.dataset_mask()
    if mask is not None:
        yield MASK_BAND, box_median(mask[view.inside.slices(window)], view.scale)
