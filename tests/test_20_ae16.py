"""The reference autoencoder: shapes, folding, receptive field, and that windows do not matter."""

from __future__ import annotations

import numpy as np
import pytest

from sarzip.errors import CorruptError, ModelError

torch = pytest.importorskip("torch")

from sarzip.codec.ae16.codec import Ae16Codec, Ae16Config  # noqa: E402
from sarzip.codec.ae16.network import (  # noqa: E402
    STRIDE,
    Ae16,
    analysis_halo,
    analysis_reach,
    fold_batchnorm,
    synthesis_halo,
)
from sarzip.codec.base import Quality  # noqa: E402

SMALL = {"latents": 5, "widths": (4, 6, 8)}
SWITCHES = [
    {},
    {"padding": "zeros"},
    {"upsampling": "nearest"},
    {"upsampling": "bilinear"},
    {"upsampling": "bilinear", "padding": "zeros"},
    {"separable": True},
    {"separable": True, "upsampling": "nearest"},
    {"dilation": 2},
    {"dilation": 3, "padding": "zeros"},
    {"inputs": 2},
]


def network(seed: int = 0, **switches: object) -> Ae16:
    """A small network whose BatchNorms have seen data, so that folding them has something to do."""
    torch.manual_seed(seed)
    net = Ae16(Ae16Config(**{**SMALL, **switches}))
    for _ in range(3):
        net(torch.randn(2, net.config.inputs, 64, 64) * 6 + 2)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.affine:
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return net.eval()


def weights(net: Ae16) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}


def family(**switches: object) -> Ae16Codec:
    net = network(**switches)
    return Ae16Codec(net.config, weights(net))


def test_the_default_network_is_the_documented_one() -> None:
    net = Ae16(Ae16Config())
    down = [m for m in net.encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    up = [m for m in net.decoder.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    channels = net.config.latents
    assert [(m.in_channels, m.out_channels) for m in down] == [
        (1, 64),
        (64, 128),
        (128, 256),
        (256, channels),
    ]
    assert [(m.in_channels, m.out_channels) for m in up] == [(channels, 256), (256, 128), (128, 64), (64, 1)]
    assert all(m.kernel_size == (3, 3) and m.stride == (2, 2) and m.padding == (1, 1) for m in down)
    assert all(m.kernel_size == (4, 4) and m.stride == (2, 2) and m.padding == (1, 1) for m in up)
    assert all(m.bias is None for m in (*down, *up[:-1]))
    slopes = {m.negative_slope for m in net.encoder.modules() if isinstance(m, torch.nn.LeakyReLU)}
    assert slopes == {0.2}
    assert isinstance(net.decoder[3][-1], torch.nn.Sigmoid)
    assert net.analyse(torch.zeros(1, 1, 256, 256)).shape == (1, channels, 16, 16)


def test_kaiming_normal_fan_out() -> None:
    weight = Ae16(Ae16Config()).encoder[1][0].weight.detach()
    expected = np.sqrt(2 / (1 + 0.2**2) / (128 * 9))
    assert float(weight.std()) == pytest.approx(expected, rel=0.02)
    assert float(weight.mean()) == pytest.approx(0, abs=expected / 50)


@pytest.mark.parametrize("switches", SWITCHES)
def test_folding_batchnorm_changes_nothing(switches: dict[str, object]) -> None:
    net = network(**switches)
    folded = fold_batchnorm(net)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    x = torch.randn(1, net.config.inputs, 96, 64) * 5
    with torch.inference_mode():
        y = net.analyse(x)
        assert torch.allclose(folded.analyse(x), y, atol=1e-4, rtol=1e-4)
        assert torch.allclose(folded.synthesise(y), net.synthesise(y), atol=2e-3)


@pytest.mark.parametrize("switches", SWITCHES)
def test_reach_and_halo_are_what_the_layers_do(switches: dict[str, object]) -> None:
    """Gradients show exactly which pixels a latent sees, and that the halos suffice."""
    net = network(**switches)
    left, right = analysis_reach(net.config)
    x = torch.randn(1, net.config.inputs, 160, 160).requires_grad_()
    net.analyse(x)[0, :, 5, 5].sum().backward()
    seen = torch.nonzero(x.grad[0].abs().sum((0, 1))).flatten()
    assert int(seen.min()) == 5 * STRIDE - left
    assert int(seen.max()) == 5 * STRIDE + right
    assert analysis_halo(net.config) % STRIDE == 0
    halo = synthesis_halo(net.config)
    y = torch.randn(1, net.config.latents, 9, 9).requires_grad_()
    net.synthesise(y)[0, :, 4 * STRIDE : 5 * STRIDE, 4 * STRIDE : 5 * STRIDE].sum().backward()
    seen = torch.nonzero(y.grad[0].abs().sum((0, 1))).flatten()
    assert int(seen.min()) >= 4 - halo
    assert int(seen.max()) <= 4 + halo


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (35, 2)])
def test_tiles_equal_the_whole(switches: dict[str, object], shape: tuple[int, int]) -> None:
    """Latents and pixels of two tiles with halo are those of the whole window, up to rounding."""
    net = family(**switches)
    rng = np.random.default_rng(1)
    rows, columns = shape
    a = net.halo.pixels
    signal = rng.normal(0, 5, (net.inputs, STRIDE * rows + 2 * a, STRIDE * columns + 2 * a)).astype(
        np.float32
    )
    whole = net.analyse(signal)
    assert whole.shape == (net.channels, rows, columns)
    cut = rows // 2
    for top, bottom in ((0, cut), (cut, rows)):
        if top < bottom:
            part = net.analyse(signal[:, STRIDE * top : STRIDE * bottom + 2 * a])
            np.testing.assert_allclose(part, whole[:, top:bottom], atol=1e-4)
    s = net.halo.latents
    latents = rng.normal(0, 1, (net.channels, rows + 2 * s, columns + 2 * s)).astype(np.float32)
    whole = net.restore(latents)
    assert whole.shape == (net.inputs, STRIDE * rows, STRIDE * columns)
    cut = columns // 2
    for left, right in ((0, cut), (cut, columns)):
        if left < right:
            part = net.restore(latents[:, :, left : right + 2 * s])
            np.testing.assert_allclose(part, whole[:, :, STRIDE * left : STRIDE * right], atol=2e-3)


def test_windows_equal_the_plain_network_inside() -> None:
    """Blocks and halo give what one pass of the network over everything gives away from its borders."""
    net = network()
    coded = Ae16Codec(net.config, weights(net))
    signal = np.random.default_rng(2).normal(0, 5, (1, 16 * 40, 16 * 8)).astype(np.float32)
    with torch.inference_mode():
        plain = net.analyse(torch.from_numpy(signal)[None])[0].numpy()
    h = coded.halo.pixels // STRIDE
    np.testing.assert_allclose(coded.analyse(signal), plain[:, h:-h, h:-h], atol=1e-4)


def test_encode_decode_and_monotone_rate_and_error() -> None:
    net = family()
    latents = np.random.default_rng(3).normal(0, 1, (net.channels, 13, 9)).astype(np.float32)
    sizes, errors = [], []
    for step in (0.25, 1.0, 4.0, 16.0):
        streams = net.encode(latents, Quality(step)).streams
        decoded = net.decode(streams, (13, 9), Quality(step))
        assert np.all(np.abs(decoded - latents) <= net.gains[:, None, None] * step * 0.5001)
        sizes.append(sum(map(len, streams.values())))
        errors.append(float(np.square(decoded - latents).mean()))
    assert sizes == sorted(sizes, reverse=True) and errors == sorted(errors)


def test_latents_of_any_range_survive() -> None:
    net = family()
    latents = np.zeros((net.channels, 4, 4), np.float32)
    latents[0, 0] = [np.inf, -np.inf, np.nan, 3e38]
    latents[1, 1] = [1e9, -1e9, 1e4, -1e4]
    streams, promised = net.encode(latents, Quality(0.5))
    decoded = net.decode(streams, (4, 4), Quality(0.5))
    np.testing.assert_array_equal(promised, decoded)
    assert np.isfinite(decoded).all()
    np.testing.assert_allclose(decoded[1, 1, 2:], [1e4, -1e4], atol=1)
    tiny = Quality(1e-30)
    assert np.isfinite(net.decode(net.encode(latents, tiny).streams, (4, 4), tiny)).all()


def test_missing_or_foreign_streams_are_corrupt() -> None:
    net = family()
    streams = net.encode(np.zeros((net.channels, 4, 4), np.float32), Quality(1.0)).streams
    for broken in ({}, {2: b""}, {2: b"\x00" * 40}, {2: streams[2][:-1]}):
        with pytest.raises(CorruptError):
            net.decode(broken, (4, 4), Quality(1.0))
    with pytest.raises(CorruptError):
        ones = np.ones((net.channels, 4, 4), np.float32)
        net.decode(net.encode(ones, Quality(1.0)).streams, (5, 4), Quality(1.0))


@pytest.mark.parametrize(
    "bad",
    [
        {"padding": "wrap"},
        {"upsampling": "cubic"},
        {"inputs": 3},
        {"latents": 0},
        {"dilation": 9},
        {"widths": (1, 2)},
        {"depth": 4},
        {"latents": "many"},
    ],
)
def test_configs_that_cannot_be_built(bad: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        Ae16Config.from_mapping(bad)


def test_weights_that_do_not_fit() -> None:
    net = network()
    good = weights(net)
    with pytest.raises(ModelError):
        Ae16Codec(net.config, {k: v for k, v in good.items() if k != "gain"})
    with pytest.raises(ModelError):
        Ae16Codec(Ae16Config(**{**SMALL, "latents": 6}), good)
    with pytest.raises(ModelError):
        Ae16Codec(net.config, good | {"gain": np.full_like(good["gain"], np.nan)})
