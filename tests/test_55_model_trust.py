"""Trust in models: data only, hashed before use, and the one that the file names unless a person says so."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from support.damage import read_raster
from support.scenes import speckled

import sarzip
from sarzip.cli import run
from sarzip.container import ModelRef
from sarzip.errors import ModelError, UsageError
from sarzip.pipeline.models import ModelStore
from sarzip.usecases.verify import VerifyOptions, verify


class Trap:
    """Unpickling this leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.fixture
def packed(write_raster, tiny_model, tmp_path):
    source = write_raster(speckled(60, 70)[None])
    sarzip.compress(source, tmp_path / "a.sarz", sarzip.CompressOptions(model=str(tiny_model)))
    return tmp_path / "a.sarz"


@pytest.fixture
def other_model(tiny_model, tmp_path):
    """The same network with slightly other weights, whole and with its own hash."""
    from safetensors.numpy import load, save

    folder = tmp_path / "other"
    shutil.copytree(tiny_model, folder)
    state = load((folder / "model.safetensors").read_bytes())
    state["gain"] += 0.001
    return rewrite(folder, save(state))


def rewrite(folder: Path, content: bytes, **card: object) -> Path:
    (folder / "model.safetensors").write_bytes(content)
    values = json.loads((folder / "card.json").read_text())
    values |= {"sha256": hashlib.sha256(content).hexdigest()} | card
    (folder / "card.json").write_text(json.dumps(values))
    return folder


def options(model: Path | None, trust: bool = False) -> sarzip.DecompressOptions:
    return sarzip.DecompressOptions("cpu", 1, True, None if model is None else str(model), trust)


def test_a_path_needs_the_hash_of_the_file(packed, tiny_model, tmp_path):
    sarzip.decompress(packed, tmp_path / "a.tif", options(tiny_model))
    assert verify(packed, VerifyOptions(True, model=str(tiny_model))).deep


def test_another_model_is_refused_unless_trusted(packed, other_model, tiny_model, tmp_path):
    for call in (
        lambda: sarzip.decompress(packed, tmp_path / "b.tif", options(other_model)),
        lambda: verify(packed, VerifyOptions(True, model=str(other_model))),
    ):
        with pytest.raises(ModelError, match=r"the file was made with \w{12}.*`trust_model`"):
            call()
    assert not (tmp_path / "b.tif").exists()
    sarzip.decompress(packed, tmp_path / "b.tif", options(other_model, trust=True))
    sarzip.decompress(packed, tmp_path / "a.tif", options(tiny_model))
    assert verify(packed, VerifyOptions(True, model=str(other_model), trust_model=True)).deep
    trusted, right = read_raster(tmp_path / "b.tif").astype(int), read_raster(tmp_path / "a.tif")
    assert np.abs(trusted - right).max() <= 0.1 * right.max()


def test_trust_does_not_reach_further_than_the_hash_of_the_file(packed, other_model, tmp_path):
    """Weights still have to be those of their own card, and to fit it."""
    weights = other_model / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ModelError, match="get it again"):
        sarzip.decompress(packed, tmp_path / "a.tif", options(other_model, trust=True))
    rewrite(other_model, bytes(content), config={"latents": 9})
    with pytest.raises(ModelError):
        sarzip.decompress(packed, tmp_path / "a.tif", options(other_model, trust=True))
    rewrite(other_model, bytes(content), family="ae17", config={"latents": 8})
    with pytest.raises(ModelError, match="unknown to this version"):
        sarzip.decompress(packed, tmp_path / "a.tif", options(other_model, trust=True))


def test_trust_needs_a_path(packed, tmp_path):
    with pytest.raises(UsageError, match="`model`"):
        options(None, trust=True)
    with pytest.raises(UsageError, match="`model`"):
        verify(packed, VerifyOptions(True, trust_model=True))


def test_an_id_in_a_file_is_never_a_path(packed, tiny_model, tmp_path, monkeypatch):
    """A folder of the model's name in the working directory is not picked up, though its hash is right."""
    shutil.copytree(tiny_model, tmp_path / "tiny")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"needs model tiny with hash .* `model`"):
        sarzip.decompress(packed, tmp_path / "a.tif", options(None))
    with pytest.raises(ModelError):
        verify(packed, VerifyOptions(True))


def test_a_released_model_is_found_by_its_hash(tiny_model, tmp_path):
    store = ModelStore(tmp_path / "released")
    shutil.copytree(tiny_model, tmp_path / "released" / "tiny")
    card = store.find("tiny")
    assert store.load_for_file(ModelRef("tiny", card.sha256))[0].id == "tiny"
    assert store.load_for_file(ModelRef("earlier-name", card.sha256))[0].id == "tiny"
    with pytest.raises(ModelError, match=f"the one here has {card.sha256[:12]}"):
        store.load_for_file(ModelRef("tiny", "0" * 64))
    with pytest.raises(ModelError, match="not released"):
        store.load_for_file(ModelRef("unknown", "0" * 64))


@pytest.mark.parametrize("name", ["model.safetensors", "model.pkl", "model.pt", "__init__.py", "config.py"])
def test_nothing_in_a_model_folder_is_executed(name, packed, tiny_model, tmp_path):
    folder, trace = tmp_path / "trap", tmp_path / "trace"
    shutil.copytree(tiny_model, folder)
    if name.endswith(".py"):
        (folder / name).write_text(f"open({str(trace)!r}, 'w')")
    else:
        (folder / name).write_bytes(pickle.dumps(Trap(trace)))
    if name == "model.safetensors":
        rewrite(folder, (folder / name).read_bytes())
        with pytest.raises(ModelError, match="no safetensors"):
            sarzip.decompress(packed, tmp_path / "a.tif", options(folder, trust=True))
    else:
        sarzip.decompress(packed, tmp_path / "a.tif", options(folder))
    assert not trace.exists()


def test_half_precision_tensors_are_read(tmp_path):
    import torch
    from safetensors.torch import save

    values = torch.tensor([1.0, -2.5, 3.0e38, 1e-40])
    tensors = {"b": values.bfloat16().reshape(2, 2), "h": torch.tensor([0.1]).half()}
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "card.json").write_text(
        json.dumps({"id": "m", "family": "f", "sha256": "", "config": {}})
    )
    rewrite(tmp_path / "m", save(tensors))
    _, weights = ModelStore(tmp_path).load("m")
    assert weights["b"].dtype == np.float32 and weights["h"].dtype == np.float16
    np.testing.assert_array_equal(weights["b"], tensors["b"].float().numpy())


def test_exit_codes(packed, other_model, tiny_model, tmp_path, capfd):
    def call(*more: object) -> tuple[int, str]:
        arguments = ["decompress", packed, "-o", tmp_path / "a.tif", "--force", *more]
        return run([str(argument) for argument in arguments]), capfd.readouterr().err

    code, message = call()
    assert code == 6 and "needs model tiny" in message and message.count("\n") == 1
    code, message = call("--model", other_model)
    assert code == 6 and "--trust-model" in message and message.count("\n") == 1
    assert call("--model", tmp_path / "nowhere")[0] == 6
    assert call("--trust-model")[0] == 2
    assert call("--model", other_model, "--trust-model")[0] == 0
    assert call("--model", tiny_model)[0] == 0
    assert run(["verify", str(packed), "--deep"]) == 6
    assert run(["verify", str(packed), "--deep", "--model", str(other_model), "--trust-model"]) == 0


def test_the_report_of_a_foreign_model_is_that_of_the_file(packed, tiny_model):
    about = sarzip.inspect(packed)
    assert about.models[0]["id"] == "tiny"
    assert about.models[0]["sha256"] == ModelStore().find(str(tiny_model)).sha256
    assert dataclasses.is_dataclass(about)
