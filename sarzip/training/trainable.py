"""What a model family supplies to be trained, and how much memory its training needs."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from sarzip.errors import UsageError

# Modules with build_trainable(architecture, loss) -> Trainable, imported only when that family is trained.
FAMILIES: Mapping[str, str] = {
    "ae16": "sarzip.training.ae16",
    "lapped16": "sarzip.training.lapped16.loss",
    "predictive": "sarzip.training.predictive",
}

_LARGEST_BATCH = 32
_USABLE = 0.8  # of the memory that is free: the rest is for buffers of the convolutions and for the caller
# Gradients of activations live beside what autograd saved: the sum came out 0 to 20 % above the measured peak
# on the CPU (ae16, batches of 8 and 16, both precisions).
_OVERHEAD = 1.4


class Trainable(Protocol):
    """A torch module with a loss of its own. Batches are float32 (N, 1, H, W) in dB of signal."""

    def config(self) -> dict[str, Any]:
        """The architecture as it goes into the card."""

    def receptive_field(self) -> int:
        """Pixels on a side that one latent sees."""

    def set_progress(self, fraction: float) -> None:
        """Called before every step with the share of the training done (0 .. 1), for schedules of the
        family's own.
        """

    def training_loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Scalar loss, and scalars worth logging; the forward pass runs under autocast."""

    def evaluate(self, batch: Tensor, step: float) -> tuple[Tensor, float]:
        """Decoded batch at a quantisation step in dB, and its estimated rate in bits per pixel; without
        gradients.
        """

    def export(self) -> dict[str, Tensor]:
        """The tensors of the released file, on the CPU."""


def build_trainable(family: str, architecture: Mapping[str, Any], loss: Mapping[str, Any]) -> Any:
    """The family's module, initialised; UsageError for an unknown family."""
    if family not in FAMILIES:
        raise UsageError(f"unknown model family {family}; known are {', '.join(FAMILIES)}")
    return importlib.import_module(FAMILIES[family]).build_trainable(architecture, loss)


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Autocast to bfloat16 if that is the precision, else nothing."""
    return torch.autocast(
        device.type, torch.bfloat16, enabled=resolve_precision(device, precision) == "bfloat16"
    )


def resolve_precision(device: torch.device, precision: str) -> str:
    """'auto' to what the device computes well."""
    if precision != "auto":
        return precision
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    # Without instructions for it bfloat16 is emulated and slower than float32.
    capable = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return "bfloat16" if capable else "float32"


def parameter_count(model: torch.nn.Module) -> int:
    """Number of trained values."""
    return sum(parameter.numel() for parameter in model.parameters())


def activation_bytes(model: Any, crop: int, device: torch.device, precision: str) -> int:
    """Bytes that one crop's forward pass keeps for the backward pass, counted by running it."""
    held: dict[int, Tensor] = {}
    weights = {parameter.data_ptr() for parameter in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        # References are held so that no address is used twice while counting.
        if tensor.data_ptr() not in weights:
            held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    # Normalisation layers would count this batch in their statistics: it runs on a copy of the buffers.
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    batch = torch.zeros(2, 1, crop, crop, device=device)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), autocast(device, precision):
        model.training_loss(batch)
    for name, buffer in model.named_buffers():
        buffer.copy_(before[name])
    return sum(tensor.untyped_storage().nbytes() for tensor in held.values()) // 2


def training_bytes(model: Any, batch: int, per_crop: int) -> int:
    """Memory of a training step: weights, gradients, Adam's two moments (float32), activations."""
    return 16 * parameter_count(model) + int(_OVERHEAD * batch * per_crop)


def free_bytes(device: torch.device) -> int:
    """Memory that may be taken on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def choose_batch(model: Any, wanted: int, per_crop: int, free: int) -> tuple[int, int]:
    """Crops per step and how many of them at a time, so that the latter fit into `free` bytes.

    wanted: crops per step, 0 for as many as fit (at most 32). Where the wanted batch does not fit, its
    gradients are summed over equal parts. UsageError if not even one crop fits.
    """
    limit = int(_USABLE * free)
    fits = [
        n for n in range(1, max(wanted, _LARGEST_BATCH) + 1) if training_bytes(model, n, per_crop) <= limit
    ]
    if not fits:
        need = training_bytes(model, 1, per_crop)
        raise UsageError(
            f"training needs {need >> 20} MiB but {limit >> 20} MiB are free: choose a smaller crop"
        )
    if wanted == 0:
        return min(fits[-1], _LARGEST_BATCH), min(fits[-1], _LARGEST_BATCH)
    return wanted, max(n for n in fits if n <= wanted and wanted % n == 0)
