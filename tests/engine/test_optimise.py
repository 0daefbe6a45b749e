"""The loop: it descends, averages, clamps, resumes exactly and survives small objectives."""

from __future__ import annotations

import io
import math

import pytest
import torch
from torch import Tensor

from impasto.engine.optimise import Optimisation, Optimiser, optimise
from impasto.engine.pixels import PlainPixels
from impasto.errors import Diverged
from impasto.images.resize import resize

GOAL = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(1))
START = torch.full_like(GOAL, 0.5)
ADAM = Optimiser("adam", lr=0.02)
LBFGS = Optimiser("lbfgs", lr=1.0, history=5)


def curved(image: Tensor) -> dict[str, Tensor]:
    """An ill-conditioned bowl with its bottom at GOAL."""
    stiffness = torch.linspace(1, 30, image.numel()).view_as(image)
    return {"bowl": (stiffness * (image - GOAL).square()).mean(), "flat": image.sum() * 0}


def run(optimiser: Optimiser, steps: int, **kwargs: bool) -> Optimisation:
    job = Optimisation(PlainPixels(START, **kwargs), curved, optimiser, steps)
    for _ in job.steps():
        pass
    return job


@pytest.mark.parametrize("optimiser", [ADAM, LBFGS], ids=["adam", "lbfgs"])
def test_finds_the_bottom(optimiser: Optimiser) -> None:
    job = run(optimiser, 120)
    torch.testing.assert_close(job.image(), GOAL, atol=0.02, rtol=0)


def test_lbfgs_survives_tiny_objectives() -> None:
    """torch drops curvature pairs with y.s <= 1e-10; the objective's scale must not matter."""

    def tiny(image: Tensor) -> dict[str, Tensor]:
        return {name: value * 1e-12 for name, value in curved(image).items()}

    small = Optimisation(PlainPixels(START), tiny, LBFGS, 40)
    steps = list(small.steps())
    torch.testing.assert_close(small.image(), run(LBFGS, 40).image(), atol=1e-4, rtol=0)
    # The reported values are those of the objective as given.
    assert float(steps[0].loss) == pytest.approx(float(tiny(START)["bowl"]), rel=1e-5)


def test_one_evaluation_per_step_with_lbfgs() -> None:
    calls = []

    def counted(image: Tensor) -> dict[str, Tensor]:
        calls.append(1)
        return curved(image)

    for _ in optimise(PlainPixels(START), counted, LBFGS, 12):
        pass
    assert len(calls) == 12


def test_lbfgs_steps_equal_torchs_own_twenty() -> None:
    """One iteration a step walks the same path as torch.optim.LBFGS with max_iter=20."""
    x = START.clone().requires_grad_(True)
    first = float(curved(START)["bowl"])
    reference = torch.optim.LBFGS(
        [x], lr=1.0, max_iter=20, history_size=5, tolerance_grad=0, tolerance_change=0
    )

    def closure() -> Tensor:
        reference.zero_grad()
        loss = curved(x)["bowl"] / first
        loss.backward()
        return loss

    reference.step(closure)
    mine = run(LBFGS, 20, clamp=False).image()
    torch.testing.assert_close(mine, x.detach(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "optimiser",
    [ADAM, Optimiser("adam", average=0.8, decay=0.1), LBFGS],
    ids=["adam", "averaged", "lbfgs"],
)
def test_resume_is_bit_exact(optimiser: Optimiser) -> None:
    whole = run(optimiser, 25)
    half = Optimisation(PlainPixels(START), curved, optimiser, 25)
    steps = half.steps()
    for _ in range(11):
        next(steps)
    steps.close()
    file = io.BytesIO()
    torch.save(half.state(), file)
    file.seek(0)
    again = Optimisation(PlainPixels(torch.zeros_like(START)), curved, optimiser, 25)
    again.load(torch.load(file, weights_only=True))
    assert [s.index for s in again.steps()] == list(range(12, 26))
    assert torch.equal(again.image(), whole.image())


def test_average_is_the_corrected_exponential_mean() -> None:
    decay = 0.7
    pixels = PlainPixels(START)
    job = Optimisation(pixels, curved, Optimiser("adam", lr=0.02, average=decay), 9)
    iterates = [pixels.image.detach().double().clone() for _ in job.steps()]
    weights = [(1 - decay) * decay ** (8 - i) for i in range(9)]
    mean = sum(w * x for w, x in zip(weights, iterates, strict=True)) / sum(weights)
    torch.testing.assert_close(job.image().double(), mean, atol=1e-6, rtol=0)


def test_clamping_holds_every_step_in_range() -> None:
    def away(image: Tensor) -> dict[str, Tensor]:
        return {"push": (image + 3).square().mean()}

    clamped, free = PlainPixels(START), PlainPixels(START, clamp=False)
    for _ in optimise(clamped, away, Optimiser("adam", lr=0.5), 5):
        assert clamped.image.min() >= 0
    for _ in optimise(free, away, Optimiser("adam", lr=0.5), 5):
        pass
    assert free.image.min() < 0


def test_rate_falls_along_half_a_cosine() -> None:
    job = Optimisation(PlainPixels(START), curved, Optimiser("adam", lr=1.0, decay=0.2), 5)
    rates = [job._torch.param_groups[0]["lr"] for _ in job.steps()]
    assert rates == pytest.approx([1.0, 0.8828, 0.6, 0.3172, 0.2], abs=1e-4)


def test_inherited_moments_have_the_gradients_magnitude() -> None:
    """At twice the size a mean's gradient per pixel is a quarter; so must be the moments."""
    goal = torch.full((1, 3, 8, 8), 0.9)

    def mean_distance(image: Tensor) -> dict[str, Tensor]:
        return {"d": (image - goal[..., :1, :1]).square().mean()}

    coarse = Optimisation(PlainPixels(torch.zeros(1, 3, 8, 8)), mean_distance, ADAM, 3)
    for _ in coarse.steps():
        pass
    fine = Optimisation(coarse.pixels.resized(16, 16), mean_distance, ADAM, 3)
    fine.inherit(coarse, lambda t: resize(t, (16, 16)))
    state = fine._torch.state[fine.pixels.parameters()[0]]
    old = coarse._torch.state[coarse.pixels.parameters()[0]]
    torch.testing.assert_close(state["exp_avg"].mean(), old["exp_avg"].mean() / 4)
    torch.testing.assert_close(state["exp_avg_sq"].mean(), old["exp_avg_sq"].mean() / 16)
    assert float(state["step"]) == 3


def test_input_is_not_touched() -> None:
    start = START.clone()
    for _ in optimise(PlainPixels(start), curved, ADAM, 3):
        pass
    assert torch.equal(start, START)


def test_step_pictures_are_snapshots() -> None:
    pixels = PlainPixels(START)
    first = None
    for step in optimise(pixels, curved, ADAM, 3):
        first = step.image() if first is None else first
    assert first is not None
    assert not torch.equal(first, pixels.image)


class Faulty:
    """The bowl, but wrong from a given evaluation on, or once."""

    def __init__(self, value: float, first: int, last: int) -> None:
        self.value, self.first, self.last, self.calls = value, first, last, 0

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        terms = curved(image)
        broken = self.first <= self.calls <= self.last
        return {k: v * self.value for k, v in terms.items()} if broken else terms


@pytest.mark.parametrize("optimiser", [ADAM, LBFGS], ids=["adam", "lbfgs"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_one_bad_step_is_taken_back(optimiser: Optimiser, value: float) -> None:
    job = Optimisation(PlainPixels(START), Faulty(value, 6, 6), optimiser, 150)
    losses = [float(step.loss) for step in job.steps()]
    assert len(losses) == 150
    assert all(math.isfinite(v) for v in losses)
    torch.testing.assert_close(job.image(), GOAL, atol=0.03, rtol=0)


def test_an_explosion_of_lbfgs_is_taken_back() -> None:
    job = Optimisation(PlainPixels(START), Faulty(1e6, 6, 6), LBFGS, 60)
    losses = [float(step.loss) for step in job.steps()]
    assert max(losses) == losses[0]


@pytest.mark.parametrize("optimiser", [ADAM, LBFGS], ids=["adam", "lbfgs"])
def test_what_was_taken_back_is_told(optimiser: Optimiser) -> None:
    job = Optimisation(PlainPixels(START), Faulty(1e6, 6, 6), optimiser, 12)
    notes = {step.index: step.note for step in job.steps() if step.note}
    assert list(notes) == [6]
    assert notes[6].startswith("step 6 was taken back: the objective became ")
    assert notes[6].endswith("the step size is halved (1 of 3 times)")


def test_gradient_descent_with_far_too_large_steps_ends() -> None:
    pixels = PlainPixels(START, clamp=False)
    job = Optimisation(pixels, curved, Optimiser("sgd", lr=1e6), 60)
    with pytest.raises(Diverged, match="learning-rate"):
        list(job.steps())
    assert torch.isfinite(job.image()).all()


def test_a_climb_from_a_perfect_start_is_no_divergence() -> None:
    """A first value of mere rounding is no measure of what is too high."""
    start = GOAL + 1e-6
    job = Optimisation(PlainPixels(start), curved, Optimiser("adam", lr=0.1), 5)
    assert not any(step.note for step in job.steps())


@pytest.mark.parametrize("optimiser", [ADAM, LBFGS], ids=["adam", "lbfgs"])
def test_lasting_faults_end_the_run_with_the_last_good_picture(optimiser: Optimiser) -> None:
    job = Optimisation(PlainPixels(START), Faulty(math.nan, 8, 10**6), optimiser, 60)
    taken = []
    with pytest.raises(Diverged, match="became nan"):
        taken.extend(step.index for step in job.steps())
    assert taken == list(range(1, 11))  # 7 good ones, then 3 tries
    assert torch.isfinite(job.image()).all()
    assert float(curved(job.image())["bowl"]) < float(curved(START)["bowl"])


def test_a_start_that_is_not_finite_is_refused() -> None:
    job = Optimisation(PlainPixels(START), Faulty(math.nan, 1, 10**6), ADAM, 5)
    with pytest.raises(Diverged):
        next(job.steps())
    assert torch.equal(job.image(), START)
