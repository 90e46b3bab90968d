"""From the network that is trained to the family that codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from sarzip.codec.base import Quality
from sarzip.codec.lapped16.codec import Lapped16
from sarzip.codec.lapped16.hyper_synthesis import IntegerHyper
from sarzip.codec.lapped16.scale_classes import CLASSES
from sarzip.errors import ModelError
from sarzip.training.lapped16 import network as net
from sarzip.training.lapped16.export import export_network
from sarzip.training.lapped16.loss import build_trainable


def test_training_network_sees_the_classes_that_are_coded():
    torch.manual_seed(3)
    model = net.Lapped16(net.Lapped16Config())
    with torch.no_grad():
        for parameter in (*model.hyper.parameters(), *model.side_prior.parameters()):
            parameter.add_(0.2 * torch.randn_like(parameter))
    hyper = IntegerHyper({name: value.numpy() for name, value in export_network(model).items()})
    rng = np.random.default_rng(3)
    side = np.round(rng.standard_t(3, (hyper.side_channels, 8, 8)) * 3).astype(np.int32)
    for step in (0.5, 2.0, 16.0):
        weights = net.knot_weights(torch.tensor([math.log2(step)]))
        with torch.no_grad():
            trained, _ = model.hyper(torch.from_numpy(side.astype(np.float32))[None], weights)
        classes = torch.from_numpy(hyper.classes(side, (16, 16), step)).reshape(256, 16, 16)
        trained = torch.round(trained[0]).clamp(0, CLASSES - 1)
        assert float((trained - classes.float()).abs().max()) <= 1
        assert float((trained != classes.float()).float().mean()) < 0.01


def test_training_ends_in_a_model_that_codes():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    trainable = build_trainable({}, {})
    optimiser = torch.optim.Adam(trainable.parameters(), 1e-3)
    scenes = (10 * np.log10(rng.gamma(5.0, 0.2, (2, 1, 64, 64)))).astype(np.float32)
    batch = torch.from_numpy(scenes)
    for step in range(3):
        trainable.set_progress(step / 2)
        loss, logs = trainable.training_loss(batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert torch.isfinite(loss)
        assert {"bpp", "side", "mse/step2"} <= set(logs)
    decoded, bits = trainable.evaluate(batch, 2.0)
    assert decoded.shape == batch.shape
    assert 0 < bits < 20
    family = Lapped16(trainable.config(), trainable.export())
    latents = family.analyse(np.pad(scenes[0, 0], 16, mode="symmetric")[None])
    streams = family.encode(latents, Quality(2.0)).streams
    assert np.sqrt(np.mean((family.decode(streams, (4, 4), Quality(2.0)) - latents) ** 2)) < 1.2


def test_unknown_settings_of_a_recipe_are_refused():
    with pytest.raises(ModelError, match="unknown setting depth"):
        build_trainable({"depth": 3}, {})
    with pytest.raises(ModelError, match="step_low"):
        build_trainable({}, {"step_low": 9.0, "step_high": 1.0})
