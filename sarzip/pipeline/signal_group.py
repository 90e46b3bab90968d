"""Groups of backscatter, both ways: decibels to latents to streams, and beside them what must be exact."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import HYPER_LATENTS, LATENTS, Quality, SignalCodec, Worst
from sarzip.codec.predictive import residual
from sarzip.codec.signal import inpaint
from sarzip.codec.signal.boxes import box_classes, box_mean
from sarzip.codec.signal.cell_power import CELL
from sarzip.codec.streams import bias_correction, class_map
from sarzip.codec.streams.outliers import find
from sarzip.codec.streams.payloads import (
    SideStreams,
    mask_stream,
    outlier_stream,
    radiometry_stream,
    residual_stream,
)
from sarzip.container import StreamKind, require_known
from sarzip.grid import STRIDE, Grid, Neighbourhood, Part, Window, in_latents
from sarzip.pipeline.band import BandTransform
from sarzip.pipeline.band_side import BandSide
from sarzip.pipeline.bounds import Achieved
from sarzip.pipeline.doubt import Watch
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

BOUNDED_STREAMS = (*KNOWN_STREAMS, StreamKind.RESIDUAL)


class SignalGroups:
    """Groups of measurements: signal to latents to streams, and beside them what must be exact."""

    def __init__(
        self,
        codec: SignalCodec,
        quality: Quality,
        bands: Mapping[int, BandTransform],
        grid: Grid,
        watch: Watch | None = None,
        achieved: Achieved | None = None,
    ) -> None:
        """watch: is told what decoding will do to the samples, when encoding; achieved: the worst errors,
        where there is a bound.
        """
        self.codec = codec
        self._watch = watch if quality.bound is None else None
        self._achieved = achieved
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
                inpaint.fill(signal, validity > 0)
            found.append(find(signal, validity, each.outlier_class))
        empty = np.stack([class_map.empty(validity) for validity in maps])
        thin = self._thinned(values, maps)
        if len(values) == 1:
            planes, marks = signals[0][None], maps[0][None]
        else:
            planes, marks = np.stack(signals), np.stack(maps)
        samples = () if self.quality.bound is None else tuple(values)
        return Prepared(place, planes, marks, tuple(found), empty, thin=thin, samples=samples)

    def _thinned(self, values: list[NDArray[Any]], maps: list[NDArray[np.uint8]]) -> tuple[NDArray[Any], ...]:
        """What is watched: all values below zero, and some of the others."""
        if self._watch is None:
            return ()
        for band, samples, validity in zip(self.bands, values, maps, strict=True):
            self._watch.below_zero(band, samples, validity)
        every = self._watch.every
        return tuple(each[::every, ::every].copy() for each in values)

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
        outliers = [each.within(*inside) for each in own.outliers]
        if any(each.size for each in outliers):
            bands = zip(validity, self._transforms, strict=True)
            marks = [plane == each.outlier_class for plane, each in bands]
            streams |= outlier_stream(outliers, marks)
        every = self._watch.every if self._watch else 1
        thin = tuple(each[window.slices(own.place, every)] for each in own.thin)
        samples = tuple(each[inside] for each in own.samples)
        return AnalysedGroup(latents, streams | mask_streams(own, inside), validity, powers, thin, samples)

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
        streams = group.streams | radiometry_stream(corrections)
        if self.quality.bound is None:
            return streams
        assert group.latents is not None
        return streams | self._residuals(signal, streams, group.analysed, group.latents)

    def _residuals(
        self, signal: NDArray[np.float32], streams: dict[int, bytes], group: AnalysedGroup, latents: Part
    ) -> dict[int, bytes]:
        """What brings the samples of a group within the bound, given its decoded signal."""
        assert self.quality.bound is not None
        rows, columns = group.samples[0].shape
        side, payloads = SideStreams(streams, len(self.bands), (rows, columns)), []
        for at, (transform, samples) in enumerate(zip(self._transforms, group.samples, strict=True)):
            here = BandSide.of(side, at, transform)
            base = here.base(transform, signal[at, :rows, :columns])
            promise = transform.promise(self.quality.bound)
            payload, (error, row, column) = residual.encode(
                base, samples, here.skip((rows, columns)), promise
            )
            payloads.append(payload)
            if self._achieved is not None:
                top, left = latents.row * STRIDE, latents.column * STRIDE
                self._achieved.add(self.bands[at], Worst(error, top + row, left + column))
        return residual_stream(payloads)

    def _look(self, watch: Watch, signal: NDArray[np.float32], group: AnalysedGroup) -> None:
        assert group.validity is not None
        rows, columns = group.validity.shape[1:]
        every = watch.every
        for at, original in enumerate(group.thin):
            validity = np.ascontiguousarray(group.validity[at, ::every, ::every])
            decoded = signal[at, :rows:every, :columns:every]
            values = replace(self._transforms[at], level=False).restore(decoded, validity)
            watch.add(self.bands[at], original, values, validity == 0)

    def decode(
        self, streams: Mapping[int, bytes], window: Window, intact: Sequence[int] | None = None
    ) -> DecodedGroup:
        """See GroupCoder. A later band that is intact says that the earlier ones' latents are, too."""
        require_known(streams, KNOWN_STREAMS if self.quality.bound is None else BOUNDED_STREAMS)
        place = in_latents(window)
        codec, known = self.codec, None
        if intact is not None:
            codec, known = codec.only(intact), (max(intact) + 1) * self.channels // len(self.bands)
        latents = codec.decode(streams, (place.rows, place.columns), self.quality)
        rest = {kind: data for kind, data in streams.items() if kind not in (LATENTS, HYPER_LATENTS)}
        return DecodedGroup(rest, Part(place.row, place.column, latents), known=known)

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
        if self.quality.bound is not None:
            yield from self._within_bound(side, window, view, latents)
            yield from dataset_mask(side, window, view)
            return
        # Rounding to integers and the correction look at whole cells; of means of dB they do not.
        levelled = any(self._transforms[position].level for position in view.positions)
        whole = view.scale == 1 and (side.corrected or levelled)
        wide = view.inside.widened(CELL, window) if whole else view.inside
        signal = self._signal(latents, window, replace(view, inside=wide))
        inside, scale = wide.slices(window), view.scale
        for position in view.positions:
            transform = self._transforms[position]
            validity = side.classes(position, len(transform.specials))
            outliers = side.outliers(position, validity, len(transform.specials))
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
        yield from dataset_mask(side, window, view)

    def _within_bound(
        self, side: SideStreams, window: Window, view: View, latents: NDArray[np.float32]
    ) -> Iterator[tuple[int, NDArray[Any]]]:
        """Samples that keep the bound; reduced ones are their means."""
        assert self.quality.bound is not None
        wide = view.inside.widened(CELL, window)
        signal = self._signal(latents, window, View(wide, view.positions))
        for position in view.positions:
            transform = self._transforms[position]
            here, dtype = BandSide.of(side, position, transform), np.dtype(transform.dtype)
            skip = here.skip((window.rows, window.columns))
            steps = residual.Residual(side.residual(position), skip, dtype)
            part = here.window(wide, window)
            base = part.base(transform, signal[position])
            values = steps.add(base, wide.slices(window), transform.promise(self.quality.bound))
            class_map.restore_specials(values, part.validity, transform.specials)
            yield position, transform.reduced(values[view.inside.slices(wide)], view.scale)

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
