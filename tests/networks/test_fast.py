"""The lean painting network: identity at first, styles that mix, strips that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.networks import FastNet, build
from impasto.networks.fast import ConditionalNorm, paint
from impasto.networks.layers import Enlarging, moments_of, smoothly_enlarged
from impasto.networks.sight import LAYERS, eyes

SMALL = "width=6,blocks=2,half=5,full=4,styles=3"


def drawn(architecture: str, size: float) -> FastNet:
    """With random numbers everywhere."""
    draw = torch.Generator().manual_seed(1)
    made = FastNet.of(architecture).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * size
    return made.requires_grad_(False)


@pytest.fixture
def network() -> FastNet:
    return drawn(SMALL, 0.3)


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


def test_norm_is_the_formula_in_float64() -> None:
    norm = ConditionalNorm(2, 3)
    norm.gamma.data = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    norm.beta.data = torch.tensor([[0.0, 1.0], [-1.0, 2.0], [4.0, 0.0]])
    x, shares = picture(5, 7)[:, :2], torch.tensor([[0.2, 0.5, 0.3]])
    norm.requires_grad_(False)
    gamma = (shares.double() @ norm.gamma.double()).numpy()[0]
    beta = (shares.double() @ norm.beta.double()).numpy()[0]
    want = x.double().numpy().copy()
    for c in range(2):
        plane = want[0, c]
        want[0, c] = gamma[c] * (plane - plane.mean()) / (plane.var() + 1e-5) ** 0.5 + beta[c]
    assert torch.allclose(norm(x, shares).double(), torch.from_numpy(want), atol=1e-5)


def test_norm_of_a_constant_channel_is_its_shift() -> None:
    norm = ConditionalNorm(1, 1)
    norm.beta.data.fill_(0.7)
    made = norm(torch.full((1, 1, 4, 4), 0.3), torch.ones(1, 1))
    assert torch.allclose(made, torch.full_like(made, 0.7), atol=1e-4)


def test_an_untrained_network_shows_the_photo() -> None:
    made, image = build("fast", SMALL).eval(), picture(16, 24)
    shown = made(image)
    assert torch.equal(shown, torch.sigmoid((image - 0.5) * 4))
    assert bool((shown.flatten().argsort() == image.flatten().argsort()).all())


def test_shares_choose_and_mix_styles(network: FastNet) -> None:
    image = picture(16, 16)
    alone = [network(image, torch.eye(3)[i : i + 1]) for i in range(3)]
    assert (alone[0] - alone[1]).abs().max() > 0.01
    assert torch.equal(network(image), alone[0])
    mixed = network(image, torch.tensor([[0.5, 0.5, 0.0]]))
    assert all((mixed - a).abs().max() > 0.003 for a in alone)
    both = network(image.expand(2, -1, -1, -1), torch.eye(3)[:2])
    assert torch.allclose(both, torch.cat(alone[:2]), atol=1e-6)


@pytest.mark.parametrize("size", [(64, 40), (61, 43), (16, 9), (3, 70), (1, 1), (100, 20)])
@pytest.mark.parametrize("strip", [4, 8, 20])
def test_strips_change_nothing(network: FastNet, size: tuple[int, int], strip: int) -> None:
    image, shares = picture(*size), torch.tensor([[0.1, 0.6, 0.3]])
    whole = paint(network, image, shares)
    assert whole.shape == image.shape
    assert torch.allclose(paint(network, image, shares, strip), whole, atol=2e-6)


def test_what_is_painted_is_the_mirrored_picture(network: FastNet) -> None:
    image = picture(22, 40)
    wide = np.pad(image.numpy(), ((0, 0), (0, 0), (16, 18), (16, 16)), mode="reflect")
    expected = network(torch.from_numpy(wide))[..., 16:38, 16:56]
    torch.testing.assert_close(paint(network, image), expected, atol=1e-6, rtol=0)


def test_strips_are_multiples_of_four(network: FastNet) -> None:
    with pytest.raises(UsageError, match="strips of 6"):
        paint(network, picture(16, 16), strip=6)


@pytest.mark.parametrize("shape", [(2, 8, 37, 53), (1, 3, 1, 1), (1, 64, 5, 1)])
def test_moments(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)) * 3 + 100
    x[0, 0] = 7.0  # a channel without variance
    wanted = torch.var_mean(x.double(), (2, 3), correction=0, keepdim=True)
    for layout in (torch.contiguous_format, torch.channels_last):
        var, mean = moments_of(x.to(memory_format=layout))
        assert var.shape == mean.shape == (*shape[:2], 1, 1)
        torch.testing.assert_close(mean.double(), wanted[1], rtol=1e-6, atol=0)
        torch.testing.assert_close(var.double(), wanted[0], rtol=1e-4, atol=1e-8)
    assert var[0, 0] == 0


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("size", [(2, 2), (2, 5), (7, 3), (37, 50)])
@pytest.mark.parametrize("kernels", ["best", "off"])
def test_frozen_it_enlarges_without_enlarging(
    size: tuple[int, int], relu: bool, kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The border too: it is that of the enlarged input, mirrored."""
    monkeypatch.setenv("IMPASTO_NATIVE", kernels)
    torch.manual_seed(0)
    layer = Enlarging(24, 8)
    x = torch.randn(2, 24, *size).contiguous(memory_format=torch.channels_last)
    large = torch.nn.functional.pad(smoothly_enlarged(x.double()), (1, 1, 1, 1), mode="reflect")
    want = torch.nn.functional.conv2d(large, layer.weight.double(), layer.bias.double())
    want = want.relu() if relu else want
    torch.testing.assert_close(layer(x, relu).double(), want, rtol=0, atol=2e-5)
    layer.requires_grad_(False)
    torch.testing.assert_close(layer(x, relu).double(), want, rtol=0, atol=2e-5)
    layer.weight.mul_(2)  # seen, though the filters were ready
    assert (layer(x, relu).double() - want).abs().max() > 0.1


SEEING = "width=8,blocks=3,half=6,full=4,styles=2,sight=1"


@pytest.fixture
def seeing() -> FastNet:
    return drawn(SEEING, 0.2)


def test_sight_is_what_the_default_backbone_sees_at_half_the_size(seeing: FastNet) -> None:
    image, shares = picture(48, 64), torch.tensor([[0.3, 0.7]])
    sight = seeing.sight
    assert sight is not None
    small = torch.nn.functional.avg_pool2d(image, 2)
    seen = eyes(image.device).taps(small, LAYERS)
    near, far = (
        torch.relu(norm(look(seen[name]), shares))
        for look, norm, name in zip(sight.looks, sight.norms, LAYERS, strict=True)
    )
    want = torch.cat([near, smoothly_enlarged(far)], 1)
    assert want.shape == (1, 16, 12, 16)
    torch.testing.assert_close(sight(image, shares), want, rtol=0, atol=1e-5)
    names = seeing.state_dict()
    assert not any("conv1" in n for n in names)  # the eyes are not in the file
    assert len(sight.joins) == 2
    assert seeing.bytes_per_pixel >= seeing.bytes_by_strips  # however narrow the rest is


def test_sight_changes_the_picture_and_nothing_until_it_is_learnt(seeing: FastNet) -> None:
    image = picture(40, 56)
    blind = FastNet.of(SEEING.replace("sight=1", "sight=0")).eval().requires_grad_(False)
    own = seeing.state_dict()
    blind.load_state_dict({n: v for n, v in own.items() if not n.startswith("sight.")})
    shown = blind(image)
    assert (seeing(image) - shown).abs().max() > 0.01
    assert seeing.sight is not None
    for join in seeing.sight.joins:
        join.weight.zero_()
        join.bias.zero_()
    torch.testing.assert_close(seeing(image), shown, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(61, 43), (3, 70)])
def test_strips_change_nothing_with_sight(seeing: FastNet, size: tuple[int, int]) -> None:
    image = picture(*size)
    whole = paint(seeing, image)
    assert whole.shape == image.shape
    torch.testing.assert_close(paint(seeing, image, strip=16), whole, rtol=0, atol=5e-6)


def test_the_eyes_see_no_border() -> None:
    """Of a photo of one colour they see the same everywhere."""
    seen = eyes(torch.device("cpu")).taps(torch.full((1, 3, 32, 40), 0.4), LAYERS)
    for value in seen.values():
        same = value.mean((2, 3), keepdim=True)
        assert (value - same).abs().max() < 1e-4 * value.abs().max()
