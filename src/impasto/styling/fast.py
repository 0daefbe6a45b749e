"""From a request to the numbers of a method of one pass; no torch."""

from __future__ import annotations

from typing import Any

from impasto.errors import UsageError
from impasto.recipes import ONE_PASS, OnePass, find_method
from impasto.specs import StylizeSpec
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
    "backbone",
    "pooling",
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
        if getattr(spec, field) is not None:
            raise UsageError(
                f"recipe {method.name} takes no {field.replace('_', '-')}: it is one pass"
            )
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
