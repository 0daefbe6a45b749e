"""Prints the reference in ``docs/losses.md`` from the registry: ``python docs/print_losses.py``.

The text between the two markers is replaced; a test checks that it is current.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from impasto.losses import LOSSES, Critic, SumLoss

PAGE = Path(__file__).with_name("losses.md")
BEGIN = "<!-- printed by docs/print_losses.py: do not edit from here -->"
END = "<!-- to here -->"
BORDER = re.compile(r"=+( +=+)+")


def reference() -> str:
    """All losses: a table of them, then each with its docstring and options."""
    rows = [f"| [`{name}`](#{name}) | {summary(kind)} | {sees(kind)} |" for name, kind in LOSSES]
    head = ["| loss | what it is | sees |", "|---|---|---|", *rows]
    return "\n\n".join(["\n".join(head), *(section(name, kind) for name, kind in LOSSES)])


def summary(kind: type[Any]) -> str:
    """First paragraph of the docstring, in one line."""
    line = " ".join(text_of(kind).split("\n\n")[0].split())
    return line.replace("``", "`").replace("|", "\\|")


def sees(kind: type[Any]) -> str:
    """What of the picture the loss looks at."""
    if kind.joint:
        return "all layers together"
    if issubclass(kind, Critic):
        return "each layer, and learns"
    if kind.targetless:
        return "the picture alone"
    return "sums over positions of each layer" if issubclass(kind, SumLoss) else "each layer"


def section(name: str, kind: type[Any]) -> str:
    """One loss."""
    body, _, _ = text_of(kind).partition("Attributes:\n")
    marked = re.sub(r"^(Source|Cost|Blends|Deviations):", r"**\1:**", body.strip(), flags=re.M)
    options = [row(f, get_type_hints(kind)[f.name], kind) for f in dataclasses.fields(kind)]
    head = ["| option | what it does | allowed | default |", "|---|---|---|---|"]
    return f"## {name}\n\n{tables(marked)}\n\n" + "\n".join([*head, *options])


def row(field: Any, hint: Any, kind: type[Any]) -> str:
    """One option as a row of a table."""
    if get_origin(hint) is Literal:
        allowed = ", ".join(f"`{choice}`" for choice in get_args(hint))
    else:
        allowed = "numbers" if get_origin(hint) is tuple else "a number"
        allowed += f", {field.metadata['least']} or more" if _bound(field, "least") else ""
        allowed += f", more than {field.metadata['above']}" if _bound(field, "above") else ""
    found = re.search(rf"^    {field.name}: (.*(?:\n        .*)*)", text_of(kind), flags=re.M)
    text = " ".join(found[1].split()).replace("``", "`") if found else ""
    default = field.default if isinstance(field.default, str) else repr(field.default)
    return f"| `{field.name}` | {text} | {allowed} | `{default}` |"


def tables(text: str) -> str:
    """The docstring's tables as those of Markdown, its literals as code."""
    lines: list[str] = []
    inside: list[tuple[int, int]] | None = None
    for line in text.replace("``", "`").split("\n"):
        if BORDER.fullmatch(line.strip()):
            if inside is None:
                inside = [m.span() for m in re.finditer("=+", line)]
                lines += ["|" + "   |" * len(inside), "|" + "---|" * len(inside)]
            else:
                inside = None
        elif inside is None:
            lines.append(line)
        else:
            lines = _with_row(lines, line.replace("``", "`"), inside)
    return "\n".join(lines)


def _with_row(lines: list[str], line: str, spans: list[tuple[int, int]]) -> list[str]:
    """A row of cells, split where two blanks are; without a first cell it continues the last."""
    first, rest = line[: spans[0][1]].strip(), line[spans[0][1] :].strip()
    if not first:
        return [*lines[:-1], lines[-1].removesuffix(" |") + f" {rest} |"]
    cells = [first, *re.split(r" {2,}", rest, maxsplit=len(spans) - 2)]
    return [*lines, "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"]


def _bound(field: Any, name: str) -> bool:
    return field.metadata.get(name) is not None


def text_of(kind: type[Any]) -> str:
    """The docstring without its indentation and its Sphinx roles."""
    return re.sub(r":\w+:`([^`]+)`", r"``\1``", inspect.cleandoc(kind.__doc__ or ""))


def page() -> str:
    """The whole page with a fresh reference."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
