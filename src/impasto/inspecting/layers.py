"""Which layers a request means."""

from __future__ import annotations

from collections.abc import Sequence

from impasto.backbones import Backbone
from impasto.specs.inspect import ALL

#: The first rectified layer of each of VGG's blocks, or what plays its part elsewhere.
DEPTHS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def chosen_layers(backbone: Backbone, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Canonical names in the order of the network, each once.

    Args:
        backbone: The network.
        asked: Names or aliases, ``("all",)``, or None for :data:`DEPTHS`.

    Raises:
        UnknownName: A layer does not exist; the message suggests the nearest.
    """
    if asked is None:
        wanted = {backbone.nearest(layer) for layer in DEPTHS}
    elif tuple(asked) == (ALL,):
        wanted = set(backbone.table)
    else:
        wanted = {backbone.resolve(layer) for layer in asked}
    return tuple(name for name in backbone.table if name in wanted)
