"""A second reader of `.sarz`, written from sarzip/container/FORMAT.md alone, with zstandard and numpy.

It keeps the whole file in memory and shows what the format needs at least. Here is the container; streams of
a group (masks, exact planes, corrections, latents of ae16) are read in mini_streams.py, those of lapped16
in mini_lapped16.py, the place on Earth in mini_georeference.py, and the binary coder, also written from that
page, in reference_binary.py. Numbers in comments are sections of FORMAT.md. Run it in `tests`:
`python -m support.mini_reader FILE` prints the metadata and the streams of every data frame.
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

import zstandard


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
    need(unknown & 255 == 0 and (unknown == 0 or head[4] > 3), "unknown flags")
    begin = 28 + head[6]
    need(begin <= len(data) and crc32(data[28:begin]) == head[7], "metadata damaged")
    packed = content(data[28:begin], 1 << 23)
    meta = unpacked(packed) if compact else strict_json(packed)
    check_metadata(meta, newer=head[4] > 3)
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
        need(not any(key.startswith("!") for key in band["x"]), "key that must be understood")
        need(0 <= band["f"] <= 1e150 and abs(band["c"]) <= 3000, "floor or centre")
    used: list[int] = []
    for each in meta["s"]:
        fill(each, SET_KEYS | {"b": (LIST, list(range(len(meta["b"]))))}, newer)
        need(not any(key.startswith("!") for key in each["x"]), "key that must be understood")
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
