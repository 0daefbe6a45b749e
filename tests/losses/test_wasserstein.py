"""The distance of Gaussians where matrices have no inverse."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from impasto.losses import Wasserstein
from impasto.losses.wasserstein import matrix_root, trace_root


def spread(rank: int, size: int = 6, seed: int = 0) -> Tensor:
    factor = torch.randn(1, size, rank, generator=torch.Generator().manual_seed(seed)).double()
    return factor @ factor.mT


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_roots_against_scipy(rank: int) -> None:
    matrix = spread(rank)
    root = matrix_root(matrix)
    torch.testing.assert_close(root @ root, matrix)
    values = np.linalg.eigvalsh(matrix[0].numpy()).clip(0)
    np.testing.assert_allclose(trace_root(matrix).item(), np.sqrt(values).sum(), rtol=1e-6)
    if rank == 6:
        np.testing.assert_allclose(root[0].numpy(), scipy.linalg.sqrtm(matrix[0].numpy()))


def test_slope_of_the_trace_of_a_root() -> None:
    matrix = spread(6).requires_grad_(True)
    symmetric = lambda m: trace_root((m + m.mT) / 2)  # noqa: E731
    assert torch.autograd.gradcheck(symmetric, matrix)


def test_slope_on_the_rank_that_is_there() -> None:
    """For features of rank 2 the loss still has the slope that differences find."""
    mix = torch.randn(5, 2, generator=torch.Generator().manual_seed(1)).double()
    x = torch.randn(1, 2, 3, 8, generator=torch.Generator().manual_seed(2)).double()
    y = torch.randn(1, 5, 4, 4, generator=torch.Generator().manual_seed(3)).double()
    loss = Wasserstein("sum")
    target = loss.target(y)
    assert torch.autograd.gradcheck(
        lambda t: loss(torch.einsum("dc,bchw->bdhw", mix, t), target), x.requires_grad_(True)
    )


def test_equal_eigenvalues_are_no_trouble() -> None:
    white = torch.eye(4).double().view(1, 4, 2, 2).repeat(1, 1, 2, 2)
    x = white.clone().requires_grad_(True)
    loss = Wasserstein()
    loss(x, loss.target(2 * white)).backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().max() > 0


def test_gaussians_on_a_line_by_hand() -> None:
    """(m - m')^2 + (s - s')^2."""
    x = torch.randn(1, 1, 9, 9, generator=torch.Generator().manual_seed(1)).double()
    loss = Wasserstein("sum")
    found = loss(3 * x + 2, loss.target(x))
    m, s = x.mean(), x.var(correction=0).sqrt()
    torch.testing.assert_close(found, (2 * m + 2) ** 2 + (2 * s) ** 2)


def test_blend_of_far_gaussians_is_their_mixture() -> None:
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    y = 2 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(2)).double() + 5
    loss = Wasserstein()
    both = loss.blend([loss.target(x), loss.target(y)], [0.5, 0.5])
    assert loss(torch.cat((x, y), -1), both) < 1e-12
