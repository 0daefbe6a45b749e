"""Commands that list what there is, a line each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from impasto.cli.session import Session


def recipes(session: Session) -> None:
    """List the published methods."""
    from impasto.recipes import ONE_PASS, RECIPES

    rows = [
        {"name": name, "summary": recipe.summary, "paper": recipe.paper, "size": recipe.size}
        for name, recipe in (*RECIPES, *ONE_PASS)
    ]
    answer(session, "recipes", rows)


def backbones(session: Session) -> None:
    """List the networks that look at the pictures."""
    from impasto.backbones import ARCHITECTURES, DEFAULT, weights

    rows = [
        {
            "name": entry.name,
            "summary": f"{ARCHITECTURES.get(entry.arch).title}: {entry.origin}"
            + ("" if here else f" [{weights.remedy(entry)}]"),
            "default": entry.name == DEFAULT,
            "here": here,
            "paper": ARCHITECTURES.get(entry.arch).paper,
            "licence": entry.licence,
        }
        for entry in weights.entries()
        for here in [weights.find(entry) is not None]
    ]
    answer(session, "backbones", rows)


def filters(session: Session) -> None:
    """List the classical filters; --json tells their parameters."""
    from impasto.filters import describe

    rows = [
        dataclasses.asdict(row)
        | {
            "summary": row.summary + (" [needs --reference]" if row.needs_reference else ""),
            "parameters": [dataclasses.asdict(p) | {"range": p.range} for p in row.parameters],
        }
        for row in describe()
    ]
    answer(session, "filters", rows)


def models(session: Session) -> None:
    """List the trained networks: those that install with impasto, and one's own."""
    from impasto.errors import WeightsError
    from impasto.networks import read_card
    from impasto.networks.shelf import names, shipped

    rows: list[dict[str, Any]] = []
    for name, path in names().items():
        try:
            kind, architecture, card = read_card(path)
        except WeightsError as error:
            rows.append({"name": name, "summary": f"[{error.message}]", "path": str(path)})
            continue
        rows.append(
            {
                "name": name,
                "summary": f"{card.summary} ({card.steps} steps, {card.licence})",
                "kind": kind,
                "architecture": architecture,
                "card": dataclasses.asdict(card),
                "shipped": path.parent == shipped(),
                "path": str(path),
                "bytes": path.stat().st_size,
            }
        )
    answer(session, "models", rows)


def answer(session: Session, kind: str, rows: Sequence[dict[str, Any]]) -> None:
    """Rows with a name and a summary, aligned; or all of them as JSON."""
    width = max((len(row["name"]) for row in rows), default=0)
    text = "\n".join(f"{row['name']:{width}}  {row['summary']}" for row in rows)
    session.answer(text, {kind: list(rows)})
