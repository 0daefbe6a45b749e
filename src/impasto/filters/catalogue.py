"""What there is: the registry as rows, and as the table of the documentation."""

from __future__ import annotations

from dataclasses import dataclass

from impasto.filters.base import FILTERS, Parameter, Value, parameters


@dataclass(frozen=True)
class Row:
    """One filter, for lists.

    Attributes:
        name: As written in a chain.
        title: For people.
        summary: One line.
        source: The paper or standard definition.
        needs_reference: Whether a second picture has to be given.
        parameters: In order.
    """

    name: str
    title: str
    summary: str
    source: str
    needs_reference: bool
    parameters: tuple[Parameter, ...]


def describe() -> list[Row]:
    """All filters, sorted by name."""
    return [
        Row(name, kind.title, kind.summary(), kind.source, kind.needs_reference, parameters(kind))
        for name, kind in sorted(FILTERS)
    ]


def markdown() -> str:
    """The reference of ``docs/filters.md``: for each filter its lines and its parameters."""
    return "\n".join(_section(row) for row in describe())


def _section(row: Row) -> str:
    second = " Needs a second picture." if row.needs_reference else ""
    lines = [
        f"### `{row.name}`: {row.title}\n",
        f"{row.summary}{second}\n",
        f"Source: {row.source}.\n",
        "| parameter | default | allowed | meaning |",
        "|---|---|---|---|",
    ]
    for parameter in row.parameters:
        allowed = parameter.range.replace("|", "\\|")
        default = _shown(parameter.default)
        lines.append(f"| `{parameter.name}` | {default} | {allowed} | {parameter.help} |")
    return "\n".join(lines) + "\n"


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else f"{value:g}"
