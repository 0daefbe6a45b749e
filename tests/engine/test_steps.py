"""Objectives that change from step to step: joint losses, fresh draws, critics, resuming."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from torch import Tensor

from impasto.engine.objective import IMAGE, JOINT, Objective, Term, goal_for
from impasto.engine.optimise import Optimisation, Optimiser, Stepwise
from impasto.engine.pixels import PlainPixels
from impasto.errors import UsageError
from impasto.losses import MRF, Gram, MarkovianAdversarial, RelaxedEMD, SlicedWasserstein
from impasto.testing import gradient_picture, thin_vgg

NET = thin_vgg(dtype=torch.float64)
PHOTO = gradient_picture(32, 40, torch.float64)
ART = torch.rand(1, 3, 36, 32, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
SLICED = Term("style", SlicedWasserstein(projections=4, samples=40), ("relu1_1", "relu2_1"))
REMD = Term("style", RelaxedEMD(samples=50, moments=1.0), (IMAGE, "relu1_2", "relu3_1"))
CRITIC = Term("style", MarkovianAdversarial(hidden=4, patches=30), ("relu2_1",))


def objective(*terms: Term) -> Objective:
    return Objective(NET, [goal_for(t, NET, [ART], [1.0]) for t in terms])


def total(values: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(values.values())).sum()


def test_joint_losses_get_all_layers() -> None:
    goal = goal_for(REMD, NET, [ART], [1.0])
    assert list(goal.targets) == [JOINT]
    taps = NET.taps(PHOTO, ("relu1_2", "relu3_1"))
    art = NET.taps(ART, ("relu1_2", "relu3_1"))
    loss = REMD.loss
    assert isinstance(loss, RelaxedEMD)
    expected = loss(
        (PHOTO, taps["relu1_2"], taps["relu3_1"]),
        loss.target((ART, art["relu1_2"], art["relu3_1"])),
    )
    torch.testing.assert_close(Objective(NET, [goal])(PHOTO)["style"], expected)


def test_joint_losses_take_the_map_of_the_finest_layer() -> None:
    weight = torch.zeros(1, 1, 32, 40, dtype=torch.float64)
    weight[..., :8, :8] = 1
    term = Term("style", RelaxedEMD(), (IMAGE,))
    goal = goal_for(term, NET, [ART], [1.0], {IMAGE: weight})
    whole = goal_for(term, NET, [ART], [1.0])
    other = PHOTO.clone()
    other[..., 8:, 8:] = 0.5
    inside, everywhere = Objective(NET, [goal]), Objective(NET, [whole])
    assert torch.equal(inside(PHOTO)["style"], inside(other)["style"])
    assert not torch.equal(everywhere(PHOTO)["style"], everywhere(other)["style"])


def test_joint_losses_have_no_layer_weights() -> None:
    with pytest.raises(UsageError, match="term style: RelaxedEMD sees its layers together"):
        Term("style", RelaxedEMD(), ("relu1_1", "relu2_1"), 1.0, (1.0, 1.0))


def test_views_join_the_target_and_share_its_weight() -> None:
    still = goal_for(Term("style", MRF(), ("relu2_1",)), NET, [ART], [1.0])
    turned = goal_for(Term("style", MRF(rotations=(90, 180)), ("relu2_1",)), NET, [ART], [1.0])
    count, more = (len(g.targets["relu2_1"][1]) for g in (still, turned))
    assert more == 3 * count
    tiny = goal_for(Term("style", MRF(scales=(0.05,)), ("relu4_1",)), NET, [ART], [1.0])
    alone = goal_for(Term("style", MRF(), ("relu4_1",)), NET, [ART], [1.0])
    assert len(tiny.targets["relu4_1"][1]) == len(alone.targets["relu4_1"][1])


def test_an_objective_stands_still_until_a_step_begins() -> None:
    moving = objective(SLICED)
    first = total(moving(PHOTO))
    assert torch.equal(total(moving(PHOTO)), first)
    moving.begin(0)
    assert torch.equal(total(moving(PHOTO)), first)
    moving.begin(1)
    second = total(moving(PHOTO))
    assert not torch.equal(second, first)
    moving.begin(0)
    assert torch.equal(total(moving(PHOTO)), first)


def test_a_critic_learns_once_a_step() -> None:
    learning = objective(CRITIC)
    assert learning.learns
    assert not objective(SLICED).learns
    counts = []
    for step in range(3):
        learning.begin(step)
        for _ in range(2):
            learning(PHOTO)
        counts.append(float(learning.goals[0].targets["relu2_1"][2][3, 0]))
    assert counts == [1, 2, 3]


class Spy:
    """An objective that notes which steps it is told of."""

    learns = False

    def __init__(self) -> None:
        self.begun: list[int] = []

    def begin(self, step: int) -> None:
        self.begun.append(step)

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: dict[str, Any]) -> None:
        self.begun = []

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        return {"all": (image - 0.3).square().sum()}


@pytest.mark.parametrize(("name", "begun"), [("adam", [0, 1, 2]), ("lbfgs", [])])
def test_only_adam_is_told_of_steps(name: Any, begun: list[int]) -> None:
    spy = Spy()
    assert isinstance(spy, Stepwise)
    list(Optimisation(PlainPixels(PHOTO), spy, Optimiser(name), 3).steps())
    assert spy.begun == begun


def test_lbfgs_refuses_what_learns() -> None:
    with pytest.raises(UsageError, match="lbfgs cannot lower an objective that learns"):
        Optimisation(PlainPixels(PHOTO), objective(CRITIC), Optimiser("lbfgs", 1.0), 3)
    Optimisation(PlainPixels(PHOTO), objective(SLICED), Optimiser("lbfgs", 1.0), 3)


@pytest.mark.parametrize("name", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    "terms",
    [(SLICED,), (REMD,), (CRITIC,), (CRITIC, SLICED)],
    ids=["sliced", "remd", "critic", "both"],
)
def test_a_resumed_run_is_bit_for_bit_the_same(terms: tuple[Term, ...], name: Any) -> None:
    if name == "lbfgs" and CRITIC in terms:
        pytest.skip("refused")
    settings = Optimiser(name, 0.02 if name == "adam" else 1.0, average=0.5)

    def fresh() -> Optimisation:
        return Optimisation(PlainPixels(PHOTO), objective(*terms), settings, 6)

    whole = fresh()
    values = [step.loss for step in whole.steps()]
    first = fresh()
    steps = first.steps()
    for _ in range(3):
        next(steps)
    saved = io.BytesIO()
    torch.save(first.state(), saved)
    saved.seek(0)
    second = fresh()
    second.load(torch.load(saved, weights_only=True))
    rest = [step.loss for step in second.steps()]
    assert all(torch.equal(a, b) for a, b in zip(values[3:], rest, strict=True))
    assert torch.equal(whole.image(), second.image())


def test_gram_goals_are_as_they_were() -> None:
    plain = objective(Term("style", Gram(), ("relu1_1",)))
    first = total(plain(PHOTO))
    plain.begin(5)
    assert torch.equal(total(plain(PHOTO)), first)
    assert plain.state() == {"critics": [{}]}
