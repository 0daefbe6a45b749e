"""What of a network a picture shall excite: neurons, channels, classes, directions; composed.

>>> wish = 0.7 * Channel("relu4_1", 3) + 0.3 * Neuron("relu4_1", 40)
>>> str(wish)
'0.7 * relu4_1:3 + 0.3 * relu4_1:40@'
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.errors import UsageError

Features = Mapping[str, Tensor]


class Wanted(ABC):
    """Something to excite; can be added, subtracted and multiplied by numbers."""

    @abstractmethod
    def terms(self) -> tuple[tuple[float, Unit], ...]:
        """Factors and units."""

    def layers(self) -> tuple[str, ...]:
        """Where it is measured, each once."""
        return tuple(dict.fromkeys(n for _, unit in self.terms() for n in unit.seen()))

    def __add__(self, other: Wanted) -> Wish:
        return Wish(self.terms() + other.terms())

    def __sub__(self, other: Wanted) -> Wish:
        return self + (-1.0) * other

    def __mul__(self, factor: float) -> Wish:
        return Wish(tuple((factor * weight, unit) for weight, unit in self.terms()))

    __rmul__ = __mul__

    def __neg__(self) -> Wish:
        return -1.0 * self


@dataclass(frozen=True)
class Wish(Wanted):
    """A weighted sum of units: a joint objective."""

    parts: tuple[tuple[float, Unit], ...]

    def terms(self) -> tuple[tuple[float, Unit], ...]:
        """Factors and units."""
        return self.parts

    def __str__(self) -> str:
        return " + ".join(str(u) if w == 1 else f"{w:g} * {u}" for w, u in self.parts)


class Unit(Wanted):
    """One thing to excite."""

    layer: str

    def terms(self) -> tuple[tuple[float, Unit], ...]:
        """Itself."""
        return ((1.0, self),)

    def seen(self) -> tuple[str, ...]:
        """Layers that :meth:`value` looks at."""
        return (self.layer,)

    @abstractmethod
    def value(self, features: Features) -> Tensor:
        """How much each picture excites it, (B,); ``features`` are (B, C, H, W)."""


@dataclass(frozen=True)
class Channel(Unit):
    """The mean of a channel over all positions."""

    layer: str
    channel: int

    def value(self, features: Features) -> Tensor:
        """See :meth:`Unit.value`."""
        return _channel(features, self.layer, self.channel).mean((1, 2))

    def __str__(self) -> str:
        return f"{self.layer}:{self.channel}"


@dataclass(frozen=True)
class Neuron(Unit):
    """A channel at one position; in the middle where none is given.

    Attributes:
        layer: Which.
        channel: Which.
        row: From 0, or None.
        column: From 0, or None.
    """

    layer: str
    channel: int
    row: int | None = None
    column: int | None = None

    def value(self, features: Features) -> Tensor:
        """See :meth:`Unit.value`."""
        plane = _channel(features, self.layer, self.channel)
        height, width = plane.shape[-2:]
        row = height // 2 if self.row is None else self.row
        column = width // 2 if self.column is None else self.column
        if row >= height or column >= width:
            raise UsageError(
                f"{self.layer} has {height} x {width} positions here, not ({row}, {column})"
            )
        return plane[:, row, column]

    def __str__(self) -> str:
        place = "" if self.row is None else f"{self.row},{self.column}"
        return f"{self.layer}:{self.channel}@{place}"


@dataclass(frozen=True)
class Energy(Unit):
    """The mean square of a whole layer, or of some of its channels: what DeepDream raises.

    Attributes:
        layer: Which.
        channels: Which; all when empty.
    """

    layer: str
    channels: tuple[int, ...] = ()

    def value(self, features: Features) -> Tensor:
        """See :meth:`Unit.value`."""
        found = features[self.layer]
        if self.channels:
            check_channels(self.layer, found.shape[1], self.channels)
            found = found[:, list(self.channels)]
        return found.square().mean((1, 2, 3))

    def __str__(self) -> str:
        return ":".join([self.layer, *[",".join(map(str, self.channels))] * bool(self.channels)])


@dataclass(frozen=True)
class Class(Unit):
    """The logit of a class, less a share of its strongest rivals.

    ``z_c - rivals * logsumexp of all others``. With 0 it is the logit: unlike a probability, it
    cannot be raised by lowering all others.

    Attributes:
        layer: The logits.
        index: Of the class.
        rivals: From 0 to 1.
        title: The name of the class, for reports.
    """

    layer: str
    index: int
    rivals: float = 0.0
    title: str = ""

    def value(self, features: Features) -> Tensor:
        """See :meth:`Unit.value`."""
        logits = features[self.layer].flatten(2).mean(2)
        check_channels(self.layer, logits.shape[1], (self.index,))
        own = logits[:, self.index]
        if not self.rivals:
            return own
        others = torch.cat([logits[:, : self.index], logits[:, self.index + 1 :]], 1)
        return own - self.rivals * others.logsumexp(1)

    def __str__(self) -> str:
        return f"class:{self.title or self.index}"


@dataclass(frozen=True)
class Direction(Unit):
    """A direction in the space of channels: ``mean over positions of F.v cos(F, v)^power``.

    With power 0 it is the projection on v. The cosine asks for pictures that excite this
    mixture and little else (Carter et al., Activation Atlas, Distill 2019).

    Attributes:
        layer: Which.
        vector: One number per channel; scaled to length 1.
        power: Of the cosine, which is cut off below 0.1.
        title: For reports.
    """

    layer: str
    vector: tuple[float, ...]
    power: float = 0.0
    title: str = "direction"

    def value(self, features: Features) -> Tensor:
        """See :meth:`Unit.value`."""
        found = features[self.layer]
        if len(self.vector) != found.shape[1]:
            raise UsageError(
                f"{self.layer} has {found.shape[1]} channels, the direction {len(self.vector)}"
            )
        vector = found.new_tensor(self.vector)
        vector = vector / vector.norm().clamp_min(1e-12)
        along = torch.einsum("bchw,c->bhw", found, vector)
        if self.power:
            cosine = along / found.norm(dim=1).clamp_min(1e-12)
            along = along * cosine.clamp_min(0.1) ** self.power
        return along.mean((1, 2))

    def __str__(self) -> str:
        return f"{self.layer}:{self.title}"


def interpolated(one: Wanted, other: Wanted, between: int) -> list[Wanted]:
    """``one``, ``between`` mixtures at even distances, ``other``."""
    shares = [i / (between + 1) for i in range(1, between + 1)]
    return [one, *((1 - t) * one + t * other for t in shares), other]


def likeness(features: Tensor) -> Tensor:
    """Mean cosine between the Gram matrices of every two pictures of a batch.

    Pictures that all show a unit in the same manner have 1; subtracting it makes them differ
    (Olah et al. 2017).

    Args:
        features: (B, C, H, W); for B = 1 the result is 0.
    """
    count = len(features)
    flat = features.flatten(2)
    gram = (flat @ flat.mT).flatten(1)
    gram = gram / gram.norm(dim=1, keepdim=True).clamp_min(torch.finfo(gram.dtype).tiny)
    total: Tensor = (gram @ gram.T).sum() - gram.square().sum()
    return total / max(1, count * (count - 1))


def check_channels(layer: str, count: int, wanted: tuple[int, ...]) -> None:
    """Refuse channels that a layer does not have.

    Raises:
        UsageError: It has only ``count``.
    """
    for channel in wanted:
        if not 0 <= channel < count:
            raise UsageError(f"{layer} has channels 0 to {count - 1}, not {channel}")


def _channel(features: Features, layer: str, channel: int) -> Tensor:
    """(B, H, W)."""
    found = features[layer]
    check_channels(layer, found.shape[1], (channel,))
    return found[:, channel]
