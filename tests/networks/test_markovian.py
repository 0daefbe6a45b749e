"""The generator of MGAN: a painting out of relu4_1 of a frozen VGG that its file carries."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto import networks
from impasto.backbones import PREPROCESSING, VGG
from impasto.errors import UsageError
from impasto.networks import Card, MarkovianNet, build
from impasto.networks.fast import paint
from impasto.networks.markovian import encoder_of
from impasto.testing import thin_vgg

#: Pixels at each border whose relu4_1 sees mirrored pixels here and zeros in the encoder.
REACH = 64


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


def seeing(backbone: VGG, more: str = "width=8,styles=2") -> MarkovianNet:
    """A generator with random numbers behind the encoder."""
    made = build("mgan", f"{encoder_of(backbone)},{more}").eval()
    assert isinstance(made, MarkovianNet)
    draw = torch.Generator().manual_seed(1)
    for parameter in made.layers.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.3
    made.see(backbone)
    return made.requires_grad_(False)


@pytest.mark.parametrize("expects", ["imagenet", "caffe", "inception"])
@pytest.mark.parametrize("pooling", ["max", "avg"])
def test_it_sees_what_the_backbone_sees(expects: str, pooling: str) -> None:
    """Away from the border, and up to the half precision of a file."""
    backbone = thin_vgg(pooling=pooling)
    backbone.preprocessing = PREPROCESSING.get(expects)
    image = picture(160, 192)
    want = backbone.taps(image, ["relu4_1"])["relu4_1"]
    have = seeing(backbone).features(image)
    assert have.shape == want.shape == (1, 32, 20, 24)
    inner = slice(REACH // 8, -REACH // 8)
    close = (have - want)[..., inner, inner].abs().max() / want.std()
    assert float(close) < 1e-2
    # Black pictures: what is subtracted of a picture counts, too.
    black = torch.zeros_like(image)
    want = backbone.taps(black, ["relu4_1"])["relu4_1"][..., inner, inner]
    have = seeing(backbone).features(black)[..., inner, inner]
    torch.testing.assert_close(have, want, rtol=5e-3, atol=5e-3 * float(want.abs().max()))


def test_relu4_1_is_all_that_it_knows() -> None:
    """Photos with the same features have the same picture; styles mix."""
    network = seeing(thin_vgg())
    image, other = picture(32, 40), picture(32, 40).flip(3)
    first = network(image)
    assert first.shape == image.shape
    assert float((network(other) - first).abs().max()) > 1e-2
    kept = network.features(image)
    network.features = lambda _: kept  # type: ignore[method-assign, assignment]
    assert torch.equal(network(other), first)
    rows = [network(image, torch.tensor([[1 - s, s]])) for s in (0.0, 0.5, 1.0)]
    assert torch.equal(rows[0], first)
    assert float((rows[1] - first).abs().max()) > 1e-3
    assert float((rows[2] - rows[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("size", [(64, 40), (61, 43), (3, 70), (1, 1)])
def test_any_size(size: tuple[int, int]) -> None:
    image = picture(*size)
    made = paint(seeing(thin_vgg()), image, torch.tensor([[0.5, 0.5]]))
    assert made.shape == image.shape
    assert 0 < float(made.min()) <= float(made.max()) < 1


def test_a_file_is_all_it_needs(tmp_path: Path) -> None:
    """Out of its file it sees exactly what it saw in training; only that is frozen there."""
    network = seeing(thin_vgg(pooling="avg"))
    path = tmp_path / "m.safetensors"
    architecture = "encoder=4,one=2,two=2,three=3,average=1,width=8,styles=2"
    networks.save(path, network, "mgan", architecture, Card())
    again = networks.load(path, "mgan").network
    assert isinstance(again, MarkovianNet)
    image = picture(48, 64)
    assert torch.equal(again.features(image), network.features(image))
    torch.testing.assert_close(again(image), network(image), atol=2e-3, rtol=0)
    fresh = build("mgan", architecture)
    learns = {name.partition(".")[0] for name, p in fresh.named_parameters() if p.requires_grad}
    assert learns == {"layers"}


def test_depths_are_those_of_the_backbone() -> None:
    assert encoder_of(thin_vgg()) == "encoder=4,one=2,two=2,three=3,average=0"
    from impasto import backbones

    classifier = backbones.load(backbones.CLASSIFIER)
    with pytest.raises(UsageError, match="looks through a VGG, not efficientnet_lite0"):
        encoder_of(classifier)
