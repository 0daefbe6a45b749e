"""RMSprop, gradient descent, Adam's epsilons, unscaled objectives, gradients of norm 1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.engine.objective import IMAGE, Objective, Term, goal_for
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.engine.scales import Scale, pyramid
from impasto.losses import Content, Gram, RelaxedEMD, TotalVariation
from impasto.testing import gradient_picture, thin_vgg

GOAL = torch.rand(1, 3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
START = torch.full_like(GOAL, 0.5)
STIFF = torch.linspace(1, 30, GOAL.numel(), dtype=torch.float64).view_as(GOAL)


def bowl(image: Tensor) -> dict[str, Tensor]:
    return {"bowl": 100 * (STIFF * (image - GOAL).square()).mean()}


def slope(x: np.ndarray) -> np.ndarray:
    return 200 * STIFF.numpy() * (x - GOAL.numpy()) / GOAL.numel()


def walked(optimiser: Optimiser, steps: int) -> np.ndarray:
    job = Optimisation(PlainPixels(START, clamp=False), bowl, optimiser, steps)
    for _ in job.steps():
        pass
    return job.image().numpy()


@pytest.mark.parametrize("scaled", [True, False])
def test_gradient_descent(scaled: bool) -> None:
    first = float(bowl(START)["bowl"]) if scaled else 1.0
    x = START.numpy().copy()
    for _ in range(7):
        x -= 1e-3 * first * slope(x) / first
    found = walked(Optimiser("sgd", lr=1e-3 * first, scaled=scaled), 7)
    np.testing.assert_allclose(found, x, rtol=1e-12)


def test_rmsprop() -> None:
    x, v = START.numpy().copy(), np.zeros(GOAL.shape)
    for _ in range(9):
        g = slope(x)
        v = 0.97 * v + 0.03 * g**2
        x -= 0.01 * g / (np.sqrt(v) + 0.5)
    found = walked(Optimiser("rmsprop", 0.01, (0.5, 0.97), eps=0.5, scaled=False), 9)
    np.testing.assert_allclose(found, x, rtol=1e-12)


@pytest.mark.parametrize("hat", [True, False])
def test_adam_with_a_large_epsilon(hat: bool) -> None:
    """As S3 has it; TensorFlow adds epsilon before the correction, torch after it."""
    x, m, v = START.numpy().copy(), np.zeros(GOAL.shape), np.zeros(GOAL.shape)
    for t in range(1, 12):
        g = slope(x)
        m, v = 0.99 * m + 0.01 * g, 0.999 * v + 0.001 * g**2
        rate = 0.02 / (1 - 0.99**t)
        correction = np.sqrt(1 - 0.999**t)
        if hat:
            x -= rate * correction * m / (np.sqrt(v) + 0.1)
        else:
            x -= rate * m / (np.sqrt(v) / correction + 0.1)
    settings = Optimiser("adam", 0.02, (0.99, 0.999), eps=0.1, eps_hat=hat, scaled=False)
    np.testing.assert_allclose(walked(settings, 11), x, rtol=1e-11)


def test_the_two_epsilons_differ() -> None:
    one, two = (
        walked(Optimiser("adam", 0.02, (0.99, 0.999), 0.1, eps_hat=hat, scaled=False), 5)
        for hat in (True, False)
    )
    assert np.abs(one - two).max() > 1e-3


def test_resumed_epsilon() -> None:
    settings = Optimiser("adam", 0.02, (0.99, 0.999), eps=0.1, eps_hat=True, scaled=False)
    half = Optimisation(PlainPixels(START, clamp=False), bowl, settings, 9)
    steps = half.steps()
    for _ in range(4):
        next(steps)
    again = Optimisation(PlainPixels(START, clamp=False), bowl, settings, 9)
    again.load(half.state())
    for _ in again.steps():
        pass
    assert np.array_equal(again.image().numpy(), walked(settings, 9))


NET = thin_vgg(dtype=torch.float64)
PHOTO = gradient_picture(32, 40, torch.float64)
ART = torch.rand(1, 3, 36, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
X = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def test_normalised_gradients_by_hand() -> None:
    """neural-style: the gradient of each layer's loss over its L1 norm, times the weight."""
    style = Term("style", Gram("chw"), ("relu1_1", "relu3_1"), 7.0, (1.0, 0.5))
    content = Term("content", Content(), ("relu3_1",), 3.0)
    smooth = Term("tv", TotalVariation(), (IMAGE,), 11.0)
    goals = [goal_for(t, NET, [p], [1.0]) for t, p in ((style, ART), (content, PHOTO), (smooth, X))]
    x = X.clone().requires_grad_(True)
    found = Objective(NET, goals, normalize_gradients=True)(x)
    plain = Objective(NET, goals)(X)
    for name, value in found.items():
        assert torch.equal(value, plain[name])
    (grad,) = torch.autograd.grad(torch.stack(list(found.values())).sum(), x)

    y = X.clone().requires_grad_(True)
    taps = NET.taps(y, ("relu1_1", "relu3_1"))
    parts = [
        (goals[0], "relu1_1", 7.0),
        (goals[0], "relu3_1", 3.5),
        (goals[1], "relu3_1", 3.0),
    ]
    expected = 11 * torch.autograd.grad(TotalVariation()(y, ()), y, retain_graph=True)[0]
    for goal, layer, strength in parts:
        (g,) = torch.autograd.grad(
            goal.term.loss(taps[layer], goal.targets[layer]), taps[layer], retain_graph=True
        )
        back = torch.autograd.grad(taps[layer], y, g / g.abs().sum(), retain_graph=True)[0]
        expected = expected + strength * back
    torch.testing.assert_close(grad, expected, rtol=1e-9, atol=1e-15)


def test_normalised_gradients_know_no_scale_and_survive_their_target() -> None:
    def grad(weight: float, loss: Gram) -> Tensor:
        goal = goal_for(Term("style", loss, ("relu2_1",), weight), NET, [ART], [1.0])
        x = X.clone().requires_grad_(True)
        values = Objective(NET, [goal], normalize_gradients=True)(x)
        return torch.autograd.grad(values["style"], x)[0]

    torch.testing.assert_close(grad(2.0, Gram("chw", "sum")), grad(2.0, Gram("chw", "mean")))
    torch.testing.assert_close(grad(4.0, Gram()), 2 * grad(2.0, Gram()))
    goal = goal_for(Term("content", Content(), ("relu2_1",)), NET, [X], [1.0])
    x = X.clone().requires_grad_(True)
    Objective(NET, [goal], normalize_gradients=True)(x)["content"].backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(X))


def test_joint_losses_take_part() -> None:
    term = Term("style", RelaxedEMD(samples=50), (IMAGE, "relu2_1"), 5.0)
    goal = goal_for(term, NET, [ART], [1.0])
    x = X.clone().requires_grad_(True)
    value = Objective(NET, [goal], normalize_gradients=True)(x)["style"]
    assert torch.isfinite(torch.autograd.grad(value, x)[0]).all()


def test_a_number_of_scales() -> None:
    assert pyramid(600, 800, (200, 500), ratio=800 / 512, smallest=64, count=2) == [
        Scale(384, 512, 500),
        Scale(600, 800, 200),
    ]
    assert [s.width for s in pyramid(512, 512, (1,), ratio=2**0.5, smallest=128)] == [
        128, 181, 256, 362, 512,
    ]  # fmt: skip
    assert len(pyramid(600, 800, (1,), count=1)) == 1
