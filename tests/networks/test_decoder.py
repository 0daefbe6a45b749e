"""From features to pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from impasto.networks.decoder import Decoder, ReadoutFit


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_sizes(stride: int) -> None:
    network = Decoder(channels=5, stride=stride, width=16, last=8, blocks=1)
    made = network(torch.rand(2, 5, 4, 6))
    assert made.shape == (2, 3, 4 * stride, 6 * stride)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_linear_map_is_found(stride: int) -> None:
    """Pixels that are a linear map of the features come back, from the first step on."""
    torch.manual_seed(0)
    truth = torch.nn.Conv2d(6, 3 * stride**2, 3, padding=1, padding_mode="reflect")
    features = torch.rand(4, 6, 12, 12)
    pictures = F.pixel_shuffle(truth(features), stride).detach()
    fit = ReadoutFit(6, stride, ridge=1e-9)
    for part in range(0, 4, 2):
        fit.add(features[part : part + 2], pictures[part : part + 2])
    network = Decoder(channels=6, stride=stride, width=8, last=8, blocks=1)
    network.set_readout(*fit.solve())
    torch.testing.assert_close(network(features), pictures, rtol=1e-4, atol=1e-4)


def test_dead_channels_are_left_alone() -> None:
    features = torch.rand(2, 4, 9, 9)
    features[:, 2] = 0
    fit = ReadoutFit(4, 1)
    fit.add(features, torch.rand(2, 3, 9, 9), every=2)
    weight, bias = fit.solve()
    assert float(weight[:, 2].abs().max()) == 0
    assert torch.isfinite(weight).all()
    assert bias.shape == (3,)
