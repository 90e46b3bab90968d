"""Fixtures that several layers share: a tiny untrained model, rasters, the real data where it is there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# The first example of a test pays for importing; a busy machine for everything else.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained ae16 with few channels: fast, and as hard on the pipelines as a trained one."""
    import torch
    from safetensors.numpy import save

    from sarzip.codec.ae16.network import Ae16, Ae16Config

    torch.manual_seed(1)
    config = Ae16Config(latents=8, widths=(8, 8, 8))
    network = Ae16(config)
    state = {
        name: value.numpy().copy()
        for name, value in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    state["gain"][:] = -0.25  # fine quantisers, so that there is a rate to control
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    content = save(state)
    (folder / "model.safetensors").write_bytes(content)
    card = {
        "id": "tiny",
        "family": "ae16",
        "sha256": hashlib.sha256(content).hexdigest(),
        "config": {"latents": 8, "widths": [8, 8, 8]},
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="session")
def lapped_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an untrained lapped16."""
    from support.models import write_lapped_model

    return write_lapped_model(tmp_path_factory.mktemp("models") / "lapped")


@pytest.fixture
def write_raster(tmp_path: Path):
    """Function that writes an array (bands, rows, columns) as a GeoTIFF and returns its path."""
    import rasterio

    def write(values: np.ndarray, name: str = "scene.tif", **profile: object) -> Path:
        path = tmp_path / name
        count, height, width = values.shape
        with rasterio.open(
            path, "w", driver="GTiff", width=width, height=height, count=count, dtype=values.dtype, **profile
        ) as dataset:
            dataset.write(values)
        return path

    return write
