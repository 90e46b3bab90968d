"""The recipe of a model: a TOML file that says what to build and how to train it."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sarzip.errors import InputError, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Schedule:
    """The [training] table.

    steps: optimiser steps. batch: crops per step (0: as many as memory holds, at most 32). crop: pixels a
    side, a multiple of 16. learning_rate: its peak, reached after `warmup` steps and lowered along a half
    cosine to `final_rate` times the peak. clip: largest gradient norm (0: none). precision: of the forward
    pass; auto is bfloat16 where the device has it. released: use only data whose weights may be given away.
    start: released model, or folder of one, whose weights to begin with (none: the family's own start).
    """

    steps: int
    batch: int = 8
    crop: int = 256
    learning_rate: float = 2e-3
    warmup: int = 200
    final_rate: float = 0.01
    weight_decay: float = 0.0
    clip: float = 0.0
    precision: str = "auto"
    seed: int = 1
    validate_every: int = 500
    checkpoint_every: int = 500
    validation_share: float = 0.12
    validation_crops: int = 32
    validation_steps: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0)
    released: bool = True
    simulated: int = 0
    start: str = ""

    def __post_init__(self) -> None:
        """Reject settings nothing can be trained with (UsageError)."""
        whole = (
            "steps",
            "batch",
            "crop",
            "warmup",
            "seed",
            "validate_every",
            "checkpoint_every",
            "simulated",
        )
        for name in (*whole, "validation_crops"):
            if type(getattr(self, name)) is not int:
                raise UsageError(f"recipe: {name} must be a whole number")
        if type(self.start) is not str:
            raise UsageError("recipe: start must be the name or the folder of a model")
        object.__setattr__(self, "validation_steps", tuple(float(s) for s in self.validation_steps))
        if min(self.warmup, self.seed, self.simulated) < 0 or not self.learning_rate > 0:
            raise UsageError(
                "recipe: learning_rate must be positive, warmup, seed and simulated not negative"
            )
        if self.steps < 1 or self.batch < 0 or self.crop < 16 or self.crop % 16:
            raise UsageError(
                "recipe: steps must be positive, batch not negative, crop a positive multiple of 16"
            )
        if self.precision not in PRECISIONS:
            raise UsageError(f"recipe: precision must be one of {', '.join(PRECISIONS)}")
        if not 0 <= self.validation_share < 0.9 or min(self.validation_steps, default=0) <= 0:
            raise UsageError("recipe: validation_share must be below 0.9 and validation_steps positive")
        if self.validate_every < 1 or self.checkpoint_every < 1 or self.validation_crops < 1:
            raise UsageError("recipe: validate_every, checkpoint_every and validation_crops must be positive")

    def rate(self, step: int) -> float:
        """Learning rate of one step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        low = self.final_rate
        return self.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


@dataclass(frozen=True)
class Recipe:
    """A whole recipe: `id` names the model, `family` the network, the tables are handed to the family."""

    id: str
    family: str
    training: Schedule
    architecture: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, equal for equal recipes; kept in checkpoints and in the card."""
        return {
            "id": self.id,
            "family": self.family,
            "architecture": dict(self.architecture),
            "loss": dict(self.loss),
            "training": asdict(self.training) | {"validation_steps": list(self.training.validation_steps)},
        }


def parse_recipe(text: str, name: str) -> Recipe:
    """Recipe from TOML text; `name` is used in messages. UsageError for anything unknown or of the wrong
    type.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name}: not valid TOML ({error})") from error
    known = {f.name for f in fields(Recipe)}
    if unknown := sorted(set(tables) - known):
        raise UsageError(f"{name}: unknown entry {', '.join(unknown)}; known are {', '.join(sorted(known))}")
    if missing := [key for key in ("id", "family", "training") if key not in tables]:
        raise UsageError(f"{name}: {', '.join(missing)} is missing")
    settings = {f.name for f in fields(Schedule)}
    if unknown := sorted(set(tables["training"]) - settings):
        raise UsageError(f"{name}: unknown training setting {', '.join(unknown)}")
    try:
        training = Schedule(**tables["training"])
    except TypeError as error:
        raise UsageError(f"{name}: bad training setting ({error})") from error
    return Recipe(
        str(tables["id"]),
        str(tables["family"]),
        training,
        tables.get("architecture", {}),
        tables.get("loss", {}),
    )


def read_recipe(path: Path) -> Recipe:
    """Recipe from a TOML file; InputError if it cannot be read."""
    try:
        return parse_recipe(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
