"""What `lapped16` is trained with: transform, cost of a latent, the way back from released weights."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sarzip.codec.lapped16.codec import Lapped16Config  # noqa: E402
from sarzip.codec.lapped16.scale_classes import ratios  # noqa: E402
from sarzip.codec.lapped16.transform import LappedTransform  # noqa: E402
from sarzip.errors import ModelError  # noqa: E402
from sarzip.training.lapped16 import network as net  # noqa: E402
from sarzip.training.lapped16.export import export_network, start_network  # noqa: E402
from sarzip.training.lapped16.rd_cost import LatentCost, code_lengths, pulls  # noqa: E402

WEIGHT = 8.5


@pytest.fixture(scope="module")
def lengths() -> np.ndarray:
    return code_lengths(ratios(), WEIGHT)


def _cost(units: torch.Tensor, classes: torch.Tensor, lengths: np.ndarray) -> tuple[torch.Tensor, ...]:
    return LatentCost.apply(units, classes, lengths, pulls(ratios()), WEIGHT)


def test_transform_is_the_codecs_and_its_own_inverse():
    torch.manual_seed(0)
    signal = torch.randn(2, 1, 48, 80)
    transform = net.Transform()
    latents = transform.analyse(signal)
    wide = net.mirror(signal, 16, None)[0, 0].numpy()
    np.testing.assert_allclose(latents[0].numpy(), LappedTransform().analyse(wide), atol=1e-5)
    torch.testing.assert_close(transform.synthesise(latents), signal, atol=1e-5, rtol=0)
    torch.testing.assert_close(latents.square().sum(), signal.square().sum())


def test_code_lengths_are_those_of_a_code_that_rises_with_the_scale(lengths):
    # Symmetric values: 0 once, all others twice. The floor for outliers adds a little.
    mass = np.exp2(-lengths[:, 0]) + 2 * np.exp2(-lengths[:, 1:]).sum(1)
    narrow = ratios() < 20  # wider ones do not end within the table
    assert (np.abs(mass[narrow] - 1) < 1e-3).all()
    assert (np.diff(lengths[:, 0]) >= -1e-6).all()
    assert lengths[4, 0] < 1e-3
    # A dead zone leaves fewer ones than rounding does.
    assert lengths[14, 1] > 4


def test_cost_is_the_least_over_neighbouring_integers(lengths):
    torch.manual_seed(1)
    classes = torch.randint(0, 64, (2000,)).float()
    units = torch.randn(2000) * net.class_scale(classes).clamp_max(50)
    cost, bits, rounded = _cost(units, classes, lengths)
    table = torch.from_numpy(lengths)[classes.long()]
    magnitudes = torch.arange(table.shape[1])
    every = table + WEIGHT * (units.abs()[:, None] - magnitudes).square()
    torch.testing.assert_close(cost, every.min(1).values, atol=2e-3, rtol=1e-4)
    torch.testing.assert_close(cost, bits + WEIGHT * (units - rounded).square(), atol=1e-3, rtol=1e-4)


def test_gradients_are_those_of_the_cost(lengths):
    torch.manual_seed(2)
    classes = (torch.rand(500) * 18 + 2).requires_grad_()
    units = (torch.randn(500) * 1.5).requires_grad_()
    cost, _, _ = _cost(units, classes, lengths)
    cost.sum().backward()
    for variable, grad in ((classes, classes.grad), (units, units.grad)):
        # Small enough that few of the values cross a decision or a class.
        change = torch.zeros_like(variable) + 1e-3
        moved = [x.detach() + (change if x is variable else 0) for x in (units, classes)]
        slope = (_cost(*moved, lengths)[0] - cost.detach()) / 1e-3
        assert (torch.abs(slope - grad) < 0.05 + 0.02 * grad.abs()).float().mean() > 0.97


def test_start_gives_the_same_integers_back_and_leaves_out_weak_units():
    torch.manual_seed(4)
    config = Lapped16Config(side=4, hidden=8, inner=6, means=4, analysis_width=8)
    released = export_network(net.Lapped16(config))
    arrays = {name: tensor.numpy() for name, tensor in released.items()}
    again = net.Lapped16(config)
    start_network(again, arrays)
    for name, tensor in export_network(again).items():
        torch.testing.assert_close(tensor, released[name], atol=1e-6, rtol=0)

    arrays["hyper.last.weight"] = arrays["hyper.last.weight"].copy()
    arrays["hyper.last.weight"][:, 2] = 0
    smaller = net.Lapped16(Lapped16Config(side=4, hidden=5, inner=5, means=2, analysis_width=6))
    start_network(smaller, arrays)
    kept = np.delete(arrays["hyper.last.weight"], 2, axis=1)
    np.testing.assert_array_equal(export_network(smaller)["hyper.last.weight"].numpy(), kept)

    with pytest.raises(ModelError, match="narrower"):
        start_network(net.Lapped16(Lapped16Config(side=4, hidden=9, inner=6, means=4)), arrays)
