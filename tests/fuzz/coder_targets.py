"""Targets of the fuzzing beyond the container: the coders of latents, pixels and outliers, on tiny groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from support.models import released

from sarzip.codec.base import HYPER_LATENTS, LATENTS, Quality
from sarzip.codec.lapped16.band_pair import Lapped16Pair
from sarzip.codec.lapped16.codec import Lapped16
from sarzip.codec.predictive import pixels
from sarzip.codec.predictive.network import PixelNetwork
from sarzip.codec.predictive.plane import PixelBand, decode_band, encode_band
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.codec.streams.outliers import decode_outliers, encode_outliers

LATENT_SHAPE, PIXELS = (2, 3), (12, 17)
SINGLE = Lapped16(*released())
PAIR = Lapped16Pair(SINGLE)
NETWORK = PixelNetwork.from_weights(released("pixel")[1])
MARKS = np.zeros(PIXELS, bool)
MARKS[3, 2:9], MARKS[8] = True, True
QUALITY = Quality(2.0)
_DTYPES = ("uint16", "float32", "int32", "float64")


def _cut(data: bytes) -> dict[int, bytes]:
    """Two streams of one input: the first two bytes are the length of the first."""
    size = int.from_bytes(data[:2], "little")
    return {HYPER_LATENTS: data[2 : 2 + size], LATENTS: data[2 + size :]}


def _joined(streams: dict[int, bytes]) -> bytes:
    return len(streams[HYPER_LATENTS]).to_bytes(2, "little") + streams[HYPER_LATENTS] + streams[LATENTS]


def check_latents(codec: Lapped16 | Lapped16Pair) -> Callable[[bytes], None]:
    """Decoding gives finite latents of the right shape, or refuses."""

    def check(data: bytes) -> None:
        found = codec.decode(_cut(data), LATENT_SHAPE, QUALITY)
        assert found.shape == (codec.channels, *LATENT_SHAPE) and np.isfinite(found).all()

    return check


def check_pixels(data: bytes) -> None:
    """The first byte chooses the type of the samples."""
    dtype = _DTYPES[data[0] % len(_DTYPES)] if data else "uint16"
    found = decode_band(data[1:], PIXELS, dtype, NETWORK)
    assert found.shape == PIXELS and found.dtype == dtype


def check_outliers(data: bytes) -> None:
    """As many values as there are places."""
    assert decode_outliers(data, MARKS).shape == (np.count_nonzero(MARKS),)


TARGETS = (check_latents(SINGLE), check_latents(PAIR), check_pixels, check_outliers)


def seeds() -> Iterator[tuple[int, bytes]]:
    """Valid inputs: which target, and what for it."""
    rng = np.random.default_rng(4)
    latents = rng.laplace(0, 3, (512, *LATENT_SHAPE)).astype(np.float32)
    for states in (1, 64):
        coder = Lapped16(*released(), states)
        yield 0, _joined(coder.encode(latents[:256], QUALITY).streams)
        yield 1, _joined(Lapped16Pair(coder).encode(latents, QUALITY).streams)
    amplitude = Radiometry("amplitude", 0.5, 40.0)
    smooth = 900 * rng.gamma(4, 0.25, PIXELS)
    bands = [
        (0, smooth, PixelBand("uint16", amplitude, (0,)), Bound(0.5)),
        (0, smooth, PixelBand("uint16", amplitude, (0,)), None),
        (1, smooth / 7, PixelBand("float32"), Bound(0.01, decibels=False)),
        (1, smooth / 7, PixelBand("float32"), None),
        (2, smooth * 1e4, PixelBand("int32"), None),
        (3, smooth / 7, PixelBand("float64"), Bound(1e-6, decibels=False)),
    ]
    for number, values, band, bound in bands:
        samples = values.astype(band.dtype)
        samples[4, 5:9] = 0
        found = pixels.encode(samples, samples != 0, band.promise(bound), NETWORK)
        assert found is not None
        yield 2, bytes([number, 3]) + found.payload
    for values in (np.rint(smooth / 400), smooth):  # a few labels, and what is packed by planes
        yield 2, b"\0" + encode_band(values.astype(np.uint16), PixelBand("uint16"), None, NETWORK).payload
    units = np.rint(rng.normal(0, 900, np.count_nonzero(MARKS))).astype(np.int32)
    yield 3, encode_outliers(units, MARKS)
