"""A second reader of `.sarz`, written from sarzip/container/FORMAT.md alone, with zstandard and numpy.

It keeps the whole file in memory and shows what the format needs at least: the container, and of a group its
masks, exact planes, corrections, and latents before the networks; the binary coder, also written from that
page, lies in reference_binary.py. Numbers in comments are sections of FORMAT.md. Run it:
`python mini_reader.py FILE` prints the metadata and the streams of every data frame.
"""

from __future__ import annotations

import base64
import json
import math
import struct
import sys
import zlib
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import zstandard

from support.reference_binary import Decoder, Model


class Bad(Exception):
    """The file breaks a rule of FORMAT.md."""


def need(condition: object, rule: str) -> None:
    if not condition:
        raise Bad(rule)


def read(data: bytes) -> tuple[dict[str, Any], list[dict[int, bytes]], dict[str, Any] | None]:
    """Metadata, streams of every data frame by kind, and summary of a whole, intact file."""
    need(len(data) >= 28, "head cut off")  # 4
    head = struct.unpack("<II4sBBHIII", data[:28])
    need(head[:3] == (0x184D2A53, 20, b"SARZ") and head[8] == crc32(data[:24]), "head damaged")
    need(head[3] == 1, "written by a newer sarzip")
    compact = bool(head[4] and head[5] & 1)
    unknown = head[5] & ~1 if head[4] else head[5]
    need(unknown & 255 == 0 and (unknown == 0 or head[4] > 1), "unknown flags")
    begin = 28 + head[6]
    need(begin <= len(data) and crc32(data[28:begin]) == head[7], "metadata damaged")
    packed = content(data[28:begin], 1 << 23)
    meta = unpacked(packed) if compact else strict_json(packed)
    check_metadata(meta, newer=head[4] > 1)
    tag = crc32(data[:begin])
    count = frame_count(meta)
    need(count <= 1 << 22 and 14 * count <= len(data), "too many data frames")

    if compact:  # 8
        need(len(data) >= begin + 16, "trailer cut off")
        size = struct.unpack("<I", data[-8:-4])[0]
        end = len(data) - size
        need(end >= begin and 16 <= size <= 26 + 9 * count + (1 << 20), "size of the trailer")
        need(data[end : end + 8] == struct.pack("<II", 0x184D2A54, size - 8), "no trailer")
        need(struct.unpack("<I", data[-4:])[0] == crc32(data[:begin] + data[end:-4]), "trailer damaged")
        index, at = data[end + 8 : -8], 0
    else:
        need(len(data) >= begin + 28, "trailer cut off")
        trailer = struct.unpack("<IIQIII", data[-28:])
        need(trailer[:2] == (0x184D2A54, 20), "no trailer")
        need(trailer[5] == crc32(data[-28:-4]), "trailer damaged")
        need(trailer[2] == len(data), "file size")
        end = len(data) - 28 - trailer[3]
        need(end >= begin and crc32(data[end:-28]) == trailer[4], "index damaged")
        index = content(data[end:-28], 10 + 9 * count + (1 << 20))  # 7
        need(index[:5] == b"I" + struct.pack("<I", tag), "no index of this file")
        listed, at = varint(index, 5)
        need(listed == count, "count of data frames")
    sizes = []
    for _ in range(count):
        size, at = varint(index, at)
        sizes.append(size)
    need(min(sizes) >= 14 and begin + sum(sizes) == end, "sizes of data frames")
    need(len(index) >= at + 4 * count, "index cut off")
    crcs = struct.unpack_from(f"<{count}I", index, at)
    rest = index[at + 4 * count :]
    need(len(rest) <= 1 << 20, "summary too long")
    summary = strict_json(rest) if rest else None

    frames = []
    for ordinal, (size, crc) in enumerate(zip(sizes, crcs, strict=True)):
        need(crc32(data[begin : begin + size]) == crc, f"data frame {ordinal} damaged")
        body = content(data[begin : begin + size], content_limit(meta, ordinal))
        frames.append(streams(body, tag, ordinal, compact))
        begin += size
    return meta, frames, summary


def streams(body: bytes, tag: int, ordinal: int, compact: bool) -> dict[int, bytes]:  # 6
    begin = (b"" if compact else b"D") + struct.pack("<I", tag)
    need(body[: len(begin)] == begin, "no data frame of this file")
    number, at = varint(body, len(begin))
    need(number == ordinal, "data frame out of place")
    count, at = varint(body, at)
    need(count <= 64, "too many streams")
    directory = []
    for left in range(count, 0, -1):
        need(at < len(body) and body[at] > (directory[-1][0] if directory else 0), "kinds do not ascend")
        length, end = (len(body), at + 1) if compact and left == 1 else varint(body, at + 1)
        directory.append((body[at], length))
        at = end
    if compact and directory:
        used = at + sum(length for _, length in directory[:-1])
        need(used <= len(body), "lengths of streams")
        directory[-1] = directory[-1][0], len(body) - used
    result = {}
    for kind, length in directory:
        result[kind] = body[at : at + length]
        at += length
    need(at == len(body), "lengths of streams")
    return result


def content(frame: bytes, limit: int) -> bytes:  # 3
    need(len(frame) >= 14 and frame[:4] == b"\x28\xb5\x2f\xfd", "no zstd frame")
    need(frame[4] & 0b00011111 == 0b100, "kind of zstd frame")
    single = frame[4] >> 5 & 1
    width = (single, 2, 4, 8)[frame[4] >> 6]
    need(width, "no content size")
    at = 6 - single + width
    size = int.from_bytes(frame[at - width : at], "little") + 256 * (width == 2)
    window = size if single else (1 << 10 + (frame[5] >> 3)) // 8 * (8 + (frame[5] & 7))
    need(size <= limit and window <= 1 << 23, "content or window too large")
    need(len(frame) <= size + size // 64 + 256, "frame longer than its content needs")
    holds = blocks = last = 0
    while not last:
        need(at + 3 <= len(frame), "block cut off")
        header = int.from_bytes(frame[at : at + 3], "little")
        last, kind, length = header & 1, header >> 1 & 3, header >> 3
        need(kind < 3 and length <= 1 << 17, "bad block")
        at += 3 + (1 if kind == 1 else length)
        holds += 1 << 17 if kind == 2 else length
        blocks += 1
    need(at + 4 == len(frame) and holds >= size and blocks <= 64 + size // 256, "blocks")
    try:
        result = zstandard.ZstdDecompressor().decompress(frame, max_output_size=max(1, size))
    except zstandard.ZstdError:
        raise Bad("zstd data or checksum") from None
    need(len(result) == size, "content size")
    return result


def varint(data: bytes, at: int) -> tuple[int, int]:  # 1
    value = 0
    for count in range(5):
        need(at + count < len(data), "varint cut off")
        byte = data[at + count]
        value |= (byte & 127) << 7 * count
        if byte < 128:
            need(byte or not count, "varint not in its shortest form")
            return value, at + count + 1
    raise Bad("varint too long")


def strict_json(data: bytes) -> dict[str, Any]:  # 5.1
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        need(len(dict(pairs)) == len(pairs), "duplicate key")
        return dict(pairs)

    def integer(text: str) -> int:
        need(len(text) < 21 and -(1 << 63) <= int(text) < 1 << 64, "integer beyond 64 bits")
        return int(text)

    def number(text: str) -> float:
        need(math.isfinite(float(text)), "number not finite")
        return float(text)

    depth = deepest = containers = commas = 0
    in_string = escaped = False
    for byte in data:
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = not escaped and byte == 0x5C
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth, containers = depth + 1, containers + 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
        commas += not in_string and byte == 0x2C
    need(deepest <= 32 and containers <= 131072 and commas < 524288, "JSON too deep or too long")
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=unique,
            parse_int=integer,
            parse_float=number,
            parse_constant=number,
        )
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        raise Bad("not JSON") from None
    need(isinstance(value, dict), "JSON without object")
    return value


def unpacked(packed: bytes) -> dict[str, Any]:  # 5.4
    page = (Path(__file__).parents[2] / "sarzip" / "container" / "FORMAT.md").read_text(encoding="utf-8")
    dictionary = page.split("## A Dictionary")[1].split("```")[1].replace("\n", "").encode("ascii")
    inflate = zlib.decompressobj(-15, dictionary)
    try:
        text = inflate.decompress(packed, (1 << 23) + 1)
    except zlib.error:
        raise Bad("deflate data") from None
    need(inflate.eof and len(text) <= 1 << 23, "deflate data cut off or too long")
    rest = [inflate.unused_data]

    def whole(value: Any) -> Any:
        if type(value) is list:
            return [whole(each) for each in value]
        if type(value) is not dict:
            return value
        if list(value) == ["$"]:
            size = value["$"]
            need(type(size) is int and 0 <= size <= len(rest[0]), "size of a binary value")
            piece, rest[0] = rest[0][:size], rest[0][size:]
            return base64.b64encode(piece).decode().rstrip("=")
        need(not any(key.startswith("$") and not key.startswith("$$") for key in value), "a key with one $")
        return {key[key.startswith("$") :]: whole(each) for key, each in value.items()}

    value = whole(strict_json(text))
    need(type(value) is dict and not rest[0], "binary values do not fill the content")
    return value


INT, NUM, STR, LIST, OBJ = (int,), (int, float), (str,), (list,), (dict,)
NEEDED = object()
FILE_KEYS = {"w": (INT, NEEDED), "h": (INT, NEEDED), "b": (LIST, NEEDED), "s": (LIST, NEEDED)}
FILE_KEYS |= {"g": (INT, 1024), "p": (INT, 1), "m": (LIST, []), "r": (OBJ, {}), "c": (STR, "")}
BAND_KEYS = {"t": (STR, NEEDED), "d": (STR, "amplitude"), "f": (NUM, 0.0), "c": (NUM, 0.0)}
BAND_KEYS |= {"v": (LIST, []), "x": (OBJ, {})}
SET_KEYS = {"m": ((int, type(None)), 0), "q": (NUM, 0.0), "x": (OBJ, {})}


def check_metadata(meta: dict[str, Any], newer: bool) -> None:  # 5.2; adds the defaults
    fill(meta, FILE_KEYS, newer)
    need(0 < meta["w"] < 1 << 31 and 0 < meta["h"] < 1 << 31, "size of the scene")
    need(0 < meta["g"] <= 8192 and meta["g"] % 256 == 0 and 0 < meta["p"] <= 32, "group or parts")
    need(len(meta["m"]) <= 64 and 0 < len(meta["b"]) <= 4096 and len(meta["c"]) <= 256, "counts")
    try:
        for name, digest in meta["m"]:
            raw = base64.b64decode(digest + "=", validate=True)
            need(name and len(raw) == 32 and base64.b64encode(raw).decode() == digest + "=", "model")
    except (TypeError, ValueError):
        raise Bad("model") from None
    for band in meta["b"]:
        fill(band, BAND_KEYS, newer)
        need(len(band["v"]) <= 255, "special values")
        need(0 <= band["f"] <= 1e150 and abs(band["c"]) <= 3000, "floor or centre")
    used: list[int] = []
    for each in meta["s"]:
        fill(each, SET_KEYS | {"b": (LIST, list(range(len(meta["b"]))))}, newer)
        need(each["b"] and 0 <= each["q"] <= 1e4 and all(type(band) is int for band in each["b"]), "set")
        need(each["m"] is None or 0 <= each["m"] < len(meta["m"]), "set without model")
        used += each["b"]
    need(sorted(used) == list(range(len(meta["b"]))), "bands of the sets")


def fill(value: Any, keys: dict[str, tuple[tuple[type, ...], Any]], newer: bool) -> None:
    need(type(value) is dict, "no object where one must be")
    unknown = value.keys() - keys.keys()
    need(not any(key.startswith("!") for key in unknown) and (newer or not unknown), "unknown key")
    for key, (types, default) in keys.items():
        need(key in value or default is not NEEDED, "missing key")
        need(type(value.setdefault(key, default)) in types, "type of a value")


def frame_count(meta: dict[str, Any]) -> int:  # 5.3
    return -(-meta["h"] // meta["g"]) * -(-meta["w"] // meta["g"]) * len(meta["s"]) * meta["p"]


def content_limit(meta: dict[str, Any], ordinal: int) -> int:  # 5.3, 6
    group, rest = divmod(ordinal, len(meta["s"]) * meta["p"])
    row, col = divmod(group, -(-meta["w"] // meta["g"]))
    rows = min(meta["g"], meta["h"] - row * meta["g"]) + 15 & -16
    cols = min(meta["g"], meta["w"] - col * meta["g"]) + 15 & -16
    bands = len(meta["s"][rest // meta["p"]]["b"])
    return min(1 << 28, 16 * rows * cols * bands + 65536)


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


def literals(payload: bytes, marks: np.ndarray) -> dict[tuple[int, int], int]:  # 9.9, eighths of a dB
    found: dict[tuple[int, int], int] = {}
    if not marks.any():
        need(not payload, "literal pixels of a band that has none")
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
        need(abs(last) <= 16384, "value of a literal pixel")
    need(decoder.at_end(), "form of literal pixels")
    return found


def dataset_mask(streams: dict[int, bytes], rows: int, cols: int) -> np.ndarray:  # 9.4, 9.7
    if 9 in streams:
        return np.where(coded_mask(streams[9], rows, cols, 1) == 1, 0, 255)
    return exact_plane(streams[6], rows, cols, "uint8")


def group_shape(meta: dict[str, Any], ordinal: int) -> tuple[int, int, int]:  # 5.3
    """Rows, columns and set of the group of a data frame."""
    group, rest = divmod(ordinal, len(meta["s"]) * meta["p"])
    row, col = divmod(group, -(-meta["w"] // meta["g"]))
    rows, cols = (min(meta["g"], meta[k] - n * meta["g"]) for k, n in (("h", row), ("w", col)))
    return rows, cols, rest // meta["p"]


if __name__ == "__main__":
    metadata, everything, end_summary = read(Path(sys.argv[1]).read_bytes())
    print(json.dumps(metadata), json.dumps(end_summary))
    for position, found in enumerate(everything):
        print(position, {kind: len(payload) for kind, payload in found.items()})
