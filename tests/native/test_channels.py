"""Instance normalisation in our kernels against torch in float64, forward and backward."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto import native

EPS = 1e-5
pytestmark = pytest.mark.skipif(native.library() is None, reason="there is no compiler")


def expected(x: Tensor, gamma: Tensor, beta: Tensor, besides: Tensor | None, relu: bool) -> Tensor:
    var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
    made = (x - mean) / torch.sqrt(var + EPS) * gamma[..., None, None] + beta[..., None, None]
    made = made if besides is None else made + besides
    return made.relu() if relu else made


def drawn(*shape: int, seed: int) -> Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("own", [False, True])  # a scale and shift for each picture
@pytest.mark.parametrize(
    "shape", [(1, 64, 48, 48), (2, 24, 33, 17), (3, 8, 100, 70), (1, 3, 5, 7), (2, 100, 9, 8)]
)
def test_values_and_gradients(
    shape: tuple[int, int, int, int], own: bool, added: bool, relu: bool
) -> None:
    batch, channels = shape[:2]
    rows = batch if own else 1
    given = [
        drawn(*shape, seed=1) * 2 + 5,
        drawn(rows, channels, seed=2),
        drawn(rows, channels, seed=3),
    ]
    given += [drawn(*shape, seed=4)] if added else []
    mine = [t.clone().requires_grad_() for t in given]
    theirs = [t.double().requires_grad_() for t in given]
    made = native.normalise(
        mine[0], mine[1], mine[2], EPS, relu=relu, besides=mine[3] if added else None
    )
    want = expected(theirs[0], theirs[1], theirs[2], theirs[3] if added else None, relu)
    assert made is not None
    torch.testing.assert_close(made.double(), want, rtol=0, atol=5e-6)
    slope = drawn(*shape, seed=5)
    have = torch.autograd.grad(made, mine, slope)
    wanted = torch.autograd.grad(want, theirs, slope.double())
    for a, b in zip(have, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=3e-6 * max(1, float(b.abs().max())))


def test_a_small_step_changes_the_sum_as_the_gradient_says() -> None:
    x, gamma, beta = drawn(1, 6, 9, 11, seed=1), drawn(1, 6, seed=2), drawn(1, 6, seed=3)
    weights, way = drawn(1, 6, 9, 11, seed=4), drawn(1, 6, 9, 11, seed=5)

    def value(at: Tensor) -> Tensor:
        made = native.normalise(at, gamma, beta, EPS, relu=True)
        assert made is not None
        return (made.double() * weights).sum()

    at = x.clone().requires_grad_()
    (pull,) = torch.autograd.grad(value(at), at)
    step = 1e-3
    along = (value(x + step * way) - value(x - step * way)) / (2 * step)
    assert float(along) == pytest.approx(float((pull.double() * way).sum()), rel=2e-3)


def test_far_from_zero_no_digits_are_lost() -> None:
    x = drawn(1, 8, 40, 40, seed=1) * 0.5 + 1000
    made = native.normalise(x, torch.ones(1, 8), torch.zeros(1, 8), EPS)
    want = expected(x.double(), torch.ones(1, 8), torch.zeros(1, 8), None, False)
    assert made is not None
    torch.testing.assert_close(made.double(), want, rtol=0, atol=3e-4)  # x itself has 6e-5


@pytest.mark.parametrize("noise", [0.0, 1e-6])
def test_a_channel_that_is_constant_but_for_rounding_gives_its_shift(noise: float) -> None:
    x = drawn(1, 4, 16, 16, seed=1)
    x[:, 2] = 0.7 + noise * x[:, 0]
    x.requires_grad_()
    beta = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    made = native.normalise(x, torch.ones(1, 4), beta, EPS)
    assert made is not None
    assert torch.equal(made[:, 2], torch.full((1, 16, 16), 0.3))
    (pull,) = torch.autograd.grad(made.square().sum(), x)
    assert not pull[:, 2].any()
    assert pull[:, :2].abs().max() > 0


def test_one_pixel_gives_the_shift() -> None:
    made = native.normalise(drawn(2, 5, 1, 1, seed=1), torch.ones(1, 5), torch.ones(1, 5) * 3, EPS)
    assert made is not None
    assert torch.equal(made, torch.full((2, 5, 1, 1), 3.0))


def test_results_do_not_depend_on_threads() -> None:
    x, gamma, beta = drawn(2, 24, 90, 61, seed=1), drawn(1, 24, seed=2), drawn(1, 24, seed=3)
    before, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(native.normalise(x, gamma, beta, EPS, relu=True))
    finally:
        torch.set_num_threads(before)
    assert found[0] is not None
    assert all(torch.equal(found[0], other) for other in found[1:] if other is not None)


@pytest.mark.parametrize(
    "x",
    [
        drawn(1, 4, 6, 6, seed=1).double(),
        torch.randn(1, 4, 6, 6),  # rows of channels
        drawn(1, 4, 6, 6, seed=1)[..., 1:],  # with gaps
        torch.empty(0, 4, 6, 6).contiguous(memory_format=torch.channels_last),
    ],
)
def test_what_is_torchs_is_left_to_torch(x: Tensor) -> None:
    assert native.normalise(x, torch.ones(1, 4), torch.zeros(1, 4), EPS) is None
