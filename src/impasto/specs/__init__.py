"""Requests: one model per verb, each default, range and help text stated once."""

from __future__ import annotations

from impasto.specs.apply import ApplySpec
from impasto.specs.base import Spec
from impasto.specs.dream import DreamSpec
from impasto.specs.enhance import EnhanceSpec
from impasto.specs.filter import FilterSpec
from impasto.specs.inspect import InspectSpec
from impasto.specs.output import OutputSpec
from impasto.specs.stylize import StylizeSpec
from impasto.specs.texture import TextureSpec
from impasto.specs.train import TrainSpec
from impasto.specs.visualize import VisualizeSpec

__all__ = [
    "ApplySpec",
    "DreamSpec",
    "EnhanceSpec",
    "FilterSpec",
    "InspectSpec",
    "OutputSpec",
    "Spec",
    "StylizeSpec",
    "TextureSpec",
    "TrainSpec",
    "VisualizeSpec",
]
