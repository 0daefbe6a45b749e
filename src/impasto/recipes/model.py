"""A recipe: a published method as data. No tensors, no code of the method."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Data(BaseModel):
    """Base of all recipe parts: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TermSpec(Data):
    """One term of the objective, by name.

    ``role`` says what it is compared with: the photo, the paintings, or nothing; ``source`` is
    the number of the one painting that counts, from 1, where it is not all of them.
    """

    name: str
    role: Literal["content", "style", "image"]
    loss: str
    options: dict[str, Any] = Field(default_factory=dict)
    layers: tuple[str, ...]
    layer_weights: tuple[float, ...] = ()
    weight: float = Field(ge=0)
    source: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _same_length(self) -> TermSpec:
        if self.layer_weights and len(self.layer_weights) != len(self.layers):
            raise ValueError(
                f"term {self.name!r} has {len(self.layers)} layers but "
                f"{len(self.layer_weights)} layer weights"
            )
        return self


class OptimizerSpec(Data):
    """How pixels are moved; fields as in :class:`impasto.engine.optimise.Optimiser`."""

    name: Literal["adam", "lbfgs"] = "adam"
    lr: float = Field(default=0.03, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = Field(default=1e-8, gt=0)
    first: float = Field(default=0.0, ge=0, le=1)
    history: int = Field(default=20, ge=1, le=100)
    average: float = Field(default=0.0, ge=0, lt=1)
    decay: float = Field(default=1.0, ge=0, le=1)


class Schedule(Data):
    """Sizes and steps, coarse to fine.

    Attributes:
        ratio: Each scale is this much smaller than the next; 1 means the final size only.
        smallest: Longest side, in px, below which no scale goes.
        steps: By quality: steps of the final scale, of the one before it, and so on; the last
            number serves all coarser ones.
    """

    ratio: float = Field(default=2.0, ge=1)
    smallest: int = Field(default=112, ge=16)
    steps: dict[str, tuple[int, ...]]


class Recipe(Data):
    """All numbers of a method, each with its source.

    Attributes:
        margin: Width, in px, of a frame around the picture that is optimised and cut off.
        size: Longest side of the result, in px, unless the request says otherwise.
        quality: Key of ``schedule.steps``, likewise.
        sources: Where the numbers come from, by field.
    """

    name: str
    title: str
    summary: str
    paper: str
    backbone: str = "vgg16_bn.craft"
    pooling: Literal["max", "avg"] = "max"
    padding: Literal["zeros", "replicate", "circular"] = "zeros"
    terms: tuple[TermSpec, ...]
    optimizer: OptimizerSpec = OptimizerSpec()
    init: str = "content"
    clamp: bool = True
    margin: int = Field(default=0, ge=0, le=64)
    size: int = 512
    schedule: Schedule
    quality: str = "good"
    sources: dict[str, str] = Field(default_factory=dict)
