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
    the number of the one painting that counts, from 1, where it is not all of them; ``scaling``
    is the factor of ``weight`` from each scale to the next finer one, ``weight`` that of the
    coarsest.
    """

    name: str
    role: Literal["content", "style", "image"]
    loss: str
    options: dict[str, Any] = Field(default_factory=dict)
    layers: tuple[str, ...]
    layer_weights: tuple[float, ...] = ()
    weight: float = Field(ge=0)
    source: int | None = Field(default=None, ge=1)
    scaling: float = Field(default=1.0, gt=0)

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

    name: Literal["adam", "lbfgs", "rmsprop", "sgd"] = "adam"
    lr: float = Field(default=0.03, gt=0)
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = Field(default=1e-8, gt=0)
    first: float = Field(default=0.0, ge=0, le=1)
    eps_hat: bool = False
    scaled: bool = True
    history: int = Field(default=20, ge=1, le=100)
    bounded: bool = False
    asked: float = Field(default=0.0, ge=0, le=1)
    average: float = Field(default=0.0, ge=0, lt=1)
    decay: float = Field(default=1.0, ge=0, le=1)


class Schedule(Data):
    """Sizes and steps, coarse to fine.

    Attributes:
        ratio: Each scale is this much smaller than the next; 1 means the final size only.
        smallest: Longest side, in px, below which no scale goes.
        count: Largest number of scales; 0 is as many as fit.
        steps: By quality: steps of the final scale, of the one before it, and so on; the last
            number serves all coarser ones.
        carried: Where a picture is too small for any scale but the final one, this takes the
            largest number of steps of all.
        first: The coarsest scale takes this many times its steps, where there are several.
        final_lr: Factor of the step size at the final scale, where there are several.
        detail: Share of the photo's detail that is put back where a finer scale begins: what the
            scale before had no room for. Of the picture it started from, where one was given;
            none where it started from noise or from the painting.
    """

    ratio: float = Field(default=2.0, ge=1)
    smallest: int = Field(default=112, ge=16)
    count: int = Field(default=0, ge=0)
    steps: dict[str, tuple[int, ...]]
    carried: bool = True
    first: float = Field(default=1.0, ge=1)
    final_lr: float = Field(default=1.0, gt=0)
    detail: float = Field(default=0.0, ge=0, le=1)


class StandIn(Data):
    """The method on another network than its own.

    Published weights balance terms whose sizes follow from the activations of one network. On
    another, whose activations are larger or smaller, they mean nothing; so the terms are there a
    second time, measured relative to their targets, with weights that were chosen by eye.

    Attributes:
        backbone: The network to use where the method's own is missing.
        terms: In place of the recipe's.
        optimizer: In place of the recipe's, where its numbers belong to the published weights.
        pooling: In place of the recipe's, where the other network needs the smoother one.
        reason: What is not as published, and why.
    """

    backbone: str = "vgg16_bn.craft"
    terms: tuple[TermSpec, ...]
    optimizer: OptimizerSpec | None = None
    pooling: Literal["max", "avg"] | None = None
    reason: str = ""


class Recipe(Data):
    """All numbers of a method, each with its source.

    Attributes:
        backbone: The method's own network.
        twins: Other names for the same weights, from other files.
        mean: What is subtracted from RGB in 0-255, where it is not what the weights come with.
        normalize_gradients: Scale each term's gradient at its layers to an L1 norm of 1 times its
            weight (terms on the picture alone are left as they are).
        pixels: What the optimiser moves: the picture, or the levels of its Laplacian pyramid.
        clamp: Whether every step is clamped to [0, 1]; the result always is.
        margin: Width, in px, of a frame around the picture that is optimised and cut off.
        size: Longest side of the result, in px, unless the request says otherwise.
        quality: Key of ``schedule.steps``, likewise.
        stand_in: What changes on other networks; None where nothing does.
        sources: Where the numbers come from, by field; ``terms.style`` speaks for all numbers in
            the term ``style`` that have no longer key of their own.
        deviations: Where this departs from the source, and what the source leaves open.
    """

    name: str
    title: str
    summary: str
    paper: str
    backbone: str = "vgg16_bn.craft"
    twins: tuple[str, ...] = ()
    mean: tuple[float, float, float] | None = None
    pooling: Literal["max", "avg"] = "max"
    padding: Literal["zeros", "replicate", "circular"] = "zeros"
    terms: tuple[TermSpec, ...] = Field(min_length=1)
    normalize_gradients: bool = False
    optimizer: OptimizerSpec = OptimizerSpec()
    init: str = "content"
    pixels: Literal["plain", "laplacian"] = "plain"
    clamp: bool = True
    margin: int = Field(default=0, ge=0, le=64)
    size: int = Field(default=512, ge=32, le=16384)
    schedule: Schedule
    quality: str = "good"
    stand_in: StandIn | None = None
    sources: dict[str, str] = Field(default_factory=dict)
    deviations: str = ""

    @model_validator(mode="after")
    def _known_quality(self) -> Recipe:
        if self.quality not in self.schedule.steps:
            raise ValueError(
                f"quality {self.quality!r} is none of {', '.join(self.schedule.steps)}"
            )
        return self

    def source(self, field: str) -> str:
        """Where the number ``field`` (``"terms.style.weight"``) comes from; empty if unsaid."""
        parts = field.split(".")
        keys = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
        return next((self.sources[k] for k in keys if k in self.sources), "")


#: Fields of a recipe that are not numbers of the method.
_ABOUT = {"name", "title", "summary", "paper", "quality", "stand_in", "sources", "deviations"}


def leaves(recipe: Recipe) -> dict[str, Any]:
    """Every number and choice of a recipe by its name in :attr:`Recipe.sources`.

    Terms go by their names: ``terms.style.weight``; a list of numbers is one leaf.
    """
    found: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for name, value in recipe.model_dump(exclude=_ABOUT | {"terms"}).items():
        found |= _leaves(name, value)
    for term in recipe.terms:
        seen[term.name] = number = seen.get(term.name, 0) + 1
        name = term.name if number == 1 else f"{term.name}-{number}"
        found |= _leaves(f"terms.{name}", term.model_dump(exclude={"name"}))
    return found


def _leaves(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found |= _leaves(f"{name}.{key}", item)
    return found


def marked(before: Recipe, after: Recipe, source: str) -> Recipe:
    """``after`` with ``source`` for every number that differs from ``before``."""
    old = leaves(before)
    new = {k: source for k, v in leaves(after).items() if k not in old or old[k] != v}
    return after.model_copy(update={"sources": {**after.sources, **new}}) if new else after
