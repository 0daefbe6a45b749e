"""What one position sees, against the gradient of networks in which nothing cancels."""

from __future__ import annotations

import pytest
import torch

from impasto.backbones import ARCHITECTURES, Preprocessing
from impasto.backbones.operations import Pool
from impasto.inspecting.backprop import Unit, project
from impasto.inspecting.boxes import Box, seen_box
from impasto.inspecting.fields import receptive_field
from impasto.inspecting.tiles import window_of

FAMILIES = ["vgg16", "alexnet", "resnet18", "googlenet", "squeezenet1_1", "efficientnet_lite0"]


def positive(arch: str):
    """Equal positive weights, no biases, mean poolings: every path counts."""
    found = ARCHITECTURES.get(arch)
    weights = {
        name: (torch.full_like(w, 1 / w[0].numel(), dtype=torch.float64), b.double() * 0)
        for name, (w, b) in found.random(0, thin=8).items()
    }
    plain = Preprocessing((0, 0, 0), (1, 1, 1))
    net = found.build(arch, weights, preprocessing=plain, pooling="avg", padding="zeros")
    for part in net.modules():
        if isinstance(part, Pool):
            part.kind = "avg"
    return net


@pytest.mark.parametrize("size", [(97, 113), (128, 64)], ids=["odd", "even"])
@pytest.mark.parametrize("arch", FAMILIES)
def test_boxes_are_where_the_gradient_is_not_zero(arch, size):
    net = positive(arch)
    image = torch.full((1, 3, *size), 1e-6, dtype=torch.float64).requires_grad_()
    names = [n for n, t in net.table.items() if t.stride and t.min_size <= min(size)][1::4]
    for name, tap in net.taps(image, names).items():
        last = (tap.shape[2] - 1, tap.shape[3] - 1)
        for place in {(0, 0), last, (last[0] // 2, last[1] // 2), (0, last[1])}:
            unit = tap[0, :, place[0], place[1]].sum()
            (slope,) = torch.autograd.grad(unit, image, retain_graph=True)
            rows, columns = slope[0].abs().sum(0).nonzero().T
            expected = Box(
                int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1
            )
            assert seen_box(net, name, place, size) == expected, (name, place)


def test_in_the_middle_it_is_the_receptive_field():
    net = ARCHITECTURES.get("vgg16").outline()
    box = seen_box(net, "relu4_1", (32, 32), (512, 512))
    assert box.height == box.width == receptive_field(net, "relu4_1") == 60


def test_layers_of_the_whole_picture_see_all_of_it():
    net = ARCHITECTURES.get("resnet18").outline()
    assert seen_box(net, "fc", (0, 0), (50, 70)) == Box(0, 0, 50, 70)


def test_scaling_rounds_outwards_and_stays_inside():
    assert Box(1, 2, 5, 7).scaled((10, 10), (25, 20)) == Box(2, 4, 13, 14)
    assert Box(0, 0, 10, 10).scaled((10, 10), (33, 17)) == Box(0, 0, 33, 17)
    tiny = Box(3, 3, 4, 4).scaled((10, 10), (3, 3))
    assert tiny == Box(0, 0, 2, 2), "half a pixel counts as one"


@pytest.mark.parametrize("arch", FAMILIES)
def test_a_window_around_the_field_changes_nothing(arch):
    found = ARCHITECTURES.get(arch)
    weights = {n: (w.double(), b.double()) for n, (w, b) in found.random(0, thin=8).items()}
    net = found.build(arch, weights, preprocessing=Preprocessing(), pooling="max", padding="zeros")
    size = (150, 171)
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).double()
    spatial = [n for n, t in net.table.items() if t.stride and t.min_size < 100]
    smaller = 0
    for layer in spatial[2 :: max(1, len(spatial) // 5)]:
        tap = net.taps(image, [layer])[layer]
        last = (tap.shape[2] - 1, tap.shape[3] - 1)
        for place in ((0, 0), last, (last[0] // 2, last[1] // 3)):
            box = seen_box(net, layer, place, size)
            window, local = window_of(net, layer, box, place, size)
            part = image[..., window.top : window.bottom, window.left : window.right]
            whole = project(net, image, Unit(layer, 1), "guided", place)
            small = project(net, part, Unit(layer, 1), "guided", local)
            assert small.activation == pytest.approx(whole.activation, abs=1e-9), (layer, place)
            cut = whole.signal[:, window.top : window.bottom, window.left : window.right]
            torch.testing.assert_close(small.signal, cut)
            smaller += window != Box(0, 0, *size)
    assert smaller > 3 or arch == "efficientnet_lite0"
