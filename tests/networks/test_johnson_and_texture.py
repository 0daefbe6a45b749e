"""The networks of Johnson 2016 and Ulyanov 2016."""

from __future__ import annotations

import pytest
import torch

from impasto.errors import UsageError
from impasto.networks import JohnsonNet, TextureNet, build
from impasto.networks.fast import paint
from impasto.networks.texture import noises, weave

LEAN = "c5s1-4,d6,R6,u4,c3s1-3,styles=2"
WEAVER = "scales=3,width=4"


def test_johnson_as_printed_has_the_printed_number_of_filters() -> None:
    with torch.device("meta"):
        printed = build("johnson", "")
    filters = sum(p.numel() for n, p in printed.named_parameters() if n.endswith("weight"))
    wide, down, body = 9 * 9 * 3 * 32, 9 * (32 * 64 + 64 * 128), 10 * 9 * 128 * 128
    assert filters == 2 * wide + 2 * down + body


def test_johnson_paints_any_size_and_every_style() -> None:
    network = JohnsonNet.of(LEAN).eval().requires_grad_(False)
    network.layers[0].norm.beta.data[1] = 1.0
    image = torch.rand(1, 3, 21, 34, generator=torch.Generator().manual_seed(0))
    one, two = (paint(network, image, torch.eye(2)[i : i + 1]) for i in range(2))
    assert one.shape == image.shape
    assert 0 < float(one.min()) <= float(one.max()) < 1
    assert float((one - two).abs().max()) > 1e-3
    assert torch.equal(paint(network, image, strip=8), one)


def test_what_a_johnson_network_needs() -> None:
    deep = JohnsonNet.of("c3s1-4,d6,d8,d8,u8,u4,u4,c3s1-3").eval().requires_grad_(False)
    assert deep.multiple == 8
    assert paint(deep, torch.rand(1, 3, 21, 34)).shape == (1, 3, 21, 34)
    with torch.device("meta"):
        assert build("johnson", "").bytes_per_pixel == 100 + 21 * 32


@pytest.mark.parametrize(
    "architecture",
    [
        "c9s1-32",
        "c4s1-8,c3s1-3",
        "d8,c3s1-3",
        "c3s1-8,R9,c3s1-3",
        "x3",
        "c3s1-0,c3s1-3",
        "u3,d3",
        "d3,d3,d3,d3,d3,d3,c3s1-3",
    ],
)
def test_johnson_refuses(architecture: str) -> None:
    with pytest.raises(UsageError, match="architecture"):
        build("johnson", architecture)


def test_texture_gradients_reach_every_parameter() -> None:
    network = TextureNet.of(WEAVER)
    made = network(noises(network, 2, 32, 16, torch.Generator().manual_seed(0)))
    assert made.shape == (2, 3, 32, 16)
    (made * torch.linspace(0, 1, 16)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


def test_texture_of_any_size_by_its_seed() -> None:
    network = TextureNet.of(WEAVER).eval()
    assert weave(network, 19, 50).shape == (1, 3, 19, 50)
    assert torch.equal(weave(network, 32, 32, 4), weave(network, 32, 32, 4))
    assert not torch.equal(weave(network, 32, 32, 4), weave(network, 32, 32, 5))


@pytest.mark.parametrize("seamless", [0, 1])
def test_a_seamless_texture_turns_with_its_noise(seamless: int) -> None:
    """Circular padding and nothing else commutes with a circular shift."""
    network = TextureNet.of(f"{WEAVER},seamless={seamless}").eval().requires_grad_(False)
    noise = noises(network, 1, 32, 32, torch.Generator().manual_seed(1))
    rolled = [n.roll((8 >> i, 16 >> i), (2, 3)) for i, n in enumerate(noise)]
    same = torch.allclose(network(rolled), network(noise).roll((8, 16), (2, 3)), atol=1e-5)
    assert same == bool(seamless)
