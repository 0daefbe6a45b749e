"""Gradients that are not the true ones, and exactly how they are not."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from impasto.engine.gradients import Redirected, even, with_gradient


def pulled(function, x: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    leaf = x.clone().requires_grad_(True)
    with Redirected():
        out = function(leaf * 1)
    out.backward(grad)
    return leaf.grad


X = torch.tensor([-2.0, -2.0, 1.0, 1.0, 7.0, 7.0])
G = torch.tensor([-1.0, 1.0, -1.0, 1.0, -1.0, 1.0])


@pytest.mark.parametrize(
    "relu",
    [
        F.relu,
        torch.relu,
        nn.ReLU(),
        nn.ReLU(inplace=True),
        lambda x: F.relu(x, inplace=True),
        lambda x: x.relu(),
    ],
)
def test_relu(relu):
    """Where it is silent, only what would wake it passes (descent goes against the gradient)."""
    found = pulled(relu, X, G)
    assert found.tolist() == [-1, 0, -1, 1, -1, 1]


@pytest.mark.parametrize("relu", [F.relu6, nn.ReLU6(), lambda x: F.relu6(x, inplace=True)])
def test_relu6(relu):
    """Above 6, only what leads down."""
    assert pulled(relu, X, G).tolist() == [-1, 0, -1, 1, 0, 1]


def test_values_are_the_same():
    x = torch.linspace(-9, 9, 40)
    with Redirected():
        torch.testing.assert_close(F.relu6(x), x.clamp(0, 6))
        torch.testing.assert_close(F.relu(x), x.clamp_min(0))


def test_it_ends_with_the_block():
    with Redirected():
        pass
    x = X.clone().requires_grad_(True)
    F.relu(x).backward(G)
    assert x.grad.tolist() == [0, 0, -1, 1, -1, 1]


def test_wakes_a_silent_unit():
    """A ReLU that is negative everywhere has no gradient; redirected, descent finds a way."""

    def excitation(x: torch.Tensor) -> torch.Tensor:
        return -F.relu(x - 5).mean()

    x = torch.zeros(4, requires_grad=True)
    excitation(x).backward()
    assert not x.grad.any()
    with Redirected():
        excitation(x).backward()
    assert (x.grad < 0).all()


def test_with_gradient():
    x = torch.ones(1, 3, 2, 2, requires_grad=True)
    y = with_gradient(x, lambda g: 2 * g)
    assert torch.equal(y, x)
    (3 * y).sum().backward()
    assert (x.grad == 6).all()


def test_even(generator):
    gradient = torch.randn(2, 3, 4, 5, generator=generator) * torch.tensor([1e-6, 1e4]).view(
        2, 1, 1, 1
    )
    found = even(gradient)
    torch.testing.assert_close(found.abs().sum((1, 2, 3)), torch.ones(2))
    torch.testing.assert_close(found[0] / found[0].norm(), gradient[0] / gradient[0].norm())
    assert not even(torch.zeros(1, 3, 2, 2)).any()
