"""What is trained: a task has a network, an objective for a batch, and figures to judge it by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.registry import Registry
from impasto.training.photos import Crops, Stream

if TYPE_CHECKING:
    from impasto.images import Picture


@dataclass(frozen=True)
class Plan:
    """How long and how fast; the defaults of a task, which a request may change.

    Attributes:
        steps: Updates of the weights.
        batch: Pictures per step, over all processes together.
        crops: What a picture is; its size is that of the training.
        lr: Highest step size of Adam.
        betas: Adam's decay of the first and second moment.
        warmup: Steps over which the step size grows from 0.
        decay: Last step size as a fraction of the highest; falls along half a cosine.
        average: Decay of the running mean of the weights, which is the result; 0 takes the last.
        clip: Largest norm of the gradient; 0 does not look.
        view: Edge of the pictures for figures and previews, in px.
    """

    steps: int = 2000
    batch: int = 4
    crops: Crops = field(default_factory=Crops)
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.99)
    warmup: int = 50
    decay: float = 0.01
    average: float = 0.999
    clip: float = 1.0
    view: int = 256


@dataclass(frozen=True)
class Asked:
    """What a request says to a task.

    Attributes:
        styles: The paintings, in full size; empty where none were named.
        architecture: Of the network, or None for the task's own.
        settings: Further settings of the task, as text.
        seed: Of the first weights.
        device: Where to compute.
        rank: Number of this process among those that share every batch.
        world: How many they are; this one has the pictures ``rank``, ``rank + world`` and so on.
    """

    styles: tuple[Picture, ...] = ()
    architecture: str | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    rank: int = 0
    world: int = 1

    def read(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """The settings by name, in the types of ``defaults`` (str, int, float).

        Raises:
            UsageError: One is not in ``defaults``, or is no number where one is needed.
        """
        found = dict(defaults)
        for name, text in self.settings.items():
            if name not in defaults:
                hint = f"there are {', '.join(defaults)}" if defaults else "the task has none"
                raise UsageError(f"the task has no setting {name!r}", hint=hint)
            try:
                found[name] = type(defaults[name])(text)
            except ValueError:
                raise UsageError(f"{name} must be a number, not {text}") from None
        return found


class Task(ABC):
    """A network to be trained and what for.

    A subclass sets :attr:`network` (on the device of the request), :attr:`kind` and
    :attr:`architecture` (by which :func:`impasto.networks.build` makes it again) and
    :attr:`plan` in its constructor, which takes an :class:`Asked`, and registers in
    :data:`TASKS`. One that has more to learn than its network (a critic) trains it in
    :meth:`objective` and hands its state out in :meth:`state`.
    """

    #: Whether it learns from photos.
    needs_photos: ClassVar[bool] = True
    #: What the edge of its pictures must be a multiple of.
    multiple: int = 1
    network: nn.Module
    kind: str
    architecture: str
    plan: Plan

    def prepare(self, stream: Stream | None) -> None:
        """Set the first weights from photos; once, not when a training is resumed."""
        del stream

    def adopt(self, weights: Mapping[str, Tensor]) -> bool:
        """Begin with those of a trained network; whether they fit, nothing is changed if not."""
        mine = self.network.state_dict()
        if {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in weights.items()}:
            return False
        self.network.load_state_dict(weights)
        return True

    def slow(self) -> Mapping[str, float]:
        """Factors of the step size for parameters whose names begin so."""
        return {}

    @abstractmethod
    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """Weighted terms, scalars, whose sum is lowered.

        Args:
            batch: Crops (B, 3, S, S) in [0, 1]; (B, 0) for a task without photos.
            step: From 0; for draws that must be the same in a resumed run.
        """

    @abstractmethod
    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        """Figures on photos that the training never sees, each (1, 3, H, W)."""

    @abstractmethod
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """A picture (1, 3, H, W) that shows how far it is."""

    def settings(self) -> dict[str, Any]:
        """All its numbers, for the record."""
        return {}

    def choices(self) -> tuple[str, ...]:
        """Names of what the network can be told to do; none where there is no choice."""
        return ()

    def state(self) -> dict[str, Any]:
        """What is to be saved besides the network."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        del state


def channels_last(network: nn.Module) -> nn.Module:
    """``network``, its filters laid out as the fast kernels for CPUs want them."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


#: Tasks by name: ``module:class`` of a :class:`Task`; a line for each.
TASKS: Registry[str] = Registry("task")
TASKS.add("decoder", "impasto.training.decoder:task")
TASKS.add("distil", "impasto.training.distil:DistilTask")
TASKS.add("enhance", "impasto.training.enhance:EnhanceTask")
TASKS.add("style", "impasto.training.style:StyleTask")
TASKS.add("texture", "impasto.training.texture:TextureTask")
