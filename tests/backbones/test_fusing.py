"""Convolutions that do the work of the ReLU and the pooling behind them."""

from __future__ import annotations

import pytest
import torch

from impasto import native
from impasto.native import choice
from impasto.testing import gradient_picture, thin_vgg

BETWEEN = ["relu1_2", "relu2_2"]
needs_kernels = pytest.mark.skipif(native.library() is None, reason="there is no compiler here")


def deepest(net, image, layers):
    """relu3_1 and its gradient, where ``layers`` are read too."""
    x = image.clone().requires_grad_(True)
    made = net.taps(x, [*layers, "relu3_1"])["relu3_1"]
    (pull,) = torch.autograd.grad(made.square().sum(), x)
    return made.detach(), pull


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("size", [(40, 48), (37, 31), (4, 5)])
def test_what_is_not_read_is_left_out_without_a_difference(size, pooling, monkeypatch):
    monkeypatch.setattr(choice, "ours", lambda *_: True)
    net, image = thin_vgg(width=32, pooling=pooling), gradient_picture(*size)
    for found, expected in zip(deepest(net, image, []), deepest(net, image, BETWEEN), strict=True):
        size = float(expected.abs().max())
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * size)


@needs_kernels
def test_means_are_made_without_the_map_that_they_are_of(monkeypatch):
    monkeypatch.setattr(choice, "ours", lambda *_: True)
    pooled: list[torch.Size] = []
    whole = native.mean_pool
    monkeypatch.setattr(native, "mean_pool", lambda x: pooled.append(x.shape) or whole(x))
    net, image = thin_vgg(width=32, pooling="avg"), gradient_picture(40, 48)
    net.taps(image, ["relu3_1"])
    assert not pooled
    net.taps(image, [*BETWEEN, "relu3_1"])
    assert len(pooled) == 2
