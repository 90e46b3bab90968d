"""Fuzzing, briefly: the seeds, a fixed sequence of mutations, and by coverage where atheris is installed."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.codec.predictive import numbering as numberings
from sarzip.codec.predictive.payload import block, number
from sarzip.codec.predictive.plane import decode_band
from sarzip.errors import CorruptError

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

import fuzz_container as fuzz


def test_the_corpus_is_what_the_script_makes():
    kept = {path.name: path.read_bytes() for path in fuzz.CORPUS.iterdir()}
    assert kept.keys() == fuzz.seeds().keys()
    for name, data in fuzz.seeds().items():
        if (
            name not in ("10", "11", "12", "14", "20") and "-" not in name
        ):  # other libraries may compress the same otherwise
            assert kept[name] == data, name


def test_every_seed_is_accepted_behind_its_checksums():
    """Else mutations of it would only ever meet the first check."""
    refused = set()
    for name, data in fuzz.seeds().items():
        try:
            fuzz.KINDS[data[0]](data[1:])
        except CorruptError:
            refused.add(name)
    assert refused == set()
    make = {1: "meta", 2: "data", 5: "summary", 6: "head", 14: "meta", 15: "data", 17: "trailer"}
    for data in fuzz.seeds().values():
        if data[0] in make:
            file = fuzz.assemble(**{make[data[0]]: data[1:]}, compact=data[0] > 13)
            assert len(fuzz.mini_reader.read(file)[1]) == 6


def test_mutations():
    """The same inputs every time; a longer run is a matter of the script's options."""
    assert fuzz.loop(seconds=120, count=5000, seed=7) == 5000


@pytest.mark.skipif(fuzz.atheris is None, reason="atheris is not installed")
def test_coverage_guided(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    command = [sys.executable, fuzz.__file__, corpus, fuzz.CORPUS, "-runs=4000", "-max_total_time=20"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=150))
def test_entropy_coded_noise(data):
    """Random bytes behind a right first byte either decode to the right number of values or are refused."""
    try:
        lattice = fuzz.MODEL.decode_lattice(b"\x08" + data, fuzz.CLASSES)
    except CorruptError:
        return
    assert lattice.shape == fuzz.CLASSES.shape


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_entropy_coded_latents(data):
    """Whatever is changed in a stream: CorruptError, or values of the right number and bounded size."""
    values = np.random.default_rng(data.draw(st.integers(0, 9))).normal(0, 30, fuzz.CLASSES.size)
    stream = bytearray(fuzz.MODEL.encode(values.astype(np.float32), fuzz.CLASSES))
    for _ in range(data.draw(st.integers(1, 4))):
        stream[data.draw(st.integers(1, len(stream) - 1))] = data.draw(st.integers(0, 255))
    del stream[data.draw(st.integers(1, len(stream))) :]
    try:
        lattice = fuzz.MODEL.decode_lattice(bytes(stream), fuzz.CLASSES)
    except CorruptError:
        return
    assert lattice.shape == fuzz.CLASSES.shape
    assert np.isfinite(fuzz.MODEL.decode(bytes(stream), fuzz.CLASSES)).all()


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(fuzz.KINDS) - 1), st.binary(max_size=120))
def test_noise_behind_every_parser(kind, data):
    fuzz.run_one(bytes([kind]) + data)


@pytest.mark.parametrize("shift", [0, 22])
@pytest.mark.parametrize("fine", [-32768, -20, 3, 32767])
@pytest.mark.parametrize("span", [1 << 20, 1 << 50])
def test_pixels_with_impossible_parameters(shift, fine, span):
    """Cells larger than an octave; more octaves than floats have, which were counted one by one."""
    numbering = numberings.Every(np.dtype(np.float32), True, shift)
    payload = [b"\0", block(b""), block(b""), block(numberings.pack(numbering))]
    payload += [number(7), number(span), struct.pack("<h", fine), struct.pack("<f", 1.0)]
    with pytest.raises(CorruptError):
        decode_band(b"\3" + b"".join(payload) + bytes(400), (4, 4), "float32", fuzz.coder_targets.NETWORK)
