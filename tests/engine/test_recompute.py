"""Activation checkpointing: the same values and gradients, fewer activations at a time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from impasto.backbones import ARCHITECTURES, PREPROCESSING, Backbone
from impasto.engine import memory
from impasto.engine.objective import IMAGE, Goal, Objective, Term, goal_for
from impasto.engine.optimise import Optimiser
from impasto.engine.recompute import RecomputedObjective, Stretch, stretches
from impasto.errors import InputError
from impasto.losses import LOSSES, Content, Gram, TotalVariation
from impasto.testing import thin_vgg

NET = thin_vgg(width=2, pooling="avg", dtype=torch.float64)


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def evaluated(objective: Objective, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    x = image.clone().requires_grad_(True)
    values = objective(x)
    (slope,) = torch.autograd.grad(torch.stack(list(values.values())).sum(), x)
    return values, slope


def assert_same(
    goals: list[Goal], net: Backbone, image: Tensor, tolerance: float, **options: bool
) -> None:
    whole, slope = evaluated(Objective(net, goals, **options), image)
    found, same = evaluated(RecomputedObjective(net, goals, **options), image)
    assert whole.keys() == found.keys()
    for name, value in whole.items():
        torch.testing.assert_close(found[name], value, rtol=tolerance, atol=0)
    assert float((same - slope).norm() / slope.norm()) < tolerance


def default_goals(net: Backbone, photo: Tensor, painting: Tensor) -> list[Goal]:
    style = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    return [
        goal_for(Term("content", Content("relative"), ("relu4_2",)), net, [photo], [1.0]),
        goal_for(Term("style", Gram("hw", "relative"), style, 3.0), net, [painting], [1.0]),
        goal_for(Term("tv", TotalVariation(), (IMAGE,), 0.1), net, [photo], [1.0]),
    ]


@pytest.mark.parametrize(
    ("pooling", "padding", "normalize"),
    [("avg", "zeros", False), ("max", "circular", False), ("avg", "zeros", True)],
)
def test_in_float64(pooling: str, padding: str, normalize: bool) -> None:
    net = thin_vgg(width=2, pooling=pooling, padding=padding, dtype=torch.float64)
    goals = default_goals(net, picture(33, 48, 1), picture(40, 32, 2))
    assert_same(goals, net, picture(33, 48, 3), 1e-10, normalize_gradients=normalize)


def test_in_float32() -> None:
    net = thin_vgg(width=8, pooling="avg")
    photo, painting, image = (picture(64, 48, i).float() for i in (1, 2, 3))
    assert_same(default_goals(net, photo, painting), net, image, 1e-5)


@pytest.mark.parametrize("name", ["gram", "histogram", "mrf", "remd", "laplacian"])
def test_every_kind_of_loss(name: str) -> None:
    layers = (IMAGE,) if name == "laplacian" else ("relu1_2", "relu3_1")
    goal = goal_for(Term("t", LOSSES.get(name)(), layers), NET, [picture(36, 40, 2)], [1.0])
    style = goal_for(Term("s", Gram(), ("conv2_2", "pool3")), NET, [picture(30, 34, 2)], [1.0])
    assert_same([goal, style], NET, picture(36, 40, 3), 1e-10)


@pytest.mark.parametrize("arch", ["alexnet", "resnet18", "googlenet", "efficientnet_lite0"])
def test_every_network(arch: str) -> None:
    architecture = ARCHITECTURES.get(arch)
    net = architecture.build(
        arch, architecture.random(0, thin=8, head=False), pooling="max", padding="zeros",
        preprocessing=PREPROCESSING.get("imagenet"),
    ).double()  # fmt: skip
    layers = tuple(dict.fromkeys(net.nearest(n) for n in ("relu1_1", "relu2_1", "relu4_1")))
    assert (len(net.borders) >= 3 and set(net.cuts) <= set(net.borders)) or arch.startswith("eff")
    goals = [goal_for(Term("s", Gram(), layers), net, [picture(64, 70, 2)], [1.0])]
    assert_same(goals, net, picture(66, 64, 3), 1e-10)


def test_names_as_they_were_given_and_pictures_too_small() -> None:
    style = Term("s", Gram(), ("block1_conv1", "relu1_1", "pool1", "pool4", "conv3_2", "relu5_1"))
    goal = goal_for(style, NET, [picture(40, 33)], [1.0])
    assert_same([goal], NET, picture(33, 40, 3), 1e-10)
    with pytest.raises(InputError, match="too small for"):
        RecomputedObjective(NET, [goal])(picture(8, 8))
    tv = goal_for(Term("tv", TotalVariation(), (IMAGE,)), NET, [picture(40, 33)], [1.0])
    assert_same([tv], NET, picture(33, 40, 3), 1e-10)


def test_masks() -> None:
    maps = {"relu1_1": picture(40, 33, 5)[:, :1], "relu3_1": picture(10, 8, 6)[:, :1]}
    style = Term("s", Gram("hw", "relative"), ("relu1_1", "relu3_1"))
    goal = goal_for(style, NET, [picture(30, 36, 2)], [1.0], maps)
    assert_same([goal], NET, picture(40, 33, 3), 1e-10)


def test_stretches_end_where_the_network_becomes_coarser() -> None:
    assert stretches(NET, ["relu1_1", "relu3_2", "relu1_1"]) == (
        Stretch(("relu1_1",), None, "pool1"),
        Stretch((), "pool1", "pool2"),
        Stretch(("relu3_2",), "pool2", None),
    )
    assert stretches(NET, ["pool1"]) == (Stretch(("pool1",)),)


def kept(kind: type[Objective], goals: list[Goal]) -> int:
    """Bytes that autograd holds between the way there and the way back."""
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor.detach()

    weights = {p.untyped_storage().data_ptr() for p in NET.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        values = kind(NET, goals)(picture(64, 64).requires_grad_())
    assert values
    return sum(size for at, size in held.items() if at not in weights)


def test_few_activations_are_kept() -> None:
    every = default_goals(NET, picture(64, 64, 1), picture(64, 64, 2))
    goals = [g for g in every if IMAGE not in g.term.layers]  # the network here is thin
    assert kept(RecomputedObjective, goals) < 0.4 * kept(Objective, goals)


class Convolutions(TorchDispatchMode):
    """Counts them, on the way there."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.count += func is torch.ops.aten.convolution.default
        return func(*args, **(kwargs or {}))


def test_what_runs_twice() -> None:
    """Without a gradient nothing; with one, all but the last stretch."""
    goal = goal_for(Term("s", Gram(), ("relu3_1",)), NET, [picture(24, 24)], [1.0])
    objective = RecomputedObjective(NET, [goal])
    image = picture(24, 24, 1)
    with torch.no_grad(), Convolutions() as seen:
        objective(image)
    assert seen.count == 5
    with Convolutions() as seen:
        (value,) = objective(image.requires_grad_()).values()
        assert seen.count == 5
        value.backward()
    assert seen.count == 5 + 4


def test_the_estimate_lies_between() -> None:
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"]
    adam = Optimiser("adam")
    whole = memory.estimate(NET, layers, adam, 10**6)
    sums = memory.estimate_recomputed(NET, layers, adam, 10**6)
    some = memory.estimate_recomputed(NET, layers, adam, 10**6, whole=["relu2_1"])
    assert memory.BASE < sums < some < whole
