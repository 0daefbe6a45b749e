"""Receptive fields, against the recurrence of the textbooks."""

from __future__ import annotations

import pytest

from impasto.backbones import ARCHITECTURES
from impasto.errors import UnknownName
from impasto.inspecting.fields import receptive_field, receptive_fields
from impasto.testing import thin_vgg

BLOCKS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}


def by_theory(blocks: tuple[int, ...]) -> dict[str, int]:
    """``r += (k - 1) j`` for each window of size k, j the product of the strides before it."""
    found, field, jump = {}, 1, 1
    for b, count in enumerate(blocks, 1):
        for i in range(1, count + 1):
            field += 2 * jump
            found[f"conv{b}_{i}"] = found[f"relu{b}_{i}"] = field
        field += jump
        jump *= 2
        found[f"pool{b}"] = field
    return found


@pytest.mark.parametrize("arch", sorted(BLOCKS))
def test_vgg_by_theory(arch):
    net, expected = ARCHITECTURES.get(arch).outline(), by_theory(BLOCKS[arch])
    assert receptive_fields(net, expected) == expected


def test_numbers_from_the_literature():
    net = ARCHITECTURES.get("vgg16").outline()
    known = {"conv1_1": 3, "relu2_1": 10, "conv3_3": 40, "conv4_1": 60, "pool5": 212}
    assert receptive_fields(net, known) == known


@pytest.mark.parametrize("arch", ["alexnet", "resnet18", "squeezenet1_1", "googlenet"])
def test_as_declared_by_the_layers(arch):
    """The table of the network states how far a position reaches; this measures it."""
    net = ARCHITECTURES.get(arch).outline()
    declared = {n: sum(t.reach) + t.stride for n, t in net.table.items() if t.reach is not None}
    assert len(declared) > 5
    assert receptive_fields(net, declared) == declared


def test_same_padding_is_measured_too():
    """TensorFlow's padding shifts windows; stem 3, then 3 x 3 depthwise at jump 2."""
    net = ARCHITECTURES.get("efficientnet_lite0").outline()
    assert receptive_field(net, "stem") == 3
    assert receptive_field(net, "block0") == 7
    assert receptive_field(net, "block1") == 11


def test_aliases_whole_pictures_and_strangers():
    net = ARCHITECTURES.get("vgg16").outline()
    assert receptive_field(net, "block2_conv1") == 10
    assert receptive_field(net, "fc6") is None
    with pytest.raises(UnknownName, match="did you mean"):
        receptive_field(net, "relu9_1")
    stranger = thin_vgg()
    stranger.name = "mine.own"
    assert receptive_field(stranger, "relu1_1") is None
