"""S1 to S5: objective and gradient of the recipe's own objects against numpy in float64.

The right-hand sides are written from the documents' formulas, without anything of impasto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch

from impasto.backbones import ARCHITECTURES, Preprocessing
from impasto.engine.objective import Objective, goal_for
from impasto.recipes import RECIPES, Recipe
from impasto.styling.goals import make_term

Array = np.ndarray[Any, np.dtype[np.float64]]
Part = tuple[float, Array]  # value, gradient with respect to the features


def content_sum(factor: float, F: Array, P: Array) -> Part:
    return factor * float(np.sum((F - P) ** 2)), 2 * factor * (F - P)


def gram_sum(factor: float, divisor: float, F: Array, A: Array, other: float) -> Part:
    """``factor * sum (F F^T / divisor - A A^T / other)^2``."""
    f, a = F.reshape(len(F), -1), A.reshape(len(A), -1)
    off = f @ f.T / divisor - a @ a.T / other
    grad = 4 * factor * off @ f / divisor
    return factor * float(np.sum(off**2)), grad.reshape(F.shape)


def s1(F: Array, P: Array, A: Array, kind: str, layer: str) -> Part:
    n, m = F.shape[0], F[0].size
    if kind == "content":
        assert layer == "relu4_2"
        return content_sum(1 / (2 * n**0.5 * m**0.5), F, P)
    # Both pictures have one size in S1, so both Grams are over the same number of positions.
    value, grad = gram_sum(1 / (4 * n**2 * m**2), 1.0, F, A, A[0].size / m)
    return 500 * value, 500 * grad


def s2(F: Array, P: Array, A: Array, kind: str, layer: str) -> Part:
    if kind == "content":
        assert layer in ("relu1_2", "relu2_2")
        return content_sum(0.1 / F.size, F, P)
    assert layer == "relu4_3"
    return gram_sum(500 / F.shape[0] ** 2, F.size, F, A, A.size)


def s3(F: Array, P: Array, A: Array, kind: str, layer: str) -> Part:
    if kind == "content":
        assert layer == "relu5_2"
        return content_sum(1e4 / 1 / F.size, F, P)
    return gram_sum(1e-2 / 5 / F.shape[0] ** 2, F[0].size, F, A, A[0].size)


def s4(F: Array, P: Array, A: Array, kind: str, layer: str) -> Part:
    if kind == "content":
        return content_sum(0.5, F, P)
    return gram_sum(1e6 / 5, 2 * F.size, F, A, 2 * A.size)


def s5(F: Array, P: Array, A: Array, kind: str, layer: str) -> Part:
    if kind == "content":
        assert layer == "relu4_2"
        return content_sum(1 / F.size, F, P)
    return gram_sum(100 / F.shape[0] ** 2, F[0].size, F, A, A[0].size)


FORMULAS: dict[str, Callable[[Array, Array, Array, str, str], Part]] = {
    "tf-vgg19": s1,
    "vgg16-adam": s2,
    "tf-tutorial": s3,
    "survey": s4,
    "lbfgs-hooks": s5,
    "lbfgs-hooks-meant": s5,
}
FIRST = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_LAYERS = {
    "tf-vgg19": FIRST,
    "vgg16-adam": ("relu4_3",),
    "tf-tutorial": FIRST,
    "survey": FIRST,
    "lbfgs-hooks": ("relu4_4",),
    "lbfgs-hooks-meant": ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_4"),
}


class Given:
    """A network whose features are those it was given."""

    def __init__(self, features: dict[str, torch.Tensor]) -> None:
        self.features = features

    def taps(self, x: torch.Tensor, layers: Iterable[str]) -> dict[str, torch.Tensor]:
        return {n: self.features[n] for n in layers}

    def min_size(self, layers: Iterable[str]) -> int:
        return 1


def drawn(layers: Iterable[str], seed: int, height: int, width: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {
        n: torch.randn(1, 3 + 2 * int(n[4]), height, width, generator=random, dtype=torch.float64)
        .sub(0.3)
        .relu()
        .mul(3)
        for n in sorted(layers)
    }


def layers_of(recipe: Recipe) -> list[str]:
    return list(dict.fromkeys(n for t in recipe.terms for n in t.layers))


@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_gradient_on_random_features(name: str) -> None:
    recipe, formula = RECIPES.get(name), FORMULAS[name]
    layers = layers_of(recipe)
    F, P, A = drawn(layers, 1, 5, 7), drawn(layers, 2, 5, 7), drawn(layers, 3, 6, 4)
    image = torch.zeros(1, 3, 32, 32, dtype=torch.float64)
    by_role = {"content": Given(P), "style": Given(A)}
    goals = [goal_for(make_term(t), by_role[t.role], [image], [1.0]) for t in recipe.terms]  # type: ignore[arg-type]
    leaf = {n: t.clone().requires_grad_(True) for n, t in F.items()}
    values = Objective(Given(leaf), goals)(image)  # type: ignore[arg-type]
    torch.stack(list(values.values())).sum().backward()

    expected = dict.fromkeys(("content", "style"), 0.0)
    grads = {n: np.zeros(tuple(F[n][0].shape)) for n in layers}
    for term in recipe.terms:
        assert term.role != "style" or term.layers == STYLE_LAYERS[name]
        for n in term.layers:
            args = (F[n][0].numpy(), P[n][0].numpy(), A[n][0].numpy())
            value, grad = formula(*args, term.role, n)
            expected[term.name] += value
            grads[n] += grad
    assert set(values) == set(expected)
    for key, value in values.items():
        assert float(value.detach()) == pytest.approx(expected[key], rel=1e-10)
    for n in layers:
        found = leaf[n].grad
        assert found is not None
        np.testing.assert_allclose(found[0].numpy(), grads[n], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", FORMULAS)
def test_value_and_slope_on_random_pictures(name: str) -> None:
    """The whole way from the picture: the slope along a direction by central differences."""
    recipe, formula = RECIPES.get(name), FORMULAS[name]
    arch = ARCHITECTURES.get(recipe.backbone.partition(".")[0])
    weights = {
        k: (w.double(), b.double()) for k, (w, b) in arch.random(4, thin=8, head=False).items()
    }
    net = arch.build(
        "thin", weights, preprocessing=Preprocessing(), pooling=recipe.pooling, padding="zeros"
    )
    random = torch.Generator().manual_seed(5)
    photo, art, x, direction = (
        torch.rand(1, 3, *size, generator=random, dtype=torch.float64)
        for size in ((36, 44), (40, 33), (36, 44), (36, 44))
    )
    sources = {"content": photo, "style": art}
    goals = [goal_for(make_term(t), net, [sources[t.role]], [1.0]) for t in recipe.terms]
    layers = layers_of(recipe)
    P, A = net.taps(photo, layers), net.taps(art, layers)

    def by_hand(picture: torch.Tensor) -> float:
        F = net.taps(picture, layers)
        rows = [(F[n][0], P[n][0], A[n][0], t.role, n) for t in recipe.terms for n in t.layers]
        return sum(
            formula(f.numpy(), p.numpy(), a.numpy(), role, n)[0] for f, p, a, role, n in rows
        )

    moving = x.clone().requires_grad_(True)
    total = torch.stack(list(Objective(net, goals)(moving).values())).sum()
    assert float(total.detach()) == pytest.approx(by_hand(x), rel=1e-10)
    (grad,) = torch.autograd.grad(total, moving)
    # Small enough that hardly any ReLU or maximum changes sides.
    h = 1e-7
    slope = (by_hand(x + h * direction) - by_hand(x - h * direction)) / (2 * h)
    assert float((grad * direction).sum()) == pytest.approx(slope, rel=2e-5)


def test_steps_and_starts_of_the_documents() -> None:
    s1, s2, s3, hooks, meant = (
        RECIPES.get(n)
        for n in ("tf-vgg19", "vgg16-adam", "tf-tutorial", "lbfgs-hooks", "lbfgs-hooks-meant")
    )
    assert (s1.optimizer.name, s1.optimizer.lr, s1.schedule.steps["published"]) == (
        "adam", 2 / 255, (5000,),
    )  # fmt: skip
    assert (s1.size, s1.pooling, s1.init, s1.clamp) == (800, "avg", "mix:0.7:uniform:20", False)
    assert s1.mean == (123, 117, 104)
    assert (s2.optimizer.lr, s2.schedule.steps["published"]) == (10 / 255, (100,))
    assert (s2.size, s2.pooling, s2.init, s2.clamp) == (668, "max", "noise:truncated:20", False)
    assert (s3.optimizer.lr, s3.optimizer.betas[0], s3.optimizer.eps) == (0.02, 0.99, 0.1)
    assert (s3.size, s3.init, s3.clamp, s3.optimizer.scaled) == (512, "content", True, False)
    assert s3.schedule.steps["published"] == (1000,)
    for recipe in (hooks, meant):
        assert recipe.optimizer.name == "lbfgs"
        assert recipe.schedule.steps["published"][0] % 20 == 0
    assert len(hooks.terms[1].layers) == 1
    assert len(meant.terms[1].layers) == 5
