"""Networks that make pictures: built from a line of text, saved with a card, read strictly.

Each kind is one file that registers itself in :data:`NETWORKS`: a function from an architecture,
a line of text, to a plain module. :func:`save` and :func:`load` know nothing else of it.
"""

from __future__ import annotations

from impasto.networks.decoder import Decoder
from impasto.networks.enhance import Enhancer
from impasto.networks.fast import FastNet
from impasto.networks.files import Card, Model, load, read_card, save
from impasto.networks.johnson import JohnsonNet
from impasto.networks.markovian import MarkovianNet
from impasto.networks.model import NETWORKS, build
from impasto.networks.texture import TextureNet
from impasto.networks.ulyanov import UlyanovNet

__all__ = [
    "NETWORKS",
    "Card",
    "Decoder",
    "Enhancer",
    "FastNet",
    "JohnsonNet",
    "MarkovianNet",
    "Model",
    "TextureNet",
    "UlyanovNet",
    "build",
    "load",
    "read_card",
    "save",
]
