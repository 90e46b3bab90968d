"""The second reader, written from FORMAT.md alone, sees in every stream what the product wrote into it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import mini_pixels, mini_reader, mini_streams
from support.damage import compress_small_groups, read_raster
from support.formats_1_0 import rice_cells, zstd_classes
from support.scenes import speckled

import sarzip
from sarzip.codec.ae16 import planes
from sarzip.codec.base import Quality
from sarzip.codec.exact.codec import decode_plane, encode_plane
from sarzip.codec.lapped16.codec import Lapped16
from sarzip.codec.streams import bias_correction as lock
from sarzip.codec.streams import class_map as validity
from sarzip.codec.streams.framing import join_payloads, split_payloads
from sarzip.codec.streams.payloads import (
    SideStreams,
    dataset_mask_stream,
    mask_stream,
    radiometry_stream,
)
from sarzip.container import Reader
from sarzip.errors import CorruptError
from sarzip.pipeline.coders import DecodeOptions, load_coders
from sarzip.pipeline.models import PIXEL_MODEL, ModelStore

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(0, 2**32 - 1))
def test_masks(shape, seed):
    rng = np.random.default_rng(seed)
    classes = rng.choice(np.array([0, 0, 1, 4, 15], np.uint8), shape)
    payload = validity.encode_classes(classes)
    np.testing.assert_array_equal(mini_streams.coded_mask(payload, *shape, 15), classes)
    if classes.any():
        np.testing.assert_array_equal(mini_streams.mask(zstd_classes(classes), *shape, 15), classes)


@settings(max_examples=20, deadline=None)
@given(st.integers(50, 200), st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_masks_of_several_blocks(width, height, seed):
    rng = np.random.default_rng(seed)
    edge = np.cumsum(rng.integers(-2, 3, (2, height)), 1) + np.array([[width // 3], [width // 2]])
    classes = np.where(np.arange(width) < edge[0, :, None], 2, 0).astype(np.uint8)
    classes[np.arange(width) > edge[1, :, None]] = 3
    payload = validity.encode_classes(classes)
    np.testing.assert_array_equal(mini_streams.coded_mask(payload, height, width, 3), classes)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from(["uint8", "int16", "uint32", "float32", "float64"]), st.integers(0, 2**32 - 1))
def test_exact_planes(shape, dtype, seed):
    width = np.dtype(dtype).itemsize
    noise = np.random.default_rng(seed).bytes(shape[0] * shape[1] * width)
    values = np.frombuffer(noise, dtype).reshape(shape)
    found = mini_streams.exact_plane(encode_plane(values), *shape, dtype)
    assert found.tobytes() == values.tobytes()


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), st.integers(0, 2**32 - 1))
def test_latents_of_ae16(size, seed):
    rng = np.random.default_rng(seed)
    spread = rng.choice([0.0, 0.3, 2.0, 40.0, 3000.0, 1e8], 6)[:, None, None]
    indices = np.rint(rng.normal(0, 1, (6, *size)) * spread).astype(np.int32)
    indices[rng.integers(6)] += np.add.outer(np.arange(size[0]), np.arange(size[1])).astype(np.int32) * 9
    found = mini_streams.ae16_indices(planes.pack(indices), 6, 16 * size[0], 16 * size[1] - 15)
    np.testing.assert_array_equal(found, indices)


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 200), st.integers(1, 200)), st.integers(0, 2**32 - 1))
def test_radiometric_corrections(shape, seed):
    rng = np.random.default_rng(seed)
    size = -(-shape[0] // 32), -(-shape[1] // 32)
    cells = np.clip(np.rint(rng.normal(rng.integers(-50, 50), rng.choice([0.1, 3, 90]), size)), -300, 300)
    payload = lock.encode_cells(cells.astype(np.int16))
    np.testing.assert_array_equal(mini_streams.coded_corrections(payload, *shape), cells)
    np.testing.assert_array_equal(mini_streams.corrections(rice_cells(cells), *shape), cells)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=9), min_size=1, max_size=4), st.binary(max_size=3))
def test_joined_payloads(payloads, more):
    joined = join_payloads(payloads)
    assert mini_streams.joined(joined, len(payloads)) == payloads
    if joined and more:
        with pytest.raises(mini_reader.Bad):
            mini_streams.joined(joined + more, len(payloads))
        with pytest.raises(CorruptError):
            split_payloads(joined + more, len(payloads))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 5), st.integers(0, 200), st.integers(0, 255), st.integers(-3, 12))
def test_both_refuse_the_same_damage(kind, position, value, cut):
    """A changed byte, missing or further bytes of a payload: both readers refuse it, or read the same."""
    rng = np.random.default_rng(7)
    classes = rng.choice(np.array([0, 1, 3], np.uint8), (20, 30))
    indices = np.rint(rng.normal(0, 3, (4, 3, 2))).astype(np.int32)
    cells = rng.integers(-9, 9, (2, 3)).astype(np.int16)
    values = rng.integers(0, 9, (20, 30)).astype(np.uint16)
    payload, product, mini = (
        (
            zstd_classes(classes),
            lambda data: validity.decode_zstd_classes(data, (20, 30), 3),
            lambda data: mini_streams.mask(data, 20, 30, 3),
        ),
        (
            planes.pack(indices),
            lambda data: planes.unpack(data, (4, 3, 2)),
            lambda data: mini_streams.ae16_indices(data, 4, 48, 32),
        ),
        (
            rice_cells(cells),
            lambda data: lock.decode_rice_cells(data, (64, 96)),
            lambda data: mini_streams.corrections(data, 64, 96),
        ),
        (
            encode_plane(values),
            lambda data: decode_plane(data, (20, 30), "uint16"),
            lambda data: mini_streams.exact_plane(data, 20, 30, "uint16"),
        ),
        (
            validity.encode_classes(classes),
            lambda data: validity.decode_classes(data, (20, 30), 3),
            lambda data: mini_streams.coded_mask(data, 20, 30, 3),
        ),
        (
            lock.encode_cells(cells),
            lambda data: lock.decode_cells(data, (64, 96)),
            lambda data: mini_streams.coded_corrections(data, 64, 96),
        ),
    )[kind]
    bad = bytearray(payload)
    bad[position % len(bad)] = value
    bad = bytes(bad[: len(bad) - cut]) if cut >= 0 else bytes(payload) + bytes([value]) * -cut
    try:
        expected = product(bad)
    except CorruptError:
        with pytest.raises(mini_reader.Bad):
            mini(bad)
    else:
        np.testing.assert_array_equal(mini(bad), 0 if expected is None else expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.tuples(st.integers(1, 70), st.integers(1, 70)), st.integers(0, 2**32 - 1))
def test_side_streams_of_a_set(bands, shape, seed):
    """Of both formats, by both readers; never two streams of one meaning."""
    rng = np.random.default_rng(seed)
    maps = [rng.integers(0, 3, shape).astype(np.uint8) * (rng.random() < 0.7) for _ in range(bands)]
    size = -(-shape[0] // 32), -(-shape[1] // 32)
    cells = [np.rint(rng.normal(0, rng.choice([0.1, 4]), size)).astype(np.int16) for _ in range(bands)]
    mask = 255 * rng.integers(0, 2, shape).astype(np.uint8)
    odd = rng.integers(0, 256, shape).astype(np.uint8)
    new = mask_stream(maps) | radiometry_stream(cells)
    old = {
        1: join_payloads([zstd_classes(each) if each.any() else b"" for each in maps]),
        4: join_payloads([rice_cells(each) if each.any() else b"" for each in cells]),
    }
    for streams, wanted in (
        (new | dataset_mask_stream(mask), mask),
        (old | {6: encode_plane(mask)}, mask),
        (new | dataset_mask_stream(odd), odd),
    ):
        side = SideStreams(streams, bands, shape)
        found = mini_streams.side_streams(streams, bands, *shape, [2] * bands)
        for at in range(bands):
            for mine, theirs, kept in zip(
                (side.classes(at, 2), side.cells(at)), found, (maps, cells), strict=True
            ):
                np.testing.assert_array_equal(theirs[at], kept[at])
                np.testing.assert_array_equal(np.zeros_like(kept[at]) if mine is None else mine, kept[at])
        np.testing.assert_array_equal(side.dataset_mask(), wanted)
        np.testing.assert_array_equal(mini_streams.dataset_mask(streams, *shape), wanted)
    for kind, other in ((1, 7), (4, 8), (6, 9)):
        both = {kind: b"", other: b""}
        with pytest.raises(CorruptError):
            SideStreams(both, bands, shape).dataset_mask()
        with pytest.raises(mini_reader.Bad):
            mini_streams.side_streams(both, bands, *shape, [2] * bands)


def test_whole_files(write_raster, tiny_model, tmp_path, monkeypatch):
    """From the file to latents, masks and exact bands, group by group, beside the product."""
    values = np.stack([speckled(300, 290, "uint8", 1), speckled(300, 290, "uint8", 2)])
    values[0, 20:70, 100:260] = 0
    values[1, :, :256] = 255  # groups of one value, and narrow ones of many, which take their time
    source = write_raster(values, photometric="MINISBLACK", alpha="YES", nodata=0)
    data = compress_small_groups(source, tmp_path / "a.sarz", tiny_model)
    sarzip.decompress(
        tmp_path / "a.sarz", tmp_path / "b.tif", sarzip.DecompressOptions(model=str(tiny_model))
    )
    back = read_raster(tmp_path / "b.tif")
    meta, frames, _ = mini_reader.read(data)
    with (tmp_path / "a.sarz").open("rb") as file:
        header = Reader(file).header
    family = load_coders(header, range(len(header.bands)), options=DecodeOptions(model=str(tiny_model)))[
        0
    ].codec
    alpha, pixel_weights = np.zeros_like(back[1]), ModelStore().load(PIXEL_MODEL)[1]
    methods = set()
    for ordinal, streams in enumerate(frames):
        rows, cols, number = mini_reader.group_shape(meta, ordinal)
        window = header.window(header.address(ordinal).group)
        place = slice(window.row, window.row + rows), slice(window.column, window.column + cols)
        about = meta["s"][number]
        if meta["m"][about["m"]][0] == PIXEL_MODEL:
            alpha[place] = mini_pixels.band(streams[2], rows, cols, "uint8", pixel_weights)
            methods.add(streams[2][0])
            continue
        special = meta["b"][0]["v"]
        (classes,), (found,) = mini_streams.side_streams(streams, 1, rows, cols, [len(special)])
        np.testing.assert_array_equal(classes > 0, back[0][place] == special[0])
        indices = mini_streams.ae16_indices(streams[2], family.channels, rows, cols)
        shape = -(-rows // 16), -(-cols // 16)
        latents = indices * family.gains[:, None, None] * np.float32(about["q"])
        np.testing.assert_allclose(latents, family.decode(streams, shape, Quality(about["q"])), rtol=1e-6)
        cells = SideStreams(streams, 1, (rows, cols)).cells(0)
        np.testing.assert_array_equal(found, 0 if cells is None else cells)
    np.testing.assert_array_equal(alpha, values[1])
    np.testing.assert_array_equal(alpha, back[1])
    assert methods == {2, 3}  # few values, and the network


@pytest.fixture(scope="module")
def lapped16():
    """An untrained lapped16 whose hyperprior is shaken, and its tensors as arrays."""
    import torch

    from sarzip.codec.lapped16.codec import Lapped16Config
    from sarzip.training.lapped16 import network as net
    from sarzip.training.lapped16.export import export_network, fit_entropy

    torch.manual_seed(11)
    empty = (np.empty(0, np.float32), np.empty(0, np.uint8))
    weights = export_network(net.Lapped16(Lapped16Config())) | fit_entropy(*empty, *empty)
    for name, value in weights.items():
        if name.startswith("hyper.") and name.endswith("weight"):
            noise = torch.randint(-9, 10, value.shape)
            weights[name] = (value.int() + noise).clamp(-127, 127).to(torch.int8)
    weights["mean.weight"] = torch.randn(weights["mean.weight"].shape) * 0.05
    arrays = {
        name: value.float().numpy() if value.dtype == torch.bfloat16 else value.numpy()
        for name, value in weights.items()
    }
    return Lapped16(Lapped16Config(), weights), arrays


@pytest.mark.parametrize(
    ("size", "step", "states"),
    [
        ((16, 16), 0.03, 8),
        ((75, 40), 1.3, 64),
        ((33, 130), 9.9, 1),
        ((64, 48), 700.0, 64),
        ((40, 40), 4.0, 8),
    ],
)
def test_latents_of_lapped16(size, step, states, lapped16):
    from support import mini_lapped16

    family, arrays = lapped16
    family = Lapped16(family.config, family._weights, states)
    shape = -(-size[0] // 16), -(-size[1] // 16)
    rng = np.random.default_rng(states)
    latents = (rng.normal(0, 8, (256, *shape)) * np.geomspace(20, 0.1, 256)[:, None, None]).astype(np.float32)
    latents[200, 0, 0] = 5000
    streams = family.encode(latents, Quality(step)).streams
    found = mini_lapped16.latents(arrays, streams[3], streams[2], size, step)
    np.testing.assert_allclose(
        found, family.decode(streams, shape, Quality(step)), rtol=2e-5, atol=2e-5 * step
    )
    for kind in (2, 3):
        bad = dict(streams)
        bad[kind] = streams[kind][: len(streams[kind]) // 2]
        with pytest.raises((mini_reader.Bad, KeyError)):
            mini_lapped16.latents(arrays, bad[3], bad[2], size, step)


def test_integers_of_lapped16(lapped16):
    """What verify hashes is what the mini reader finds: hyper-latents, then lattice points."""
    from support import mini_lapped16

    family, arrays = lapped16
    latents = np.random.default_rng(3).normal(0, 9, (256, 3, 5)).astype(np.float32)
    streams = family.encode(latents, Quality(2.0)).streams
    hyper, points, _ = mini_lapped16.integers(arrays, streams[3], streams[2], (48, 80), 2.0)
    integers = family.integers(streams, (3, 5), Quality(2.0))
    assert integers.dtype == np.int32
    np.testing.assert_array_equal(integers, np.concatenate([hyper.reshape(-1), points.reshape(-1)]))


def test_damaged_streams_of_lapped16(lapped16):
    """Whatever happens to the streams of a group: CorruptError, or latents of the right shape."""
    import random
    import sys
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parent / "fuzz"))
    from fuzz_container import mutate

    family, _ = lapped16
    latents = np.random.default_rng(3).normal(0, 9, (256, 3, 2)).astype(np.float32)
    coders = [Lapped16(family.config, family._weights, states) for states in (1, 8, 64)]
    seeds = [coder.encode(latents, Quality(2.0)).streams for coder in coders]
    source = random.Random(5)
    cases = [seeds[1] | {2: bytes([states]) + seeds[1][2][1:]} for states in (0, 1, 2, 4, 16, 32, 64, 255)]
    for _ in range(100):
        streams, kind = source.choice(seeds), source.choice((2, 3))
        others = [b"\0" + each[kind] for each in seeds]
        cases.append(streams | {kind: mutate(b"\0" + streams[kind], others, source)[1:]})
    refused = 0
    for case in cases:
        try:
            found = family.decode(case, (3, 2), Quality(2.0))
        except CorruptError:
            refused += 1
            continue
        assert found.shape == (256, 3, 2) and np.isfinite(found).all()
    assert refused > 80
