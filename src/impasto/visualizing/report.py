"""What a visualization found, as numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from impasto.backbones import Backbone, class_names
from impasto.backbones.module import ModuleTaps
from impasto.engine.wishes import Class, Wanted
from impasto.errors import UsageError
from impasto.events import Table
from impasto.visualizing.sheet import Pixels as Bytes
from impasto.visualizing.units import Network


def as_bytes(pictures: Tensor) -> list[Bytes]:
    """(B, 3, H, W) in [0, 1] as pictures (H, W, 3) of 8 bits, rounded half up."""
    scaled = (pictures.detach().clamp(0, 1) * 255 + 0.5).floor().byte()
    return list(scaled.permute(0, 2, 3, 1).cpu().numpy())


def findings(
    network: Network,
    units: Sequence[Wanted],
    values: Sequence[float],
    pictures: Sequence[Bytes],
    count: int,
) -> dict[str, Any]:
    """A row per unit, ready for JSON: its excitation; of classes, what the classifier says.

    Args:
        network: Where the units are.
        units: All of them.
        values: Of those that have pictures.
        pictures: ``count`` of each.
        count: Pictures per unit.
    """
    rows: list[dict[str, Any]] = []
    for place, (unit, value) in enumerate(zip(units, values, strict=False)):
        row: dict[str, Any] = {"unit": str(unit), "excitation": value}
        if isinstance(unit, Class) and isinstance(network, Backbone):
            row |= classified(network, unit, pictures[place * count])
        rows.append(row)
    return {"backbone": network.name, "units": rows}


@torch.no_grad()
def classified(network: Backbone, unit: Class, picture: Bytes) -> dict[str, Any]:
    """The probability of the class in the finished picture, and the likeliest class."""
    device = next(network.parameters()).device
    image = torch.from_numpy(picture.astype(np.float32) / 255).permute(2, 0, 1)[None].to(device)
    chances = network.classify(image)[0]
    best = int(chances.argmax())
    return {"probability": float(chances[unit.index]), "likeliest": class_names()[best]}


def tables(found: dict[str, Any]) -> tuple[Table, ...]:
    """The same for people."""
    classes = any("probability" in row for row in found["units"])
    columns = ("unit", "excitation", *(("probability", "likeliest class") if classes else ()))
    rows = []
    for row in found["units"]:
        cells = [row["unit"], f"{row['excitation']:.4g}"]
        if classes:
            there = "probability" in row
            cells += [f"{row['probability']:.1%}", row["likeliest"]] if there else ["", ""]
        rows.append(tuple(cells))
    return (Table(f"units of {found['backbone']}", columns, tuple(rows)),)


def spatial(network: Network, layers: Sequence[str]) -> str:
    """The last of ``layers`` that has positions, or the last such layer before them.

    Raises:
        UsageError: There is none that is known.
    """
    if isinstance(network, ModuleTaps):
        return layers[-1]
    names = list(network.table)
    last = max(names.index(network.resolve(n)) for n in layers)
    for name in names[last::-1]:
        if network.table[name].stride and not network.table[name].inner:
            return name
    raise UsageError(f"no layer of {network.name} before {layers[-1]} has positions")


def digest(module: nn.Module) -> str:
    """sha256 over a module's weights and their names."""
    found = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode())
        found.update(np.ascontiguousarray(value.detach().cpu().float().numpy()).tobytes())
    return found.hexdigest()
