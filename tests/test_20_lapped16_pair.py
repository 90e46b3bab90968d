"""Two bands coded together by `lapped16`: what holds for any two bands, on the CPU."""

from __future__ import annotations

import numpy as np
import pytest
from support import mini_lapped16, mini_reader
from support.models import released

from sarzip.codec.base import HYPER_LATENTS, LATENTS, Quality
from sarzip.codec.lapped16 import band_pair as lapped16_pair
from sarzip.codec.lapped16.band_pair import Lapped16Pair
from sarzip.codec.lapped16.codec import Lapped16
from sarzip.codec.registry import build_codec, can_pair, for_bands
from sarzip.errors import CorruptError, ModelError


@pytest.fixture(scope="module")
def single() -> Lapped16:
    return Lapped16(*released())


@pytest.fixture(scope="module")
def pair(single: Lapped16) -> Lapped16Pair:
    return Lapped16Pair(single)


def _signal(shape: tuple[int, int], alike: bool = True, seed: int = 0) -> np.ndarray:
    """Two bands in dB with the halo of analysis: edges under independent speckle of four looks."""
    rng = np.random.default_rng(seed)
    rows, columns = (16 * size + 32 for size in shape)
    fields = rng.normal(0, 4, (2, rows // 10 + 1, columns // 10 + 1)).repeat(10, 1).repeat(10, 2)
    if alike:
        fields[1] = 0.7 * fields[0] + 0.2 * fields[1]
    speckle = 10 * np.log10(rng.gamma(4.0, 0.25, (2, rows, columns)))
    return (fields[:, :rows, :columns] + speckle).astype(np.float32)


def _size(streams: dict[int, bytes]) -> int:
    return sum(map(len, streams.values()))


def _apart(single: Lapped16, latents: np.ndarray, step: float) -> tuple[int, float]:
    """Bytes and squared error of both bands coded one by one."""
    coded = [single.encode(band, Quality(step)) for band in np.split(latents, 2)]
    decoded = np.concatenate([values for _, values in coded])
    return sum(_size(streams) for streams, _ in coded), float(np.square(decoded - latents).sum())


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (3, 2), (7, 6)])
@pytest.mark.parametrize("states", [1, 8, 64])
def test_decoding_gives_what_coding_promised(pair, shape, states):
    latents = pair.analyse(_signal(shape))
    assert latents.shape == (512, *shape)
    coder = Lapped16Pair(Lapped16(*released(), states))
    for step in (0.3, 2.0, 9.0):
        streams, promised = coder.encode(latents, Quality(step))
        assert streams == coder.encode(latents, Quality(step)).streams
        decoded = pair.decode(streams, shape, Quality(step))
        np.testing.assert_array_equal(promised, decoded)
        assert np.sqrt(np.mean((decoded - latents) ** 2)) < 0.6 * step


def test_signal_goes_through_as_two_bands(pair, single):
    signal = _signal((4, 5))
    latents = pair.analyse(signal)
    wide = np.pad(latents, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    for at, (band, around) in enumerate(zip(np.split(latents, 2), np.split(wide, 2), strict=True)):
        np.testing.assert_array_equal(band, single.analyse(signal[at : at + 1]))
        np.testing.assert_array_equal(pair.restore(wide)[at], single.restore(around)[0])
    assert pair.mirror_signs.shape == (2, pair.channels) and pair.channels == 2 * single.channels


@pytest.mark.parametrize("wanted", [(0,), (1,)])
def test_one_band_alone(single, pair, wanted):
    streams, _ = pair.encode(pair.analyse(_signal((4, 5))), Quality(2.0))
    alone = Lapped16Pair(single, wanted)
    latents, some = (each.decode(streams, (4, 5), Quality(2.0)) for each in (pair, alone))
    wide, narrow = (pair.restore(latents), alone.restore(some))
    np.testing.assert_array_equal(narrow[wanted[0]], wide[wanted[0]])
    assert not narrow[1 - wanted[0]].any()
    if wanted == (0,):  # whatever follows is not even looked at
        cut = {kind: data[:-9] for kind, data in streams.items()}
        np.testing.assert_array_equal(alone.decode(cut, (4, 5), Quality(2.0)), some)


@pytest.mark.parametrize(("step", "least"), [(12.0, 0.1), (5.0, 0.035), (2.5, 0.015)])
def test_alike_bands_take_less_together(pair, single, step, least):
    latents = pair.analyse(_signal((16, 20)))
    streams, decoded = pair.encode(latents, Quality(step))
    size, error = _apart(single, latents, step)
    assert _size(streams) < (1 - least) * size
    assert np.square(decoded - latents).sum() < 1.02 * error


@pytest.mark.parametrize("step", [20.0, 5.0, 1.0])
@pytest.mark.parametrize("shape", [(2, 3), (16, 20)])
def test_bands_with_nothing_in_common_cost_no_more(pair, single, shape, step):
    latents = pair.analyse(_signal(shape, alike=False))
    size, _ = _apart(single, latents, step)
    assert _size(pair.encode(latents, Quality(step)).streams) <= size + 5


def test_places_that_nobody_sees_cost_next_to_nothing(pair, single):
    latents = pair.analyse(_signal((8, 12)))
    for band, hidden in ((0, np.s_[:, :6]), (1, np.s_[:, :6]), (0, np.s_[:, :]), (1, np.s_[:, :])):
        marked, zeroed = latents.copy(), latents.copy()
        np.split(marked, 2)[band][(slice(None), *hidden)] = np.nan
        np.split(zeroed, 2)[band][(slice(None), *hidden)] = 0
        streams, decoded = pair.encode(marked, Quality(4.0))
        np.testing.assert_array_equal(decoded, pair.decode(streams, (8, 12), Quality(4.0)))
        assert np.isfinite(decoded).all()
        seen = np.isfinite(marked)
        assert np.sqrt(np.mean((decoded - marked)[seen] ** 2)) < 0.6 * 4.0
        assert _size(streams) <= _apart(single, zeroed, 4.0)[0] + 5
    both = latents.copy()
    both[:, :, 4:] = np.nan
    streams, decoded = pair.encode(both, Quality(4.0))
    assert np.abs(decoded[:, :, 6:]).mean() < 1
    assert _size(streams) < 0.6 * _size(pair.encode(latents, Quality(4.0)).streams)


def test_a_band_and_its_own_double(pair, single):
    first = single.analyse(_signal((6, 6))[:1])
    for factor in (1.0, -0.5, 1.7):
        both = np.concatenate([first, np.float32(factor) * first])
        streams, decoded = pair.encode(both, Quality(2.0))
        again, promised = single.encode(first, Quality(2.0))
        np.testing.assert_array_equal(decoded[:256], promised)
        assert _size(streams) < (1.35 if abs(factor) <= 1 else 1.8) * _size(again)


def test_factors_follow_the_zones(single):
    first = single.analyse(_signal((9, 6))[:1])
    zones = lapped16_pair.zones()
    assert (np.diff(zones) >= 0).all() and (np.bincount(zones) == 2 * np.arange(16) + 1).all()
    wanted = np.arange(-60, 61, 8)
    second = first * (wanted[zones] / 32)[:, None, None].astype(np.float32)
    np.testing.assert_array_equal(lapped16_pair.fit(first, second, 0.5), wanted)
    assert not lapped16_pair.fit(first, np.zeros_like(first), 0.5).any()
    assert not lapped16_pair.fit(np.zeros_like(first), first, 0.5).any()
    assert lapped16_pair.fit(first[:, :0], first[:, :0], 0.5).shape == (16,)


@pytest.mark.parametrize(("size", "step"), [((75, 40), 1.3), ((33, 50), 9.0), ((16, 16), 40.0)])
def test_the_specification_gives_the_same(pair, size, step):
    shape = -(-size[0] // 16), -(-size[1] // 16)
    latents = pair.analyse(_signal(shape))
    streams = pair.encode(latents, Quality(step)).streams
    weights = released()[1]
    found = mini_lapped16.pair(weights, streams[HYPER_LATENTS], streams[LATENTS], size, step)
    np.testing.assert_allclose(found, pair.decode(streams, shape, Quality(step)), rtol=2e-5, atol=2e-5 * step)
    integers = mini_lapped16.pair_integers(weights, streams[HYPER_LATENTS], streams[LATENTS], size, step)
    np.testing.assert_array_equal(pair.integers(streams, shape, Quality(step)), integers)
    with pytest.raises(mini_reader.Bad):
        mini_lapped16.pair(weights, streams[HYPER_LATENTS], streams[LATENTS][:-2], size, step)


def test_damaged_streams_are_refused_or_decode_to_something(pair):
    streams = pair.encode(pair.analyse(_signal((3, 4))), Quality(4.0)).streams
    for kind in (LATENTS, HYPER_LATENTS):
        with pytest.raises(CorruptError):
            pair.decode({k: v for k, v in streams.items() if k != kind}, (3, 4), Quality(4.0))
        for bad in (b"", b"\xff", b"\0\xff\xff\x7f", streams[kind][:1], streams[kind][:-3]):
            with pytest.raises(CorruptError):
                pair.decode(streams | {kind: bad}, (3, 4), Quality(4.0))
    with pytest.raises(CorruptError):
        pair.decode(streams, (3, 4), Quality(float("nan")))
    rng = np.random.default_rng(4)
    for kind in (LATENTS, HYPER_LATENTS):
        for _ in range(60):
            data = bytearray(streams[kind])
            data[rng.integers(min(len(data), 40))] ^= 1 << rng.integers(8)
            data = data[: rng.integers(1, len(data) + 1)]
            try:
                values = pair.decode(streams | {kind: bytes(data)}, (3, 4), Quality(4.0))
            except CorruptError:
                continue
            assert values.shape == (512, 3, 4)


def test_which_sets_of_bands_there_are(single):
    family = build_codec("lapped16", *released())
    assert can_pair(family) and for_bands(family, 1) is family
    assert isinstance(for_bands(family, 2), Lapped16Pair)
    with pytest.raises(ModelError, match="3 bands"):
        for_bands(family, 3)


def test_a_model_of_the_first_generation_decodes_pairs_too(pair):
    old = Lapped16Pair(Lapped16(*released("lapped16-r1")))
    with pytest.raises(ModelError, match="only decodes"):
        old.analyse(np.zeros((2, 48, 48), np.float32))
    assert old.restore(np.zeros((512, 4, 5), np.float32)).shape == (2, 32, 48)


def test_a_device_codes_the_same(pair):
    pytest.importorskip("torch")
    there = for_bands(Lapped16(*released(), device="cpu:0"), 2)
    signal, shape = _signal((7, 4)), (7, 4)
    latents = pair.analyse(signal)
    np.testing.assert_allclose(there.analyse(signal), latents, atol=1e-3)
    streams, promised = there.encode(latents, Quality(3.0))
    np.testing.assert_array_equal(there.decode(streams, shape, Quality(3.0)), promised)
    np.testing.assert_allclose(pair.decode(streams, shape, Quality(3.0)), promised, atol=3e-3)
    np.testing.assert_array_equal(
        pair.integers(streams, shape, Quality(3.0)), there.integers(streams, shape, Quality(3.0))
    )
