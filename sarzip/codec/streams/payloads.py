"""The small streams beside the latents of a group, of every format version: masks and corrections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.exact.codec import decode_plane, encode_plane
from sarzip.codec.streams import bias_correction, class_map
from sarzip.codec.streams.framing import join_compact, split_compact, split_payloads
from sarzip.codec.streams.outliers import Overlay, decode_outliers, encode_outliers, to_units
from sarzip.container import StreamKind
from sarzip.errors import CorruptError

SIDE_STREAMS = (
    StreamKind.MASK,
    StreamKind.BIAS_CORRECTION,
    StreamKind.DATASET_MASK,
    StreamKind.CODED_MASK,
    StreamKind.CODED_BIAS_CORRECTION,
    StreamKind.CODED_DATASET_MASK,
    StreamKind.OUTLIERS,
)
_OPAQUE = 255


class SideStreams:
    """What the streams of a group say about the bands of its set.

    shape: rows and columns of the group in pixels. CorruptError, here and in the methods, for what no encoder
    writes.
    """

    def __init__(self, streams: Mapping[int, bytes], bands: int, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._streams = streams
        self._masks = _payloads(streams, StreamKind.MASK, StreamKind.CODED_MASK, bands)
        self._cells = _payloads(streams, StreamKind.BIAS_CORRECTION, StreamKind.CODED_BIAS_CORRECTION, bands)
        self._outliers = _payloads(streams, None, StreamKind.OUTLIERS, bands)
        self._residuals = _payloads(streams, None, StreamKind.RESIDUAL, bands)

    @property
    def band_bytes(self) -> list[int]:
        """Bytes of masks, corrections and outliers of each band."""
        return [sum(map(len, each)) for each in zip(self._masks, self._cells, self._outliers, strict=True)]

    @property
    def corrected(self) -> bool:
        """Whether the power of any cell is corrected."""
        return any(self._cells)

    def classes(self, position: int, specials: int) -> NDArray[np.uint8] | None:
        """Class map of the band at a position in the set; None where all pixels are measurements."""
        coded = StreamKind.CODED_MASK in self._streams
        decode = class_map.decode_classes if coded else class_map.decode_zstd_classes
        return decode(self._masks[position], self._shape, specials + (StreamKind.OUTLIERS in self._streams))

    def outliers(self, position: int, classes: NDArray[np.uint8] | None, specials: int) -> Overlay | None:
        """Outliers of a band, given its class map: those of the class after the special values."""
        if StreamKind.OUTLIERS not in self._streams:
            return None
        marks = np.zeros(self._shape, bool) if classes is None else classes == specials + 1
        decibels = decode_outliers(self._outliers[position], marks)
        return Overlay(marks, decibels) if decibels.size else None

    def cells(self, position: int) -> NDArray[np.int16] | None:
        """Radiometric corrections of a band; None where there are none."""
        if StreamKind.BIAS_CORRECTION in self._streams:
            return bias_correction.decode_rice_cells(self._cells[position], self._shape)
        return bias_correction.decode_cells(self._cells[position], self._shape)

    def residual(self, position: int) -> bytes:
        """What brings a band within its bound."""
        return self._residuals[position]

    def dataset_mask(self) -> NDArray[np.uint8] | None:
        """Mask of the whole dataset in this group; None where the group has none."""
        if StreamKind.DATASET_MASK in self._streams:
            if StreamKind.CODED_DATASET_MASK in self._streams:
                raise CorruptError("two masks of the dataset")
            plane: NDArray[np.uint8] = decode_plane(
                self._streams[StreamKind.DATASET_MASK], self._shape, "uint8"
            )
            return plane
        if StreamKind.CODED_DATASET_MASK not in self._streams:
            return None
        classes = class_map.decode_classes(self._streams[StreamKind.CODED_DATASET_MASK], self._shape, 1)
        mask = np.full(self._shape, _OPAQUE, np.uint8)
        if classes is not None:
            mask[classes > 0] = 0
        return mask


def mask_stream(classes: Iterable[NDArray[np.uint8]]) -> dict[int, bytes]:
    """The stream of the class maps of a set's bands; no stream where all pixels are measurements."""
    return _stream(StreamKind.CODED_MASK, [class_map.encode_classes(each) for each in classes])


def radiometry_stream(cells: Iterable[NDArray[np.int16]]) -> dict[int, bytes]:
    """The stream of the corrections of a set's bands; no stream where there are none."""
    return _stream(StreamKind.CODED_BIAS_CORRECTION, [bias_correction.encode_cells(each) for each in cells])


def outlier_stream(
    decibels: Sequence[NDArray[np.float32]], marks: Sequence[NDArray[np.bool_]]
) -> dict[int, bytes]:
    """The stream of the outliers of a set's bands; no stream where there are none."""
    if not any(each.size for each in decibels):
        return {}
    payloads = [encode_outliers(to_units(each), where) for each, where in zip(decibels, marks, strict=True)]
    # Zeros take no bytes, but that there are any has to be said.
    return _stream(StreamKind.OUTLIERS, payloads) or {StreamKind.OUTLIERS: bytes(len(payloads) - 1)}


def dataset_mask_stream(mask: NDArray[np.uint8]) -> dict[int, bytes]:
    """The stream of the dataset's mask (rows, columns) in a group."""
    clear = mask == 0
    if (mask[~clear] == _OPAQUE).all():
        return {StreamKind.CODED_DATASET_MASK: class_map.encode_classes(clear.astype(np.uint8))}
    return {StreamKind.DATASET_MASK: encode_plane(mask)}


def residual_stream(payloads: list[bytes]) -> dict[int, bytes]:
    """The stream of what brings the bands of a set within their bound."""
    return _stream(StreamKind.RESIDUAL, payloads)


def _stream(kind: StreamKind, payloads: list[bytes]) -> dict[int, bytes]:
    """A payload per band; nothing where all are empty."""
    return {kind: join_compact(payloads)} if any(payloads) else {}


def _payloads(
    streams: Mapping[int, bytes], old: StreamKind | None, new: StreamKind, bands: int
) -> list[bytes]:
    """The payload of each band, of the stream of either kind."""
    if new not in streams:
        return split_payloads(streams.get(old, b"") if old else b"", bands)
    if old in streams:
        raise CorruptError(f"streams of the kinds {old:d} and {int(new)}")
    return split_compact(streams[new], bands)
