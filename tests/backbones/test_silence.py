"""Channels said to be silent are."""

from __future__ import annotations

import pytest
import torch

from impasto.backbones import load
from impasto.testing import thin_vgg

LAYERS = ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu4_2"]


def silent(net) -> dict[str, torch.Tensor]:
    return {
        stage.name.replace("conv", "relu"): stage.op.filters.silent_outputs
        for stage in net.stages
        if stage.name.startswith("conv")
    }


def test_the_default_network_has_those_that_were_counted():
    net = load()
    pictures = torch.rand(4, 3, 48, 40, generator=torch.Generator().manual_seed(0)).round()
    found = net.taps(pictures, LAYERS)
    dead = silent(net)
    assert [int(dead[n].sum()) for n in LAYERS] == [25, 2, 13, 3, 4, 0]
    for name, features in found.items():
        assert features[:, dead[name]].abs().sum() == 0
        assert features.shape[1] == net.table[name].channels


@pytest.mark.parametrize("stretch", [1.0, 3.0])
def test_pictures_out_of_range_are_seen_as_well(stretch):
    """A channel that is silent in [0, 1] and not beyond must count beyond."""
    net = thin_vgg(width=8, pooling="avg")
    with torch.no_grad():
        first = net.stages[0].op
        first.weight[2] = 0
        first.weight[2, 0, 1, 1] = 1  # (red - mean) / std, minus a little more than its most
        first.bias[2] = -2.3
    x = torch.rand(1, 3, 24, 24, generator=torch.Generator().manual_seed(1)) * stretch
    found, exact = net.taps(x, ["relu1_1", "relu2_1"]), thin_copy(net, x)
    assert silent(net)["relu1_1"].tolist().count(True) == 1
    assert (found["relu1_1"][:, 2].abs().sum() > 0) == (stretch > 1)
    torch.testing.assert_close(found["relu2_1"].double(), exact, rtol=1e-4, atol=1e-4)


def thin_copy(net, x):
    other = thin_vgg(width=8, pooling="avg", dtype=torch.float64)
    other.load_state_dict({k: v.double() for k, v in net.state_dict().items()})
    return other.taps(x.double(), ["relu2_1"])["relu2_1"]
