"""Trained networks on disk: one .safetensors file with kind, architecture and card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from impasto.backbones.formats import safe
from impasto.errors import ImpastoError, ResourceError, WeightsError
from impasto.networks.model import build

#: Paintings that a summary names; more are counted.
NAMED = 10


@dataclass(frozen=True)
class Card:
    """What a person should know of a trained network.

    Attributes:
        task: What it was trained for.
        data: What it was trained on.
        styles: Names of the paintings that it can choose from, in its order.
        steps: How long.
        losses: Figures on pictures that it was not trained on, or losses of the last steps.
        licence: Of the weights.
        impasto: Version that made it.
        seed: Of the training.
        settings: All numbers.
    """

    task: str = ""
    data: str = ""
    styles: Sequence[str] = ()
    steps: int = 0
    losses: Mapping[str, float] = field(default_factory=dict)
    licence: str = ""
    impasto: str = ""
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """A line: task, data, and the paintings; more than a few are counted."""
        photos, _, paintings = self.data.partition("; ")
        named = (
            list(self.styles) if len(self.styles) > 1 else [p for p in paintings.split(", ") if p]
        )
        told = f"{len(named)} paintings" if len(named) > NAMED else ", ".join(named)
        return f"{self.task}: " + "; ".join(filter(None, (photos, told)))


@dataclass(frozen=True)
class Model:
    """A network out of a file.

    Attributes:
        network: In evaluation mode, frozen, float32, on the CPU.
        kind: In :data:`impasto.networks.NETWORKS`.
        architecture: What it was built from.
        card: What is known of it.
    """

    network: nn.Module
    kind: str
    architecture: str
    card: Card


def save(
    path: Path, network: nn.Module, kind: str, architecture: str, card: Card, *, half: bool = True
) -> None:
    """Write a network, whole or not at all.

    Args:
        path: Ends in .safetensors; replaced if it is there.
        network: What :func:`load` will build from ``kind`` and ``architecture``.
        kind: A registered kind.
        architecture: A line of text.
        card: What a person should know.
        half: Store floats in half precision.

    Raises:
        ResourceError: The disk does not take it.
        WeightsError: A weight is not finite in the precision that is stored.
    """
    tensors = {}
    for name, value in network.state_dict().items():
        stored = value.detach().cpu()
        stored = stored.half() if half and stored.is_floating_point() else stored
        if not bool(torch.isfinite(stored).all()):
            raise WeightsError(f"the weights {name} are not finite; nothing was saved")
        tensors[name] = stored.contiguous()
    about = {"kind": kind, "architecture": architecture, "card": json.dumps(asdict(card))}
    try:
        safe.write(path, tensors, about)
    except ResourceError as error:
        raise ResourceError(error.message) from error


def load(path: Path, kind: str | None = None) -> Model:
    """Read a network that :func:`save` wrote.

    Args:
        path: The file.
        kind: What it must be, or None.

    Raises:
        WeightsError: There is none; it is damaged, too large, not finite, of another kind; or its
            weights are not those of its architecture.
    """
    if not path.is_file():
        raise WeightsError(f"there is no model {path}")
    tensors, about = safe.read(path)
    found, architecture = about.get("kind", ""), about.get("architecture", "")
    if not found:
        raise WeightsError(f"{path} is not a model that impasto trained")
    if kind not in (None, found):
        raise WeightsError(f"{path} is a model of the kind {found!r}, not {kind!r}")
    try:
        with torch.device("meta"):  # no memory, whatever the architecture claims
            network = build(found, architecture)
    except ImpastoError as error:
        raise WeightsError(f"{path} cannot be built: {error.message}") from error
    want = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    have = {k: tuple(v.shape) for k, v in tensors.items()}
    wrong = sorted(k for k in want.keys() | have.keys() if want.get(k) != have.get(k))
    if wrong:
        raise WeightsError(f"{path} does not fit its architecture {architecture!r}: {wrong[0]}")
    values = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    network.load_state_dict(values, assign=True)
    return Model(network.requires_grad_(False).eval(), found, architecture, _card(about, path))


def read_card(path: Path) -> tuple[str, str, Card]:
    """Kind, architecture and card, without the weights.

    Raises:
        WeightsError: There is none, or it is not readable.
    """
    about = safe.read_metadata(path)
    return about.get("kind", ""), about.get("architecture", ""), _card(about, path)


def _card(about: Mapping[str, str], path: Path) -> Card:
    try:
        raw = json.loads(about.get("card", "{}"))
        return Card(**{k: v for k, v in raw.items() if k in Card.__dataclass_fields__})
    except (ValueError, AttributeError, TypeError, RecursionError):
        raise WeightsError(f"the card of {path} cannot be read") from None
