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
        "terms": _override_terms(recipe.terms, spec),
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


def _override_terms(terms: tuple[TermSpec, ...], spec: StylizeSpec) -> tuple[TermSpec, ...]:
    """Layers go to the leading term of a role; its weight brings those of its role along."""
    terms = _override_role(terms, "content", spec.content_weight, spec.content_layers, None)
    numbered = spec.numbered_layers()
    layers = tuple(name for _, name in numbered) or spec.style_layers
    terms = _override_role(terms, "style", spec.style_weight, layers, spec.style_layer_weights)
    terms = _from_paintings(terms, [number for number, _ in numbered], spec.palette_from)
    if spec.tv_weight is None:
        return terms
    if not any(t.name == "tv" for t in terms):
        tv = TermSpec(name="tv", role="image", loss="tv", layers=("image",), weight=spec.tv_weight)
        return (*terms, tv)
    return tuple(
        t.model_copy(update={"weight": spec.tv_weight}) if t.name == "tv" else t for t in terms
    )


def _override_role(
    terms: tuple[TermSpec, ...],
    role: str,
    weight: float | None,
    layers: tuple[str, ...] | None,
    layer_weights: tuple[float, ...] | None,
) -> tuple[TermSpec, ...]:
    lead = next((t for t in terms if t.role == role), None)
    if lead is None or (weight, layers, layer_weights) == (None, None, None):
        return terms
    factor = 1.0 if weight is None else weight / lead.weight if lead.weight else 0.0
    changed = [
        t.model_copy(update={"weight": t.weight * factor}) if t.role == role else t for t in terms
    ]
    changes: dict[str, Any] = {"weight": lead.weight if weight is None else weight}
    if layers is not None:
        changes |= {"layers": layers, "layer_weights": ()}
    if layer_weights is not None:
        names = changes.get("layers", lead.layers)
        if len(layer_weights) != len(names):
            raise UsageError(
                f"{role}-layer-weights has {len(layer_weights)} numbers for {len(names)} layers",
                hint=f"the layers are {', '.join(names)}",
            )
        changes["layer_weights"] = layer_weights
    changed[terms.index(lead)] = lead.model_copy(update=changes)
    return tuple(changed)


def _from_paintings(
    terms: tuple[TermSpec, ...], numbers: list[int], palette: int | None
) -> tuple[TermSpec, ...]:
    """Divide the leading style term by the paintings that supply its layers.

    Args:
        terms: Of the recipe.
        numbers: The painting of each layer of the leading term; empty: all paintings, blended.
        palette: The painting of the terms that see the picture itself; without, that of the
            first layer.
    """
    lead = next((t for t in terms if t.role == "style"), None)
    if lead is None or not (numbers or palette):
        return terms
    colours = palette or numbers[0]
    done: list[TermSpec] = []
    for term in terms:
        if term is lead and numbers:
            done += _divided(lead, numbers)
        elif term.role == "style" and (numbers or set(term.layers) == {"image"}):
            done.append(term.model_copy(update={"source": colours}))
        else:
            done.append(term)
    return tuple(done)


def _divided(term: TermSpec, numbers: list[int]) -> list[TermSpec]:
    """One term of the same name per painting; together they weigh what ``term`` does."""
    parts = []
    for number in dict.fromkeys(numbers):
        mine = [i for i, n in enumerate(numbers) if n == number]
        changes: dict[str, Any] = {"source": number, "layers": tuple(term.layers[i] for i in mine)}
        if term.layer_weights:
            changes["layer_weights"] = tuple(term.layer_weights[i] for i in mine)
        else:
            changes["weight"] = term.weight * len(mine) / len(numbers)
        parts.append(term.model_copy(update=changes))
    return parts


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
