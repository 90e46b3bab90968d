"""The model store: finds, lists, verifies and loads released models.

A model is a folder with card.json and model.safetensors. Released ones lie beside the package, in a
checkout's `models/` or, in an installed wheel, in `sarzip/_models`; any other folder (or its card or weights
file) may be named by its path. Weights are used only after their SHA-256 was found equal to the card's, and
for a `.sarz` only when it is the one the file names. A model is data: nothing of its folder is ever executed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import ModelError

CARD = "card.json"
WEIGHTS = "model.safetensors"
PIXEL_MODEL = "pixel"
"""The released model of the codec `predictive`."""
_LARGEST_CARD = 4 << 20
_LARGEST_WEIGHTS = 1 << 30

_DTYPES = {
    **{f"F{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    **{f"I{bits}": f"<i{bits // 8}" for bits in (8, 16, 32, 64)},
    **{f"U{bits}": f"<u{bits // 8}" for bits in (8, 16, 32, 64)},
}
"""Sample types of safetensors that a model may use, as numpy's."""

Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model; the JSON of card.json.

    id: its name. family: the network's. sha256: of model.safetensors, hexadecimal. config: the architecture.
    domain: the signal it takes. data: a row for every file trained on, with its licence. recipe: how it was
    trained. results: what was measured. `folder` is where it was found and not part of the JSON.
    """

    id: str
    family: str
    sha256: str
    config: Mapping[str, Any]
    domain: str = ""
    data: tuple[Mapping[str, Any], ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def to_json(self) -> str:
        """The text of card.json."""
        values = asdict(self) | {"data": list(self.data)}
        del values["folder"]
        return json.dumps(values, indent=1, ensure_ascii=False) + "\n"


def parse_card(text: str, folder: Path) -> ModelCard:
    """Card from the text of card.json; ModelError if it is not one. Unknown keys are ignored."""
    try:
        values = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{folder / CARD}: not valid JSON ({error})") from error
    if not isinstance(values, dict):
        raise ModelError(f"{folder / CARD}: not a model card")
    texts = all(isinstance(values.get(key), str) and values[key] for key in ("id", "family", "sha256"))
    tables = all(isinstance(values.get(key, {}), dict) for key in ("config", "recipe", "results"))
    rows = values.get("data", [])
    if not texts or not tables or "config" not in values or not isinstance(rows, list):
        raise ModelError(f"{folder / CARD}: a model card needs id, family, sha256 and config")
    if len(values["sha256"]) != 64 or not set(values["sha256"]) <= set("0123456789abcdef"):
        raise ModelError(f"{folder / CARD}: sha256 must be 64 hexadecimal digits")
    known = {f.name for f in fields(ModelCard)} - {"folder", "data"}
    return ModelCard(**{k: v for k, v in values.items() if k in known}, data=tuple(rows), folder=folder)


def released_folder() -> Path:
    """Where the released models are: sarzip/_models of a wheel, models/ of a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_models"
    return inside if inside.is_dir() else package.parent / "models"


class WantedModel(Protocol):
    """How a `.sarz` names a model."""

    @property
    def id(self) -> str: ...

    @property
    def sha256(self) -> str: ...


class ModelStore:
    """The models of one folder, and any other model by its path. Nothing is cached; nothing runs code of a
    model.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = released_folder() if folder is None else folder

    def list(self) -> tuple[ModelCard, ...]:
        """Cards of all models of the folder, by id; ModelError if one cannot be read."""
        found = sorted(path.parent for path in self.folder.glob(f"*/{CARD}"))
        return tuple(sorted((self._card(folder) for folder in found), key=lambda card: card.id))

    def find(self, name: str | Path) -> ModelCard:
        """Card of a model by id or path (its folder, card.json or model.safetensors).

        An id is looked for first; a path is tried if there is no such model. ModelError if there is neither.
        """
        text = str(name)
        if isinstance(name, str) and "/" not in text and (self.folder / text / CARD).is_file():
            return self._card(self.folder / text)
        path = Path(name)
        folder = path.parent if path.name in (CARD, WEIGHTS) else path
        if (folder / CARD).is_file():
            return self._card(folder)
        known = ", ".join(sorted(p.parent.name for p in self.folder.glob(f"*/{CARD}"))) or "none"
        raise ModelError(f"no model {text}: it is neither a released one ({known}) nor a model's folder")

    def load(self, name: str | Path, sha256: str | None = None) -> tuple[ModelCard, Weights]:
        """Card and tensors of a model whose hash is right.

        sha256: the hash a file asks for; ModelError if the model found has another one, if the weights differ
        from the card's hash, or if they are no safetensors.
        """
        card = self.find(name)
        if sha256 is not None and card.sha256 != sha256:
            raise ModelError(
                f"model {card.id} has hash {card.sha256[:12]}, the file was made with {sha256[:12]}: get "
                "that version, or accept wrong pixels with `trust_model`"
            )
        return card, _tensors(card, _checked(card))

    def load_for_file(
        self, wanted: WantedModel, path: str | Path | None = None, trust: bool = False
    ) -> tuple[ModelCard, Weights]:
        """Card and tensors of the model that a `.sarz` names: a released one, or the one at `path`.

        An id out of a file is never taken for a path. trust: take the model at `path` though its hash is not
        the one in the file; the caller answers for the pixels. ModelError otherwise.
        """
        if path is not None:
            return self.load(path, None if trust else wanted.sha256)
        cards = self.list()
        for card in cards:
            if card.sha256 == wanted.sha256:
                return card, _tensors(card, _checked(card))
        same = [card.sha256[:12] for card in cards if card.id == wanted.id]
        other = f"; the one here has {same[0]}" if same else ""
        raise ModelError(
            f"needs model {wanted.id} with hash {wanted.sha256[:12]}, which is not released with this sarzip"
            f"{other}: give the folder of the model with `model`"
        )

    def verify(self, name: str | Path) -> ModelCard:
        """Card of a model whose weights have the card's hash and are readable; ModelError otherwise."""
        return self.load(name)[0]

    def _card(self, folder: Path) -> ModelCard:
        path = folder / CARD
        try:
            if path.stat().st_size > _LARGEST_CARD:
                raise ModelError(f"{path}: too large for a model card")
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: cannot be read ({error})") from error
        return parse_card(text, folder)


def _checked(card: ModelCard) -> bytes:
    """The weights file's bytes, hashed before anything looks into them."""
    assert card.folder is not None
    path = card.folder / WEIGHTS
    try:
        if path.stat().st_size > _LARGEST_WEIGHTS:
            raise ModelError(f"{path}: too large for a model")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"model {card.id}: its weights cannot be read ({error})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise ModelError(
            f"{path}: hash {found[:12]} is not {card.sha256[:12]}, the one in its card: get it again"
        )
    return content


def _tensors(card: ModelCard, content: bytes) -> Weights:
    """Arrays by name; bfloat16, which numpy lacks, becomes float32 with the same values."""
    from safetensors import SafetensorError, deserialize

    try:
        tensors = {name: _array(each) for name, each in deserialize(content)}
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"model {card.id}: its weights are no safetensors ({error})") from error
    if any(value.dtype.kind == "f" and not np.isfinite(value).all() for value in tensors.values()):
        raise ModelError(f"model {card.id}: its weights are not finite")
    return tensors


def _array(tensor: Mapping[str, Any]) -> NDArray[Any]:
    data, shape = bytes(tensor["data"]), tensor["shape"]
    if tensor["dtype"] == "BF16":
        wide = np.frombuffer(data, "<u2").astype("<u4") << np.uint32(16)
        return wide.view(np.float32).reshape(shape)
    return np.frombuffer(data, _DTYPES[tensor["dtype"]]).reshape(shape).copy()
