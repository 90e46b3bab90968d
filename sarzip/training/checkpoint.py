"""Checkpoints: one safetensors file with the model, the optimiser and, in its header, the step and the
recipe.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sarzip.errors import InputError, OutputError, UsageError

NAME = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path, model: Any, optimiser: torch.optim.Optimizer, header: dict[str, Any]
) -> None:
    """Write the state, under its final name only when complete. `header`: step, recipe, any JSON."""
    tensors = {f"model.{name}": value.contiguous() for name, value in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            tensors[f"optimiser.{index}.{key}"] = torch.as_tensor(value).contiguous()
    part = folder / (NAME + ".part")
    try:
        save_file(tensors, part, {"header": json.dumps(header, sort_keys=True)})
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(folder / NAME)
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{folder / NAME}: cannot be written ({error})") from error


def read_header(folder: Path) -> dict[str, Any] | None:
    """The header of the folder's checkpoint, None without one; InputError if it cannot be read."""
    path = folder / NAME
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            header: dict[str, Any] = json.loads((file.metadata() or {})["header"])
            return header
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint of sarzip ({error}); remove it to start anew") from error


def load_checkpoint(folder: Path, model: Any, optimiser: torch.optim.Optimizer) -> None:
    """Put the saved state into the model and the optimiser; UsageError if they are of another shape."""
    weights: dict[str, torch.Tensor] = {}
    state: dict[int, dict[str, torch.Tensor]] = {}
    with safe_open(folder / NAME, "pt") as file:
        for key in file.keys():  # noqa: SIM118 (a safetensors handle is no mapping)
            kind, rest = key.split(".", 1)
            if kind == "model":
                weights[rest] = file.get_tensor(key)
            else:
                index, name = rest.split(".", 1)
                state.setdefault(int(index), {})[name] = file.get_tensor(key)
    try:
        model.load_state_dict(weights)
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": state, "param_groups": groups})
        # Fused kernels walk parameter and moments in memory order: the moments need the parameter's strides.
        for parameter, values in optimiser.state.items():
            for name, value in values.items():
                if value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter).copy_(value)
    except (RuntimeError, ValueError) as error:
        raise UsageError(f"{folder / NAME}: does not fit this recipe's network ({error})") from error
