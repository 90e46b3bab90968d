"""One band of a group to bytes and back, by the method that suits it.

A payload begins with its method: 0 an exact plane (codec.exact), 1 the same of the differences to a plane
through three neighbours, 2 a class map of few values, 3 the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.exact.codec import decode_plane, encode_plane
from sarzip.codec.predictive import pixels
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.predictive.pixels import Coded, Promise
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.codec.streams import class_map
from sarzip.errors import CorruptError

_EXACT, _PLANAR, _FEW, _NETWORK = range(4)
_MOST_FEW = 15
_PROBE_ROWS = 64
_SMALL = 4096
_NO_BACKSCATTER = Radiometry("exact")


@dataclass(frozen=True)
class PixelBand:
    """What the coder is told of a band. radiometry: its domain says what a bound in dB means, and what noise
    looks like; 'exact' for no backscatter. specials: values that are no measurements. shared_zero: see
    class_map.classify.
    """

    dtype: str
    radiometry: Radiometry = _NO_BACKSCATTER
    specials: tuple[float | int, ...] = ()
    shared_zero: bool = False
    limits: tuple[float, float] | None = None
    """What no decoded measurement may leave."""

    def promise(self, bound: Bound | None) -> Promise:
        """What a decoder's measurements have to keep."""
        return Promise(self.radiometry, bound, self.limits, self.specials)


def encode_band(samples: NDArray[Any], band: PixelBand, bound: Bound | None, network: PixelNetwork) -> Coded:
    """Samples (rows, columns) to the smallest payload that was found."""
    few = _encode_few(samples)
    if few is not None:
        return Coded(few)
    measured = class_map.classify(samples, band.specials, band.shared_zero) == 0
    found = pixels.encode(samples, measured, band.promise(bound), network)
    coded = [] if found is None else [Coded(bytes([_NETWORK]) + found.payload, found.worst)]
    size = 0 if found is None else len(found.payload)
    if not samples.size // 8 < size < 0.9 * samples.nbytes or samples.size < _SMALL:
        coded.append(Coded(bytes([_EXACT]) + encode_plane(samples)))
        coded.append(Coded(bytes([_PLANAR]) + encode_plane(_planar(samples))))
    return min(coded, key=lambda each: len(each.payload))


def decode_band(payload: bytes, shape: tuple[int, int], dtype: str, network: PixelNetwork) -> NDArray[Any]:
    """Inverse of encode_band. Raises CorruptError."""
    method, rest = payload[:1], payload[1:]
    if method == bytes([_EXACT]):
        return decode_plane(rest, shape, dtype)
    if method == bytes([_PLANAR]):
        return _unplanar(decode_plane(rest, shape, dtype))
    if method == bytes([_FEW]):
        return _decode_few(rest, shape, np.dtype(dtype))
    if method == bytes([_NETWORK]):
        return pixels.decode(rest, shape, np.dtype(dtype), network)
    raise CorruptError("pixels are coded by an unknown method")


def _bits(samples: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(samples).view(f"u{samples.dtype.itemsize}")


def _planar(samples: NDArray[Any]) -> NDArray[Any]:
    """Bit patterns less those of a plane through the pixels to the left, above and above left."""
    bits = _bits(samples).copy()
    bits[1:] -= bits[:-1].copy()
    bits[:, 1:] -= bits[:, :-1].copy()
    return bits.view(samples.dtype)


def _unplanar(differences: NDArray[Any]) -> NDArray[Any]:
    bits = _bits(differences)
    bits = np.cumsum(np.cumsum(bits, 0, dtype=bits.dtype), 1, dtype=bits.dtype)
    return bits.view(differences.dtype)


def _encode_few(samples: NDArray[Any]) -> bytes | None:
    """A table of at most 15 values and the map of which pixel has which; None where there are more."""
    bits = _bits(samples)
    if np.unique(bits[:: max(1, len(bits) // _PROBE_ROWS)]).size > _MOST_FEW:
        return None
    values, counts = np.unique(bits, return_counts=True)
    if values.size > _MOST_FEW:
        return None
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(order.size, np.uint8)
    rank[order] = np.arange(order.size)
    classes = rank[np.searchsorted(values, bits)]
    table = values[order].astype(f"<u{samples.dtype.itemsize}").tobytes()
    return bytes([_FEW, values.size]) + table + class_map.encode_classes(classes)


def _decode_few(payload: bytes, shape: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    count = payload[0] if payload else 0
    end = 1 + count * dtype.itemsize
    if not 1 <= count <= _MOST_FEW or len(payload) < end:
        raise CorruptError("a band of few values ends early")
    values = np.frombuffer(payload[1:end], f"<u{dtype.itemsize}").astype(f"u{dtype.itemsize}")
    classes = class_map.decode_classes(payload[end:], shape, count - 1)
    if classes is None:
        classes = np.zeros(shape, np.uint8)
    return values[classes].view(dtype)
