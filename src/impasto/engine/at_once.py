"""Jobs that make their picture in one go: there is all of it, or nothing."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from impasto.errors import UsageError
from impasto.events import Event, Finished, Started
from impasto.images import FloatArray, Picture
from impasto.images.resize import resize_map
from impasto.images.tensors import from_tensor


class AtOnce(ABC):
    """One such job.

    Args:
        inputs: Role to picture; the result keeps the transparency of the one called ``image``.
        size: Height and width of the result.
    """

    #: Name of the verb.
    verb: ClassVar[str]

    def __init__(self, inputs: Mapping[str, Picture], size: tuple[int, int]) -> None:
        self.pictures, self.picture, self.size = dict(inputs), inputs["image"], size
        self._result: Tensor | None = None

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """All numbers, explicit."""

    def described(self) -> dict[str, Any]:
        """The inputs: role to name, sha256, size."""
        return {
            role: {
                "name": picture.source.name,
                "sha256": picture.source.sha256,
                "size": [picture.width, picture.height],
            }
            for role, picture in self.pictures.items()
        }

    def notes(self) -> tuple[str, ...]:
        """What reading the pictures did that a person might want to know."""
        return tuple(
            f"{p.source.name}: {n}" for p in self.pictures.values() for n in p.source.notes
        )

    @abstractmethod
    def make(self) -> Tensor:
        """The result, (1, 3, H, W) in [0, 1]."""

    def events(self) -> Iterator[Event]:
        """Run; the last event is :class:`impasto.events.Finished`, not saved yet."""
        begun = time.monotonic()
        yield Started(self.verb, (), self.settings(), self.notes())
        self._result = self.make()
        yield self.finished(time.monotonic() - begun)

    def finished(self, seconds: float, *, complete: bool = True) -> Finished:
        """The result as an event.

        Raises:
            UsageError: There is none yet.
        """
        if self._result is None:
            raise UsageError("the job has not begun")
        image = from_tensor(self._result)
        return Finished(image, self._alpha(), self.settings(), seconds, None, complete)

    @property
    def begun(self) -> bool:
        """Whether there is a result: all of it, or nothing."""
        return self._result is not None

    def state(self) -> dict[str, Any]:
        """Nothing: there is no half of it to go on from."""
        return {}

    def load(self, state: dict[str, Any]) -> None:
        """Begin anew, as :meth:`state` holds nothing."""
        del state

    def _alpha(self) -> FloatArray | None:
        """(H, W) of the picture, at the size of the result."""
        if self.picture.alpha is None:
            return None
        alpha = torch.tensor(self.picture.alpha)[None, None]
        made: FloatArray = resize_map(alpha, self.size)[0, 0].numpy()
        return made
