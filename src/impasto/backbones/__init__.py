"""Frozen networks and their weights.

``load("vgg16_bn.craft")`` gives a :class:`Backbone`; ``backbone.taps(x, ["relu4_1"])`` its
activations.
"""

from __future__ import annotations

from impasto.backbones.base import Backbone, Preprocessing, Tap, fold_batch_norm
from impasto.backbones.embedded import load_craft
from impasto.backbones.vgg import VGG
from impasto.registry import Registry

DEFAULT = "vgg16_bn.craft"

#: ``arch.tag`` to a loader that takes ``pooling`` and ``padding``.
BACKBONES = Registry("backbone")
BACKBONES.add(DEFAULT, load_craft)


def load(name: str = DEFAULT, *, pooling: str = "max", padding: str = "zeros") -> Backbone:
    """A frozen backbone with verified weights, on the CPU, float32.

    Raises:
        UnknownName: No such backbone.
        WeightsError: Its weights are missing or damaged.
    """
    return BACKBONES.get(name)(pooling=pooling, padding=padding)


__all__ = [
    "BACKBONES",
    "DEFAULT",
    "VGG",
    "Backbone",
    "Preprocessing",
    "Tap",
    "fold_batch_norm",
    "load",
]
