"""The rANS coder against its plain Python reference, against arbitrary indices and against damaged bytes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support import reference_rans as reference

from sarzip.codec.entropy.rans import MACHINES, decode_indices, encode_indices, plan
from sarzip.codec.entropy.tables import CodeTables, build_tables
from sarzip.errors import CorruptError

SIGMAS = np.geomspace(0.05, 300.0, 12)
TABLES = {
    (n, bits): build_tables(SIGMAS, 1 if n == 1 else 2, bits, 1.5)
    for n in (1, 4, 8, 64)
    for bits in (10, 14, 15)
}
INT32 = st.integers(-(2**31), 2**31 - 1)
VALUES = st.one_of(st.just(0), st.integers(-3, 3), st.integers(-300, 300), INT32)


def sample(n: int, seed: int, top: int = 12) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    cls = rng.integers(0, top, n).astype(np.uint8)
    return np.round(rng.standard_normal(n) * SIGMAS[cls]).astype(np.int32), cls


def test_state_machines() -> None:
    # written out for the two small ones: any change makes old files undecodable
    assert MACHINES[4].next.tolist() == [0, 1, 2, 3, 1, 0, 3, 2]
    assert MACHINES[4].quantiser.tolist() == [0, 1, 0, 1]
    assert MACHINES[8].next.tolist() == [0, 1, 3, 2, 5, 4, 6, 7, 1, 0, 2, 3, 4, 5, 7, 6]
    assert MACHINES[8].quantiser.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    for n_states, machine in MACHINES.items():
        assert machine.next.tolist() == [s for pair in reference.NEXT[n_states] for s in pair]
        assert machine.quantiser.tolist() == reference.QUANTISER[n_states]
        # two ways into each state, both from the same quantiser
        for state in range(n_states):
            into = np.flatnonzero(machine.next == state) // 2
            assert len(into) == 2
            assert machine.quantiser[into[0]] == machine.quantiser[into[1]]


@pytest.mark.parametrize("n_states", [1, 4, 8, 64])
@pytest.mark.parametrize("bits", [10, 14, 15])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 15, 16, 17, 500])
def test_bytes_equal_the_reference(n_states: int, bits: int, n: int) -> None:
    index, cls = sample(n, seed=n)
    index[::7] = 3000  # escapes
    tables = TABLES[n_states, bits]
    data, raw = encode_indices(index, cls, tables, n_states)
    assert (data, raw) == reference.encode(index, cls, tables, n_states)
    assert np.array_equal(decode_indices(data, raw, cls, tables, n_states), index)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(VALUES, st.integers(0, 11)), max_size=70), st.sampled_from([1, 4, 8, 64]))
def test_any_indices_survive_and_match_the_reference(pairs: list[tuple[int, int]], n_states: int) -> None:
    index = np.array([p[0] for p in pairs], np.int32)
    cls = np.array([p[1] for p in pairs], np.uint8)
    tables = TABLES[n_states, 14]
    data, raw = encode_indices(index, cls, tables, n_states)
    assert (data, raw) == reference.encode(index, cls, tables, n_states)
    assert np.array_equal(decode_indices(data, raw, cls, tables, n_states), index)
    if pairs:
        expected = plan(index, cls, tables, n_states).bits
        assert 8 * (len(data) + len(raw)) <= expected + 8 * 18 + 0.01 * len(pairs)


@pytest.mark.parametrize("n_states", [1, 8])
def test_int32_extremes(n_states: int) -> None:
    index = np.array([2**31 - 1, -(2**31), 0, 1 - 2**31] * 9, np.int32)
    cls = np.tile(np.arange(12, dtype=np.uint8), 3)
    tables = TABLES[n_states, 14]
    data, raw = encode_indices(index, cls, tables, n_states)
    assert np.array_equal(decode_indices(data, raw, cls, tables, n_states), index)


def test_symbols_of_minimal_and_maximal_frequency() -> None:
    # frequency 1 and 2**15 - 5 are the ends of the reciprocal division
    one = np.array([1, (1 << 15) - 5, 1, 1], np.uint16)
    tables = CodeTables(15, 1, *(np.array([v], np.uint8) for v in (2, 0, 0)), one)
    index = np.random.default_rng(0).choice([-3, -2, -1, 0, 1, 2, 9], 4000).astype(np.int32)
    cls = np.zeros(4000, np.uint8)
    data, raw = encode_indices(index, cls, tables, 1)
    assert (data, raw) == reference.encode(index, cls, tables, 1)
    assert np.array_equal(decode_indices(data, raw, cls, tables, 1), index)


def test_overhead_over_the_ideal_code_length() -> None:
    for n_states, top in ((1, 12), (8, 12), (8, 4)):
        index, cls = sample(200_000, 5, top)
        data, raw = encode_indices(index, cls, TABLES[n_states, 14], n_states)
        ideal = plan(index, cls, TABLES[n_states, 14], n_states).bits
        assert 0.999 * ideal < 8 * (len(data) + len(raw)) < 1.002 * ideal


def test_damage_is_found_like_the_reference_finds_it() -> None:
    index, cls = sample(120, 3)
    index[::9] = -5000
    tables = TABLES[8, 14]
    data, raw = encode_indices(index, cls, tables, 8)
    rng = np.random.default_rng(1)
    found = 0
    for _ in range(300):
        broken, broken_raw = bytearray(data), bytearray(raw)
        target = broken if rng.random() < 0.6 else broken_raw
        target[rng.integers(len(target))] ^= 1 << int(rng.integers(8))
        try:
            expected = reference.decode(bytes(broken), bytes(broken_raw), cls, tables, 8)
        except reference.Corrupt:
            with pytest.raises(CorruptError):
                decode_indices(bytes(broken), bytes(broken_raw), cls, tables, 8)
            found += 1
        else:
            assert decode_indices(bytes(broken), bytes(broken_raw), cls, tables, 8).tolist() == expected
    assert found > 150


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.binary(max_size=40), st.integers(0, 90), st.sampled_from([1, 4, 8, 64]))
def test_random_bytes_never_escape_the_buffers(data: bytes, raw: bytes, n: int, n_states: int) -> None:
    _, cls = sample(n, n)
    try:
        got = decode_indices(data, raw, cls, TABLES[n_states, 14], n_states)
    except CorruptError:
        return
    assert encode_indices(got, cls, TABLES[n_states, 14], n_states) == (data, raw)


def test_truncation_and_surplus_are_corrupt() -> None:
    index, cls = sample(1000, 4)
    index[5] = 10**6
    data, raw = encode_indices(index, cls, TABLES[8, 14], 8)
    cases = [(data[:-2], raw), (data[:14], raw), (data + b"\0\0", raw), (data[:-1], raw), (b"", b"")]
    cases += [(data, raw[:-1]), (data, raw + b"\0"), (data, b"")]
    for words, bits in cases:
        with pytest.raises(CorruptError):
            decode_indices(words, bits, cls, TABLES[8, 14], 8)
    with pytest.raises(CorruptError):
        decode_indices(data, raw, cls[:0], TABLES[8, 14], 8)


def test_classes_beyond_the_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="below 12"):
        encode_indices(np.zeros(3, np.int32), np.full(3, 12, np.uint8), TABLES[1, 14], 1)
    with pytest.raises(ValueError, match="below 12"):
        decode_indices(b"", b"", np.full(3, 12, np.uint8), TABLES[1, 14], 1)
