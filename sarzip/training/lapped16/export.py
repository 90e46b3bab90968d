"""From a trained `lapped16` to the tensors of its model file: the hyperprior made integer; and back, to
train on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16.codec import STATES
from sarzip.codec.lapped16.scale_classes import ratios
from sarzip.errors import ModelError
from sarzip.training.entropy_fit import FitConfig, fit_model, parametric_model
from sarzip.training.lapped16 import network as net

LATENT_PREFIX = "latents"
SIDE_PREFIX = "side."


def export_network(model: net.Lapped16) -> dict[str, Tensor]:
    """Tensors by name; without the entropy tables."""
    with torch.no_grad():
        out = {
            "transform.basis": model.transform.basis,
            "side.analysis.zones": torch.from_numpy(net.zones()),
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


def start_network(model: net.Lapped16, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Put a released model's tensors into one to be trained, the integers back to what they count.

    Where the model is narrower than the released one, the hidden units that weigh least in what follows are
    left out; ModelError where it is wider. The encoder's network is taken over only if it has the same shape,
    else just its linear part.
    """
    weights = {name: torch.from_numpy(np.array(value)).float() for name, value in tensors.items()}
    hyper, prior, one = model.hyper, model.side_prior, net.WEIGHT_ONE * net.ACTIVATION_ONE
    first, up, mid, last = (
        weights[f"hyper.{name}.weight"] / net.WEIGHT_ONE for name in ("first", "up", "mid", "last")
    )
    hidden = _strongest(up, hyper.first.out_channels)
    entry, leave = _strongest(mid, hyper.mid.in_channels), _strongest(last, hyper.mid.out_channels)
    # Each unit per latent has an output of `up` for every one of the four places of a square.
    spread = (4 * entry[:, None] + torch.arange(4)).reshape(-1)
    knots = weights["hyper.first.knots"][:, hidden] / one
    with torch.no_grad():
        for layer, matrix in (
            (hyper.first, first[hidden]),
            (hyper.up, up[spread][:, hidden]),
            (hyper.mid, mid[leave][:, entry]),
            (hyper.last, last[:, leave]),
        ):
            layer.weight.copy_(matrix.reshape(layer.weight.shape))
        hyper.first.bias.copy_(knots.mean(0))
        hyper.first_knots.copy_(knots - knots.mean(0))
        hyper.up.bias.copy_(weights["hyper.up.bias"][spread] / one)
        hyper.mid.bias.copy_(weights["hyper.mid.bias"][leave] / one)
        hyper.last.bias.zero_()
        hyper.last_change.add_((weights["hyper.last.knots"] / one - hyper.last_knots()) / net.CLASS_CHANGE)
        prior.change.add_((weights["hyper.side.knots"] / one - prior.knots()) / net.CLASS_CHANGE)
        prior.neighbours.copy_(weights["hyper.side.prediction"] / 16)
        hyper.mean.weight.copy_(weights["mean.weight"][: hyper.mean.out_channels])
        analysis = model.hyper_analysis
        found = {n: weights[k] for n in analysis.state_dict() if (k := f"side.analysis.{n}") in weights}
        if {n: v.shape for n, v in found.items()} == {n: v.shape for n, v in analysis.state_dict().items()}:
            analysis.load_state_dict(found)
        else:
            analysis.direct.weight.copy_(found["direct.weight"][:, : analysis.means])


def _strongest(matrix: Tensor, count: int) -> Tensor:
    """The `count` inputs of a layer that have the largest weights, in their order."""
    if count > matrix.shape[1]:
        raise ModelError("the model to start from is narrower than the recipe's")
    return torch.topk(matrix.square().sum(0), count).indices.sort().values


def _fixed(value: Tensor, one: int) -> Tensor:
    return torch.round(value * one).to(torch.int32)


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
