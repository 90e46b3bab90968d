"""Two correlated bands, such as VV and VH of one scene, coded together by `lapped16`.

The second band's latents are predicted from the decoded ones of the first, by one factor for each of 16 zones
of frequency and group; what is left is coded as a band of its own. Bands of one scene share edges, fields and
slopes, which live in the low zones, and little of the speckle: of VH the factors fall from 0.5 to 1.2 in the
lowest zone to 0 to 0.2 in the highest.

Streams of a group: HYPER_LATENTS starts with the factors, packed as a tilt is; then both streams of the first
band, each after its length, stand before those of the second.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import HYPER_LATENTS, LATENTS, Encoded, Quality, Streams
from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16.codec import Lapped16
from sarzip.codec.lapped16.transform import CHANNELS, STRIDE, channel_order
from sarzip.codec.streams.framing import join_compact, split_compact
from sarzip.errors import CorruptError
from sarzip.native import maths

FACTOR_ONE = 32
"""Factors are coded in 1/32."""
_BLOCK = 4
"""Latents a side of the squares within which a zone counts as having one variance."""
_FLOOR = 1 / 12
"""Squared steps of quantisation noise: latents of less variance cost next to nothing."""


class Lapped16Pair:
    """`lapped16` for two bands: latents (512, h, w), the first band's before the second's."""

    id = Lapped16.id
    channels = 2 * CHANNELS
    inputs = 2
    separate = True
    halo = Lapped16.halo

    def __init__(self, single: Lapped16, wanted: Collection[int] = (0, 1)) -> None:
        """single: codes each of the bands. wanted: those that are decoded; of the others restore gives zeros,
        and no more is made than the wanted ones are predicted from.
        """
        self._single = single
        self._wanted = frozenset(wanted)
        self.mirror_signs = np.concatenate([single.mirror_signs] * 2, 1)

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (2, 16h+32, 16w+32) in dB to latents (512, h, w)."""
        return np.concatenate([self._single.analyse(band[None]) for band in signal])

    def restore(self, latents: NDArray[np.float32], scale: int = 1) -> NDArray[np.float32]:
        """Latents (512, h+2, w+2) to signal (2, 16h/scale, 16w/scale) in dB."""
        planes: list[NDArray[np.float32] | None] = [
            self._single.restore(band, scale) if at in self._wanted else None
            for at, band in enumerate(np.split(latents, 2))
        ]
        shape = next(plane.shape for plane in planes if plane is not None)
        return np.concatenate([np.zeros(shape, np.float32) if plane is None else plane for plane in planes])

    def only(self, positions: Collection[int]) -> Lapped16Pair:
        """See SignalCodec."""
        return Lapped16Pair(self._single, self._wanted.intersection(positions))

    def reduces(self, scale: int) -> bool:
        """As for one band."""
        return self._single.reduces(scale)

    def encode(self, latents: NDArray[np.float32], quality: Quality) -> Encoded:
        """One group of latents (512, h, w) to its two streams, and what decode will make of it."""
        first, second = np.split(latents, 2)
        streams, decoded = self._single.encode(np.nan_to_num(first), quality)
        factors = fit(decoded, second, quality.step)
        prediction = _predict(decoded, factors)
        # Where nothing depends on the second band, the prediction will do.
        rest, left = self._single.encode(np.nan_to_num(second - prediction), quality)
        joined = {
            HYPER_LATENTS: lapped_tilt.pack(factors)
            + join_compact([streams[HYPER_LATENTS], rest[HYPER_LATENTS]]),
            LATENTS: join_compact([streams[LATENTS], rest[LATENTS]]),
        }
        return Encoded(joined, np.concatenate([decoded, prediction + left]))

    def decode(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (512, h, w); CorruptError if undecodable."""
        factors, first, second = _split(streams)
        decoded = self._single.decode(first, shape, quality)
        if 1 not in self._wanted:
            return np.concatenate([decoded, np.zeros_like(decoded)])
        left = self._single.decode(second, shape, quality)
        return np.concatenate([decoded, _predict(decoded, factors) + left])

    def integers(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> NDArray[np.int32]:
        """Factors, then hyper-latents and lattice points of each band, int32 (n,)."""
        factors, *bands = _split(streams)
        found = [self._single.integers(band, shape, quality) for band in bands]
        return np.concatenate([factors.astype(np.int32), *found])


def band_bytes(streams: Streams) -> tuple[int, int]:
    """Bytes of both streams that each band takes; the factors serve the second. Raises CorruptError."""
    _, first, _ = _split(streams)
    own = sum(map(len, first.values()))
    return own, len(streams[HYPER_LATENTS]) + len(streams[LATENTS]) - own


def first_band(streams: Streams) -> dict[int, bytes]:
    """Both streams of the first band, which it is decoded from alone. Raises CorruptError."""
    _, first, _ = _split(streams)
    return first


def zones() -> NDArray[np.int64]:
    """The zone 0..15 of each channel (256,), ascending: the larger of its two frequencies."""
    return channel_order().max(1)


_STARTS = np.searchsorted(zones(), np.arange(STRIDE + 1))


def fit(first: NDArray[np.float32], second: NDArray[np.float32], step: float) -> NDArray[np.int64]:
    """Factors int64 (16,), in 1/32, that predict one band's latents from another's decoded ones (256, h, w).

    A latent of variance v costs about log2(1 + v/floor)/2 bits. Each zone takes the factor of the least sum
    of that, its variance measured in small squares: least squares alone would serve the brightest places.
    """
    factors = np.zeros(STRIDE, np.int64)
    if not first.size:
        return factors
    unseen = np.isnan(second[0])
    if unseen.any():
        first, second = np.where(unseen, np.float32(0), first), np.where(unseen, np.float32(0), second)
    tried = np.arange(-lapped_tilt.LIMIT, lapped_tilt.LIMIT + 1)
    own = np.array([lapped_tilt.packed_bits(tried[at : at + 1]) - 1 for at in range(len(tried))])
    own[tried == 0] = 1
    ratio, saved = (tried / FACTOR_ONE)[:, None], 0.0
    count = _squares(np.ones(first.shape[1:]))
    for zone, (start, stop) in enumerate(itertools.pairwise(_STARTS)):
        a, b = first[start:stop], second[start:stop]
        aa, ab, bb = (_squares((x * y).sum(0)) for x, y in ((a, a), (a, b), (b, b)))
        scale = 1 / (_FLOOR * step * step * (stop - start) * count)
        left = np.maximum(bb - 2 * ratio * ab + ratio**2 * aa, 0) * scale
        bits = (stop - start) / 2 * maths.product_double(maths.log2(1 + left), count[:, None])[:, 0] + own
        best = int(np.argmin(bits))
        factors[zone] = tried[best]
        saved += bits[lapped_tilt.LIMIT] - bits[best]
    # All zeros together take one bit instead of one each.
    return factors if saved > STRIDE else np.zeros(STRIDE, np.int64)


def _squares(plane: NDArray[np.floating]) -> NDArray[np.float64]:
    """Sums over squares of _BLOCK × _BLOCK of a plane (h, w), those at the edges smaller: float64 (n,)."""
    sums = plane.astype(np.float64)
    for axis, size in enumerate(plane.shape):
        sums = np.add.reduceat(sums, np.arange(0, size, _BLOCK), axis)
    return sums.reshape(-1)


def _predict(first: NDArray[np.float32], factors: NDArray[np.int64]) -> NDArray[np.float32]:
    """What the factors make of the first band's latents (256, h, w)."""
    each = (factors[zones()] / FACTOR_ONE).astype(np.float32)
    return first * each[:, None, None]


def _split(streams: Mapping[int, bytes]) -> tuple[NDArray[np.int64], dict[int, bytes], dict[int, bytes]]:
    """Factors and the streams of both bands."""
    if LATENTS not in streams or HYPER_LATENTS not in streams:
        raise CorruptError("a group has no latents or no side information")
    (factors,), start = lapped_tilt.unpack(streams[HYPER_LATENTS], (STRIDE,))
    bands: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
    for kind, at in ((HYPER_LATENTS, start), (LATENTS, 0)):
        bands[0][kind], bands[1][kind] = split_compact(streams[kind][at:], 2)
    return factors, *bands
