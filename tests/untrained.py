"""Untrained models for tests: as hard on the pipelines as trained ones."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np


def write_lapped_model(folder: Path) -> Path:
    """Make `folder` that of an untrained lapped16: its transform reconstructs, its tables are Gaussian."""
    import torch
    from safetensors.numpy import save

    from sarzip.codec import lapped16_net as net
    from sarzip.codec.lapped_export import export_network, fit_entropy

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
