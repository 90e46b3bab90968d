"""One group of one set of bands, both ways: THE unit of the pipeline.

In: `prepare` (what is done pixel by pixel, for a strip at a time), `analyse` (nothing that depends on the
quality), `encode`, and with the latents of the groups around it `finish`. Out: `decode`, and with the latents
around it `restore`. Drivers (`encode`, `decode`, `rate_control`) decide which groups, in what order, on which
threads. `SignalGroups` serves codecs that see decibels, `SampleGroups` those that see samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import HYPER_LATENTS, LATENTS, Codec, Halo, Quality, SampleCodec, SignalCodec
from sarzip.codec.signal.boxes import box_classes, box_mean, box_median
from sarzip.codec.signal.cell_power import CELL
from sarzip.codec.signal.radiometry import DOMAINS
from sarzip.codec.streams import bias_correction, class_map
from sarzip.codec.streams.outliers import Literals, find
from sarzip.codec.streams.payloads import (
    SIDE_STREAMS,
    SideStreams,
    dataset_mask_stream,
    literals_stream,
    mask_stream,
    radiometry_stream,
)
from sarzip.container import StreamKind, require_known
from sarzip.grid import STRIDE, Grid, Neighbourhood, Part, Window, in_latents
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.doubt import THIN, Watch

MASK_BAND = -1
"""Where a band is asked for: the mask of the whole dataset."""
# A stream that is not here would be needed for the right pixels.
_KNOWN_STREAMS = (StreamKind.LATENTS, StreamKind.HYPER_LATENTS, *SIDE_STREAMS)


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
    outliers: tuple[Literals, ...] = ()
    empty: NDArray[np.uint8] | None = None
    mask: NDArray[np.uint8] | None = None
    thin: tuple[NDArray[Any], ...] = ()
    """Every THINth row and column of the samples of each band, as they are stored."""

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

    content: latents (C, h, w), or samples of each band. power: of every cell for each band. outliers: their
    decibels for each band. streams: those that are complete.
    """

    content: Any
    streams: dict[int, bytes]
    validity: NDArray[np.uint8] | None = None
    power: tuple[NDArray[np.float64], ...] = ()
    thin: tuple[NDArray[Any], ...] = ()


@dataclass(frozen=True)
class EncodedGroup:
    """A group on its way into the file. latents: dequantised, as the decoder will have them."""

    streams: dict[int, bytes]
    latents: Part | None = None
    analysed: AnalysedGroup | None = None


@dataclass(frozen=True)
class DecodedGroup:
    """A group on its way out. latents: None where there are none. lost: why it could not be decoded."""

    streams: Mapping[int, bytes] = field(default_factory=dict)
    latents: Part | None = None
    lost: str | None = None


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

    def decode(self, streams: Mapping[int, bytes], window: Window) -> DecodedGroup:
        """What can be decoded without the groups around it. Raises CorruptError."""
        ...

    def wanted_latents(self, window: Window, view: View) -> Window | None:
        """The latents, without their halo, that restoring a view of a group takes; None for none."""
        ...

    def restore(
        self, group: DecodedGroup, window: Window, view: View, latents: NDArray[np.float32] | None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Position of a band in the set, or MASK_BAND, and its samples in a view; latents with the halo."""
        ...


class SignalGroups:
    """Groups of measurements: signal to latents to streams, and beside them what must be exact."""

    def __init__(
        self,
        codec: SignalCodec,
        quality: Quality,
        bands: Mapping[int, BandTransform],
        grid: Grid,
        watch: Watch | None = None,
    ) -> None:
        """watch: is told what decoding will do to the samples, when encoding."""
        self.codec = codec
        self._watch = watch
        self.quality = quality
        self.bands = tuple(bands)
        self.halo = codec.halo
        self.channels = codec.channels
        self.mirror_signs = codec.mirror_signs
        self._transforms = list(bands.values())
        size = in_latents(grid.scene)
        self._pixels = Neighbourhood(grid.height, grid.width, STRIDE, codec.halo.pixels)
        self._squares = Neighbourhood(size.rows, size.columns, 1, codec.halo.pixels // STRIDE)

    def prepare(self, values: list[NDArray[Any]], place: Window) -> Prepared:
        """See GroupCoder. What is not measured is filled, outliers are cut out."""
        transforms = self._transforms
        maps = [each.classify(samples) for samples, each in zip(values, transforms, strict=True)]
        signals = [each.radiometry.forward(samples) for samples, each in zip(values, transforms, strict=True)]
        found = []
        for signal, validity, each in zip(signals, maps, transforms, strict=True):
            if validity.any():
                class_map.fill(signal, validity > 0)
            found.append(find(signal, validity, each.literal))
        empty = np.stack([class_map.empty(validity) for validity in maps])
        thin = tuple(each[::THIN, ::THIN].copy() for each in values) if self._watch else ()
        if len(values) == 1:
            planes, marks = signals[0][None], maps[0][None]
        else:
            planes, marks = np.stack(signals), np.stack(maps)
        return Prepared(place, planes, marks, tuple(found), empty, thin=thin)

    def analyse(self, window: Window, own: Prepared, others: Sequence[Prepared] = ()) -> AnalysedGroup:
        """See GroupCoder."""
        assert own.validity is not None
        near = [own, *others]
        signal = self._pixels.around(
            window, (Part(each.place[0], each.place[1], each.bands) for each in near)
        )
        latents = self.codec.analyse(signal)
        if any(each.empty is not None and each.empty.any() for each in near):
            squares = (
                Part(each.place.row // STRIDE, each.place.column // STRIDE, each.empty)
                for each in near
                if each.empty is not None
            )
            self._silence(latents, self._squares.around(in_latents(window), squares))
        inside = window.slices(own.place)
        validity = np.ascontiguousarray(own.validity[(slice(None), *inside)])
        powers = self._powers(signal, validity, (self.halo.pixels, self.halo.pixels))
        streams = mask_stream(validity)
        literal = [each.within(*inside) for each in own.outliers]
        if any(each.size for each in literal):
            marks = [plane == each.literal for plane, each in zip(validity, self._transforms, strict=True)]
            streams |= literals_stream(literal, marks)
        thin = tuple(each[window.slices(own.place, THIN)] for each in own.thin)
        return AnalysedGroup(latents, streams | _mask_streams(own, inside), validity, powers, thin)

    def encode(self, group: AnalysedGroup, window: Window, quality: Quality) -> EncodedGroup:
        """See GroupCoder."""
        streams, latents = self.codec.encode(group.content, quality)
        place = in_latents(window)
        light = replace(group, content=None)
        return EncodedGroup(streams | group.streams, Part(place.row, place.column, latents), light)

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32] | None) -> dict[int, bytes]:
        """See GroupCoder: decodes the group as the decoder will, and says what its power lacks."""
        assert latents is not None and group.analysed is not None and group.analysed.validity is not None
        signal = self.codec.restore(latents)
        corrections = [
            bias_correction.correction(original, decoded)
            for original, decoded in zip(
                group.analysed.power, self._powers(signal, group.analysed.validity), strict=True
            )
        ]
        if self._watch is not None:
            self._look(self._watch, signal, group.analysed)
        return group.streams | radiometry_stream(corrections)

    def _look(self, watch: Watch, signal: NDArray[np.float32], group: AnalysedGroup) -> None:
        assert group.validity is not None
        rows, columns = group.validity.shape[1:]
        for at, original in enumerate(group.thin):
            validity = np.ascontiguousarray(group.validity[at, ::THIN, ::THIN])
            decoded = signal[at, :rows:THIN, :columns:THIN]
            values = replace(self._transforms[at], level=False).restore(decoded, validity)
            watch.add(self.bands[at], original, values, validity == 0)

    def decode(self, streams: Mapping[int, bytes], window: Window) -> DecodedGroup:
        """See GroupCoder."""
        require_known(streams, _KNOWN_STREAMS)
        place = in_latents(window)
        latents = self.codec.decode(streams, (place.rows, place.columns), self.quality)
        rest = {kind: data for kind, data in streams.items() if kind not in (LATENTS, HYPER_LATENTS)}
        return DecodedGroup(rest, Part(place.row, place.column, latents))

    def wanted_latents(self, window: Window, view: View) -> Window:
        """See GroupCoder: whole cells of the bias correction, two latents wide."""
        return in_latents(view.inside.widened(CELL, window))

    def restore(
        self, group: DecodedGroup, window: Window, view: View, latents: NDArray[np.float32] | None
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """See GroupCoder. At a reduced resolution a sample is valid if at least half of its pixels are; its
        mean is taken over all of them, the missing ones as the encoder continued their neighbours. The bias
        correction, which sets means of power, is left out there.
        """
        assert latents is not None
        side = SideStreams(group.streams, len(self.bands), (window.rows, window.columns))
        # Rounding to integers and the correction look at whole cells; of means of dB they do not.
        levelled = any(self._transforms[position].level for position in view.positions)
        whole = view.scale == 1 and (side.corrected or levelled)
        wide = view.inside.widened(CELL, window) if whole else view.inside
        signal = self._signal(latents, window, replace(view, inside=wide))
        inside, scale = wide.slices(window), view.scale
        for position in view.positions:
            transform = self._transforms[position]
            validity = side.classes(position, len(transform.specials))
            outliers = side.literals(position, validity, len(transform.specials))
            if scale > 1:
                if outliers is not None:
                    validity[outliers.marks] = 0  # type: ignore[index]
                if validity is not None:
                    validity = box_classes(validity[inside], scale)
                yield position, replace(transform, level=False).restore(signal[position], validity)
                continue
            if validity is not None:
                validity = validity[inside]
            cells = side.cells(position)
            if cells is not None:
                cells = np.ascontiguousarray(cells[wide.slices(window, CELL)])
            outliers = outliers and outliers.window(*inside)
            values = transform.restore(signal[position], validity, cells, outliers)
            yield position, values if wide == view.inside else values[view.inside.slices(wide)]
        yield from _dataset_mask(side, window, view)

    def _signal(self, latents: NDArray[np.float32], window: Window, view: View) -> NDArray[np.float32]:
        """Signal (bands, rows, columns) of a view, given the latents of whole cells about it."""
        inside, scale, codec = view.inside, view.scale, self.codec
        decoded = inside.widened(CELL, window)
        if not codec.reduces(scale) or scale == 1:
            down, across = inside.slices(decoded)
            full = codec.restore(latents)[:, down, across]
            return full if scale == 1 else np.stack([box_mean(each, scale) for each in full])
        down, across = inside.slices(decoded, scale)
        signal = codec.restore(latents, scale)[:, down, across]
        # Boxes cut by the border of the scene: the mean over the pixels that exist.
        halo = codec.halo.latents
        if inside.bottom % scale:
            strip = codec.restore(latents[:, -1 - 2 * halo :])[:, :, inside.slices(decoded)[1]]
            first = inside.bottom // scale * scale % STRIDE
            signal[:, -1:] = [box_mean(each[first : first + inside.bottom % scale], scale) for each in strip]
        if inside.right % scale:
            strip = codec.restore(latents[:, :, -1 - 2 * halo :])[:, inside.slices(decoded)[0]]
            first = inside.right // scale * scale % STRIDE
            some = slice(first, first + inside.right % scale)
            signal[:, :, -1:] = [box_mean(each[:, some], scale) for each in strip]
        return signal

    def _powers(
        self, signal: NDArray[np.float32], validity: NDArray[np.uint8], corner: tuple[int, int] = (0, 0)
    ) -> tuple[NDArray[np.float64], ...]:
        """Power of every cell of a group, for each band. corner: its first row and column in the signal."""
        planes = zip(self._transforms, signal, validity, strict=True)
        return tuple(each.cell_power(plane, flags, corner) for each, plane, flags in planes)

    def _silence(self, latents: NDArray[np.float32], empty: NDArray[np.uint8]) -> None:
        """Zero the latents that no measurement depends on: with no valid pixel within the halo of restoring
        + 1. Where bands have latents of their own, those become NaN instead (see SignalCodec).

        empty: flags of squares (bands, h, w) with the halo of analysing. Those beyond it are not known here
        and count as not empty.
        """
        if not empty.any():
            return
        if not self.codec.separate:
            latents[:, self._unseen(np.all(empty, 0))] = 0
            return
        for share, flags in zip(np.split(latents, len(empty)), empty, strict=True):
            share[:, self._unseen(flags > 0)] = np.nan

    def _unseen(self, empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Places of latents without a valid pixel near, given flags (h, w) with the halo of analysing."""
        cells: Any = empty
        reach = self.halo.latents + 1
        border = reach - self.halo.pixels // STRIDE
        if border > 0:
            cells = np.pad(cells, border)
        elif border < 0:
            cells = cells[-border:border, -border:border]
        for axis in (0, 1):
            cells = np.lib.stride_tricks.sliding_window_view(cells, 2 * reach + 1, axis).all(-1)
        return np.asarray(cells)


class SampleGroups:
    """Groups of bands whose samples are coded as they are stored; they look at nothing around them."""

    halo = Halo()
    channels = 0
    mirror_signs = np.ones((2, 0), np.float32)

    def __init__(self, codec: SampleCodec, quality: Quality, bands: Mapping[int, BandTransform]) -> None:
        self.codec = codec
        self.quality = quality
        self.bands = tuple(bands)
        self._transforms = list(bands.values())

    def prepare(self, values: list[NDArray[Any]], place: Window) -> Prepared:
        """See GroupCoder."""
        return Prepared(place, values)

    def analyse(self, window: Window, own: Prepared, others: Sequence[Prepared] = ()) -> AnalysedGroup:
        """See GroupCoder."""
        inside = window.slices(own.place)
        return AnalysedGroup([plane[inside] for plane in own.bands], _mask_streams(own, inside))

    def encode(self, group: AnalysedGroup, window: Window, quality: Quality) -> EncodedGroup:
        """See GroupCoder."""
        return EncodedGroup(self.codec.encode(group.content) | group.streams)

    def finish(self, group: EncodedGroup, latents: NDArray[np.float32] | None) -> dict[int, bytes]:
        """See GroupCoder: the streams are complete."""
        return group.streams

    def decode(self, streams: Mapping[int, bytes], window: Window) -> DecodedGroup:
        """See GroupCoder: samples are made when they are wanted."""
        require_known(streams, _KNOWN_STREAMS)
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
            yield position, self._reduced(values, self._transforms[position], view.scale)
        yield from _dataset_mask(SideStreams(group.streams, len(self.bands), shape), window, view)

    @staticmethod
    def _reduced(values: NDArray[Any], transform: BandTransform, scale: int) -> NDArray[Any]:
        if scale == 1 or transform.radiometry.domain not in DOMAINS:
            return box_median(values, scale)
        validity = transform.classify(values)
        signal = transform.radiometry.forward(values)
        class_map.fill(signal, validity != 0)
        means = box_mean(signal, scale)
        return replace(transform, level=False).restore(means, box_classes(validity, scale))


def _mask_streams(own: Prepared, inside: tuple[slice, slice]) -> dict[int, bytes]:
    return {} if own.mask is None else dataset_mask_stream(own.mask[inside])


def _dataset_mask(side: SideStreams, window: Window, view: View) -> Iterator[tuple[int, NDArray[Any]]]:
    mask = side.dataset_mask()
    if mask is not None:
        yield MASK_BAND, box_median(mask[view.inside.slices(window)], view.scale)
