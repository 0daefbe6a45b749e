"""From a request and a recipe to explicit numbers."""

from __future__ import annotations

from typing import Any

from impasto.errors import UsageError
from impasto.recipes import RECIPES, OptimizerSpec, Recipe, Schedule, TermSpec
from impasto.specs import StylizeSpec


def resolve(spec: StylizeSpec) -> Recipe:
    """The recipe that ``spec`` asks for, with every override of the request applied.

    Raises:
        UnknownName: No such recipe.
        UsageError: An override does not fit the recipe.
    """
    recipe = RECIPES.get(spec.recipe)
    quality = spec.quality or recipe.quality
    if quality not in recipe.schedule.steps:
        raise UsageError(
            f"recipe {recipe.name} has no quality {quality!r}",
            hint=f"use {', '.join(recipe.schedule.steps)}",
        )
    changes: dict[str, Any] = {
        "terms": tuple(_override_term(term, spec) for term in recipe.terms),
        "optimizer": _override_optimizer(recipe.optimizer, spec),
        "schedule": _override_schedule(recipe.schedule, quality, spec.iterations),
        "quality": quality,
        "size": spec.size or recipe.size,
    }
    for field in ("backbone", "pooling", "init"):
        if (value := getattr(spec, field)) is not None:
            changes[field] = value
    return Recipe.model_validate(recipe.model_dump() | _dumped(changes))


def init_parts(init: str) -> tuple[str, float]:
    """``"mix:0.3"`` to ``("mix", 0.3)``; a path to ``("picture", 1)``.

    Raises:
        UsageError: The number after ``mix:`` is not one from 0 to 1.
    """
    if init in ("content", "noise"):
        return init, 1.0
    kind, _, number = init.partition(":")
    if kind != "mix":
        return "picture", 1.0
    try:
        share = float(number)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(
            f"init {init!r}: the part of noise is a number from 0 to 1", hint="mix:0.5"
        )
    return "mix", share


def _override_term(term: TermSpec, spec: StylizeSpec) -> TermSpec:
    changes: dict[str, Any] = {}
    if term.role == "content":
        changes = {"weight": spec.content_weight, "layers": spec.content_layers}
    elif term.role == "style":
        changes = {"weight": spec.style_weight, "layers": spec.style_layers}
        changes["layer_weights"] = spec.style_layer_weights
    elif term.name == "tv":
        changes = {"weight": spec.tv_weight}
    changes = {k: v for k, v in changes.items() if v is not None}
    if "layers" in changes and "layer_weights" not in changes:
        changes["layer_weights"] = ()
    layers, weights = changes.get("layers", term.layers), changes.get("layer_weights", ())
    if weights and len(weights) != len(layers):
        raise UsageError(
            f"style-layer-weights has {len(weights)} numbers for {len(layers)} layers",
            hint=f"the layers are {', '.join(layers)}",
        )
    return term.model_copy(update=changes)


def _override_optimizer(optimizer: OptimizerSpec, spec: StylizeSpec) -> OptimizerSpec:
    changes: dict[str, Any] = {}
    if spec.optimizer is not None and spec.optimizer != optimizer.name:
        # The step sizes of the two have nothing to do with each other.
        changes = {"name": spec.optimizer, "lr": 1.0 if spec.optimizer == "lbfgs" else 0.03}
        changes |= {"average": 0.0, "decay": 1.0} if spec.optimizer == "lbfgs" else {}
    if spec.learning_rate is not None:
        changes["lr"] = spec.learning_rate
    return optimizer.model_copy(update=changes)


def _override_schedule(schedule: Schedule, quality: str, iterations: int | None) -> Schedule:
    steps = schedule.steps[quality]
    if iterations is not None:
        steps = (iterations, *steps[1:]) if len(steps) > 1 else (iterations,)
    return schedule.model_copy(update={"steps": {quality: steps}})


def _dumped(changes: dict[str, Any]) -> dict[str, Any]:
    dump: dict[str, Any] = {}
    for key, value in changes.items():
        if key == "terms":
            dump[key] = [term.model_dump() for term in value]
        else:
            dump[key] = value.model_dump() if hasattr(value, "model_dump") else value
    return dump
