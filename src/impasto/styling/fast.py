"""From a request to the numbers of a method of one pass; no torch."""

from __future__ import annotations

from typing import Any

from impasto.errors import UsageError
from impasto.recipes import ONE_PASS, OnePass, find_method
from impasto.specs import StylizeSpec
from impasto.specs.stylize import FAST, RECOMPUTE
from impasto.styling import starts

#: Of a request, what only an optimisation has.
_UNKNOWN = (
    "content_weight",
    "style_weight",
    "tv_weight",
    "content_layers",
    "style_layers",
    "style_layer_weights",
    "optimizer",
    "learning_rate",
    "iterations",
    "scales",
    "backbone",
    "pooling",
    "precision",
)
#: What a request to a trained network may say; the rest needs a painting to look at.
_TRAINED = frozenset(
    {
        *("content", "style", "recipe", "size", "style_blend", "keep", "mask_soften", "colors"),
        *("color_space", "before", "after", "alpha", "tile", "seed", "device"),
    }
)
#: The quality that turns the default recipe into the fast one.
INSTANT = "instant"


def resolve(spec: StylizeSpec) -> OnePass | None:
    """The method that ``spec`` asks for; None where it asks for an optimisation.

    Raises:
        UnknownName: No such recipe.
        UsageError: Something was asked for that the method does not have.
    """
    fast = spec.quality == INSTANT and spec.recipe == "impasto"
    method = find_method(INSTANT if fast else spec.recipe)
    if not isinstance(method, OnePass):
        return None
    for field in _UNKNOWN:
        if getattr(spec, field) != type(spec).model_fields[field].default:
            raise UsageError(
                f"recipe {method.name} takes no {field.replace('_', '-')}: it is one pass"
            )
    _check_tile(spec)
    quality = method.quality if fast else spec.quality or method.quality
    if quality not in method.passes:
        raise UsageError(
            f"recipe {method.name} has no quality {quality!r}",
            hint=f"use {', '.join(method.passes)}",
        )
    changes: dict[str, Any] = {
        "quality": quality,
        "passes": {quality: method.passes[quality]},
        "size": spec.size or method.size,
        "init": spec.init or method.init,
    }
    if starts.parse(changes["init"]).kind == "instant":
        raise UsageError(f"recipe {method.name} cannot begin with {INSTANT}", hint="--init content")
    return method.model_copy(update=changes)


def default() -> OnePass:
    """The method that an optimisation may begin with."""
    return ONE_PASS.get(INSTANT)


def trained(spec: StylizeSpec) -> bool:
    """Whether ``spec`` asks for a trained network, all of which it can do.

    Raises:
        UsageError: It cannot.
    """
    if not spec.recipe.startswith(FAST):
        return False
    for name in sorted(spec.model_fields_set - _TRAINED):
        if getattr(spec, name) != type(spec).model_fields[name].default:
            raise UsageError(
                f"recipe {spec.recipe} takes no {name.replace('_', '-')}: its network is trained"
            )
    _check_tile(spec)
    if spec.colors not in ("style", "content", "recolor"):
        raise UsageError(
            f"recipe {spec.recipe} takes no colors {spec.colors}",
            hint="use style, content or recolor",
        )
    return True


def _check_tile(spec: StylizeSpec) -> None:
    """One pass has no way back for which activations could be kept."""
    if spec.tile == RECOMPUTE:
        raise UsageError(f"recipe {spec.recipe} takes no tile {RECOMPUTE}: it is one pass")
