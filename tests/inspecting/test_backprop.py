"""Gradient, deconvnet, guided backpropagation and Grad-CAM, against NumPy and differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from impasto.backbones import ARCHITECTURES, PREPROCESSING, Backbone
from impasto.errors import UsageError
from impasto.inspecting.backprop import (
    RULES,
    Rule,
    Unit,
    cam_layer,
    grad_cam,
    logits_layer,
    project,
    sees_the_picture,
)
from impasto.testing import thin_vgg

FAMILIES = ["vgg16_bn", "alexnet", "squeezenet1_1", "resnet18", "googlenet", "efficientnet_lite0"]


def net(arch: str, thin: int = 8, dtype: torch.dtype = torch.float64) -> Backbone:
    found = ARCHITECTURES.get(arch)
    weights = {n: (w.to(dtype), b.to(dtype)) for n, (w, b) in found.random(0, thin=thin).items()}
    return found.build(
        f"{arch}.random", weights, preprocessing=PREPROCESSING.get("imagenet"), pooling="max",
        padding="zeros",
    )  # fmt: skip


def noise(height: int, width: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


# An independent network: NumPy, loops over windows, one picture.


def conv(x, weight, bias):
    """3 x 3, stride 1, zeros around; (I, H, W) to (O, H, W)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    out = np.broadcast_to(bias[:, None, None], (len(bias), *x.shape[1:])).copy()
    for i in range(3):
        for j in range(3):
            part = padded[:, i : i + x.shape[1], j : j + x.shape[2]]
            out += np.einsum("oi,ihw->ohw", weight[:, :, i, j], part)
    return out


def conv_back(signal, weight):
    """What a convolution's inputs get of ``signal``: a transposed convolution."""
    height, width = signal.shape[1:]
    padded = np.zeros((weight.shape[1], height + 2, width + 2))
    for i in range(3):
        for j in range(3):
            part = np.einsum("oi,ohw->ihw", weight[:, :, i, j], signal)
            padded[:, i : i + height, j : j + width] += part
    return padded[:, 1:-1, 1:-1]


def pool(x):
    """Maxima of 2 x 2 and the switches that say where they were."""
    channels, height, width = x.shape
    cells = x.reshape(channels, height // 2, 2, width // 2, 2).transpose(0, 1, 3, 2, 4)
    cells = cells.reshape(channels, height // 2, width // 2, 4)
    return cells.max(axis=3), cells.argmax(axis=3)


def unpool(signal, switches):
    channels, height, width = signal.shape
    cells = np.zeros((channels, height, width, 4))
    np.put_along_axis(cells, switches[..., None], signal[..., None], axis=3)
    cells = cells.reshape(channels, height, width, 2, 2).transpose(0, 1, 3, 2, 4)
    return cells.reshape(channels, 2 * height, 2 * width)


def rectify_back(signal, below, rule):
    if rule == "gradient":
        return signal * (below > 0)
    if rule == "deconv":
        return np.maximum(signal, 0)
    return np.maximum(signal, 0) * (below > 0)


def by_hand(backbone, image, channel, rule):
    """Unit ``channel`` of relu2_1 at its strongest place, taken back to the pixels."""
    names = ("conv1_1", "conv1_2", "conv2_1")
    convs = [m for m in backbone.modules() if type(m).__name__ == "Conv"]
    w = {n: (c.weight.numpy(), c.bias.numpy()) for n, c in zip(names, convs[:3], strict=True)}
    mean, std = (np.array(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    c1 = conv((image[0].numpy() - mean) / std, *w["conv1_1"])
    c2 = conv(np.maximum(c1, 0), *w["conv1_2"])
    p1, switches = pool(np.maximum(c2, 0))
    c3 = conv(p1, *w["conv2_1"])
    plane = np.maximum(c3, 0)[channel]
    place = np.unravel_index(plane.argmax(), plane.shape)
    signal = np.zeros_like(c3)
    signal[(channel, *place)] = 1
    signal = conv_back(rectify_back(signal, c3, rule), w["conv2_1"][0])
    signal = rectify_back(unpool(signal, switches), c2, rule)
    signal = rectify_back(conv_back(signal, w["conv1_2"][0]), c1, rule)
    return conv_back(signal, w["conv1_1"][0]) / std, float(plane.max()), tuple(map(int, place))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("channel", [0, 5])
def test_every_rule_is_that_of_its_paper(rule, channel):
    backbone, image = thin_vgg(dtype=torch.float64), noise(12, 16)
    expected, activation, place = by_hand(backbone, image, channel, rule)
    found = project(backbone, image, Unit("relu2_1", channel), rule)
    np.testing.assert_allclose(found.signal.numpy(), expected, rtol=1e-9, atol=1e-12)
    assert found.activation == pytest.approx(activation)
    assert found.place == place
    assert np.abs(expected).max() > 0


def test_the_rules_differ():
    backbone, image = thin_vgg(dtype=torch.float64), noise(16, 16)
    signals = [project(backbone, image, Unit("relu3_1", 2), r).signal for r in RULES]
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert not torch.allclose(signals[a], signals[b])


@pytest.mark.parametrize("arch", FAMILIES)
def test_the_gradient_is_the_slope_of_differences(arch):
    """Through every kind of block, those with ReLU6 too."""
    backbone, image = net(arch), noise(64, 64)
    unit = Unit(logits_layer(backbone), 3)
    signal = project(backbone, image, unit).signal
    towards = signal / signal.norm()
    step = 1e-6

    def value(x):
        return float(backbone.taps(x, [unit.layer])[unit.layer][0, 3, 0, 0])

    slope = (value(image + step * towards) - value(image - step * towards)) / (2 * step)
    assert slope == pytest.approx(float(signal.norm()), rel=1e-4)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [("gradient", [0, 2, 0, 0, -2, 0]), ("deconv", [2, 2, 2, 0, 0, 0]),
     ("guided", [0, 2, 0, 0, 0, 0])],
)  # fmt: skip
def test_relu6_is_off_at_both_ends(rule, expected):
    x = torch.tensor([-1.0, 3.0, 7.0, -1.0, 3.0, 7.0], requires_grad=True)
    with Rule(rule):
        y = F.relu6(x, inplace=True)
    assert y.tolist() == [0, 3, 6, 0, 3, 6]
    y.backward(torch.tensor([2.0, 2.0, 2.0, -2.0, -2.0, -2.0]))
    assert x.grad is not None and x.grad.tolist() == expected
    assert x.tolist()[0] == -1, "the input was overwritten"


def test_rectifiers_in_every_spelling():
    for spelling in (torch.relu, F.relu, torch.Tensor.relu, torch.nn.ReLU(inplace=True)):
        x = torch.tensor([-1.0, 2.0], requires_grad=True)
        with Rule("deconv"):
            y = spelling(x)
        y.backward(torch.ones(2))
        assert x.grad is not None and x.grad.tolist() == [1, 1]


def test_nothing_is_left_behind():
    backbone, image = net("resnet18"), noise(64, 64)
    before = backbone.taps(image, ["layer2_0"])["layer2_0"]
    weights = {n: p.clone() for n, p in backbone.named_parameters()}
    project(backbone, image, Unit("layer3_0", 1), "deconv")
    grad_cam(backbone, image, Unit("fc", 1), "layer4_1")
    with pytest.raises(UsageError, match="no unit 99999"):
        project(backbone, image, Unit("layer3_0", 99999), "guided")
    with pytest.raises(RuntimeError), Rule("guided"):
        raise RuntimeError
    for module in backbone.modules():
        assert not module._forward_hooks and not module._forward_pre_hooks
        assert not module._backward_hooks
    for name, weight in backbone.named_parameters():
        assert weight.grad is None and not weight.requires_grad
        assert torch.equal(weight, weights[name])
    assert torch.equal(backbone.taps(image, ["layer2_0"])["layer2_0"], before)
    x = torch.tensor([-1.0], requires_grad=True)
    F.relu(x).backward()
    assert x.grad is not None and x.grad.item() == 0, "the rule is still in force"
    assert not image.requires_grad


def test_deconv_knows_the_picture_by_its_switches_alone():
    """Springenberg et al. 2015, section 3.4: without maximum pooling it ignores the picture."""
    blind, unit = net("efficientnet_lite0"), Unit("logits", 2)
    one, two = (project(blind, noise(64, 64, seed), unit, "deconv").signal for seed in (0, 1))
    torch.testing.assert_close(one, two)
    assert not sees_the_picture(blind)
    seeing = net("vgg16_bn")
    one, two = (
        project(seeing, noise(64, 64, s), Unit("relu4_1", 2), "deconv", (3, 3)).signal
        for s in (0, 1)
    )
    assert not torch.allclose(one, two)
    assert sees_the_picture(seeing)


def test_a_spread_signal_is_the_sum_over_positions():
    backbone, image, unit = thin_vgg(dtype=torch.float64), noise(16, 24), Unit("relu2_2", 3)
    plane = backbone.taps(image, [unit.layer])[unit.layer][0, unit.channel]
    expected = torch.zeros(3, 16, 24, dtype=torch.float64)
    for row in range(plane.shape[0]):
        for column in range(plane.shape[1]):
            one = project(backbone, image, unit, "gradient", (row, column)).signal
            expected += float(plane[row, column]) * one
    found = project(backbone, image, unit, "gradient", spread=True)
    torch.testing.assert_close(found.signal, expected)
    assert found.activation == pytest.approx(float(plane.max()))


def test_a_silent_unit_gives_nothing():
    backbone = thin_vgg(dtype=torch.float64)
    with torch.no_grad():
        conv1 = next(m for m in backbone.modules() if type(m).__name__ == "Conv")
        conv1.bias[0] = -1e9
    found = project(backbone, noise(8, 8), Unit("relu1_1", 0), spread=True)
    assert found.activation == 0
    assert not found.signal.any()


def test_grad_cam_of_a_class_behind_a_mean_is_its_weights_times_the_maps():
    """Selvaraju et al., appendix A: there it is CAM (Zhou et al. 2016) up to a factor."""
    backbone, image = net("efficientnet_lite0"), noise(96, 64)
    maps = backbone.taps(image, ["head"])["head"][0].numpy()
    linear = next(m for m in backbone.modules() if type(m).__name__ == "Linear")
    weights = linear.weight[7].detach().numpy() / (maps.shape[1] * maps.shape[2])
    expected = np.maximum(np.einsum("k,khw->hw", weights, maps), 0)
    found = grad_cam(backbone, image, Unit("logits", 7), "head").numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-15)
    assert expected.max() > 0 and (expected == 0).any()


def test_grad_cam_of_an_inner_layer_by_differences():
    """Weights from nudging whole maps of relu2_1 inside a float64 network, by NumPy."""
    backbone, image, unit = thin_vgg(dtype=torch.float64), noise(16, 16), Unit("relu2_2", 1)
    taps = backbone.taps(image, ["relu2_1"])["relu2_1"]
    convs = [m for m in backbone.modules() if type(m).__name__ == "Conv"]
    weight, bias = convs[3].weight.numpy(), convs[3].bias.numpy()
    maps = taps[0].numpy()

    def total(x):
        return np.maximum(conv(x, weight, bias)[unit.channel], 0).sum()

    slopes = []
    for k in range(len(maps)):
        nudge = np.zeros_like(maps)
        nudge[k] = 1e-6
        slopes.append((total(maps + nudge) - total(maps - nudge)) / 2e-6 / maps[k].size)
    expected = np.maximum(np.einsum("k,khw->hw", np.array(slopes), maps), 0)
    found = grad_cam(backbone, image, unit, "relu2_1").numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_a_units_own_layer_explains_it_by_its_own_map():
    backbone, image, unit = thin_vgg(dtype=torch.float64), noise(32, 32), Unit("relu3_1", 4)
    plane = backbone.taps(image, ["relu3_1"])["relu3_1"][0, 4]
    torch.testing.assert_close(grad_cam(backbone, image, unit, "relu3_1"), plane)
    assert cam_layer(backbone, unit) == "relu3_1"


def test_where_grad_cam_looks():
    assert cam_layer(net("efficientnet_lite0"), Unit("logits", 0)) == "head"
    assert cam_layer(net("resnet18"), Unit("fc", 0)) == "layer4_1"
    assert cam_layer(net("vgg16_bn"), Unit("fc8", 0)) == "relu5_3"
    for layer in ("prob", "pool"):
        with pytest.raises(UsageError, match="cannot explain"):
            grad_cam(net("resnet18"), noise(32, 32), Unit("layer1_0", 0), layer)


def test_networks_without_a_classifier_have_no_classes():
    with pytest.raises(UsageError, match="no classifier"):
        logits_layer(thin_vgg())
    with pytest.raises(UsageError, match="not known"):
        Rule("lrp")
