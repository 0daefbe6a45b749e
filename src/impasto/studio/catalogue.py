"""What there is to choose from: recipes, filters, networks, samples, with their small pictures."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from impasto import jobs
from impasto.specs import StylizeSpec
from impasto.studio import forms

STATIC = Path(__file__).with_name("static")
#: The method that is shown while a slow one works.
FIRST = "instant"
Rows = list[dict[str, Any]]


def everything() -> dict[str, Any]:
    """All that the page has to know."""
    return {
        "verbs": [forms.form(verb).view() for verb in jobs.VERBS.names()],
        "recipes": recipes(),
        "filters": filters(),
        "backbones": backbones(),
        "samples": samples(),
        "models": models(),
    }


@functools.cache
def recipes() -> Rows:
    """Published methods; ``instant`` are those that answer at once."""
    from impasto.recipes import ONE_PASS, RECIPES

    slow = [_row(r, r.schedule.steps, style_weight(r)) for _, r in RECIPES]
    for row, (_, recipe) in zip(slow, RECIPES, strict=True):
        row["texture"] = all(term.role != "content" for term in recipe.terms)
    return slow + [_row(m, m.passes, None) | {"instant": True} for _, m in ONE_PASS]


def _row(recipe: Any, qualities: Iterable[str], weight: float | None) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "title": recipe.title,
        "summary": recipe.summary,
        "paper": recipe.paper,
        "size": recipe.size,
        "instant": False,
        "texture": False,
        "style_weight": weight,
        "qualities": list(qualities),
        "example": example("recipes", recipe.name),
    }


def style_weight(recipe: Any) -> float | None:
    """What the strength of the painting is without a word of the client, here and now."""
    own = {recipe.backbone, *recipe.twins} & {row["name"] for row in backbones()}
    terms = recipe.terms if own or recipe.stand_in is None else recipe.stand_in.terms
    return next((term.weight for term in terms if term.role == "style"), None)


def instant_request() -> dict[str, Any] | None:
    """The fields that ask for an instant picture; None where no recipe gives one."""
    found = [r["name"] for r in recipes() if r["instant"]]
    if not found:
        return None
    request = {"recipe": FIRST if FIRST in found else found[0]}
    StylizeSpec.build(content="a", style=("b",), **request)
    return request


@functools.cache
def filters() -> Rows:
    """Classical filters with their parameters."""
    from impasto.filters import describe

    return [
        asdict(row) | {"example": example("filters", row.name)} | {"parameters": _parameters(row)}
        for row in describe()
    ]


def _parameters(row: Any) -> Rows:
    return [asdict(p) | {"choices": list(p.choices)} for p in row.parameters]


@functools.cache
def backbones() -> Rows:
    """Networks whose weights are on this machine."""
    from impasto.backbones import DEFAULT, weights

    return [
        {"name": entry.name, "origin": entry.origin, "default": entry.name == DEFAULT}
        for entry in weights.entries()
        if weights.find(entry) is not None
    ]


def models() -> Rows:
    """Trained networks that are on this machine, by name."""
    from impasto.errors import WeightsError
    from impasto.networks import read_card
    from impasto.networks.shelf import names

    rows = []
    for name, path in names().items():
        try:
            card = read_card(path)[2]
        except WeightsError:
            continue
        rows.append({"name": name, "summary": card.summary})
    return rows


def samples() -> Rows:
    """Sample pictures: ``kind`` is painting or photo."""
    from impasto import samples as room

    every = dict.fromkeys(room.photo_names(), "photo") | dict.fromkeys(room.names(), "painting")
    return [
        {"name": name, "kind": kind, "example": example("samples", name)}
        for name, kind in every.items()
    ]


def example(kind: str, name: str) -> str | None:
    """Where the small picture of a choice is, for clients; None where there is none."""
    path = STATIC / "examples" / kind / f"{name}.webp"
    return f"/static/examples/{kind}/{name}.webp" if path.is_file() else None
