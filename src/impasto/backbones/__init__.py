"""Frozen networks and their weights.

``load("vgg16_bn.craft")`` gives a :class:`Backbone`; ``backbone.taps(x, ["relu4_1"])`` its
activations.
"""

from __future__ import annotations

# The families register their architectures and entries on import; this order is that of lists.
from impasto.backbones import vgg, alexnet, squeezenet, resnet, googlenet, efficientnet_lite  # isort: skip
from impasto.backbones.base import Backbone, Preprocessing, Tap, fold_batch_norm
from impasto.backbones.classes import class_ids, class_names, class_number, classifier_view
from impasto.backbones.loading import CLASSIFIER, DEFAULT, load
from impasto.backbones.model import (
    ARCHITECTURES,
    ENTRIES,
    PREPROCESSING,
    Architecture,
    Entry,
    Layer,
    Weights,
)
from impasto.backbones.vgg import VGG

del vgg, alexnet, squeezenet, resnet, googlenet, efficientnet_lite

__all__ = [
    "ARCHITECTURES",
    "CLASSIFIER",
    "DEFAULT",
    "ENTRIES",
    "PREPROCESSING",
    "VGG",
    "Architecture",
    "Backbone",
    "Entry",
    "Layer",
    "Preprocessing",
    "Tap",
    "Weights",
    "class_ids",
    "class_names",
    "class_number",
    "classifier_view",
    "fold_batch_norm",
    "load",
]
