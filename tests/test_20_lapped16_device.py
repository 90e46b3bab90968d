"""`lapped16` on a torch device: the CPU's classes exactly, its latents and pixels up to rounding."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from support.models import released, shaken
from support.scenes import speckled

import sarzip
from sarzip.codec.base import Quality
from sarzip.codec.lapped16 import torch_device as lapped16_device
from sarzip.codec.lapped16.backend import NumpyBackend
from sarzip.codec.lapped16.codec import Lapped16
from sarzip.codec.lapped16.parts import Parts
from sarzip.codec.lapped16.torch_device import TorchBackend
from sarzip.codec.registry import Backing, build_codec
from sarzip.errors import SarzipError
from sarzip.pipeline import coders
from sarzip.system import machine as runtime
from sarzip.system.machine import Machine
from sarzip.usecases import compress as compress_module

# 'cpu:0' is torch's name of the CPU, and not sarzip's: the code for devices without a device.
DEVICES = [
    "cpu:0",
    pytest.param("cuda:0", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
    pytest.param(
        "cuda", marks=pytest.mark.skipif(torch.cuda.device_count() < 2, reason="no two CUDA devices")
    ),
]
SHAPES = [(1, 1), (7, 4), (16, 20)]
STEPS = [0.4, 17.0]


@pytest.fixture(scope="module")
def here() -> Lapped16:
    return Lapped16(*released())


@pytest.fixture(scope="module", params=DEVICES)
def there(request) -> Lapped16:
    return _on(request.param)


def _on(device: str, weights: dict[str, np.ndarray] | None = None, states: int = 64) -> Lapped16:
    """The released model, or one with other weights, on a device."""
    config, own = released()
    return Lapped16(config, own if weights is None else weights, states, device)


def _signal(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Speckle on a slope, in dB, with the halo that analysis needs."""
    rng = np.random.default_rng(seed)
    rows, columns = (16 * size + 32 for size in shape)
    power = rng.gamma(5.0, 0.2, (1, rows, columns)) * np.linspace(0.1, 9, columns)
    return (10 * np.log10(power)).astype(np.float32)


def _wide(latents: np.ndarray) -> np.ndarray:
    return np.pad(latents, ((0, 0), (1, 1), (1, 1)), mode="symmetric")


def test_families_are_built_for_their_device():
    assert type(build_codec("lapped16", *released())._backend) is NumpyBackend
    there = build_codec("lapped16", *released(), Backing("cpu:0", "fast"))
    assert type(there._backend) is TorchBackend and there.states == 1


@pytest.mark.parametrize("shape", SHAPES)
def test_analysis_and_synthesis_are_those_of_the_cpu(shape, here, there):
    signal = _signal(shape)
    latents = here.analyse(signal)
    np.testing.assert_allclose(there.analyse(signal), latents, atol=1e-4)
    # The halo of a group in a row is a view of something larger.
    wide = np.repeat(_wide(latents), 2, axis=2)[:, :, ::2]
    np.testing.assert_allclose(there.restore(wide), here.restore(wide), atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", STEPS)
def test_classes_are_the_same_integers(shape, step, there):
    weights = shaken()
    here = NumpyBackend(Parts.from_weights(weights))
    other = _on(str(there._backend._devices[0]), weights)._backend
    half = tuple((size + 1) // 2 for size in shape)
    side = np.random.default_rng(1).integers(-60, 61, (24, *half)).astype(np.int32)
    precision = torch.get_float32_matmul_precision()
    try:
        for allowed in ("highest", "medium"):
            torch.set_float32_matmul_precision(allowed)
            with torch.autocast(there._backend._devices[0].type, dtype=torch.bfloat16):
                np.testing.assert_array_equal(
                    other.classes(side, shape, step), here.classes(side, shape, step)
                )
            means = here.means(side, shape)
            np.testing.assert_allclose(other.means(side, shape), means, atol=1e-3, rtol=1e-5)
    finally:
        torch.set_float32_matmul_precision(precision)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("step", STEPS)
def test_either_decodes_what_the_other_wrote(shape, step, here, there):
    latents = here.analyse(_signal(shape))
    coders = Lapped16(*released(), 8), _on(str(there._backend._devices[0]), states=8)
    sizes = []
    for writer in coders:
        streams, promised = writer.encode(latents, Quality(step))
        sizes.append(sum(map(len, streams.values())))
        for reader in coders:
            np.testing.assert_allclose(
                reader.decode(streams, shape, Quality(step)), promised, atol=1e-3 * step
            )
        found = [reader.integers(streams, shape, Quality(step)) for reader in coders]
        np.testing.assert_array_equal(*found)
    assert abs(sizes[0] - sizes[1]) <= 0.01 * sizes[0] + 8


def test_threads_share_the_weights_and_nothing_else(here, there):
    signals = [_signal((8, 12), seed) for seed in range(8)]
    meet = threading.Barrier(4)

    def code(number: int) -> tuple[dict[int, bytes], np.ndarray]:
        meet.wait()
        latents = there.analyse(signals[number])
        return there.encode(latents, Quality(1.0))[0], there.restore(_wide(latents))

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(code, range(8)))
    assert len(there._backend._networks) == len(there._backend._devices)
    for signal, (streams, pixels) in zip(signals, done, strict=True):
        latents = here.analyse(signal)
        np.testing.assert_allclose(pixels, here.restore(_wide(latents)), atol=1e-3)
        expected = here.encode(latents, Quality(1.0))[1]
        assert np.mean(np.abs(there.decode(streams, (8, 12), Quality(1.0)) - expected) > 1e-3) < 0.01


@pytest.fixture
def short_of_memory(monkeypatch):
    """Function that lets all work on more than a number of rows fail; returns the numbers that were tried."""

    def limit(most: int) -> list[int]:
        tried: list[int] = []
        real = lapped16_device._in_halves

        def in_halves(run, rows: int) -> None:
            def limited(first: int, stop: int) -> None:
                run(first, stop)
                tried.append(stop - first)
                if stop - first > most:
                    raise torch.cuda.OutOfMemoryError("CUDA out of memory")

            real(limited, rows)

        monkeypatch.setattr(lapped16_device, "_in_halves", in_halves)
        return tried

    return limit


@pytest.mark.parametrize("most", [1, 2, 5])
@pytest.mark.parametrize("shape", [(16, 6), (13, 3)])
def test_short_of_memory_the_work_is_halved(most, shape, here, there, short_of_memory):
    signal = _signal(shape)
    latents = here.analyse(signal)
    wide, whole = _wide(latents), there.encode(latents, Quality(2.0))
    tried = short_of_memory(most)
    np.testing.assert_allclose(there.analyse(signal), latents, atol=1e-4)
    np.testing.assert_allclose(there.restore(wide), here.restore(wide), atol=1e-4)
    streams, values = there.encode(latents, Quality(2.0))
    np.testing.assert_allclose(values, whole[1], atol=2e-3)
    assert streams == whole[0]
    assert min(tried) <= most < max(tried)


def test_less_than_a_row_is_one_clear_error(there, short_of_memory):
    short_of_memory(0)
    with pytest.raises(SarzipError, match="`device` cpu"):
        there.analyse(_signal((4, 4)))


def test_a_model_of_the_first_generation_decodes(there):
    config, weights = released("lapped16-r1")
    here = Lapped16(config, weights)
    other = Lapped16(config, weights, device=str(there._backend._devices[0]))
    latents = np.random.default_rng(0).normal(size=(256, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(other.restore(latents), here.restore(latents), atol=1e-5)
    with pytest.raises(SarzipError, match="only decodes"):
        other.analyse(_signal((2, 2)))


def _read(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.fixture
def on(monkeypatch):
    """Function that makes all use cases run on a device with four threads."""

    def choose(device: str) -> None:
        for module in (compress_module, coders):
            monkeypatch.setattr(module, "choose_machine", lambda *_: Machine(device, 4))

    return choose


@pytest.mark.parametrize("device", DEVICES)
def test_scenes_pass_between_devices(device, on, write_raster, tmp_path):
    values = speckled(1500, 1100)[None]
    values[0, 200:420, 300:800] = 0
    source, pixels = write_raster(values, nodata=0), {}
    for writer in ("cpu", device):
        on(writer)
        packed = tmp_path / f"by-{writer.replace(':', '')}.sarz"
        report = sarzip.compress(source, packed, sarzip.CompressOptions(verify=True))
        assert report.device == writer
        for reader in ("cpu", device):
            on(reader)
            target = tmp_path / "back.tif"
            sarzip.decompress(packed, target, sarzip.DecompressOptions(force=True))
            pixels[writer, reader] = _read(target).astype(int)
            part = sarzip.Selection(window=(700, 900, 300, 333))
            options = sarzip.DecompressOptions(force=True, selection=part, device=reader)
            sarzip.decompress(packed, target, options)
            window = pixels[writer, reader][:, 900:1233, 700:1000]
            assert np.abs(_read(target).astype(int) - window).max() <= 1
    for writer in ("cpu", device):
        difference = np.abs(pixels[writer, "cpu"] - pixels[writer, device])
        assert difference.max() <= 1 and np.mean(difference > 0) < 1e-3
        np.testing.assert_array_equal(pixels[writer, device] == 0, values == 0)


@pytest.mark.parametrize(
    ("count", "asked", "expected"),
    [
        (0, "auto", "cpu"),
        (1, "auto", "cuda:0"),
        (1, "cuda", "cuda:0"),
        (4, "auto", "cuda"),
        (4, "cuda", "cuda"),
        (4, "cuda:0", "cuda:0"),
        (4, "cuda:3", "cuda:3"),
        (4, "cpu", "cpu"),
    ],
)
def test_a_scene_takes_all_devices_unless_one_is_named(count, asked, expected, monkeypatch):
    monkeypatch.setattr(runtime, "cuda_devices", lambda: count)
    assert runtime.choose_machine(asked, 3) == Machine(expected, 3)


def test_threads_take_turns_over_the_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    family = TorchBackend(Parts.from_weights(released()[1]), "cuda")
    assert [str(device) for device in family._devices] == ["cuda:0", "cuda:1", "cuda:2"]
    family._devices = [torch.device("cpu", number) for number in range(2)]
    monkeypatch.setattr(
        lapped16_device._Networks, "__init__", lambda self, device, *_: setattr(self, "device", device)
    )
    meet, seen = threading.Barrier(4), []

    def work() -> None:
        meet.wait()
        for _ in range(2):
            with family._here() as networks:
                seen.append(str(networks.device))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == ["cpu:0"] * 4 + ["cpu:1"] * 4
