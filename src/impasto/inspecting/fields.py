"""Receptive fields: how much of the picture one unit of a layer can see."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from impasto.backbones import ARCHITECTURES, Backbone, Preprocessing
from impasto.backbones.operations import Pool
from impasto.errors import InputError

#: Width of the strip of the first measurement, px; doubled until the field fits into it.
FIRST, LAST = 512, 8192
#: Divisor of the numbers of channels of the network that is measured.
THIN = 8


def receptive_field(backbone: Backbone, layer: str) -> int | None:
    """Edge of the square of pixels that one unit of ``layer`` depends on.

    Args:
        backbone: A network of a registered architecture.
        layer: A name or alias.

    Returns:
        Pixels; None where a unit sees the whole picture, or where the architecture is not known.

    Raises:
        UnknownName: No such layer.
    """
    name = backbone.resolve(layer)
    return receptive_fields(backbone, [name])[name]


def receptive_fields(backbone: Backbone, layers: Iterable[str]) -> dict[str, int | None]:
    """:func:`receptive_field` of several layers at once.

    It is measured, not derived, so it holds for any graph: in a thin copy of the network whose
    weights are all equal and positive, whose biases are zero and whose poolings are means, no
    path cancels and no unit is off, so the gradient of a unit in the middle is positive exactly
    where the unit can look. Windows are square, so a strip of pixels, as high as the layer
    needs and wide, is enough. The gradient towards the corners of the field falls by the square
    root of the windows' areas per layer: float64 holds that for the deepest networks.
    """
    names = [backbone.resolve(layer) for layer in layers]
    found: dict[str, int | None] = dict.fromkeys(names)
    architecture = ARCHITECTURES.get(arch) if (arch := _arch(backbone)) else None
    if architecture is None:
        return found
    open_ = [n for n in names if backbone.table[n].stride]
    weights = {
        name: (torch.full_like(w, 1 / w[0].numel(), dtype=torch.float64), b.double() * 0)
        for name, (w, b) in architecture.random(0, thin=THIN).items()
    }
    plain = Preprocessing((0, 0, 0), (1, 1, 1))
    probe = architecture.build(
        backbone.name, weights, preprocessing=plain, pooling="avg", padding="zeros"
    )
    for part in probe.modules():
        if isinstance(part, Pool):  # inside inception modules they are maxima in any case
            part.kind = "avg"
    width = FIRST
    while open_ and width <= LAST:
        found |= _measured(probe, open_, width)
        open_ = [n for n in open_ if (found[n] or 0) * 2 > width]
        width *= 2
    if open_:
        raise InputError(f"the receptive field of {open_[0]} is larger than {LAST} px")
    return found


def _measured(probe: Backbone, layers: list[str], width: int) -> dict[str, int]:
    strip = torch.ones(1, 3, probe.min_size(layers), width, dtype=torch.float64)
    strip.requires_grad_(True)
    return {n: _extent(tap, strip) for n, tap in probe.taps(strip, layers).items()}


def _extent(tap: Tensor, strip: Tensor) -> int:
    """Width of the pixels of ``strip`` that the middle unit of ``tap`` depends on."""
    unit = tap[0, :, tap.shape[-2] // 2, tap.shape[-1] // 2].sum()
    (slope,) = torch.autograd.grad(unit, strip, retain_graph=True)
    columns = slope[0].abs().sum(dim=(0, 1)).nonzero().squeeze(1)
    return int(columns[-1] - columns[0] + 1) if columns.numel() else 0


def _arch(backbone: Backbone) -> str:
    arch = backbone.name.partition(".")[0]
    return arch if arch in ARCHITECTURES else ""
