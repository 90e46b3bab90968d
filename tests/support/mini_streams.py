"""The streams of a group by FORMAT.md 9 alone: class maps, exact planes, corrections, outliers, ae16.

Slow, and nothing else. Numbers in comments are sections of FORMAT.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zstandard

from support.mini_reader import Bad, need, varint
from support.reference_binary import Decoder, Model


def joined(stream: bytes, bands: int) -> list[bytes]:  # 9.1
    if not stream:
        return [b""] * bands
    payloads, at = [], 0
    for _ in range(bands):
        need(at + 4 <= len(stream), "payload cut off")
        end = at + 4 + int.from_bytes(stream[at : at + 4], "little")
        payloads.append(stream[at + 4 : end])
        at = end
    need(at == len(stream), "lengths of payloads")
    return payloads


def inner(payload: bytes, most: int) -> np.ndarray:
    """Content of a zstd frame within a payload, uint8."""
    try:
        size = zstandard.frame_content_size(payload)
        need(0 <= size <= most, "content size of a payload")
        result = zstandard.ZstdDecompressor().decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError:
        raise Bad("zstd data of a payload") from None
    return np.frombuffer(result, np.uint8)


def mask(payload: bytes, rows: int, cols: int, specials: int) -> np.ndarray:  # 9.1
    classes = np.zeros((rows, cols), np.uint8)
    if not payload:
        return classes
    count, size = payload[0], -(-rows * cols // 8)
    numbers = list(payload[1 : 1 + count])
    need(1 <= count <= 15 and len(numbers) == count, "number of classes")
    need(numbers == sorted(set(numbers)) and numbers[0] > 0 and numbers[-1] <= specials, "classes")
    planes = inner(payload[1 + count :], count * size)
    need(len(planes) == count * size, "bit planes")
    for k, number in enumerate(numbers):
        bits = np.unpackbits(planes[k * size : (k + 1) * size])[: rows * cols].reshape(rows, cols).copy()
        for row in range(1, rows):
            bits[row] ^= bits[row - 1]
        need(not (classes[bits == 1] > 0).any(), "two classes for one pixel")
        classes[bits == 1] = number
    return classes


def exact_plane(payload: bytes, rows: int, cols: int, dtype: str) -> np.ndarray:  # 9.4
    width = np.dtype(dtype).itemsize
    planes = inner(payload, rows * cols * width)
    need(len(planes) == rows * cols * width, "size of an exact plane")
    bits = np.zeros((rows, cols), f"<u{width}")
    for k in range(width):
        byte = planes[k * rows * cols : (k + 1) * rows * cols].reshape(rows, cols)
        bits |= byte.astype(bits.dtype) << np.array(8 * k, bits.dtype)
    for row in range(1, rows):
        bits[row] ^= bits[row - 1]
    return bits.view(np.dtype(dtype).newbyteorder("<"))


def ae16_indices(
    payload: bytes, channels: int, rows: int, cols: int
) -> np.ndarray:  # 9.2, one symbol at a time
    h, w = -(-rows // 16), -(-cols // 16)
    data = inner(payload, channels * (1 + 5 * (h + 1) * (w + 1)))
    need(len(data) >= channels, "widths of channels")
    widths = [int(code) & 63 for code in data[:channels]]
    need(all(code in (0, 2, 4, 8, 66, 68, 72) for code in data[:channels]), "width of a channel")
    at, symbols, escaped = channels, np.zeros((channels, h, w), np.int64), []
    for width, tall, wide in ((2, 2, 2), (4, 1, 2), (8, 1, 1)):
        for channel in (c for c in range(channels) if widths[c] == width):
            for top in range(0, h, tall):
                for left in range(0, w, wide):
                    need(at < len(data), "symbols cut off")
                    for k in range(tall * wide):
                        y, x = top + k // wide, left + k % wide
                        if y < h and x < w:
                            symbols[channel, y, x] = int(data[at]) >> width * k & (1 << width) - 1
                    at += 1
            for y, x in np.ndindex(h, w):
                if symbols[channel, y, x] == (1 << width) - 1:
                    escaped.append((channel, y, x))
    need(len(data) == at + 4 * len(escaped), "number of escapes")
    for k, place in enumerate(escaped):
        symbols[place] += sum(int(data[at + len(escaped) * byte + k]) << 8 * byte for byte in range(4))
    indices = np.where(symbols & 1, -(symbols + 1 >> 1), symbols >> 1)
    for channel in range(channels):
        if data[channel] & 64:
            plane = indices[channel]
            for y, x in np.ndindex(h, w):
                if x and y:
                    plane[y, x] += plane[y, x - 1] + plane[y - 1, x] + 1 >> 1
                elif x or y:
                    plane[y, x] += plane[y, x - 1] if x else plane[y - 1, x]
    return indices


def corrections(payload: bytes, rows: int, cols: int) -> np.ndarray:  # 9.5, tenths of a dB
    cells = np.zeros((-(-rows // 32), -(-cols // 32)), np.int64)
    if not payload:
        return cells
    need(len(payload) > 3 and payload[2] <= 11, "head of the corrections")
    median, k = int.from_bytes(payload[:2], "little", signed=True), payload[2]
    bits = [int(bit) for bit in np.unpackbits(np.frombuffer(payload[3:], np.uint8))]
    at = 0
    for cell in np.ndindex(*cells.shape):
        need(0 in bits[at:], "Rice code cut off")
        end = bits.index(0, at)
        need(end + 1 + k <= len(bits), "Rice code cut off")
        u = end - at << k | int("0" + "".join(map(str, bits[end + 1 : end + 1 + k])), 2)
        cells[cell] = median + (-(u + 1 >> 1) if u & 1 else u >> 1)
        at = end + 1 + k
    need(len(bits) - at < 8 and abs(cells).max() <= 300, "corrections")
    return cells


def coded_payloads(stream: bytes, bands: int) -> list[bytes]:  # 9.7
    if not stream:
        return [b""] * bands
    payloads, at = [], 0
    for _ in range(bands - 1):
        length, at = varint(stream, at)
        need(at + length <= len(stream), "payload cut off")
        payloads.append(stream[at : at + length])
        at += length
    return [*payloads, stream[at:]]


def coded_mask(payload: bytes, rows: int, cols: int, specials: int) -> np.ndarray:  # 9.7, bit by bit
    classes = np.zeros((rows, cols), np.uint8)
    if not payload:
        return classes
    decoder, number = Decoder(payload), 0
    for _ in range(15):
        number += 1
        while number <= specials and decoder.take(32768):
            number += 1
        need(number <= specials, "class of a mask")
        coded_plane(decoder, classes, number)
        need((classes == number).any(), "class without a pixel")
        if not decoder.take(32768):
            need(decoder.at_end(), "form of a coded mask")
            return classes
    raise Bad("too many classes")


def coded_plane(decoder: Decoder, classes: np.ndarray, number: int) -> None:
    rows, cols = classes.shape
    plane, differ = Zeros(), Zeros()
    blocks, small, large = Model(24, 250), Model(64, 250), Model(1024, 250)
    for i in range(rows):
        for block in range(-(-cols // 64)):
            first, last = 64 * block, min(64 * block + 64, cols)
            above = {plane[i - 1, j] for j in range(first - 1, last + 1)}
            u = 0 if len(above) > 1 else 1 if plane[i, first - 1] in above else 2
            beside = 4 * differ[i, block - 1] + 2 * differ[i - 1, block] + differ[i - 1, block + 1]
            differ[i, block] = decoder.bit(blocks, 8 * u + beside)
            same = True
            for j in range(first, last):
                if not differ[i, block]:
                    bit = plane[i - 1, j]
                    need(not (bit and classes[i, j]), "two classes for one pixel")
                elif classes[i, j]:
                    bit = 0
                else:
                    near = [(0, 1), (0, 2), (1, 1), (1, 0), (1, -1), (2, 0)]
                    far = [(1, 2), (1, -2), (2, 1), (2, -1)]
                    bits = [plane[i - down, j - left] for down, left in near + far]
                    few = sum(bit << k for k, bit in enumerate(bits[:6]))
                    all_ = sum(bit << k for k, bit in enumerate(bits))
                    if large.count(all_) == 0:
                        large.start(all_, small.chance(few), min(small.count(few), 2))
                    bit = decoder.bit(large, all_)
                    small.learn(few, bit)
                plane[i, j] = bit
                same = same and bit == plane[i - 1, j]
                if bit:
                    classes[i, j] = number
            need(same != differ[i, block], "block that does not differ")


class Zeros(dict[tuple[int, int], int]):
    """0 wherever nothing was put."""

    def __missing__(self, place: tuple[int, int]) -> int:
        return 0


SPREADS = [8, 16, 24, 36, 52, 72, 100, 140, 200, 300, 480, 800]


def coded_corrections(payload: bytes, rows: int, cols: int) -> np.ndarray:  # 9.8, tenths of a dB
    cells = np.zeros((-(-rows // 32), -(-cols // 32)), np.int64)
    if not payload:
        return cells
    page = (Path(__file__).parents[2] / "sarzip" / "container" / "FORMAT.md").read_text(encoding="utf-8")
    table = [int(word) for word in page.split("### 9.8")[1].split("```")[1].split()]
    decoder, model = Decoder(payload), Model(len(table), 60)
    for context, chance in enumerate(table):
        model.start(context, 256 * chance, 24)
    mean, deviation, errors = 0, 64, np.zeros_like(cells)
    for count, (i, j) in enumerate(np.ndindex(*cells.shape)):
        near = {(i, j - 1): 2, (i - 1, j): 2, (i - 1, j - 1): 1, (i - 1, j + 1): 1}
        near = {at: w for at, w in near.items() if at[0] >= 0 and 0 <= at[1] < cells.shape[1]}
        weight = sum(near.values())
        values = sum(w * int(cells[at]) for at, w in near.items())
        around = sum(w * int(errors[at]) for at, w in near.items())
        guess = mean + (3 * (64 * values - weight * mean) >> 6)
        spread = deviation + (around - weight * deviation >> 5)
        first = 14 * sum(limit <= spread for limit in SPREADS)
        phase = (guess + 32) % 64 >> 4
        number = 0
        if decoder.bit(model, first + phase):
            negative = decoder.bit(model, first + 4 + phase)
            number = 1
            while number < 20 and decoder.bit(model, first + 8 + min(number - 1, 5)):
                number += 1
            if number == 20:
                length = 0
                while length < 12 and decoder.take(32768):
                    length += 1
                rest = 1
                for _ in range(length):
                    rest = 2 * rest + decoder.take(32768)
                number = rest + 19
            number = -number if negative else number
        value = (guess + 32 >> 6) + number
        need(abs(value) <= 300, "a correction")
        cells[i, j] = value
        errors[i, j] = abs(64 * value - guess)
        mean += (64 * value - mean) // (min(count, 40) + 2)
        deviation += (int(errors[i, j]) - deviation) // (min(count, 30) + 2)
    need(decoder.at_end() and abs(cells).max() <= 300, "corrections")
    return cells


def side_streams(
    streams: dict[int, bytes], bands: int, rows: int, cols: int, specials: list[int]
) -> tuple[list[np.ndarray], list[np.ndarray]]:  # 9
    """Class maps and corrections of the bands of a set, of whatever kind the streams are."""
    for old, new in ((1, 7), (4, 8), (6, 9)):
        need(not (old in streams and new in streams), "two streams of one meaning")
    if 10 in streams:
        specials = [count + 1 for count in specials]
    if 7 in streams:
        parts = coded_payloads(streams[7], bands)
        maps = [coded_mask(part, rows, cols, count) for part, count in zip(parts, specials, strict=True)]
    else:
        parts = joined(streams.get(1, b""), bands)
        maps = [mask(part, rows, cols, count) for part, count in zip(parts, specials, strict=True)]
    if 8 in streams:
        cells = [coded_corrections(part, rows, cols) for part in coded_payloads(streams[8], bands)]
    else:
        cells = [corrections(part, rows, cols) for part in joined(streams.get(4, b""), bands)]
    return maps, cells


def outliers(payload: bytes, marks: np.ndarray) -> dict[tuple[int, int], int]:  # 9.9, eighths of a dB
    found: dict[tuple[int, int], int] = {}
    if not marks.any():
        need(not payload, "outliers of a band that has none")
        return found
    decoder, model, last = Decoder(payload), Model(71, 60), 0
    for i, j in zip(*(map(int, at) for at in np.nonzero(marks)), strict=True):
        near = [(i - 1, j), (i, j - 1)]
        kind = next((t for t, place in enumerate(near) if place in found), 2)
        guess = found[near[kind]] if kind < 2 else last
        digits = 0
        while digits < 16 and decoder.bit(model, 17 * kind + digits):
            digits += 1
        size = min(digits, 1)
        negative = digits > 0 and decoder.bit(model, 51 + kind)
        for k in range(digits - 1):
            size = 2 * size + (decoder.take(32768) if k else decoder.bit(model, 54 + digits))
        last = found[i, j] = guess + (-size if negative else size)
        need(abs(last) <= 16384, "value of an outlier")
    need(decoder.at_end(), "form of outliers")
    return found


def dataset_mask(streams: dict[int, bytes], rows: int, cols: int) -> np.ndarray:  # 9.4, 9.7
    if 9 in streams:
        return np.where(coded_mask(streams[9], rows, cols, 1) == 1, 0, 255)
    return exact_plane(streams[6], rows, cols, "uint8")
