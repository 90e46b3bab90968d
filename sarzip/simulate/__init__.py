"""Simulated SAR scenes: landscape, speckle with a real sensor's spectrum, point targets."""

from __future__ import annotations

from sarzip.simulate.presets import PRESETS, GroundPoint, ground_points, preset, utm_transform
from sarzip.simulate.scene import SceneConfig, Simulator, simulate

__all__ = [
    "PRESETS",
    "GroundPoint",
    "SceneConfig",
    "Simulator",
    "ground_points",
    "preset",
    "simulate",
    "utm_transform",
]
