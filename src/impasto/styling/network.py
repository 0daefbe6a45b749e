"""Which network a recipe runs on: its own where that is here, or else the embedded one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from impasto.backbones import DEFAULT, Backbone, load, weights
from impasto.losses import LOSSES
from impasto.recipes import Recipe, TermSpec
from impasto.specs import StylizeSpec
from impasto.styling.plan import rebalanced

IMAGE = "image"


def choose(
    recipe: Recipe, spec: StylizeSpec, backbone: Backbone | None = None
) -> tuple[Recipe, Backbone, tuple[str, ...]]:
    """The network for a resolved recipe, and the recipe as it is run on it.

    Where the recipe's network and its twins are missing and the request does not insist on one,
    the embedded network stands in, with the terms that the recipe has for this case. Layers of
    the recipe that a network lacks are replaced by those that play their part; layers that the
    request names must exist.

    Args:
        recipe: From :func:`impasto.styling.plan.resolve`.
        spec: The request.
        backbone: A network to use in any case, with the recipe's numbers as they are.

    Returns:
        The recipe, the network, and notes for a person.

    Raises:
        WeightsError: The weights are missing, with no stand-in, or damaged.
        UnknownName: A layer or network is not known.
    """
    notes: list[str] = []
    if backbone is None:
        recipe = _available(recipe, spec, notes)
        backbone = load(recipe.backbone, pooling=recipe.pooling, padding=recipe.padding)
        if recipe.mean is not None:
            backbone.preprocessing = _with_mean(backbone, recipe.mean)
    asked = {name.rpartition(":")[2] for name in spec.content_layers or ()}
    asked |= {name.rpartition(":")[2] for name in spec.style_layers or ()}
    terms = tuple(_on(backbone, term, asked, notes) for term in recipe.terms)
    return recipe.model_copy(update={"terms": terms}), backbone, tuple(dict.fromkeys(notes))


def here(name: str) -> bool:
    """Whether the file with the weights ``name`` exists; it is not verified."""
    if name.endswith(".safetensors"):
        return True
    return weights.find(weights.get_entry(name.removesuffix(weights.NORMALIZED))) is not None


def _available(recipe: Recipe, spec: StylizeSpec, notes: list[str]) -> Recipe:
    """The recipe with the first of its networks that is here, or on its stand-in."""
    if spec.backbone is not None or recipe.backbone == DEFAULT:
        return recipe
    found = next((n for n in (recipe.backbone, *recipe.twins) if here(n)), None)
    if found is not None:
        return recipe.model_copy(update={"backbone": found})
    own = recipe.backbone.removesuffix(weights.NORMALIZED)
    remedy = weights.remedy(weights.get_entry(own))
    changed = rebalanced(recipe, spec, None)
    kept = "" if recipe.stand_in is None else ", weights rebalanced"
    notes.append(f"{own} is not here ({remedy}): painting with {changed.backbone}{kept}")
    return changed


def _on(backbone: Backbone, term: TermSpec, asked: Iterable[str], notes: list[str]) -> TermSpec:
    """``term`` with layers that ``backbone`` has; those that fall together add their weights."""
    names = [n if n == IMAGE or n in asked else backbone.nearest(n) for n in term.layers]
    moved = [
        f"{old} -> {new}"
        for old, new in zip(term.layers, names, strict=True)
        if new != old and backbone.aliases.get(old) != new
    ]
    if not moved:
        return term
    notes.append(f"{term.name} on {backbone.name}: {', '.join(moved)}")
    changes: dict[str, object] = {"layers": tuple(dict.fromkeys(names))}
    if not LOSSES.get(term.loss).joint and (term.layer_weights or len(set(names)) < len(names)):
        sums: Counter[str] = Counter()
        for name, share in zip(
            names, term.layer_weights or [1 / len(names)] * len(names), strict=True
        ):
            sums[name] += share  # type: ignore[assignment]
        changes["layer_weights"] = tuple(float(v) for v in sums.values())
    return term.model_copy(update=changes)


def _with_mean(backbone: Backbone, mean: tuple[float, float, float]) -> object:
    known = backbone.preprocessing
    scaled = tuple(m * known.scale / 255 for m in mean)
    return replace(known, mean=scaled if known.channels == "rgb" else scaled[::-1])
