"""L-BFGS against torch's, against the textbook in float64, and on what makes torch's fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.engine import curvature
from impasto.engine.curvature import PIECE, Pairs
from impasto.engine.lbfgs import LBFGS
from impasto.engine.store import IN_MEMORY

STIFF = torch.logspace(0, 2, 40, dtype=torch.float64)
START = torch.linspace(-1, 2, 40, dtype=torch.float64)


def value(x: Tensor) -> Tensor:
    return (STIFF * x.square()).sum() / 40 + (x**4).sum() / 80


def walk(optimiser: torch.optim.Optimizer, x: Tensor, steps: int, scale: float = 1.0) -> Tensor:
    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = value(x) * scale
        loss.backward()
        return loss.detach()

    for _ in range(steps):
        optimiser.step(closure)
    return x.detach().clone()


def fresh() -> Tensor:
    return START.clone().requires_grad_(True)


def test_same_path_as_torch() -> None:
    mine, theirs = fresh(), fresh()
    ours = walk(LBFGS([mine], history=6), mine, 30)
    torchs = torch.optim.LBFGS(
        [theirs], lr=1.0, max_iter=1, history_size=6, tolerance_grad=0, tolerance_change=0
    )
    torch.testing.assert_close(ours, walk(torchs, theirs, 30), atol=1e-9, rtol=0)


def clamped(asked: float | None, steps: int = 30) -> list[Tensor]:
    """Points on the way to a minimum beyond the bounds; torch's optimiser for None."""
    x = torch.full((40,), 0.5, dtype=torch.float64, requires_grad=True)
    goal, found = torch.linspace(-0.4, 1.2, 40, dtype=torch.float64), []
    exact = {"max_iter": 1, "history_size": 6, "tolerance_grad": 0, "tolerance_change": 0}
    optimiser = LBFGS([x], history=6, asked=asked) if asked is not None else None

    def closure() -> Tensor:
        x.grad = None
        loss = (STIFF * (x - goal).square() + (x - goal) ** 4).sum() / 40
        loss.backward()
        return loss.detach()

    theirs = torch.optim.LBFGS([x], lr=1.0, **exact)
    for _ in range(steps):
        (optimiser or theirs).step(closure)
        with torch.no_grad():
            x.clamp_(0, 1)
        found.append(x.detach().clone())
    return found


def test_asked_for_in_full_is_torchs_path_between_clamps() -> None:
    for mine, theirs in zip(clamped(1.0), clamped(None), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-9, rtol=0)
    assert not torch.allclose(clamped(0.0)[-1], clamped(1.0)[-1], atol=1e-4)


def test_a_displacement_is_what_happened_and_a_share_of_what_else_was_asked_for() -> None:
    x = torch.full((4,), 0.5, dtype=torch.float64, requires_grad=True)
    optimiser = LBFGS([x], first=0.4, asked=0.75)

    def closure() -> Tensor:
        x.grad = STIFF[::10] * (x.detach() - START[::10])
        return torch.zeros(())

    asked = x.detach().clone()
    optimiser.step(closure)
    asked, before = x.detach() - asked, asked
    with torch.no_grad():
        x.clamp_(0.3, 0.7)
    happened = x.detach() - before
    assert not torch.allclose(asked, happened)
    optimiser.step(closure)
    (kept,) = optimiser.state[x]["s"]
    torch.testing.assert_close(kept, 0.25 * happened + 0.75 * asked)


def test_direction_is_the_textbooks() -> None:
    """The recursion equals a product with the explicitly updated inverse Hessian (eq. 7.16)."""
    rng = np.random.default_rng(0)
    root = rng.normal(size=(7, 7))
    hessian = root @ root.T + np.eye(7)
    s = rng.normal(size=(4, 7))
    y = s @ hessian
    gradient = rng.normal(size=7)
    inverse = np.eye(7) * (y[-1] @ s[-1]) / (y[-1] @ y[-1])
    for a, b in zip(s, y, strict=True):
        rho = 1 / (a @ b)
        left = np.eye(7) - rho * np.outer(a, b)
        inverse = left @ inverse @ left.T + rho * np.outer(a, a)
    points, slopes = np.cumsum([np.zeros(7), *s], 0), np.cumsum([gradient, *-y[::-1]], 0)[::-1]
    pairs = Pairs({}, IN_MEMORY)
    for point, slope in zip(points, slopes, strict=True):
        products = pairs.follow(torch.tensor(point), torch.tensor(slope), 10)
        pairs.memory.update(point=torch.tensor(point), gradient=torch.tensor(slope))
    found, along = pairs.direction(torch.tensor(gradient), products)
    np.testing.assert_allclose(found.numpy(), -inverse @ gradient, rtol=1e-10)
    assert along == pytest.approx(-gradient @ inverse @ gradient, rel=1e-10)


def test_products_are_those_of_the_pairs_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After some were dropped and some refused, in pieces that do not go into the length."""
    assert PIECE > 1000
    monkeypatch.setattr(curvature, "PIECE", 16)
    draw = torch.Generator().manual_seed(0)
    pairs = Pairs({}, IN_MEMORY)
    for i in range(7):
        point = torch.randn(40, generator=draw, dtype=torch.float64)
        gradient = -point if i == 4 else 2 * point + 0.1 * STIFF
        products = pairs.follow(point, gradient, 3)
        pairs.memory.update(point=point, gradient=gradient)
    vectors = torch.stack(pairs.vectors)
    assert len(vectors) == 6
    torch.testing.assert_close(torch.tensor(pairs.memory["products"]).double(), vectors @ vectors.T)
    expected = torch.stack([*vectors, gradient]) @ gradient
    torch.testing.assert_close(torch.tensor(products), expected)


def test_small_objectives_converge_as_large_ones() -> None:
    tiny, plain = fresh(), fresh()
    small = walk(LBFGS([tiny], first=0.1), tiny, 25, scale=1e-14)
    torch.testing.assert_close(small, walk(LBFGS([plain], first=0.1), plain, 25), atol=1e-6, rtol=0)
    assert float(value(small)) < 1e-3


def test_first_step_has_the_length_asked_for() -> None:
    x = fresh()
    moved = walk(LBFGS([x], first=0.25), x, 1) - START
    assert float(moved.square().mean().sqrt()) == pytest.approx(0.25)


def test_history_is_bounded_and_several_tensors_are_one_vector() -> None:
    parts = [START[:15].clone().requires_grad_(True), START[15:].clone().requires_grad_(True)]
    optimiser, whole = LBFGS(parts, history=3, first=0.1), fresh()

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = value(torch.cat(parts))
        loss.backward()
        return loss.detach()

    for _ in range(12):
        optimiser.step(closure)
    assert len(optimiser.state[parts[0]]["s"]) == 3
    expected = walk(LBFGS([whole], history=3, first=0.1), whole, 12)
    torch.testing.assert_close(torch.cat(parts).detach(), expected)


def test_at_a_stationary_point_nothing_moves() -> None:
    x = torch.zeros(40, dtype=torch.float64, requires_grad=True)
    assert torch.equal(walk(LBFGS([x], first=0.1), x, 3), torch.zeros(40, dtype=torch.float64))


def test_flat_never_shares_memory() -> None:
    x = torch.zeros(4)
    flat = IN_MEMORY.joined([x])
    flat += 1
    assert x.sum() == 0


def test_bounds_end_where_the_constrained_minimum_is() -> None:
    """A third of the values end at a bound; independent: projected gradient descent, to the end."""
    goal = torch.linspace(-0.4, 1.2, 40, dtype=torch.float64)
    mix = torch.eye(40, dtype=torch.float64) + 0.2 * torch.ones(40, 40, dtype=torch.float64) / 40

    def descended(bounds: tuple[float, float] | None) -> tuple[Tensor, list[float]]:
        x = torch.full((40,), 0.5, dtype=torch.float64, requires_grad=True)
        optimiser, values = LBFGS([x], history=5, first=0.1, bounds=bounds), []

        def closure() -> Tensor:
            optimiser.zero_grad()
            loss = (STIFF * (mix @ (x - goal)).square()).sum()
            loss.backward()
            values.append(float(loss.detach()))
            return loss.detach()

        for _ in range(60):
            optimiser.step(closure)
            with torch.no_grad():
                x.clamp_(0, 1)
        return x.detach(), values

    expected, hessian = torch.full((40,), 0.5, dtype=torch.float64), mix.T @ (STIFF[:, None] * mix)
    for _ in range(20000):
        expected = (expected - (hessian @ (expected - goal)) / 150).clamp(0, 1)
    found, values = descended((0.0, 1.0))
    assert ((expected == 0) | (expected == 1)).sum() > 8
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert min(values) < min(descended(None)[1])
