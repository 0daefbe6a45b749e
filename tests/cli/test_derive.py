"""From a spec to options, and from words to one spelling."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from impasto.cli import derive
from impasto.specs import FilterSpec, Spec, StylizeSpec
from impasto.specs.base import FILES


class Request(Spec):
    """A request that no verb has."""

    photo: str = Field(description="The photo.")
    more: tuple[str, ...] = Field(description="More.", max_length=3)
    count: int | None = Field(default=None, ge=1, lt=9, description="How many.")
    share: float = Field(default=0.5, gt=0, description="How much.")
    kind: Literal["a", "b"] = Field(default="b", description="Which.")
    fast: bool = Field(default=False, description="Hurry.")
    layers: tuple[str, ...] | None = Field(default=None, description="Where.")
    weights: tuple[float, ...] = Field(default=(1.0, 2.0), description="Factors.")


OPTIONS = {o.field: o for o in derive.options(Request)}


def test_fields_become_options():
    assert list(OPTIONS) == list(Request.model_fields)
    assert [n for n, o in OPTIONS.items() if o.required] == ["photo", "more"]
    assert [n for n, o in OPTIONS.items() if o.many] == ["more", "layers", "weights"]
    assert [n for n, o in OPTIONS.items() if o.switch] == ["fast"]
    assert [n for n, o in OPTIONS.items() if o.numeric] == ["count", "share", "weights"]
    assert OPTIONS["count"].text() == "How many. [1 to less than 9]"
    assert OPTIONS["share"].text() == "How much. [more than 0] (default 0.5)"
    assert OPTIONS["kind"].text() == "Which. [a | b] (default b)"
    assert OPTIONS["weights"].text() == "Factors. (default 1.0,2.0)"
    assert OPTIONS["fast"].text() == "Hurry."


@pytest.mark.parametrize("spec", [StylizeSpec, FilterSpec, Request])
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


class Masked(Spec):
    """A request with a list of files."""

    photo: str = Field(description="The photo.")
    masks: tuple[str, ...] = Field(default=(), description="Where.", json_schema_extra=FILES)
    layers: tuple[str, ...] = Field(default=(), description="Layers.")
    count: int = Field(default=1, description="How many.")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("p --masks a.png b.png --count 2", "p --masks=a.png --masks=b.png --count 2"),
        ("--masks a.png p", "--masks=a.png p"),
        ("--count 2 --masks a.png p", "--count 2 --masks=a.png p"),
        ("p --masks=a.png b", "p --masks=a.png --masks=b"),
        ("p --masks a,b.png", "p --masks=a,b.png"),
        ("--masks a --masks b p", "--masks=a --masks=b p"),
        ("p --masks --count 2", "p --masks --count 2"),
        ("p --masks - b", "p --masks=- --masks=b"),
        ("--layers 1:a,b 2:c,d p", "--layers=1:a --layers=b --layers=2:c --layers=d p"),
        ("--layers 1:a 2:b p.png", "--layers=1:a --layers=2:b p.png"),
    ],
)
def test_lists_of_files_and_of_numbered_layers(words, expected):
    assert derive.regrouped(words.split(), derive.options(Masked)) == expected.split(" ")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--set a=1 b_c=on p.png", "--set=a=1 --set=b_c=on p.png"),
        ("--set a=1,b=2 p=q.png", "--set=a=1 --set=b=2 p=q.png"),
        ("--set=a=1 b=2 --seed 3", "--set=a=1 --set=b=2 --seed 3"),
        ("--set a=1 --set b=2 p", "--set=a=1 --set=b=2 p"),
        ("--set wrong p", "--set=wrong p"),
    ],
)
def test_lists_of_settings(words, expected):
    assert derive.regrouped(words.split(), derive.options(FilterSpec)) == expected.split(" ")
