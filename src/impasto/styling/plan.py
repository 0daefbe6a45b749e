"""From a request and a recipe to explicit numbers."""

from __future__ import annotations

from typing import Any

from impasto.errors import UsageError
from impasto.recipes import (
    OptimizerSpec,
    Recipe,
    Schedule,
    StandIn,
    TermSpec,
    find_recipe,
    marked,
)
from impasto.specs import StylizeSpec, TextureSpec
from impasto.styling import starts

#: The source of numbers that the request gives, and of those that other networks need.
REQUEST, BY_EYE = "the request", "impasto: by eye, relative to the targets"
#: Step sizes where the request names another optimizer than the recipe.
RATES = {"adam": 0.03, "lbfgs": 1.0, "rmsprop": 0.005, "sgd": 5e-4}


def resolve(spec: StylizeSpec) -> Recipe:
    """The recipe that ``spec`` asks for, with every override of the request applied.

    Raises:
        UnknownName: No such recipe.
        UsageError: An override does not fit the recipe, or its file cannot be read.
    """
    recipe = find_recipe(spec.recipe)
    quality = spec.quality or recipe.quality
    if quality not in recipe.schedule.steps:
        raise UsageError(
            f"recipe {recipe.name} has no quality {quality!r}",
            hint=f"use {', '.join(recipe.schedule.steps)}",
        )
    if spec.backbone not in (None, recipe.backbone, *recipe.twins):
        recipe = rebalanced(recipe, spec, spec.backbone)
    changes: dict[str, Any] = {
        "terms": _override_terms(recipe.terms, spec),
        "optimizer": _override_optimizer(recipe.optimizer, spec),
        "schedule": _override_schedule(recipe.schedule, quality, spec),
        "quality": quality,
        "size": spec.size or recipe.size,
    }
    for field in ("backbone", "pooling", "init"):
        if (value := getattr(spec, field)) is not None:
            changes[field] = value
    starts.parse(changes.get("init", recipe.init))
    resolved = Recipe.model_validate(recipe.model_dump() | _dumped(changes))
    return marked(recipe, resolved, REQUEST)


def resolve_texture(spec: TextureSpec) -> Recipe:
    """The recipe that ``spec`` asks for, with its overrides, as textures need it.

    Raises:
        UnknownName: No such recipe.
        UsageError: An override does not fit the recipe, or its file cannot be read.
    """
    recipe = resolve(spec.stylization())
    changes: dict[str, Any] = {}
    if starts.parse(recipe.init).kind in ("content", "detail"):
        changes["init"] = "noise"
    if spec.seamless:
        changes |= {"padding": "circular", "margin": 0}
    return marked(recipe, recipe.model_copy(update=changes), REQUEST)


def rebalanced(recipe: Recipe, spec: StylizeSpec, backbone: str | None) -> Recipe:
    """The recipe for another network than its own, with the overrides of ``spec``.

    Args:
        recipe: With or without overrides.
        spec: The request.
        backbone: The network, or None for the recipe's stand-in.
    """
    stand_in = recipe.stand_in or StandIn(terms=recipe.terms)
    plain = recipe.model_copy(
        update={
            "backbone": backbone or stand_in.backbone,
            "twins": (),
            "mean": None,
            "terms": stand_in.terms,
            "optimizer": stand_in.optimizer or recipe.optimizer,
            "pooling": spec.pooling or stand_in.pooling or recipe.pooling,
            "stand_in": None,
        }
    )
    if recipe.stand_in is None:
        return plain
    changes = {
        "terms": _override_terms(plain.terms, spec),
        "optimizer": _override_optimizer(plain.optimizer, spec),
    }
    plain = marked(recipe, plain, BY_EYE)
    return marked(plain, plain.model_copy(update=changes), REQUEST)


def terms_at(terms: tuple[TermSpec, ...], index: int) -> tuple[TermSpec, ...]:
    """The terms with their weights at a scale, counted from 0, the coarsest."""
    return tuple(
        t if t.scaling == 1 else t.model_copy(update={"weight": t.weight * t.scaling**index})
        for t in terms
    )


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
        changes = {"name": spec.optimizer, "lr": RATES[spec.optimizer], "eps": 1e-8, "scaled": True}
        changes |= {"average": 0.0, "decay": 1.0} if spec.optimizer == "lbfgs" else {}
    if spec.learning_rate is not None:
        changes["lr"] = spec.learning_rate
    return optimizer.model_copy(update=changes)


def _override_schedule(schedule: Schedule, quality: str, spec: StylizeSpec) -> Schedule:
    steps = schedule.steps[quality]
    changes: dict[str, Any] = {}
    if spec.iterations is not None:
        steps = (spec.iterations, *steps[1:])
        changes["carried"] = False
    if spec.scales is not None:
        changes["count"] = spec.scales
        if spec.init is not None and starts.parse(spec.init).kind == "picture":
            changes["carried"] = False  # its large shapes are settled
        elif spec.scales == 1 and spec.iterations is None:
            steps = (max(steps[: schedule.count or None]),)
    return schedule.model_copy(update={"steps": {quality: steps}} | changes)


def _dumped(changes: dict[str, Any]) -> dict[str, Any]:
    dump: dict[str, Any] = {}
    for key, value in changes.items():
        if key == "terms":
            dump[key] = [term.model_dump() for term in value]
        else:
            dump[key] = value.model_dump() if hasattr(value, "model_dump") else value
    return dump
