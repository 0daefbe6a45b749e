"""The lean painting network: identity at first, styles that mix, strips that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.networks import FastNet, build
from impasto.networks.fast import ConditionalNorm, paint
from impasto.networks.layers import moments_of

SMALL = "width=6,blocks=2,half=5,full=4,styles=3"


@pytest.fixture
def network() -> FastNet:
    """Small, with random numbers everywhere."""
    draw = torch.Generator().manual_seed(1)
    made = FastNet.of(SMALL).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.3
    return made.requires_grad_(False)


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
