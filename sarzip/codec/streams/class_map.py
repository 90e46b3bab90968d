"""Which pixels are measurements, exactly: the class map and its coding.

Class 0 is a measurement; class k > 0 stands for the k-th special value of the band (nodata, NaN, ±inf, zero),
which is restored bit for bit. The class map is lossless and coded apart from the signal.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy import binary
from sarzip.codec.streams.byte_planes import inflate
from sarzip.errors import CorruptError
from sarzip.native import kernel

# Zeros without a nodata tag are a border when they come in horizontal runs; dark water has shorter ones.
ZERO_RUN = 16
_MAX_CLASSES = 15
_MANY = 31
_BLOCK = 64


_mark_long_runs = kernel(
    "mark_long_runs", "void(const boolean[:,::1], int64, int64, int64, int64, uint8[:,::1])"
)
_empty = kernel("empty_squares", "void(const uint8[:,::1], int64, int64, uint8[:,::1])")
_occurring = kernel("occurring", "int64(const uint8[::1], int64)")
_code_planes = kernel(
    "code_planes",
    "int64(int64[::1], uint8[::1], int64, uint8[:,::1], int64, int64, const int64[::1], int64, int64, "
    "uint8[::1], int64)",
)


def special_values(dtype: np.dtype[Any] | str, nodata: float | int | None) -> tuple[float | int, ...]:
    """The values that are not measurements in a band of this dtype with this nodata tag.

    Floats: nodata, NaN, +inf, -inf and exact zero, which no sensor measures. Integers: nodata, and zero where
    it forms runs (see classify).
    """
    kind = np.dtype(dtype)
    specials: list[float | int] = []
    if nodata is not None and _representable(nodata, kind):
        specials.append(kind.type(nodata).item())
    candidates = (math.nan, math.inf, -math.inf, 0.0) if kind.kind == "f" else (0,)
    specials += [value for value in candidates if not any(same_value(value, other) for other in specials)]
    return tuple(specials)


def _representable(value: float | int, kind: np.dtype[Any]) -> bool:
    if kind.kind == "f":
        return True
    info = np.iinfo(kind)
    return math.isfinite(value) and float(value).is_integer() and info.min <= value <= info.max


def same_value(a: float | int, b: float | int) -> bool:
    """Whether two samples are the same special value; all NaNs are."""
    return a == b or (a != a and b != b)


def shares_zero(dtype: np.dtype[Any] | str, nodata: float | int | None) -> bool:
    """Whether zero is both a border value and a possible measurement: integers whose nodata is not zero."""
    return np.dtype(dtype).kind in "iu" and nodata != 0


def classify(values: NDArray[Any], specials: Sequence[float | int], shared_zero: bool) -> NDArray[np.uint8]:
    """Class map (uint8, shape of `values`: rows × columns): 0 measurement, k for specials[k-1].

    A shared zero (see shares_zero) counts as special only in horizontal runs of ZERO_RUN or more.
    """
    classes = np.zeros(values.shape, np.uint8)
    for number, special in enumerate(specials, start=1):
        hit = np.isnan(values) if special != special else values == values.dtype.type(special)
        if not hit.any():
            continue
        if special == 0 and shared_zero:
            _mark_long_runs(hit, *hit.shape, min(ZERO_RUN, hit.shape[1]), number, classes)
        else:
            classes[hit] = number
    return classes


EMPTY = 16
"""Pixels on a side of the squares that `empty` looks at."""


def empty(classes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """1 for each square of EMPTY × EMPTY pixels of a class map (rows, columns) without a measurement, else 0;
    those at the right and lower edge may be smaller.
    """
    found = np.empty((-(-classes.shape[0] // EMPTY), -(-classes.shape[1] // EMPTY)), np.uint8)
    _empty(np.ascontiguousarray(classes), *classes.shape, found)
    return found


def restore(
    values: NDArray[Any],
    classes: NDArray[np.uint8] | None,
    specials: Sequence[float | int],
    shared_zero: bool,
) -> None:
    """Write the special values into `values` in place, and move measurements off them.

    A measurement that decoded to exactly a special value would be read as missing; it is moved to the nearest
    other value. Only a shared zero may stay: dark pixels are zero by right.
    """
    for special in specials:
        if not math.isfinite(special) or (special == 0 and shared_zero):
            continue
        clash = values == values.dtype.type(special)
        if clash.any():
            values[clash] = _neighbour(special, values.dtype)
    restore_specials(values, classes, specials)


def restore_specials(
    values: NDArray[Any], classes: NDArray[np.uint8] | None, specials: Sequence[float | int]
) -> None:
    """Write the special values into `values` in place."""
    if classes is not None:
        for number, special in enumerate(specials, start=1):
            values[classes == number] = special


def _neighbour(special: float | int, dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return np.nextafter(dtype.type(special), dtype.type(math.inf if special < np.finfo(dtype).max else 0))
    return special + 1 if special < np.iinfo(dtype).max else special - 1


def encode_classes(classes: NDArray[np.uint8]) -> bytes:
    """Class map of one group to bytes; empty when every pixel is a measurement.

    The numbers of the classes that occur, then a bit plane for each, with the binary coder. A row is coded in
    blocks of 64 pixels: first whether a block equals the one above it, else its pixels, in contexts of ten
    neighbours (as in ITU-T T.88, JBIG2). Pixels of an earlier class are left out.
    """
    classes = np.ascontiguousarray(classes)
    occurring = _occurring(classes.reshape(-1), classes.size)
    present = np.array([number for number in range(1, _MANY + 1) if occurring >> number & 1])
    if not present.size:
        return b""
    if present.size > _MAX_CLASSES or present[-1] == _MANY:
        raise ValueError(f"more classes in a map than the format holds, which is {_MAX_CLASSES}")
    coder, out = binary.new_encoder(), np.zeros(1024 + classes.size // 16, np.uint8)
    while not _code(coder, out, classes, present, 0, True):
        coder, out = binary.new_encoder(), np.zeros(4 * out.size, np.uint8)
    return binary.finished(coder, out)


def decode_classes(payload: bytes, shape: tuple[int, int], specials: int) -> NDArray[np.uint8] | None:
    """Inverse of encode_classes; None for an empty payload (all measurements).

    specials: number of special values the band has. Raises CorruptError on anything malformed.
    """
    if not payload:
        return None
    classes = np.zeros(shape, np.uint8)
    coder, data = binary.new_decoder(payload)
    present = np.zeros(_MAX_CLASSES, np.int64)
    if not _code(coder, data, classes, present, min(specials, 255), False):
        raise CorruptError("mask stream names classes that do not occur, or gives a pixel two")
    if not binary.read_to_end(coder, data):
        raise CorruptError("mask stream has the wrong size")
    return classes


def _code(
    coder: NDArray[np.int64],
    data: NDArray[np.uint8],
    classes: NDArray[np.uint8],
    present: NDArray[np.int64],
    specials: int,
    encoding: bool,
) -> bool:
    """Encode the planes of the classes `present`, or decode them into `classes`.

    False if `data` is too short to encode into, or what is decoded is not allowed.
    """
    rows, columns = classes.shape
    scratch = np.empty(3 * (columns + 4) + 2 * (-(-columns // _BLOCK) + 2), np.uint8)
    planes = (classes, rows, columns, present, present.size)
    return bool(_code_planes(coder, data, data.size, *planes, specials, scratch, encoding))


def decode_zstd_classes(payload: bytes, shape: tuple[int, int], specials: int) -> NDArray[np.uint8] | None:
    """Class map of a stream of format 1.0 (FORMAT.md 9.1); None for an empty payload (all measurements).

    specials: number of special values the band has. Raises CorruptError on anything malformed.
    """
    if not payload:
        return None
    count = payload[0]
    numbers = payload[1 : 1 + count]
    pixels = shape[0] * shape[1]
    plane_bytes = -(-pixels // 8)
    ascending = all(a < b for a, b in itertools.pairwise(numbers))
    if (
        not 0 < count <= _MAX_CLASSES
        or len(numbers) != count
        or not ascending
        or not 0 < numbers[0] <= numbers[-1] <= specials
    ):
        raise CorruptError("mask stream names classes the band does not have")
    raw = inflate(payload[1 + count :], (plane_bytes * count,), "mask stream")
    classes = np.zeros(shape, np.uint8)
    for position, number in enumerate(numbers):
        plane = np.frombuffer(raw, np.uint8, plane_bytes, position * plane_bytes)
        bits = np.unpackbits(plane, count=pixels).reshape(shape)
        np.bitwise_xor.accumulate(bits, axis=0, out=bits)
        if np.any(classes[bits.view(bool)]):
            raise CorruptError("mask stream gives a pixel two classes")
        classes += bits * np.uint8(number)
    return classes
