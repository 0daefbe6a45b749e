"""The generator of Ulyanov 2016 for photos: other noise, another picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.networks import UlyanovNet, build
from impasto.networks.fast import noise_like, paint
from impasto.networks.framing import framed, unframed

SMALL = "scales=3,width=4,styles=2"


@pytest.fixture
def network() -> UlyanovNet:
    """Small, with random numbers everywhere."""
    draw = torch.Generator().manual_seed(1)
    made = UlyanovNet.of(SMALL).eval()
    for parameter in made.parameters():
        parameter.data = torch.randn(parameter.shape, generator=draw) * 0.3
    return made.requires_grad_(False)


def picture(height: int, width: int) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(2))


def test_an_untrained_network_shows_the_photo() -> None:
    image = picture(16, 24)
    made = build("ulyanov", SMALL).eval()(image, None, picture(16, 24))
    assert torch.equal(made, torch.sigmoid((image - 0.5) * 4))


def test_noise_photo_and_style_reach_every_scale(network: UlyanovNet) -> None:
    """With one scale's view silenced at a time, each still changes the picture."""
    image, noise = picture(16, 24), noise_like(picture(16, 24), 3)
    whole = network(image, None, noise)
    for view in network.views:
        kept = view.layers[0].weight.data.clone()
        for part in (slice(0, 3), slice(3, 6)):
            view.layers[0].weight.data[:, part] = 0
            assert float((network(image, None, noise) - whole).abs().max()) > 1e-3
            view.layers[0].weight.data.copy_(kept)
    other = network(image, torch.tensor([[0.0, 1.0]]), noise)
    assert float((other - whole).abs().max()) > 1e-2


@pytest.mark.parametrize("size", [(64, 40), (61, 43), (3, 70), (1, 1)])
def test_any_size_by_its_seed(network: UlyanovNet, size: tuple[int, int]) -> None:
    image = picture(*size)
    made = paint(network, image, seed=4)
    assert made.shape == image.shape
    assert 0 < float(made.min()) <= float(made.max()) < 1
    assert torch.equal(made, paint(network, image, seed=4))
    # Noise that is the same everywhere is taken out by instance normalisation.
    if max(size) > 1:
        assert float((made - paint(network, image, seed=5)).abs().max()) > 1e-3


def test_what_is_painted_is_the_mirrored_picture_with_mirrored_noise(network: UlyanovNet) -> None:
    image, noise = picture(22, 41), noise_like(picture(22, 41), 7)
    around = ((0, 0), (0, 0), (16, 18), (16, 19))
    wide = [torch.from_numpy(np.pad(x.numpy(), around, mode="reflect")) for x in (image, noise)]
    expected = network(wide[0], None, wide[1])[..., 16:38, 16:57]
    torch.testing.assert_close(paint(network, image, seed=7), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("size", [(22, 41), (40, 64), (9, 5), (1, 2)])
@pytest.mark.parametrize("multiple", [4, 16])
def test_a_frame_mirrors_as_often_as_it_takes(size: tuple[int, int], multiple: int) -> None:
    image = picture(*size)
    made = framed(image, multiple)
    assert all(n % multiple == 0 and 32 <= n - old < 32 + multiple
               for n, old in zip(made.shape[-2:], size, strict=True))  # fmt: skip
    after = [n - old - 16 for n, old in zip(made.shape[-2:], size, strict=True)]
    want = np.pad(image.numpy(), ((0, 0), (0, 0), *((16, a) for a in after)), mode="reflect")
    assert np.array_equal(made.numpy(), want)
    assert torch.equal(unframed(made, *size), image)
