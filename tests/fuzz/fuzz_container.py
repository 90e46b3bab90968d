"""Fuzzing of everything that parses bytes of a `.sarz`: head, metadata, index, frames, streams of a group.

The first byte of an input says what the rest replaces; all checksums around it are made right, so that the
parsers behind them are reached. Nothing but CorruptError may come out (behind the doors to other libraries: a
SarzipError), all readers must agree, and what is decoded must have the shape that was asked for.

    python tests/fuzz/fuzz_container.py FOUND tests/fuzz/corpus -max_total_time=1800
                      by coverage, with atheris (pip install sarzip[fuzz]); new inputs go into FOUND
    python tests/fuzz/fuzz_container.py --seconds 1800 --seed 1      random mutations, without atheris
    python tests/fuzz/fuzz_container.py --make-corpus                 write the seeds again
"""

from __future__ import annotations

import argparse
import io
import json
import random
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from zlib import crc32

import numpy as np
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

try:
    import atheris
except ImportError:
    atheris = None

with atheris.instrument_imports(include=["sarzip.container"]) if atheris else nullcontext():
    from sarzip.container import Reader, StreamReader
    from sarzip.container.layout import varint
    from sarzip.container.packing import pack_metadata
    from sarzip.container.salvage import SalvageReader

import coder_targets
import door_targets
from support import mini_reader, mini_streams
from support.formats_1_0 import rice_cells, zstd_classes

from sarzip.codec.ae16 import planes
from sarzip.codec.entropy.rans import decode_indices, encode_indices
from sarzip.codec.entropy.tables import build_tables
from sarzip.codec.exact.codec import decode_plane, encode_plane
from sarzip.codec.streams import bias_correction as lock
from sarzip.codec.streams import class_map as validity
from sarzip.container import control_points as columns
from sarzip.errors import CorruptError, SarzipError
from sarzip.training.entropy_fit import parametric_model

CORPUS = Path(__file__).parent / "corpus"
META = {"w": 600, "h": 300, "g": 256, "b": [{"t": "uint16", "v": [0]}], "s": [{"m": None, "q": 2.0}]}
SHAPE = (9, 14)
TABLES = build_tables(np.geomspace(0.05, 300.0, 12), 2, 14, 1.5)
MODEL = parametric_model(np.geomspace(0.05, 300.0, 12), 8)
CLASSES = np.random.default_rng(0).integers(0, 12, 90).astype(np.uint8)


def zstd(content: bytes, level: int = 3) -> bytes:
    return zstandard.ZstdCompressor(level=level, write_checksum=True, write_content_size=True).compress(
        content
    )


def assemble(
    meta: bytes | None = None,
    data: bytes | None = None,
    frame: bytes | None = None,
    index: bytes | None = None,
    summary: bytes = b"",
    head: bytes | None = None,
    trailer: bytes | None = None,
    compact: bool = False,
) -> bytes:
    """A file of six groups with all checksums right, in which what is given is put in."""
    if meta is None:
        meta = pack_metadata(META) if compact else json.dumps(META).encode()
    body = zstd(meta)
    start = head or struct.pack("<II4sBBH", 0x184D2A53, 20, b"SARZ", 1, compact, compact)
    start = (start + bytes(16))[:16] + struct.pack("<II", len(body), crc32(body))
    start += struct.pack("<I", crc32(start)) + body
    tag = struct.pack("<I", crc32(start))
    frames = [zstd(b"D" + tag + bytes([ordinal, 2, 1, 2, 2, 1]) + b"abc") for ordinal in range(6)]
    if compact:
        frames = [zstd(tag + bytes([ordinal, 2, 1, 2, 2]) + b"abc") for ordinal in range(6)]
    if data is not None:
        frames[2] = zstd((b"" if compact else b"D") + tag + data)
    if frame is not None:
        frames[2] = frame
    listed = b"".join(map(varint, map(len, frames))) + b"".join(struct.pack("<I", crc32(f)) for f in frames)
    if compact:
        content = (listed if index is None else index) + summary
        end = struct.pack("<II", 0x184D2A54, 8 + len(content)) + content
        end = trailer or end + struct.pack("<I", 16 + len(content))
        return start + b"".join(frames) + end + struct.pack("<I", crc32(end, crc32(start)))
    tail = zstd(b"I" + tag + (b"\x06" + listed if index is None else index) + summary)
    size = len(start) + sum(map(len, frames)) + len(tail) + 28
    end = struct.pack("<IIQII", 0x184D2A54, 20, size, len(tail), crc32(tail))
    end = (trailer + end[len(trailer) :])[:24] if trailer else end
    return start + b"".join(frames) + tail + end + struct.pack("<I", crc32(end))


def check_file(data: bytes) -> None:
    """All readers agree on a file, or refuse it."""
    outcomes: list[object] = []
    for read in (Reader, StreamReader):
        try:
            outcomes.append([streams for _, streams in read(io.BytesIO(data))])
        except CorruptError as error:
            assert "\n" not in str(error) and len(str(error)) < 500, "an error message is not one line"
            outcomes.append(None)
    assert outcomes[0] == outcomes[1], "the readers disagree"
    if outcomes[0] is not None:
        assert mini_reader.read(data)[1] == outcomes[0], "the mini reader disagrees"
    try:
        reader = SalvageReader(io.BytesIO(data))
    except CorruptError:
        assert outcomes[0] is None, "an intact file could not be salvaged"
        return
    count = min(reader.header.frame_count, 5000)
    found = [reader.read_frame(n) if reader.why_lost(n) is None else None for n in range(count)]
    assert all(type(reader.read_damaged(n)) is list for n in range(count))
    if outcomes[0] is not None:
        assert found == outcomes[0][:count] and not reader.problems, "salvage found other frames"
    else:
        assert reader.problems or None in found or count < reader.header.frame_count, "damage went unnoticed"


def check_rans(data: bytes) -> None:
    split = data[0] if data else 0
    words, raw = data[1 : len(data) - split], data[len(data) - split :] if split else b""
    index = decode_indices(words, raw, CLASSES, TABLES, 8)
    assert encode_indices(index, CLASSES, TABLES, 8) == (words, raw), "two codes for the same indices"


def check_mask(data: bytes) -> None:
    classes = validity.decode_zstd_classes(data, SHAPE, 3)
    assert classes is None or (classes.shape == SHAPE and classes.max() <= 3)


def check_cells(data: bytes) -> None:
    cells = lock.decode_rice_cells(data, (40, 70))
    assert cells is None or (cells.shape == (2, 3) and np.abs(cells).max() <= 300)


def check_coded_mask(data: bytes) -> None:
    classes = validity.decode_classes(data, SHAPE, 3)
    assert classes is None or (classes.shape == SHAPE and classes.max() <= 3)
    assert validity.encode_classes(np.zeros(SHAPE, np.uint8) if classes is None else classes) == data
    np.testing.assert_array_equal(mini_streams.coded_mask(data, *SHAPE, 3), 0 if classes is None else classes)


def check_coded_cells(data: bytes) -> None:
    cells = lock.decode_cells(data, (40, 70))
    assert cells is None or (cells.shape == (2, 3) and np.abs(cells).max() <= 300)
    assert lock.encode_cells(np.zeros((2, 3), np.int16) if cells is None else cells) == data
    np.testing.assert_array_equal(mini_streams.coded_corrections(data, 40, 70), 0 if cells is None else cells)


def check_gcps(data: bytes) -> None:
    points = columns.unpack(data, (24, 5), 4)
    assert points.shape == (24, 5)


KINDS: list[Callable[[bytes], None]] = [
    check_file,
    lambda data: check_file(assemble(meta=data)),
    lambda data: check_file(assemble(data=data)),
    lambda data: check_file(assemble(frame=data)),
    lambda data: check_file(assemble(index=data)),
    lambda data: check_file(assemble(summary=data)),
    lambda data: check_file(assemble(head=data)),
    lambda data: check_file(assemble(trailer=data)),
    check_rans,
    lambda data: _is(MODEL.decode_lattice(data, CLASSES), (90,)),
    check_mask,
    lambda data: _is(planes.unpack(data, (5, *SHAPE)), (5, *SHAPE)),
    lambda data: _is(decode_plane(data, SHAPE, "uint16"), SHAPE),
    check_cells,
    lambda data: check_file(assemble(meta=data, compact=True)),
    lambda data: check_file(assemble(data=data, compact=True)),
    lambda data: check_file(assemble(index=data, compact=True)),
    lambda data: check_file(assemble(trailer=data, compact=True)),
    check_coded_mask,
    check_coded_cells,
    check_gcps,
    *coder_targets.TARGETS,
    *door_targets.TARGETS,
]


ALLOWED: dict[Callable[[bytes], None], tuple[type[Exception], ...]] = {
    check_gcps: (CorruptError, ValueError),
    **dict.fromkeys(door_targets.TARGETS, (SarzipError,)),
}
"""What may come out of a target beside CorruptError."""


def _allowed(kind: int) -> tuple[type[Exception], ...]:
    return ALLOWED.get(KINDS[kind], (CorruptError,))


def _is(values: np.ndarray, shape: tuple[int, ...]) -> None:
    assert values.shape == shape


def run_one(data: bytes) -> None:
    """One input: its first byte chooses, the rest is the hostile part."""
    if data:
        kind = data[0] % len(KINDS)
        with suppress(*_allowed(kind)):
            KINDS[kind](bytes(data[1:]))


def ground_control_points() -> np.ndarray:
    """Points of a grid, float64 (24, 5) of row, col, x, y, z."""
    row, col = (index.ravel().astype(float) for index in np.mgrid[0:300:6j, 0:400:4j])
    shift = np.random.default_rng(2).normal(0, 1e-6, row.size)
    x, y = 11.5 + 1e-4 * col - 2e-5 * row + shift, 47.25 - 1.7e-5 * col - 9e-5 * row - 0.4 * shift
    return np.stack([row, col, x, y, np.full(row.size, 430.0)], 1)


def seeds() -> dict[str, bytes]:
    """The corpus: something valid of every kind."""
    rng = np.random.default_rng(1)
    indices = np.rint(rng.normal(0, 2, 90)).astype(np.int32)
    words, raw = encode_indices(indices, CLASSES, TABLES, 8)
    classes = np.zeros(SHAPE, np.uint8)
    classes[2:5, 3:9], classes[7] = 1, 3
    latents = np.rint(rng.normal(0, 3, (5, *SHAPE))).astype(np.int32)
    latents[2] = 0
    latents[3, 4, 4] = 7000
    file = assemble()
    frame = b"D" + struct.pack("<I", crc32(file[: 28 + struct.unpack_from("<I", file, 16)[0]]))
    band = {"t": "float32", "d": "power", "f": 0.5, "c": -9.0, "v": ["nan", 0.0, -9999.0]}
    full = META | {
        "p": 1,
        "m": [["a-1.x", "A" * 43]],
        "b": [band | {"x": {"unit": 2}}],
        "s": [{"b": [0], "m": 0, "q": 1.5, "x": {"a": [1, {"b": "\u00e9\\n"}]}}],
        "r": {"e": 32633, "t": [10.0, 0, 5e5, 0, -10.0, 5e6]},
        "c": "sarzip",
    }
    contents = [
        file,
        json.dumps(full, ensure_ascii=False).encode(),
        b"\x02\x02\x01\x02\x02\x01abc",
        zstd(frame + b"\x02\x01\x02\xac\x02" + bytes(300)),
        b"\x06" + bytes([30] * 6) + bytes(24),
        b'{"rmse_db":1.5,"asked":"bpp"}',
        struct.pack("<II4sBBH", 0x184D2A53, 20, b"SARZ", 1, 4, 0x100),
        struct.pack("<IIQ", 0x184D2A54, 20, len(file)),
        bytes([len(raw)]) + words + raw,
        MODEL.encode(rng.normal(0, 9, 90).astype(np.float32), CLASSES),
        zstd_classes(classes),
        planes.pack(latents),
        encode_plane(rng.integers(0, 99, SHAPE).astype(np.uint16)),
        rice_cells(np.array([[1, -3, 0], [250, 2, 1]])),
        pack_metadata(full | {"r": full["r"] | {"$": "a", "p": "Ab3" * 20}}),
        b"\x02\x02\x01\x02\x02abc",
        bytes([30] * 6) + bytes(24) + b'{"rmse_db":1.5}',
        assemble(compact=True)[-46:-4],
        validity.encode_classes(classes),
        lock.encode_cells(np.array([[1, -3, 0], [250, 2, 1]], np.int16)),
        columns.pack(ground_control_points(), 4),
    ]
    found = {f"{kind:02d}": bytes([kind]) + content for kind, content in enumerate(contents)}
    kind = len(contents)
    for targets in (coder_targets, door_targets):
        for number, (target, content) in enumerate(targets.seeds()):
            found[f"{kind + target:02d}-{number}"] = bytes([kind + target]) + content
        kind += len(targets.TARGETS)
    return found


_PIECES = (b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x01", b"\xff" * 8, bytes(8))
_NUMBERS = (b"0", b"-1", b"1e999", b"4294967296", b"18446744073709551616", b"0.1", b"true", b"null", b'"nan"')


def mutate(data: bytes, others: list[bytes], source: random.Random) -> bytes:
    """A few random changes, of the kinds that break parsers; the first byte stays."""
    out = bytearray(data)
    for _ in range(source.choice((1, 1, 2, 3, 6))):
        at = source.randrange(1, len(out) + 1)
        way = source.randrange(9)
        if way == 0 and at < len(out):
            out[at] ^= 1 << source.randrange(8)
        elif way == 1 and at < len(out):
            out[at] = source.choice((0, 1, 127, 128, 255))
        elif way == 2:
            out[at:at] = source.randbytes(source.randrange(1, 9))
        elif way == 3:
            del out[at : at + source.choice((1, 1, 2, 8, 64))]
        elif way == 4:
            out[at:at] = out[at : at + source.randrange(1, 40)]
        elif way == 5:
            other = source.choice(others)
            out[at:] = other[source.randrange(1, len(other)) :]
        elif way == 6:
            out[at:at] = source.choice(_PIECES)
        elif way == 7:
            digits = [n for n in range(1, len(out)) if 48 <= out[n] < 58]
            if digits:
                place = source.choice(digits)
                out[place : place + 1] = source.choice(_NUMBERS)
        else:
            del out[at:]
        if len(out) < 2:
            out += b"\0"
    return bytes(out)


def mutations(seed: int) -> Iterator[bytes]:
    """Endless inputs, the same for the same seed."""
    source = random.Random(seed)
    corpus = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    while True:
        yield mutate(source.choice(corpus), corpus, source)


Outcomes = dict[tuple[object, ...], int]
"""How often each way out was taken: the target, and where and as what a refusal was raised."""


def outcome(data: bytes) -> tuple[object, ...]:
    """Run one input; which way it went."""
    kind = data[0] % len(KINDS)
    try:
        KINDS[kind](bytes(data[1:]))
    except _allowed(kind) as error:
        places: list[int] = []
        cause: BaseException | None = error
        while cause is not None:
            trace = cause.__traceback__
            while trace is not None:
                places.append(trace.tb_lineno)
                trace = trace.tb_next
            cause = cause.__cause__
        return kind, *places
    return (kind,)


def loop(seconds: float, count: int, seed: int, outcomes: Outcomes | None = None) -> int:
    """Run mutations for so long or so many; how many were run. A failing input is kept in `crash.bin`."""
    with door_targets.quick():
        return _loop(seconds, count, seed, outcomes)


def _loop(seconds: float, count: int, seed: int, outcomes: Outcomes | None) -> int:
    end, done = time.monotonic() + seconds, 0
    for data in mutations(seed):
        try:
            if outcomes is None:
                run_one(data)
            else:
                way = outcome(data)
                outcomes[way] = outcomes.get(way, 0) + 1
        except BaseException:
            Path("crash.bin").write_bytes(data)
            raise
        done += 1
        if done == count or (done % 64 == 0 and time.monotonic() > end):
            return done
    return done


def main() -> None:
    if not any(word.startswith("--") for word in sys.argv) and atheris:
        with door_targets.quick():
            atheris.Setup(sys.argv, run_one)
            atheris.Fuzz()
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--make-corpus", action="store_true")
    options = parser.parse_args()
    if options.make_corpus:
        CORPUS.mkdir(exist_ok=True)
        for name, data in seeds().items():
            (CORPUS / name).write_bytes(data)
        return
    outcomes: Outcomes = {}
    done = loop(options.seconds, options.count, options.seed, outcomes)
    print(f"{done} inputs, {len(outcomes)} different ways out, no failure")


if __name__ == "__main__":
    main()
