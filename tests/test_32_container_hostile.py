"""Container: hostile metadata and data, all checksums right, are CorruptErrors, soon and in little memory."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from support import mini_reader
from support.forge import META, by_reader, by_stream, forge, memory_below, refuse

from sarzip.container import (
    Reader,
    limits,
    packing,
)
from sarzip.container.packing import pack_metadata

# Hostile files: all checksums are right, the content is not.


def test_newer_versions() -> None:
    assert "newer sarzip (format 2.0" in refuse(forge(major=2))[0]
    assert "unreleased sarzip" in refuse(forge(major=0))[0]
    refuse(forge(flags=1))
    refuse(forge(flags=1, minor=0, compact=True))
    for flags in (0x100, 0x101, 2, 3):
        assert "newer sarzip (format flags" in refuse(forge(flags=flags, compact=True))[0]
    assert "newer sarzip (format flags" in refuse(forge(flags=2, minor=9))[0]
    extended = META | {"new": [1], "b": [{"t": "uint16", "y": 1}], "s": [{"m": None, "z": {}}]}
    newer = [{"minor": 9}, {"minor": 9, "compact": True}, {"minor": 9, "flags": 0x100}]
    newer += [{"minor": 9, "flags": 0x101, "compact": True}, {"meta": extended, "minor": 4}]
    newer += [{"meta": extended, "minor": 4, "compact": True}]
    for options in newer:
        good = forge(**options)
        assert by_reader(good) == by_stream(good) == mini_reader.read(good)[1]
    assert Reader(io.BytesIO(forge(minor=9))).version == (1, 9)
    assert "newer sarzip" in refuse(forge(META | {"!new": 1}, minor=4))[0]
    refuse(forge(META | {"b": [{"t": "uint16", "x": {"!new": 1}}]}, compact=True))
    refuse(forge(META | {"new": 1}))
    refuse(forge(META | {"new": 1}, compact=True))


BAND = {"t": "uint16"}
BAD_METADATA: list[dict[str, Any] | bytes] = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"w"',
    b"\xff{}",
    b"\xef\xbb\xbf" + json.dumps(META).encode(),
    json.dumps(META).encode("utf-16"),
    json.dumps(META).encode() + b"{}",
    json.dumps(META).encode() + b"\0",
    json.dumps(META).replace('"w": 600', '"w": 600, "w": 600').encode(),
    json.dumps(META).replace('"uint16"', '"uint16", "x": {"a": 1, "a": 1}').encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "NaN}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "-Infinity}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "1e999}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "9" * 5000 + "}").encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", '"\\ud800"}').encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", '"\n"}').encode(),
    json.dumps(META | {"r": {"a": 1}}).replace("1}", "[" * 31 + "]" * 31 + "}").encode(),
    b'{"r":' + b"[" * 200_000,
    b'{"r":' + b'{"a":' * 200_000,
    b'{"r":[' + b"[]," * 140_000 + b"0]}",
    b'{"r":[' + b"0," * 550_000 + b"0]}",
    b'{"r":"' + b"\\" * 1_000_001,
    {},
    *({key: value for key, value in META.items() if key != gone} for gone in "whbs"),
    META | {"w": 0},
    META | {"w": -600},
    META | {"w": 600.0},
    META | {"w": True},
    META | {"w": "600"},
    META | {"w": None},
    META | {"w": 2**31},
    META | {"w": 2**63},
    META | {"h": 2**64},
    META | {"w": 2**31 - 1, "h": 2**31 - 1, "g": 256},
    META | {"g": 0},
    META | {"g": -256},
    META | {"g": 300},
    META | {"g": 2**40},
    META | {"p": 0},
    META | {"p": 33},
    META | {"p": 2},
    META | {"b": []},
    META | {"b": {}},
    META | {"b": [1]},
    META | {"b": [BAND] * 5000},
    META | {"b": [BAND | {"f": "1"}]},
    META | {"b": [BAND | {"f": -0.1}]},
    META | {"b": [BAND | {"f": 1.1e150}]},
    META | {"b": [BAND | {"c": -3000.5}]},
    META | {"b": [BAND | {"c": 1e308}]},
    META | {"s": [{"m": None, "q": 10001}]},
    META | {"b": [BAND | {"v": [0] * 256}]},
    META | {"b": [BAND | {"y": 1}]},
    META | {"b": [BAND | {"x": []}]},
    META | {"s": []},
    META | {"s": [{"b": [0], "m": None}] * 2},
    META | {"s": [{"b": [0, 0], "m": None}]},
    META | {"s": [{"b": [1], "m": None}]},
    META | {"s": [{"b": [-1], "m": None}]},
    META | {"s": [{"b": [], "m": None}]},
    META | {"s": [{"b": [False], "m": None}]},
    META | {"s": [{"b": [0]}]},
    META | {"s": [{"m": 0}]},
    META | {"s": [{"m": -1}], "m": [["a", "A" * 43]]},
    META | {"s": [{"m": None, "q": -2.0}]},
    META | {"m": [["a"]]},
    META | {"m": [["a", "A" * 42]]},
    META | {"m": [["a", "A" * 42 + "B"]]},
    META | {"m": [["", "A" * 43]]},
    META | {"m": [["a", "A" * 43]] * 65},
    META | {"r": []},
    META | {"c": 1},
]
BAD_VALUES: list[dict[str, Any]] = [
    META | {"b": [BAND | {"t": "object"}]},
    META | {"b": [BAND | {"t": "x" * 100_000}]},
    META | {"b": [BAND | {"d": "../up"}]},
    META | {"b": [BAND | {"v": [65536]}]},
    META | {"b": [BAND | {"v": ["nan"]}]},
    META | {"b": [BAND | {"v": ["NaN"], "t": "float32"}]},
    META | {"b": [BAND | {"v": [True]}]},
    META | {"b": [BAND | {"v": [1, 1]}]},
    META | {"b": [BAND | {"v": [0.1], "t": "float32"}]},
    META | {"m": [["../up", "A" * 43]]},
    META | {"m": [["a\n", "A" * 43]]},
    META | {"c": "x" * 257},
]


@pytest.mark.parametrize("case", range(len(BAD_METADATA)))
def test_hostile_metadata(case: int) -> None:
    meta = BAD_METADATA[case]
    refuse(forge(meta))
    refuse(forge(deflated(meta if isinstance(meta, bytes) else json.dumps(meta).encode()), compact=True))


def deflated(text: bytes, binary: bytes = b"") -> bytes:
    """Packed metadata with any text, and any bytes where binary values lie."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=packing.DICTIONARY)
    return deflate.compress(text) + deflate.flush() + binary


def with_raster(raster: str) -> bytes:
    return json.dumps(META | {"r": 0}).replace('"r": 0', f'"r": {raster}').encode()


def test_packed_metadata() -> None:
    """Binary values, escaped keys, and what is refused."""
    good = deflated(with_raster('{"a": {"$": 3}, "$$": [{"$": 0}, {"$$$": 5}], "$$x": {"$": 1}}'), b"abcd")
    data = forge(good, compact=True)
    wanted = {"a": "YWJj", "$": ["", {"$$": 5}], "$x": "ZA"}
    assert Reader(io.BytesIO(data)).header.raster == wanted == mini_reader.read(data)[0]["r"]
    for raster, binary in (
        ('{"a": {"$": 3}}', b"ab"),
        ('{"a": {"$": 3}}', b"abcd"),
        ('{"a": {"$": -1}}', b""),
        ('{"a": {"$": true}}', b"a"),
        ('{"a": {"$": 1.0}}', b"a"),
        ('{"a": {"$": "1"}}', b"a"),
        ('{"a": {"$": 18446744073709551615}}', b"a"),
        ('{"a": {"$": 1, "b": 1}}', b"a"),
        ('{"a": {"$b": 1}}', b""),
        ('{"$": 1}', b"a"),
        ("{}", b"a"),
    ):
        refuse(forge(deflated(with_raster(raster), binary), compact=True))
    refuse(forge(deflated(b'{"$":1}', b"a"), compact=True))
    refuse(forge(json.dumps(META).encode(), compact=True))
    refuse(forge(pack_metadata(META)))
    for cut in range(len(deflated(json.dumps(META).encode()))):
        refuse(forge(deflated(json.dumps(META).encode())[:cut], compact=True))


def test_deflate_bomb() -> None:
    spaces = json.dumps(META).encode() + b" " * (limits.MAX_METADATA - 200)
    bomb = forge(deflated(spaces), compact=True)
    assert len(bomb) < 9000
    with memory_below(48 << 20):
        assert len(by_reader(bomb)) == 6  # allowed, and bounded
    bomb = forge(deflated(spaces * 20), compact=True)
    with memory_below(48 << 20):
        refuse(bomb)


@pytest.mark.parametrize("case", range(len(BAD_VALUES)))
def test_values_the_mini_reader_does_not_judge(case: int) -> None:
    refuse(forge(BAD_VALUES[case]), mini=False)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content[:4],
        lambda content: content[:5],
        lambda content: b"I" + content[1:],
        lambda content: content[:1] + b"\0\0\0\0" + content[5:],
        lambda content: content[:5] + b"\x03" + content[6:],  # another ordinal
        lambda content: content[:5] + b"\x80" * 9 + content[6:],  # endless varint
        lambda content: content[:5] + bytes([content[5] | 128, 0]) + content[6:],  # not the shortest form
        lambda content: content[:6] + b"\x03" + content[7:],  # one stream more than there is
        lambda content: content[:6] + b"\x01" + content[7:],
        lambda content: content[:6] + b"\xff\xff\xff\xff\x7f" + content[7:],  # 2**35 - 1 streams
        lambda content: content[:7] + b"\x00" + content[8:],  # kind 0
        lambda content: content[:9] + b"\x01" + content[10:],  # the same kind twice
        lambda content: content[:7] + b"\x03" + content[8:],  # descending
        lambda content: content[:10] + b"\x02" + content[11:],  # a length beyond the end
        lambda content: content[:8] + b"\xff\xff\xff\xff\x7f" + content[9:],
        lambda content: content + b"x",
        lambda content: content[:6] + b"\x41" + b"".join(bytes([kind, 0]) for kind in range(1, 66)),
    ],
)
def test_hostile_data_content(spoil: Callable[[bytes], bytes]) -> None:
    messages = refuse(forge(data=lambda ordinal, good: spoil(good) if ordinal == 4 else good))
    assert all(message.startswith("group 4 (rows 256-299, columns 256-511), set 0: ") for message in messages)
