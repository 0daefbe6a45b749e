"""The task ``distil``: what trained networks paint, learnt by a single one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto import backbones, networks
from impasto.errors import UsageError
from impasto.networks import Model, shelf
from impasto.networks.fast import PhotoNet
from impasto.networks.painter import names_of
from impasto.training.photos import Crops, Stream
from impasto.training.style import STYLED, STYLES_FACTOR, painter
from impasto.training.task import Asked, Plan, Task, channels_last

#: Layers of the feature loss.
LAYERS = ("relu1_2", "relu2_2", "relu3_1")


@dataclass(frozen=True, eq=False)
class Teacher:
    """One style of a trained network.

    Attributes:
        name: Of the painting.
        network: Frozen.
        row: Which of its styles.
    """

    name: str
    network: PhotoNet
    row: int

    @torch.no_grad()
    def __call__(self, photos: Tensor) -> Tensor:
        """Its pictures of (B, 3, H, W)."""
        shares = torch.eye(self.network.styles, device=photos.device)[self.row][None]
        made: Tensor = self.network(photos, shares)
        return made


class DistilTask(Task):
    """One network with the styles of several.

    Terms for each picture and that of its teacher: ``pixels``, the mean absolute difference, and
    ``features``, the squared distance over the squared size of the teacher's, mean over layers of
    the encoder. No painting is looked at, so a step is cheap, and the network learns exactly what
    its teachers know.

    Where all have the architecture of the network, it begins with the mean of their filters, and
    with the scales and shifts of each: those that were trained from one ancestor are near each
    other.

    Settings: ``teachers``, names or files joined by ``+``; ``network``, its kind; ``each``, how
    many styles every photo is painted in per step, 0 for all; the weights ``pixels`` and
    ``features``; ``encoder``.

    Source: Hinton, Vinyals & Dean 2015 (teachers); Wortsman et al. 2022 (the mean of weights).

    Args:
        asked: The request.

    Raises:
        UsageError: There are no teachers, they paint no photos, or a setting makes no sense.
    """

    def __init__(self, asked: Asked) -> None:
        if asked.styles:
            raise UsageError("the task distil takes no paintings", hint="--set teachers=A+B")
        self.numbers = asked.read(
            {
                **{"teachers": "", "network": "fast", "each": 0, "pixels": 1.0, "features": 1.0},
                "encoder": backbones.DEFAULT,
            }
        )
        self.asked, self.kind = asked, self.numbers["network"]
        self.models = found(self.numbers["teachers"])
        networks_ = [_painting(model).to(asked.device) for model in self.models]
        self.teachers = [t for n, m in zip(networks_, self.models, strict=True) for t in rows(n, m)]
        own = self.models[0].architecture if asked.architecture is None else asked.architecture
        kept = [p for p in own.split(",") if p and not p.strip().startswith("styles=")]
        self.encoder = backbones.load(self.numbers["encoder"], pooling="avg").to(asked.device)
        self.architecture, self.painter = painter(
            self.kind, ",".join(kept), len(self.teachers), self.encoder, asked.seed
        )
        self.multiple = max(n.multiple for n in (self.painter, *networks_))
        self.network = channels_last(self.painter.to(asked.device))
        self.plan = Plan(steps=2000, batch=1, crops=Crops(192), lr=1e-3, clip=5.0)
        self.layers = [self.encoder.nearest(n) for n in LAYERS]

    def settings(self) -> dict[str, Any]:
        """The settings of the class."""
        return dict(self.numbers)

    def choices(self) -> tuple[str, ...]:
        """The paintings of all teachers."""
        return tuple(t.name for t in self.teachers)

    def slow(self) -> dict[str, float]:
        """The styles' own numbers are moved faster."""
        names = [n for n, _ in self.painter.named_parameters() if n.endswith(STYLED)]
        return dict.fromkeys(names, STYLES_FACTOR)

    @torch.no_grad()
    def prepare(self, stream: Stream | None) -> None:
        """Begin with the mean of the teachers, where they are of the network's own architecture."""
        del stream
        mine = self.network.state_dict()
        theirs = [model.network.state_dict() for model in self.models]
        if all(_form(t) == _form(mine) for t in theirs):
            for name, value in mine.items():
                values = [t[name] for t in theirs]
                styled = name.endswith(STYLED)
                value.copy_(torch.cat(values) if styled else torch.stack(values).mean(0))

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """The terms, mean over photos and styles."""
        count = len(self.teachers)
        each = min(self.numbers["each"] or count, count)
        made, goals = [], []
        for local, photo in enumerate(torch.split(batch, 1), step * len(batch)):
            place = local * self.asked.world + self.asked.rank
            turns = [(place * each + i) % count for i in range(each)]
            made.append(self._made(photo, turns))
            goals += [self.teachers[turn](photo) for turn in turns]
        return self._terms(torch.cat(made), torch.cat(goals))

    @torch.no_grad()
    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        """The terms, each photo in one style, and their sum as ``loss``."""
        found = []
        for place, photo in enumerate(photos):
            turn = place % len(self.teachers)
            found.append(self._terms(self._made(photo, [turn]), self.teachers[turn](photo)))
        terms = {f"{n}_held": float(torch.stack([f[n] for f in found]).mean()) for n in found[0]}
        return {**terms, "loss": sum(terms.values())}

    @torch.no_grad()
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """A photo by its teachers, below them by the network."""
        photo = photos[0]
        turns = range(len(self.teachers))
        above = torch.cat([self.teachers[turn](photo) for turn in turns], 3)
        below = torch.cat([self._made(photo, [turn]) for turn in turns], 3)
        return torch.cat([above, below], 2)

    def _made(self, photo: Tensor, turns: Sequence[int]) -> Tensor:
        shares = torch.eye(len(self.teachers), device=photo.device)[list(turns)]
        made: Tensor = self.painter(photo.expand(len(turns), -1, -1, -1), shares)
        return made

    def _terms(self, made: Tensor, goal: Tensor) -> dict[str, Tensor]:
        """Of pictures and those of their teachers, both (B, 3, H, W)."""
        with torch.no_grad():
            wanted = self.encoder.taps(goal, self.layers)
        seen = self.encoder.taps(made, self.layers)
        errors = [
            (seen[n] - wanted[n]).square().mean() / wanted[n].square().mean() for n in self.layers
        ]
        return {
            "pixels": self.numbers["pixels"] * (made - goal).abs().mean(),
            "features": self.numbers["features"] * torch.stack(errors).mean(),
        }


def found(names: str) -> list[Model]:
    """The models ``A+B``.

    Raises:
        UsageError: None is named, or one paints no photos.
    """
    if not names:
        raise UsageError("the task distil needs teachers", hint="--set teachers=A+B")
    models = [networks.load(shelf.locate(name)) for name in names.split("+")]
    for name, model in zip(names.split("+"), models, strict=True):
        if not isinstance(model.network, PhotoNet):
            raise UsageError(f"{name} is a model of the kind {model.kind}, which paints no photos")
    return models


def rows(network: PhotoNet, model: Model) -> list[Teacher]:
    """A teacher for each style of a network."""
    return [Teacher(n, network, i) for i, n in enumerate(names_of(model.card, network.styles))]


def _painting(model: Model) -> PhotoNet:
    assert isinstance(model.network, PhotoNet)
    return model.network


def _form(weights: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes by name, without the number of styles."""
    return {n: tuple(v.shape[1:] if n.endswith(STYLED) else v.shape) for n, v in weights.items()}
