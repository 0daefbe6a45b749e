"""What a filter is: a frozen dataclass of a few bounded numbers, called with a picture.

A picture is a float32 tensor ``(1, 3, H, W)`` of sRGB values in [0, 1]. A filter returns a new
tensor of the same shape, type, device and range, and leaves its input alone.

Lengths (radii, cell sizes, line widths) are in pixels of a picture whose longest side is 1024;
:func:`pixels` converts them, so that a filter has the same look at every size. What is random is
drawn from a generator seeded with the filter's ``seed``: equal filters make equal bytes.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from impasto.errors import InputError, UsageError
from impasto.registry import Registry

#: The longest side, in pixels, for which the lengths of all filters are stated.
REFERENCE_SIDE = 1024

Value = int | float | bool | str


@dataclass(frozen=True)
class Parameter:
    """One number (or word) that a filter takes: its default, what is allowed, what it does.

    Attributes:
        name: As written in a chain, ``kuwahara:radius=8``.
        default: The value that looks good; its type is the parameter's type.
        low: Smallest value allowed; None for words and switches.
        high: Largest value allowed; None for words and switches.
        choices: The words allowed; empty for numbers and switches.
        help: One line, with the unit.
    """

    name: str
    default: Value
    low: float | None
    high: float | None
    choices: tuple[str, ...]
    help: str

    @property
    def range(self) -> str:
        """What is allowed, for people: ``1 to 20``, ``on or off``, ``auto | sepia``."""
        if self.choices:
            return " | ".join(self.choices)
        if self.low is None or self.high is None:
            return "on or off"
        return f"{self.low:g} to {self.high:g}" if self.high < 1e6 else f"{self.low:g} and up"

    def check(self, owner: str, value: object) -> None:
        """Raise unless ``value`` is allowed.

        Args:
            owner: The filter's name, for the message.
            value: What was asked for.

        Raises:
            UsageError: Wrong type, not finite, out of range, or a word that is not a choice.
        """
        if not self._allows(value):
            raise UsageError(
                f"{owner}: {self.name} cannot be {value!r}", hint=f"allowed: {self.range}"
            )

    def _allows(self, value: object) -> bool:
        if isinstance(self.default, str):
            return value in self.choices
        if isinstance(self.default, bool) or isinstance(value, bool):
            return isinstance(self.default, bool) and isinstance(value, bool)
        if self.low is None or self.high is None or not isinstance(value, (int, float)):
            return False
        if isinstance(self.default, int) and not isinstance(value, int):
            return False
        return math.isfinite(value) and self.low <= value <= self.high


def param(default: float, low: float, high: float, help: str) -> Any:
    """A dataclass field for a number in [low, high]; an ``int`` default makes it whole."""
    return field(default=default, metadata={"low": low, "high": high, "help": help})


def choice(default: str, choices: tuple[str, ...], help: str) -> Any:
    """A dataclass field for one word out of ``choices``."""
    return field(default=default, metadata={"choices": choices, "help": help})


def switch(default: bool, help: str) -> Any:
    """A dataclass field that is on or off."""
    return field(default=default, metadata={"help": help})


def seed() -> Any:
    """A dataclass field for the seed of a filter that draws at random."""
    return param(0, 0, 2**31 - 1, "seed of what is random")


@dataclass(frozen=True)
class Filter(ABC):
    """Base of all filters; a subclass states its fields and :meth:`render`.

    The first line of a subclass's docstring is its summary in lists.

    Raises:
        UsageError: A field is out of its range.
    """

    #: The name in :data:`FILTERS`.
    name: ClassVar[str] = ""
    #: For people.
    title: ClassVar[str] = ""
    #: The paper or standard definition.
    source: ClassVar[str] = ""
    #: Whether a second picture (a painting) has to be given.
    needs_reference: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for parameter in parameters(type(self)):
            parameter.check(self.name, getattr(self, parameter.name))

    @classmethod
    def summary(cls) -> str:
        """The first line of the docstring."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    def __call__(self, image: Tensor, reference: Tensor | None = None) -> Tensor:
        """Filter a picture.

        Args:
            image: ``(1, 3, H, W)`` float32, sRGB in [0, 1]; any size from 1 x 1.
            reference: A second picture of any size; only filters with ``needs_reference`` look
                at it.

        Returns:
            A new tensor like ``image``.

        Raises:
            InputError: Not such a tensor.
            UsageError: The filter needs a reference and has none.
        """
        check_picture(image)
        with torch.no_grad():
            result = self._rendered(image.detach().clamp(0.0, 1.0), reference)
        return result.clamp(0.0, 1.0).contiguous()

    def _rendered(self, image: Tensor, reference: Tensor | None) -> Tensor:  # noqa: ARG002
        return self.render(image)

    @abstractmethod
    def render(self, image: Tensor) -> Tensor:
        """The filter itself; ``image`` is checked and a copy, the result is clamped after."""


@dataclass(frozen=True)
class ReferenceFilter(Filter):
    """Base of filters that take something (colour, texture) from a second picture."""

    needs_reference: ClassVar[bool] = True

    def _rendered(self, image: Tensor, reference: Tensor | None) -> Tensor:
        if reference is None:
            raise UsageError(
                f"{self.name} needs a second picture to take from", hint="give a reference picture"
            )
        check_picture(reference)
        return self.transfer(image, reference.detach().to(image.device).clamp(0.0, 1.0))

    def render(self, image: Tensor) -> Tensor:
        """Transfer from the picture to itself; close to the identity."""
        return self.transfer(image, image)

    @abstractmethod
    def transfer(self, image: Tensor, reference: Tensor) -> Tensor:
        """The filter itself, from ``reference`` to ``image``."""


#: All filters by name.
FILTERS: Registry[type[Filter]] = Registry("filter")


@cache
def parameters(kind: type[Filter]) -> tuple[Parameter, ...]:
    """The parameters of a filter, in order, read from its dataclass fields."""
    return tuple(_parameter(entry) for entry in fields(kind))


def _parameter(entry: Field[Any]) -> Parameter:
    return Parameter(
        name=entry.name,
        default=cast(Value, entry.default),
        low=entry.metadata.get("low"),
        high=entry.metadata.get("high"),
        choices=tuple(entry.metadata.get("choices", ())),
        help=entry.metadata["help"],
    )


def check_picture(image: Tensor) -> None:
    """Raise unless ``image`` is a float32 picture ``(1, 3, H, W)`` with finite values.

    Raises:
        InputError: What is wrong, and what is expected.
    """
    if image.ndim != 4 or image.shape[:2] != (1, 3) or image.numel() == 0:
        raise InputError(f"a picture is a tensor (1, 3, H, W), not {tuple(image.shape)}")
    if image.dtype != torch.float32:
        raise InputError(f"a picture is float32 in [0, 1], not {str(image.dtype).split('.')[-1]}")
    if not bool(torch.isfinite(image).all()):
        raise InputError("the picture has values that are not finite")


def pixels(length: float, image: Tensor) -> float:
    """A length stated at 1024 px, in pixels of this picture.

    Args:
        length: In pixels of a picture whose longest side is 1024.
        image: Any tensor ``(..., H, W)``.
    """
    return length * max(image.shape[-2:]) / REFERENCE_SIDE
