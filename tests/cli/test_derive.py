"""From a spec to options, and from words to one spelling."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from impasto.cli import derive
from impasto.specs import Spec, StylizeSpec


class Request(Spec):
    """A request that no verb has."""

    photo: str = Field(description="The photo.")
    others: tuple[str, ...] = Field(description="More.", max_length=3)
    count: int | None = Field(default=None, ge=1, lt=9, description="How many.")
    share: float = Field(default=0.5, gt=0, description="How much.")
    kind: Literal["a", "b"] = Field(default="b", description="Which.")
    fast: bool = Field(default=False, description="Hurry.")
    layers: tuple[str, ...] | None = Field(default=None, description="Where.")
    weights: tuple[float, ...] = Field(default=(1.0, 2.0), description="Factors.")


OPTIONS = {o.field: o for o in derive.options(Request)}


def test_fields_become_options():
    assert list(OPTIONS) == list(Request.model_fields)
    assert [n for n, o in OPTIONS.items() if o.required] == ["photo", "others"]
    assert [n for n, o in OPTIONS.items() if o.many] == ["others", "layers", "weights"]
    assert [n for n, o in OPTIONS.items() if o.switch] == ["fast"]
    assert [n for n, o in OPTIONS.items() if o.numeric] == ["count", "share", "weights"]
    assert OPTIONS["count"].text() == "How many. [1 to less than 9]"
    assert OPTIONS["share"].text() == "How much. [more than 0] (default 0.5)"
    assert OPTIONS["kind"].text() == "Which. [a | b] (default b)"
    assert OPTIONS["weights"].text() == "Factors. (default 1.0,2.0)"
    assert OPTIONS["fast"].text() == "Hurry."


@pytest.mark.parametrize("spec", [StylizeSpec, Request])
def test_every_field_says_what_it_does(spec):
    for option in derive.options(spec):
        assert option.help.endswith("."), option.field


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a b", "a b"),
        ("a --weights 0.7,0.3 b", "a --weights=0.7 --weights=0.3 b"),
        ("a b --weights 0.7 .3 1e-2", "a b --weights=0.7 --weights=.3 --weights=1e-2"),
        ("--weights 1 --weights 2", "--weights=1 --weights=2"),
        ("--weights=1 2 b.png", "--weights=1 --weights=2 b.png"),
        ("--weights=1,2 3", "--weights=1 --weights=2 3"),
        ("--weights -1 b", "--weights=-1 b"),
        ("--weights", "--weights"),
        ("--weights --fast", "--weights --fast"),
        ("--layers relu1_1 features.21 b.png", "--layers=relu1_1 --layers=features.21 b.png"),
        ("--layers relu1_1 dir/b", "--layers=relu1_1 dir/b"),
        ("--layers relu1_1,relu2_1 b", "--layers=relu1_1 --layers=relu2_1 b"),
        ("--layers strange!,x b", "--layers=strange! --layers=x b"),
        ("--kind - -", f"--kind=- {derive.STDIN}"),
        ("--fast -", f"--fast {derive.STDIN}"),
        ("-- --weights 1,2", "-- --weights 1,2"),
    ],
)
def test_one_spelling(words, expected):
    assert derive.regrouped(words.split(), OPTIONS.values()) == expected.split(" ")


def test_short_flags_take_a_hyphen():
    from impasto.specs import OutputSpec

    assert derive.regrouped(["-o", "-"], derive.options(OutputSpec)) == ["--output=-"]
