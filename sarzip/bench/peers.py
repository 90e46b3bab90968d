"""The classical codecs that `sarzip bench` measures beside sarzip, all coding the same 16-bit dB image.

The dB image of a band is mapped linearly from its range over valid pixels to 0..65535; invalid pixels are
filled smoothly. The step of that mapping (about 0.001 dB) is far below every error measured. Codecs that take
floating point (SPERR, SZ3) get the same dB values as float32. Each peer is driven by an aimed error in dB,
which only places its points on the curve: what counts is the bytes it made and the error it really has.

imagecodecs (extra `bench`) is imported when a peer runs, not before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.inpaint import fill
from sarzip.errors import UsageError

LEVELS = 65535
AIMED_ERRORS_DB = (0.1, 0.18, 0.3, 0.45, 0.65, 0.9, 1.2, 1.6, 2.1, 2.8, 3.7, 5.0)


@dataclass(frozen=True)
class PeerImage:
    """One band as the peers see it: dB = low + step * codes; codes uint16 (height, width)."""

    codes: NDArray[np.uint16]
    low: float
    step: float

    @classmethod
    def from_db(cls, db: NDArray[np.float32], valid: NDArray[np.bool_]) -> PeerImage:
        """From decibels (height, width), finite where `valid`; at least one pixel must be."""
        if not valid.any():
            raise UsageError("a band without valid pixels cannot be measured")
        low = float(np.min(db, where=valid, initial=np.inf))
        high = float(np.max(db, where=valid, initial=-np.inf))
        step = (high - low) / LEVELS or 1.0
        signal = np.where(valid, db, low).astype(np.float32)
        signal -= np.float32(low)
        fill(signal, ~valid)
        signal /= np.float32(step)
        np.rint(np.clip(signal, 0, LEVELS, out=signal), out=signal)
        return cls(signal.astype(np.uint16), low, step)

    @property
    def range_db(self) -> float:
        """Span of the dB image."""
        return LEVELS * self.step

    def db(self, codes: NDArray) -> NDArray[np.float64]:
        """Decibels of decoded codes, which need not be whole numbers."""
        return codes.astype(np.float64) * self.step + self.low

    def above_low(self) -> NDArray[np.float32]:
        """The same image in dB above `low`, float32."""
        return self.codes.astype(np.float32) * np.float32(self.step)


Encode = Callable[[PeerImage, float, int], bytes]
Decode = Callable[[bytes, PeerImage, int], NDArray]


@dataclass(frozen=True)
class Peer:
    """A codec: encode(image, aimed error in dB, threads), decode(bytes, image, threads) -> codes, any dtype.

    The decoder may use the image's shape and dB mapping, nothing else of it.
    """

    name: str
    label: str
    encode: Encode
    decode: Decode


def load_imagecodecs() -> ModuleType:
    try:
        import imagecodecs
    except ImportError as error:
        raise UsageError("bench needs imagecodecs: pip install 'sarzip[bench]'") from error
    return imagecodecs


def _openjpeg_encode(image: PeerImage, error_db: float, threads: int) -> bytes:
    # Irreversible 9/7, one tile; the level is the PSNR at which the layer is cut. A raw codestream, no boxes.
    psnr = 20 * np.log10(max(image.range_db / error_db, 1.001))
    return bytes(
        load_imagecodecs().jpeg2k_encode(
            image.codes, level=psnr, reversible=False, codecformat="j2k", numthreads=threads
        )
    )


def _openjpeg_decode(data: bytes, image: PeerImage, threads: int) -> NDArray:
    return load_imagecodecs().jpeg2k_decode(data, numthreads=threads)


def _htj2k_encode(image: PeerImage, error_db: float, threads: int) -> bytes:
    # Irreversible 9/7; the level is the quantisation step as a fraction of the range.
    step = min(2.5 * error_db / image.range_db, 0.5)
    return bytes(load_imagecodecs().htj2k_encode(image.codes, level=step, reversible=False))


def _htj2k_decode(data: bytes, image: PeerImage, threads: int) -> NDArray:
    return load_imagecodecs().htj2k_decode(data)


# JPEG XL's lossy mode works on the cube root of linear light (XYB, opsin bias b). Handing it the linear light
# whose biased cube root is the dB image makes its quantiser see exactly that image; measured, this serves it
# better than passing the dB image off as sRGB.
_OPSIN_BIAS = 0.0037930732552754493
_ROOT = np.cbrt(_OPSIN_BIAS)
_SPAN = np.cbrt(1 + _OPSIN_BIAS) - _ROOT
_DISTANCE_PER_ERROR = 110.0
_LARGEST_DISTANCE = 25.0


def _jpegxl_encode(effort: int) -> Encode:
    def encode(image: PeerImage, error_db: float, threads: int) -> bytes:
        light = (image.codes / np.float32(LEVELS) * np.float32(_SPAN) + np.float32(_ROOT)) ** 3 - _OPSIN_BIAS
        distance = min(_DISTANCE_PER_ERROR * error_db / image.range_db, _LARGEST_DISTANCE)
        return bytes(
            load_imagecodecs().jpegxl_encode(
                light.astype(np.float32), distance=distance, effort=effort, numthreads=threads
            )
        )

    return encode


def _jpegxl_decode(data: bytes, image: PeerImage, threads: int) -> NDArray:
    light = load_imagecodecs().jpegxl_decode(data, numthreads=threads)
    codes = (np.cbrt(light + np.float32(_OPSIN_BIAS)) - np.float32(_ROOT)) * np.float32(LEVELS / _SPAN)
    return np.clip(codes, 0, LEVELS)


def _sperr_encode(image: PeerImage, error_db: float, threads: int) -> bytes:
    psnr = 20 * np.log10(max(image.range_db / error_db, 1.001))
    return bytes(load_imagecodecs().sperr_encode(image.above_low(), psnr, "psnr", numthreads=threads))


def _sperr_decode(data: bytes, image: PeerImage, threads: int) -> NDArray:
    return np.clip(load_imagecodecs().sperr_decode(data, numthreads=threads) / image.step, 0, LEVELS)


def _sz3_encode(image: PeerImage, error_db: float, threads: int) -> bytes:
    # A bound on the error of every pixel; errors come out uniform, so the RMS is the bound over sqrt(3).
    return bytes(load_imagecodecs().sz3_encode(image.above_low(), "abs", abs=error_db * np.sqrt(3)))


def _sz3_decode(data: bytes, image: PeerImage, threads: int) -> NDArray:
    decoded = load_imagecodecs().sz3_decode(data, image.codes.shape, np.dtype(np.float32))
    return np.clip(decoded / image.step, 0, LEVELS)


def _lerc_encode(image: PeerImage, error_db: float, threads: int) -> bytes:
    return bytes(load_imagecodecs().lerc_encode(image.codes, level=error_db * np.sqrt(3) / image.step))


def _lerc_decode(data: bytes, image: PeerImage, threads: int) -> NDArray:
    return load_imagecodecs().lerc_decode(data)


PEERS: tuple[Peer, ...] = (
    Peer("openjpeg", "OpenJPEG 9/7", _openjpeg_encode, _openjpeg_decode),
    Peer("htj2k", "HTJ2K 9/7", _htj2k_encode, _htj2k_decode),
    Peer("jxl-e3", "JPEG XL e3", _jpegxl_encode(3), _jpegxl_decode),
    Peer("jxl-e7", "JPEG XL e7", _jpegxl_encode(7), _jpegxl_decode),
    Peer("sperr", "SPERR", _sperr_encode, _sperr_decode),
    Peer("sz3", "SZ3", _sz3_encode, _sz3_decode),
    Peer("lerc", "LERC", _lerc_encode, _lerc_decode),
)


def find_peer(name: str) -> Peer:
    """The peer called `name`; UsageError names the known ones."""
    for peer in PEERS:
        if peer.name == name:
            return peer
    raise UsageError(f"unknown codec {name!r}: one of {', '.join(peer.name for peer in PEERS)}")
