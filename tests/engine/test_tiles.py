"""Tiled values and gradients are those of one pass, for every sum, size, layer, tile and mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.backbones import ARCHITECTURES, PREPROCESSING
from impasto.engine.objective import IMAGE, Goal, Objective, Term, goal_for
from impasto.engine.tiles import TiledObjective, TiledTaps, Tiling
from impasto.errors import UsageError
from impasto.losses import LOSSES, Content, Gram, SumLoss, TotalVariation
from impasto.testing import thin_vgg

NETS = {p: thin_vgg(width=2, pooling=p, dtype=torch.float64) for p in ("avg", "max")}
SUMS = [name for name, loss in LOSSES if issubclass(loss, SumLoss) and not loss.targetless]


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def slope_of(objective: Objective, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    x = image.clone().requires_grad_(True)
    values = objective(x)
    (slope,) = torch.autograd.grad(torch.stack(list(values.values())).sum(), x)
    return {k: v.detach() for k, v in values.items()}, slope


def assert_same(goals: list[Goal], net: object, image: Tensor, size: int) -> None:
    whole, slope = slope_of(Objective(net, goals), image)
    tiled, found = slope_of(TiledObjective(net, goals, size), image)
    assert whole.keys() == tiled.keys()
    for name, value in whole.items():
        torch.testing.assert_close(tiled[name], value, rtol=1e-10, atol=1e-12)
    scale = float(slope.abs().max())
    torch.testing.assert_close(found / scale, slope / scale, rtol=0, atol=1e-10)


@settings(max_examples=12, deadline=None)
@given(
    height=st.integers(40, 150),
    width=st.integers(40, 150),
    size=st.integers(1, 90),
    deepest=st.sampled_from(["relu1_1", "conv2_2", "relu3_1", "pool3", "relu4_1"]),
    pooling=st.sampled_from(["avg", "max"]),
    masked=st.booleans(),
)
def test_any_size_layer_tile_and_mask(
    height: int, width: int, size: int, deepest: str, pooling: str, masked: bool
) -> None:
    net, photo = NETS[pooling], picture(height, width, 1)
    layers = ("relu1_2", deepest)
    maps = {}
    if masked:
        taps = net.taps(photo, layers)
        maps = {n: picture(*t.shape[-2:], seed=5)[:, :1] for n, t in taps.items()}
    goals = [
        goal_for(Term("content", Content("relative"), (deepest,), 2.0), net, [photo], [1.0]),
        goal_for(Term("style", Gram("hw", "relative"), layers, 3.0), net, [picture(60, 70, 2)],
                 [1.0], maps),
        goal_for(Term("tv", TotalVariation(), (IMAGE,), 1.5), net, [photo], [1.0]),
    ]  # fmt: skip
    assert_same(goals, net, picture(height, width, 3), size)


@pytest.mark.parametrize("name", SUMS)
def test_every_sum_over_positions(name: str) -> None:
    net, loss = NETS["avg"], LOSSES.get(name)()
    if loss.halo:
        pytest.skip("looks at the picture, which is whole")
    shape = (97, 110) if loss.aligned else (80, 64)
    goal = goal_for(Term("t", loss, ("relu2_1", "relu3_1")), net, [picture(*shape, 2)], [1.0])
    assert_same([goal], net, picture(97, 110, 3), 24)


@pytest.mark.parametrize("arch", ["alexnet", "resnet18", "resnet50", "squeezenet1_1", "googlenet"])
def test_features_of_other_networks(arch: str) -> None:
    architecture = ARCHITECTURES.get(arch)
    net = architecture.build(
        arch,
        architecture.random(0, thin=8, head=False),
        preprocessing=PREPROCESSING.get("imagenet"),
        pooling="max",
        padding="zeros",
    ).double()
    layers = [n for n, t in net.table.items() if t.reach is not None and t.stride <= 16]
    image = picture(190, 230, 1)
    whole = net.taps(image, layers)
    tiled = TiledTaps(net, 48).taps(image, layers)
    for layer in layers:
        torch.testing.assert_close(tiled[layer], whole[layer], rtol=1e-9, atol=1e-9, msg=layer)


def test_halo_is_what_the_deepest_layer_sees() -> None:
    net = NETS["avg"]
    assert Tiling(net, 32, ("relu1_1",)).halo == 1
    # 3x3 at strides 1 1 2 2 4 4 4 8: sum of the strides is 30, less the block of its own.
    assert net.table["relu4_1"].reach == (26, 26)
    assert Tiling(net, 32, ("relu4_1",)).halo == 32


def test_a_thinner_halo_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above would notice: with half the halo the features differ."""
    net, image = NETS["avg"], picture(120, 120)
    whole = net.taps(image, ["relu4_1"])["relu4_1"]
    monkeypatch.setattr(Tiling, "halo", property(lambda self: 8))
    tiled = TiledTaps(net, 40).taps(image, ["relu4_1"])["relu4_1"]
    assert (whole - tiled).abs().max() > 1e-6


def test_what_cannot_be_tiled_says_so() -> None:
    net = NETS["avg"]
    histogram = goal_for(Term("h", LOSSES.get("histogram")(), ("relu1_1",)), net,
                         [picture(40, 40)], [1.0])  # fmt: skip
    with pytest.raises(UsageError, match="no sum over positions"):
        TiledObjective(net, [histogram], 32)
    ring = thin_vgg(padding="circular")
    with pytest.raises(UsageError, match="cannot be seen in tiles"):
        Tiling(ring, 32, ("relu1_1",))
