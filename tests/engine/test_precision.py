"""Networks in fewer bits: near float32, losses and the picture in float32, refused where absent."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from impasto import images, samples
from impasto.backbones import ARCHITECTURES, PREPROCESSING, Backbone, load
from impasto.backbones.lowering import TOP, gain_for
from impasto.engine import devices
from impasto.engine.devices import check_precision, placed
from impasto.engine.memory import activation_bytes, estimate
from impasto.engine.objective import IMAGE, Goal, Objective, Term, goal_for
from impasto.engine.optimise import Optimiser
from impasto.engine.tiled import TiledObjective, Tiles
from impasto.errors import UsageError
from impasto.images.resize import resize
from impasto.losses import Content, Gram, TotalVariation
from impasto.testing import thin_vgg

CPU = torch.device("cpu")
NET = thin_vgg(width=8, pooling="avg")


def picture(height: int, width: int, seed: int = 0) -> Tensor:
    """Clouds of noise, coarse to fine."""
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.rand(1, 3, n, n, generator=generator) for n in (3, 9, 27)]
    return torch.stack([resize(p, (height, width)) for p in parts]).mean(0).clamp(0, 1)


def goals(net: Backbone) -> list[Goal]:
    photo, painting = picture(48, 64, 1), picture(50, 40, 2)
    return [
        goal_for(Term("content", Content("relative"), ("relu4_2",)), net, [photo], [1.0]),
        goal_for(
            Term("style", Gram("hw", "relative"), ("relu1_1", "relu3_1", "relu5_1"), 3.0),
            net, [painting], [1.0],
        ),
        goal_for(Term("tv", TotalVariation(), (IMAGE,), 0.1), net, [photo], [1.0]),
    ]  # fmt: skip


def evaluated(objective: Objective, image: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    x = image.clone().requires_grad_(True)
    values = objective(x)
    (slope,) = torch.autograd.grad(torch.stack(list(values.values())).sum(), x)
    return values, slope


def lowered(net: Backbone, dtype: torch.dtype) -> Backbone:
    return copy.deepcopy(net).to(dtype)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_values_and_gradient_are_near_those_in_float32(dtype: torch.dtype) -> None:
    image = picture(48, 64, 3)
    exact, slope = evaluated(Objective(NET, goals(NET)), image)
    low = lowered(NET, dtype)
    found, near = evaluated(Objective(low, goals(low)), image)
    for name, value in exact.items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], value, rtol=1e-2, atol=0)
    assert near.dtype == torch.float32
    assert float((near - slope).norm() / slope.norm()) < 0.15
    assert not torch.equal(near, slope)
    assert {p.dtype for p in NET.parameters()} == {torch.float32}


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e8])
def test_gradients_of_any_size_pass_through_float16(scale: float) -> None:
    """Most would be 0 or infinite in float16 as they are."""
    image, low = picture(48, 64, 3), lowered(NET, torch.float16)
    _, slope = evaluated(Objective(low, goals(low)), image)
    x = image.clone().requires_grad_(True)
    total = torch.stack(list(Objective(low, goals(low))(x).values())).sum()
    (found,) = torch.autograd.grad(total * scale, x)
    torch.testing.assert_close(
        found / scale, slope, rtol=1e-2, atol=1e-3 * float(slope.abs().max())
    )


def test_sums_over_positions_do_not_overflow_in_float16() -> None:
    """A Gram matrix of features of 30 on 4096 positions is 3.7e6; float16 ends at 65504."""
    low = lowered(NET, torch.float16)
    for parameter in low.parameters():
        parameter.mul_(3.0)
    features = low.taps(picture(64, 64, 4), ["relu2_1"])["relu2_1"]
    assert features.dtype == torch.float32
    assert float(features.square().sum()) > 65504
    loss = Gram("none", "sum")
    assert torch.isfinite(loss(features, loss.target(features * 0.5)))


def test_the_gain() -> None:
    slopes = [torch.tensor([1e-7, -3e-6]), torch.tensor([0.0])]
    gain = float(gain_for(slopes))
    assert TOP / 2 < 3e-6 * gain <= TOP and torch.log2(torch.tensor(gain)) % 1 == 0
    assert float(gain_for([torch.zeros(3)])) == 1
    assert float(gain_for([torch.tensor([torch.inf])])) == 1


@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("arch", ["alexnet", "resnet18", "googlenet", "efficientnet_lite0"])
def test_every_network_has_its_layers(arch: str, padding: str) -> None:
    architecture = ARCHITECTURES.get(arch)
    net = architecture.build(
        arch, architecture.random(0, thin=8), pooling="max", padding=padding,
        preprocessing=PREPROCESSING.get("imagenet"),
    )  # fmt: skip
    layers, image = [n for n in net.table if n != "prob"], picture(64, 66, 1)
    exact, found = net.taps(image, layers), lowered(net, torch.bfloat16).taps(image, layers)
    for name in layers:
        assert found[name].dtype == torch.float32 and found[name].shape == exact[name].shape
        size = exact[name].norm().clamp_min(1e-6)
        assert float((found[name] - exact[name]).norm() / size) < 0.1, name


def test_in_tiles() -> None:
    """Borders of sections are in float32, so tiles of the same network differ by rounding alone."""
    low, image = lowered(NET, torch.bfloat16), picture(48, 64, 3)
    exact, slope = evaluated(Objective(NET, goals(NET)), image)
    found, near = evaluated(TiledObjective(low, goals(low), Tiles(24)), image)
    for name, value in exact.items():
        torch.testing.assert_close(found[name], value, rtol=1e-2, atol=0)
    assert float((near - slope).norm() / slope.norm()) < 0.15


def test_half_the_activations_are_half_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """But what losses look at is there in float32 as well. Our kernels keep bits in their place."""
    monkeypatch.setenv("IMPASTO_NATIVE", "off")
    low, adam = lowered(NET, torch.bfloat16), Optimiser("adam")
    ratio = activation_bytes(low, ["relu4_1"]) / activation_bytes(NET, ["relu4_1"])
    assert 0.5 < ratio < 0.65
    deep, shallow = (
        estimate(low, names, adam, 10**6) / estimate(NET, names, adam, 10**6)
        for names in (["relu4_1"], ["relu1_1", "relu2_1", "relu4_1"])
    )
    assert deep < shallow < 1


def test_what_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_precision("float32", CPU) == torch.float32
    assert check_precision("bfloat16", CPU) == torch.bfloat16
    with pytest.raises(UsageError, match=r"float16 is not for CPUs \(use bfloat16 or float32\)"):
        check_precision("float16", CPU)
    with pytest.raises(UsageError, match="not known"):
        check_precision("float8", CPU)
    monkeypatch.setattr(devices, "_convolves", lambda device, dtype: False)
    with pytest.raises(UsageError, match="meta does not compute in float16"):
        check_precision("float16", torch.device("meta"))


def test_a_device_is_tried() -> None:
    assert devices._convolves(CPU, torch.bfloat16)
    assert not devices._convolves(CPU, torch.int32)


def test_the_network_that_was_given_stays_as_it_is() -> None:
    low = placed(NET, CPU, "bfloat16")
    assert low is not NET and {p.dtype for p in low.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in NET.parameters()} == {torch.float32}
    assert placed(NET, CPU, "float32") is NET


def test_the_default_backbone_on_a_picture() -> None:
    """Values of the default layers, relative to their size, on a scene."""
    net = load(pooling="avg")
    photo = resize(images.to_tensor(images.load(samples.photo("harbour", (72, 96)))), (72, 96))
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"]
    exact, found = net.taps(photo, layers), placed(net, CPU, "bfloat16").taps(photo, layers)
    for name in layers:
        a, b = exact[name], found[name]
        assert float((a - b).norm() / a.norm()) < 2e-2, name
        gram, other = (t.flatten(2) @ t.flatten(2).mT for t in (a, b))
        assert float((gram - other).norm() / gram.norm()) < 1e-2, name
