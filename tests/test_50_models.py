"""The model store: what it finds, what it refuses."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from sarzip.errors import ModelError
from sarzip.pipeline.models import ModelCard, ModelStore, parse_card


def write_model(folder: Path, name: str = "toy", **changes: object) -> ModelCard:
    content = save({"weight": np.arange(6, dtype=np.float32)})
    values = {"id": name, "family": "ae16", "config": {"latents": 1}}
    card = ModelCard(**(values | {"sha256": hashlib.sha256(content).hexdigest()} | changes))
    (folder / name).mkdir(parents=True)
    (folder / name / "model.safetensors").write_bytes(content)
    (folder / name / "card.json").write_text(card.to_json())
    return card


def test_list_find_load(tmp_path: Path) -> None:
    write_model(tmp_path, "b")
    card = write_model(tmp_path, "a", domain="dB", data=({"file": "x.tif", "licence": "CC0"},))
    store = ModelStore(tmp_path)
    assert [each.id for each in store.list()] == ["a", "b"]
    found, weights = store.load("a", card.sha256)
    assert (found.domain, found.data, found.folder) == ("dB", card.data, tmp_path / "a")
    np.testing.assert_array_equal(weights["weight"], np.arange(6))


@pytest.mark.parametrize("name", ["a", "a/card.json", "a/model.safetensors"])
def test_any_folder_by_path(tmp_path: Path, name: str) -> None:
    write_model(tmp_path / "elsewhere", "a")
    store = ModelStore(tmp_path / "released")
    assert store.list() == ()
    assert store.load(str(tmp_path / "elsewhere" / name))[0].id == "a"
    with pytest.raises(ModelError, match="no model a"):
        store.load("a")


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    write_model(tmp_path)
    path = tmp_path / "toy" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="hash"):
        ModelStore(tmp_path).verify("toy")


def test_the_hash_a_file_asks_for_must_match(tmp_path: Path) -> None:
    write_model(tmp_path)
    with pytest.raises(ModelError, match="000000000000"):
        ModelStore(tmp_path).load("toy", "0" * 64)


def test_weights_that_are_no_safetensors(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"not tensors", b"\xff" * 64)):
        write_model(tmp_path, f"m{number}", sha256=hashlib.sha256(content).hexdigest())
        (tmp_path / f"m{number}" / "model.safetensors").write_bytes(content)
        with pytest.raises(ModelError, match="safetensors"):
            ModelStore(tmp_path).load(f"m{number}")


def test_weights_missing_or_not_finite(tmp_path: Path) -> None:
    write_model(tmp_path)
    content = save({"weight": np.array([np.nan], np.float32)})
    (tmp_path / "toy" / "model.safetensors").write_bytes(content)
    card = json.loads((tmp_path / "toy" / "card.json").read_text())
    card["sha256"] = hashlib.sha256(content).hexdigest()
    (tmp_path / "toy" / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="finite"):
        ModelStore(tmp_path).load("toy")
    (tmp_path / "toy" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        ModelStore(tmp_path).load("toy")


GOOD = {"id": "a", "family": "ae16", "sha256": "0" * 64, "config": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "nonsense",
        json.dumps(GOOD | {"sha256": "xyz"}),
        json.dumps(GOOD | {"config": 3}),
        json.dumps(GOOD | {"id": ""}),
        json.dumps(GOOD | {"data": "rows"}),
    ],
)
def test_cards_that_are_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        parse_card(text, tmp_path)


def test_cards_may_say_more_than_is_known(tmp_path: Path) -> None:
    card = parse_card(json.dumps(GOOD | {"later": 1}), tmp_path)
    assert parse_card(card.to_json(), tmp_path) == card


def test_the_released_models_are_whole() -> None:
    """Every model that ships has the hash of its card, builds its family and stays within its size."""
    from sarzip.codec.predictive.network import PixelNetwork
    from sarzip.codec.registry import PREDICTIVE, build_codec

    store = ModelStore()
    cards = store.list()
    assert "ae16" in {card.id for card in cards}
    for card in cards:
        _, weights = store.load(card.id)
        assert card.folder is not None and card.folder.name == card.id
        if card.family == PREDICTIVE:
            PixelNetwork.from_weights(weights)
        else:
            family = build_codec(card.family, card.config, weights)
            assert family.id == card.family and len(family.mirror_signs[0]) == family.channels
        assert card.data and all(row["licence"] for row in card.data)
        assert {"seed", "steps"} <= set(card.recipe["training"]) and card.results
    size = (store.find("ae16").folder / "model.safetensors").stat().st_size
    assert size < 4 << 20
