"""Two correlated bands, such as VV and VH of one scene, coded together by the family `lapped16`.

The second band's latents are predicted from the decoded ones of the first, by one factor for each of 16 zones
of frequency and group; what is left is coded as a band of its own. Bands of one scene share edges, fields and
slopes, which live in the low zones, and little of the speckle: of VH the factors fall from 0.5 to 1.2 in the
lowest zone to 0 to 0.2 in the highest.

Streams of a group: SIDE starts with the factors, packed as a tilt is; then both streams of the first band,
each after its length, stand before those of the second.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import LATENTS, SIDE
from sarzip.codec.entropy.coder import Estimate, get_varint, put_varint
from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16.codec import Lapped16Family
from sarzip.codec.lapped16.reduced import Synthesis
from sarzip.codec.lapped16.transform import CHANNELS, STRIDE, channel_order
from sarzip.errors import CorruptError

FACTOR_ONE = 32
"""Factors are coded in 1/32."""
_BLOCK = 4
"""Latents a side of the squares within which a zone counts as having one variance."""
_FLOOR = 1 / 12
"""Squared steps of quantisation noise: latents of less variance cost next to nothing."""


class PairedFamily:
    """`lapped16` for two bands: latents (512, h, w), the first band's before the second's."""

    name = Lapped16Family.name
    channels = 2 * CHANNELS
    inputs = 2
    separate = True
    analysis_halo = Lapped16Family.analysis_halo
    synthesis_halo = Lapped16Family.synthesis_halo

    def __init__(self, inner: Lapped16Family) -> None:
        """inner: codes each of the bands."""
        self._inner = inner
        self.mirror_signs = np.concatenate([inner.mirror_signs] * 2, 1)

    def with_states(self, states: int) -> PairedFamily:
        """The same model encoding with another number of trellis states."""
        return PairedFamily(self._inner.with_states(states))

    def reduced(self, scale: int) -> Synthesis:
        """Synthesis of the means over boxes of scale × scale pixels, for each band's 256 latents."""
        return self._inner.reduced(scale)

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (2, 16h+32, 16w+32) in dB to latents (512, h, w)."""
        return np.concatenate([self._inner.analyse(band[None]) for band in signal])

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (512, h+2, w+2) to signal (2, 16h, 16w) in dB."""
        return np.concatenate([self._inner.synthesise(band) for band in np.split(latents, 2)])

    def encode(self, latents: NDArray[np.float32], step: float) -> dict[int, bytes]:
        """One group of latents (512, h, w), quantised with a step in dB, to its two streams."""
        return self.code(latents, step)[0]

    def code(self, latents: NDArray[np.float32], step: float) -> tuple[dict[int, bytes], NDArray[np.float32]]:
        """What encode gives, and what decode will make of it."""
        first, second = np.split(latents, 2)
        streams, decoded = self._inner.code(np.nan_to_num(first), step)
        factors = fit(decoded, second, step)
        prediction = _predict(decoded, factors)
        # Where nothing depends on the second band, the prediction will do.
        rest, left = self._inner.code(np.nan_to_num(second - prediction), step)
        joined = {
            SIDE: lapped_tilt.pack(factors) + _join(streams[SIDE], rest[SIDE]),
            LATENTS: _join(streams[LATENTS], rest[LATENTS]),
        }
        return joined, np.concatenate([decoded, prediction + left])

    def estimate(self, latents: NDArray[np.float32], step: float) -> Estimate:
        """Bits of both streams, and squared error in dB², summed over the latents that are not NaN."""
        streams, decoded = self.code(latents, step)
        bits = 8 * sum(map(len, streams.values()))
        return Estimate(bits, float(np.nansum(np.square(decoded - latents, dtype=np.float64))))

    def decode(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (512, h, w); CorruptError if undecodable."""
        factors, first, second = _split(streams)
        decoded = self._inner.decode(first, shape, step)
        left = self._inner.decode(second, shape, step)
        return np.concatenate([decoded, _predict(decoded, factors) + left])

    def integers(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.int32]:
        """Factors, then hyper-latents and lattice points of each band, int32 (n,)."""
        factors, *bands = _split(streams)
        found = [self._inner.integers(band, shape, step) for band in bands]
        return np.concatenate([factors.astype(np.int32), *found])


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
        aa, ab, bb = (_squares(np.einsum("chw,chw->hw", *both)) for both in ((a, a), (a, b), (b, b)))
        scale = 1 / (_FLOOR * step * step * (stop - start) * count)
        left = np.maximum(bb - 2 * ratio * ab + ratio**2 * aa, 0) * scale
        bits = (stop - start) / 2 * (np.log2(1 + left) @ count) + own
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


def _join(first: bytes, second: bytes) -> bytes:
    head = bytearray()
    put_varint(head, len(first))
    return bytes(head) + first + second


def _split(streams: Mapping[int, bytes]) -> tuple[NDArray[np.int64], dict[int, bytes], dict[int, bytes]]:
    """Factors and the streams of both bands."""
    if LATENTS not in streams or SIDE not in streams:
        raise CorruptError("a group has no latents or no side information")
    (factors,), start = lapped_tilt.unpack(streams[SIDE], (STRIDE,))
    bands: tuple[dict[int, bytes], dict[int, bytes]] = ({}, {})
    for kind, at in ((SIDE, start), (LATENTS, 0)):
        size, at = get_varint(streams[kind], at)
        if size > len(streams[kind]) - at:
            raise CorruptError("streams of two bands do not add up")
        bands[0][kind], bands[1][kind] = streams[kind][at : at + size], streams[kind][at + size :]
    return factors, *bands
