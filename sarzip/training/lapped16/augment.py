"""More kinds of scenes for `lapped16` to learn from than the data holds: crops that are changed, and made-up
ones.

A model that has seen only what the archive holds codes an unusual product badly: one that was averaged a
thousandfold, one that was thinned out or sampled too finely, one of few grey levels. So crops are, at random,
shifted and stretched in dB, rounded to small integers, averaged 2:1 to 4:1, thinned 2:1, enlarged, and some
are replaced by smooth scenes of many looks.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sarzip.training.lapped16.network import mirror

SHIFT_DB = 3.0
STRETCH = 0.15
ROUNDED, AVERAGED, THINNED, ENLARGED, SMOOTH = 0.06, 0.2, 0.15, 0.06, 0.09
"""Shares of crops."""


def augment(batch: Tensor) -> Tensor:
    """Change crops (N, 1, H, W) in dB, H and W multiples of 32; draws from torch's generator of the CPU."""
    return torch.stack([_change(crop) for crop in batch])


def _change(crop: Tensor) -> Tensor:
    kind, size = float(torch.rand(())), crop.shape[-2:]
    if kind < SMOOTH:
        seed = int(torch.randint(2**31, ()))
        scene = smooth_scene((size[0], size[1]), np.random.default_rng(seed))
        return torch.from_numpy(scene)[None].to(crop.device)
    if kind < SMOOTH + AVERAGED:
        factor = int(torch.randint(2, 5, ()))
        power = torch.nn.functional.avg_pool2d(torch.exp(crop * (math.log(10) / 10)), factor)
        crop = _grow(10 * torch.log10(power), size)
    elif kind < SMOOTH + AVERAGED + THINNED:
        crop = _grow(crop[:, ::2, ::2], size)
    elif kind < SMOOTH + AVERAGED + THINNED + ENLARGED:
        part = crop[:, : size[0] // 2, : size[1] // 2]
        scale = 1 + float(torch.rand(()))
        crop = torch.nn.functional.interpolate(
            part[None], scale_factor=scale, mode="bicubic", align_corners=False
        )[0]
        crop = _grow(crop, size)
    stretch = 1 + STRETCH * (2 * float(torch.rand(())) - 1)
    crop = crop * stretch + SHIFT_DB * (2 * float(torch.rand(())) - 1)
    if float(torch.rand(())) < ROUNDED:
        level = 5 * 16 ** float(torch.rand(()))
        amplitude = torch.round(level * torch.exp(crop * (math.log(10) / 20)))
        crop = 10 * torch.log10((amplitude.square() + 0.25) / (level**2 + 0.25))
    return crop


def _grow(crop: Tensor, size: torch.Size) -> Tensor:
    """A smaller crop, reflected around to the whole size."""
    halo = max(size[0] - crop.shape[1], size[1] - crop.shape[2], 0) // 2 + 1
    wide = mirror(crop[None], halo, None)[0]
    top, left = (wide.shape[1] - size[0]) // 2, (wide.shape[2] - size[1]) // 2
    return wide[:, top : top + size[0], left : left + size[1]]


def smooth_scene(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Sea or ice after heavy averaging: ramps, a soft field, perhaps islands, 20 to 1000 looks; dB about
    zero.
    """
    y, x = np.mgrid[0 : size[0], 0 : size[1]] / max(size)
    turn = rng.uniform(0, 2 * np.pi)
    wave = rng.uniform(0.3, 3) * (x * np.cos(turn) + y * np.sin(turn)) * np.pi + rng.uniform(0, 6)
    db = rng.uniform(0, 6) * np.cos(wave) + rng.uniform(0, 1.5) * _field(size, rng.uniform(3, 5), rng)
    for _ in range(rng.integers(0, 3)):
        land = _field(size, rng.uniform(3, 4.5), rng) > rng.uniform(1.2, 2.5)
        db += land * (rng.uniform(3, 12) + rng.uniform(0.5, 3) * _field(size, rng.uniform(2, 3), rng))
    looks = 10 ** rng.uniform(1.3, 3)
    amplitude = np.sqrt(10 ** (db / 10) * rng.gamma(looks, 1 / looks, size))
    amplitude /= np.median(amplitude)
    if rng.random() < 0.6:
        level = 10 ** rng.uniform(1, 2.5)
        signal = 10 * np.log10(np.round(amplitude * level) ** 2 + 0.25)
    else:
        signal = 20 * np.log10(amplitude)
    if rng.random() < 0.3:
        signal[:, : rng.integers(1, 12)] = signal.min() - rng.uniform(0, 15)
    return np.asarray(signal - np.median(signal), np.float32)


def _field(size: tuple[int, int], slope: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian field with a power-law spectrum, standard deviation one."""
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])
    frequency[0, 0] = np.inf
    noise = np.fft.rfft2(rng.standard_normal(size))
    field = np.fft.irfft2(noise * frequency ** (-slope / 2), size)
    return np.asarray(field / field.std())
