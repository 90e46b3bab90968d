"""From a trained `lapped16` to the tensors of its model file: transforms made symmetric, the hyperprior made
integer.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sarzip.codec import lapped16_net as net
from sarzip.codec import lapped_tilt
from sarzip.codec.entropy import EntropyModel
from sarzip.codec.entropy_fit import FitConfig, fit_model, parametric_model

LATENT_PREFIX = "latents"
SIDE_PREFIX = "side."
STATES = (1, 8, 64)


def export_network(model: net.Lapped16) -> dict[str, Tensor]:
    """Tensors by name; without the entropy tables."""
    with torch.no_grad():
        out = {
            "analysis.kernel": model.analysis.kernel(),
            "synthesis.kernel": model.synthesis.kernel(),
            **{f"side.analysis.{k}": v for k, v in model.hyper_analysis.state_dict().items()},
            "mean.weight": model.hyper.mean.weight,
            **_hyper(model),
        }
    return {name: value.detach().cpu().clone().contiguous() for name, value in out.items()}


def _hyper(model: net.Lapped16) -> dict[str, Tensor]:
    hyper, prior = model.hyper, model.side_prior
    one = net.WEIGHT_ONE * net.ACTIVATION_ONE
    out = {}
    for name in ("first", "up", "mid", "last"):
        weight = getattr(hyper, name).weight
        matrix = torch.round(weight * net.WEIGHT_ONE).clamp(-127, 127).reshape(weight.shape[0], -1)
        out[f"hyper.{name}.weight"] = matrix.to(torch.int8)
    for name in ("up", "mid"):
        out[f"hyper.{name}.bias"] = _fixed(getattr(hyper, name).bias, one)
    out["hyper.first.knots"] = _fixed(hyper.first.bias[None] + hyper.first_knots, one)
    out["hyper.last.knots"] = _fixed(hyper.last.bias[None] + hyper.last_knots(), one)
    out["hyper.side.knots"] = _fixed(prior.knots(), one)
    out["hyper.tilt.basis"] = torch.from_numpy(lapped_tilt.integer_basis())
    out["hyper.side.prediction"] = _fixed(prior.neighbours.clamp(-2, 2), 16)
    return out


def _fixed(value: Tensor, one: int) -> Tensor:
    return torch.round(value * one).to(torch.int32)


def ratios() -> NDArray[np.float64]:
    """sigma / step of the classes."""
    return np.asarray(net.CLASS_BASE * np.exp(net.CLASS_STEP * np.arange(net.CLASSES)))


def fit_entropy(
    coefficients: NDArray[np.float32],
    classes: NDArray[np.uint8],
    side: NDArray[np.float32],
    side_classes: NDArray[np.uint8],
    config: FitConfig | None = None,
) -> dict[str, Tensor]:
    """Entropy models for every number of states and for the side information, fitted to 1-D data."""
    config = config or FitConfig()
    arrays: dict[str, NDArray[np.generic]] = {}
    for states in STATES:
        start = parametric_model(ratios(), states, config)
        model = fit_model(coefficients, classes, start, config) if coefficients.size else start
        arrays |= model.to_arrays(f"{LATENT_PREFIX}{states}.")
    exact = FitConfig(bits=config.bits, shape=config.shape, rounds=1, zero_share=0.0)
    start = parametric_model(ratios(), 1, exact, lam=0.0)
    model = fit_model(side, side_classes, start, exact) if side.size else start
    arrays |= model.to_arrays(SIDE_PREFIX)
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in arrays.items()}


def load_entropy(weights: Mapping[str, NDArray[np.generic]]) -> tuple[dict[int, EntropyModel], EntropyModel]:
    """Entropy models of the latents by number of states, and of the side information."""
    latents = {states: EntropyModel.from_arrays(weights, f"{LATENT_PREFIX}{states}.") for states in STATES}
    return latents, EntropyModel.from_arrays(weights, SIDE_PREFIX)
