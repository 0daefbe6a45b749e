"""From features to pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from impasto.networks.decoder import Decoder, ReadoutFit, evened, set_readout


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_sizes(stride: int) -> None:
    network = Decoder(channels=5, stride=stride, rounds=2, hidden=8, width=16, last=8)
    made = list(
        network.guesses(torch.rand(2, 5, 4, 6), lambda x: F.avg_pool2d(x, stride).sum(1, True))
    )
    assert len(made) == 3
    assert all(m.shape == (2, 3, 4 * stride, 6 * stride) for m in made)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_linear_map_is_found(stride: int) -> None:
    """Pixels that are a linear map of the features come back before any training."""
    torch.manual_seed(0)
    truth = torch.nn.Conv2d(6, 3 * stride**2, 3, padding=1, padding_mode="reflect")
    set_readout(truth, *evened(truth, stride))
    features = torch.rand(4, 6, 12, 12)
    pictures = F.pixel_shuffle(truth(features), stride).detach()
    fit = ReadoutFit(6, stride, ridge=1e-9)
    for part in range(0, 4, 2):
        fit.add(features[part : part + 2], pictures[part : part + 2])
    network = Decoder(channels=6, stride=stride)
    set_readout(network.readout, *fit.solve())
    made = network(features, lambda _: features)
    torch.testing.assert_close(made, pictures, rtol=1e-4, atol=1e-4)


def test_a_correction_adds_what_is_missing() -> None:
    """With the encoder as identity, half a read-out leaves half, and a correction the rest."""
    network = Decoder(channels=3, stride=1, rounds=1)
    centre = torch.zeros(3, 3, 3, 3)
    centre[range(3), range(3), 1, 1] = 1
    set_readout(network.readout, centre / 2, torch.zeros(3))
    set_readout(network.corrections[0].readout, centre, torch.zeros(3))
    picture = torch.rand(1, 3, 7, 8)
    first, second = network.guesses(picture, lambda x: x)
    torch.testing.assert_close(first, picture / 2)
    torch.testing.assert_close(second, picture)


def test_dead_channels_are_left_alone() -> None:
    features = torch.rand(2, 4, 9, 9)
    features[:, 2] = 0
    fit = ReadoutFit(4, 1)
    fit.add(features, torch.rand(2, 3, 9, 9), every=2)
    weight, bias = fit.solve()
    assert float(weight[:, 2].abs().max()) == 0
    assert torch.isfinite(weight).all()
    assert bias.shape == (3,)


def test_constant_features_give_a_constant_picture() -> None:
    torch.manual_seed(1)
    network = Decoder(channels=6, stride=4)
    torch.nn.init.normal_(network.readout.weight)
    torch.nn.init.normal_(network.readout.bias)
    made = network.first(torch.rand(1, 6, 1, 1).expand(1, 6, 8, 8)).detach()
    assert float(made.std((2, 3)).max()) < 1e-5


def test_reach_is_true() -> None:
    """A change at one position is seen as far as stated, and no farther."""
    torch.manual_seed(2)
    network = Decoder(channels=4, stride=4, width=16, last=8, blocks=2)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.normal_(layer.weight)
    features = torch.rand(1, 4, 40, 40)
    changed = features.clone()
    changed[..., 20, 20] += 1
    rows = (network.first(changed) - network.first(features)).abs().sum((0, 1, 3)).nonzero()
    near, far = int(rows.min()), int(rows.max())
    reach = network.reach()
    assert (near, far) == (80 - reach, 83 + reach)


def test_frozen_it_gives_the_same() -> None:
    """Then our own kernels may compute it, with filters made ready once."""
    torch.manual_seed(1)
    network = Decoder(channels=20, stride=4, rounds=0, width=32, blocks=2, smooth=1)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    features = torch.rand(1, 20, 12, 9)
    learning = network.first(features).detach()
    network.requires_grad_(False)
    torch.testing.assert_close(network.first(features), learning, rtol=1e-4, atol=1e-4)
    network.readout.weight.add_(0.01)
    assert float((network.first(features) - learning).abs().max()) > 1e-2


@pytest.mark.parametrize("smooth", [0, 1])
def test_its_reach(smooth: int) -> None:
    """No pixel further than that from a position changes with it."""
    torch.manual_seed(2)
    network = Decoder(channels=4, stride=4, rounds=0, width=8, last=8, blocks=2, smooth=smooth)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    features = torch.rand(1, 4, 1, 31).expand(1, 4, 31, 31).contiguous()
    other = features.clone()
    other[..., 15] += 1
    with torch.no_grad():
        changed = (network.first(features) - network.first(other)).abs().amax((0, 1, 2)) > 1e-5
    places = changed.nonzero().flatten()
    assert 60 - network.reach() <= int(places.min())
    assert int(places.max()) <= 63 + network.reach()
    assert int(places.max()) >= 63 + network.reach() - 6
