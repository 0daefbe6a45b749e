"""Prints the reference in ``docs/cli.md`` from the specs: ``python docs/print_cli.py``.

The text between the two markers is replaced; a test checks that it is current.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

from impasto import jobs
from impasto.cli import app, derive
from impasto.cli.session import FLAGS

PAGE = Path(__file__).with_name("cli.md")
BEGIN = "<!-- printed by docs/print_cli.py: do not edit from here -->"
END = "<!-- to here -->"


def reference() -> str:
    """All commands with their options, as Markdown."""
    parts = [verb(name) for name in jobs.VERBS.names()]
    parts += [command(name) for name in app.COMMANDS.names()]
    every = [f"| `--{name}` | {text} |" for name, text in FLAGS.items()]
    head = "## Options of every command\n\n| option | what it does |\n|---|---|\n"
    return "\n\n".join([*parts, head + "\n".join(every)])


def verb(name: str) -> str:
    """A verb: usage, what it does, a table of its options."""
    doc = inspect.cleandoc(jobs.spec_type(name).__doc__ or "").split("\n\n")[0]
    options = app.verb_options(name)
    places = " ".join(o.field.upper() + (" ..." if o.many else "") for o in options if o.place)
    rows = [row(option) for option in options]
    return "\n".join([f"## `impasto {name} {places} -o OUTPUT`", "", doc, "", *header(), *rows])


def header() -> list[str]:
    """Of a table of options."""
    return ["| option | what it does | allowed | default |", "|---|---|---|---|"]


def row(option: derive.Option) -> str:
    """One option as a row of a table."""
    name = option.field.upper() if option.place else ", ".join(reversed(option.flags))
    cells = [f"`{name}`", option.help, option.allowed, option.default]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def command(name: str) -> str:
    """A command that is no verb, from its signature and docstring."""
    function = jobs.imported(app.COMMANDS.get(name))
    doc = inspect.cleandoc(function.__doc__ or "")
    helps = dict(re.findall(r"^    (\w+): (.*)$", doc, flags=re.MULTILINE))
    rows, places = [], ""
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        optional = parameter.default is not parameter.empty
        many = parameter.kind is parameter.VAR_POSITIONAL
        place = many or parameter.kind is parameter.POSITIONAL_ONLY
        if many:
            places += f" [{parameter.name.upper()} ...]"
        elif place:
            places += f" [{parameter.name.upper()}]" if optional else f" {parameter.name.upper()}"
        flag = f"--{parameter.name}" if parameter.name != "output" else "-o, --output"
        default = parameter.default if optional and parameter.default else ""
        shown = parameter.name.upper() if place else flag
        rows.append(f"| `{shown}` | {helps[parameter.name]} | | {default} |")
    table = ["", *header(), *rows] if rows else []
    return "\n".join([f"## `impasto {name}{places}`", "", doc.split("\n\n")[0], *table])


def printed(page: str) -> str:
    """``page`` with the reference between the markers renewed."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{reference()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(printed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
