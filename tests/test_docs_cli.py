"""docs/cli.md is current and speaks of options that exist."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from impasto import jobs
from impasto.cli import app
from impasto.errors import ImpastoError

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"


@pytest.fixture(scope="module")
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_the_reference_is_current(text):
    script = runpy.run_path(str(PAGE.with_name("print_cli.py")))
    assert script["printed"](text) == text, "run: python docs/print_cli.py"


def test_every_command_and_option_is_there(text):
    for name in [*jobs.VERBS.names(), *app.COMMANDS.names()]:
        assert f"## `impasto {name}" in text
    for verb in jobs.VERBS.names():
        for option in app.verb_options(verb):
            shown = option.field.upper() if option.place else option.flag
            assert f"{shown}`" in text


def test_options_that_others_are_told_to_use_exist(text):
    known = {flag for option in app.verb_options("stylize") for flag in option.flags}
    known |= {"--quiet", "--json", "--debug"}
    rows = re.findall(r"^\| `.*` \| (.*) \|$", text.split("## Coming from")[1], flags=re.MULTILINE)
    assert len(rows) > 30
    used = {flag for row in rows for flag in re.findall(r"(?<![\w-])--?[a-z][\w-]*", row)}
    assert len(used) > 15
    assert used <= known


def test_every_exit_code_is_told(text):
    def codes(kind: type[ImpastoError]) -> set[int]:
        return {kind.exit_code}.union(*(codes(sub) for sub in kind.__subclasses__()))

    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    assert told == codes(ImpastoError) | {0}
