"""Models for tests: untrained ones, as hard on the pipelines as trained ones, and the released."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

MODELS = Path(__file__).resolve().parents[2] / "models"


def released(name: str = "lapped16") -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Architecture parameters and tensors of a released model; needs no torch."""
    from safetensors.numpy import load_file

    card = json.loads((MODELS / name / "card.json").read_text())
    return card["config"], load_file(MODELS / name / "model.safetensors")


def shaken() -> dict[str, np.ndarray]:
    """Tensors of the released lapped16 with every integer of its hyperprior moved, so that none is zero."""
    rng, tensors = np.random.default_rng(3), released()[1]
    for name, value in tensors.items():
        if name.startswith("hyper.") and name != "hyper.tilt.basis":
            spread = 12 if value.dtype == np.int8 else 1 + np.abs(value).max() // 20
            moved = value + np.rint(rng.standard_normal(value.shape) * spread)
            tensors[name] = (
                np.clip(moved, -127, 127).astype(np.int8)
                if value.dtype == np.int8
                else moved.astype(np.int32)
            )
    return tensors


def write_lapped_model(folder: Path) -> Path:
    """Make `folder` that of an untrained lapped16: its transform reconstructs, its tables are Gaussian."""
    import torch
    from safetensors.numpy import save

    from sarzip.training.lapped16 import network as net
    from sarzip.training.lapped16.export import export_network, fit_entropy

    torch.manual_seed(5)
    empty = (np.empty(0, np.float32), np.empty(0, np.uint8))
    tensors = export_network(net.Lapped16(net.Lapped16Config())) | fit_entropy(*empty, *empty)
    content = save({name: value.numpy() for name, value in tensors.items()})
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(content)
    card = {
        "id": folder.name,
        "family": "lapped16",
        "sha256": hashlib.sha256(content).hexdigest(),
        "config": {},
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder
