"""Recipes as TOML files: there and back, and what is said of bad ones."""

from __future__ import annotations

import string
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import InputError, ResourceError, UnknownName, UsageError
from impasto.recipes import (
    RECIPES,
    OptimizerSpec,
    Recipe,
    Schedule,
    TermSpec,
    find_recipe,
    parse_recipe,
    print_recipe,
    read_recipe,
    write_recipe,
)
from impasto.specs import StylizeSpec
from impasto.styling.plan import resolve

TEXT = print_recipe(RECIPES.get("neural-style"))


@pytest.mark.parametrize("name", RECIPES.names())
def test_every_recipe_there_and_back(name: str) -> None:
    recipe = RECIPES.get(name)
    assert parse_recipe(print_recipe(recipe)) == recipe


words = st.text(max_size=12)
numbers = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=1e-300, max_value=1e300)
scalars = st.one_of(words, numbers, st.booleans(), st.integers(-(2**63), 2**63 - 1))
options = st.dictionaries(
    words, st.one_of(scalars, st.lists(numbers, max_size=3), st.dictionaries(words, scalars,
                                                                             max_size=2)),
    max_size=4,
)  # fmt: skip


@st.composite
def terms(draw: st.DrawFn) -> TermSpec:
    layers = tuple(draw(st.lists(words, min_size=1, max_size=3)))
    shares = draw(st.sampled_from([(), tuple(0.1 * i for i in range(len(layers)))]))
    return TermSpec(
        name=draw(words),
        role=draw(st.sampled_from(["content", "style", "image"])),
        loss=draw(words),
        options=draw(options),
        layers=layers,
        layer_weights=shares,
        weight=draw(st.floats(0, 1e300)),
        scaling=draw(positive),
    )


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    return Recipe(
        name=draw(words),
        title=draw(words),
        summary=draw(words),
        paper=draw(words),
        mean=draw(st.none() | st.tuples(numbers, numbers, numbers)),
        terms=tuple(draw(st.lists(terms(), min_size=1, max_size=3))),
        optimizer=OptimizerSpec(lr=draw(positive), eps_hat=draw(st.booleans())),
        init=draw(words),
        schedule=Schedule(steps={"good": (draw(st.integers(0, 9)),), draw(words): (1, 2)}),
        sources=draw(st.dictionaries(words, words, max_size=3)),
    )


@settings(max_examples=25, deadline=None)
@given(recipe=recipes())
def test_any_recipe_there_and_back(recipe: Recipe) -> None:
    assert parse_recipe(print_recipe(recipe)) == recipe


@settings(max_examples=40, deadline=None)
@given(text=st.text(alphabet=string.printable + "\x7f\u2028é\\\"'", max_size=40))
def test_strings(text: str) -> None:
    recipe = RECIPES.get("impasto").model_copy(update={"summary": text})
    assert tomllib.loads(print_recipe(recipe))["summary"] == text


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = = 1", "not TOML"),
        (changed('backbone = "vgg19.caffe"', "backbone = 3"), "backbone: input should be"),
        (changed("weight = 100.0", "weight = -1.0"), "terms.style.weight: .*not '-1.0'"),
        (changed("weight = 100.0", "wieght = 100.0"), "terms.style.weight is missing"),
        (changed("size = 512", "size = 512\ncolour = 1"), "colour is not a field of a recipe"),
        (changed("size = 512", "size = 5"), "size: input should be greater than"),
        (changed('quality = "good"', 'quality = "fine"'), "quality 'fine' is none of draft"),
        (changed("layer_weights = [1.0, 1.0,", "layer_weights = ["), "5 layers but 3"),
        ("", "is missing"),
    ],
)
def test_bad_files_are_refused_in_one_line_with_the_field(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message) as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)
    assert "my.toml" in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        find_recipe(str(tmp_path / "none.toml"))
    with pytest.raises(InputError):
        folder = tmp_path / "folder.toml"
        folder.mkdir()
        find_recipe(str(folder))
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a text file"):
        find_recipe(str(tmp_path / "x.toml"))
    (tmp_path / "big.toml").write_bytes(b"#" * (1 << 21))
    with pytest.raises(UsageError, match="too large"):
        find_recipe(str(tmp_path / "big.toml"))
    with pytest.raises(UnknownName, match=r"did you mean .*tf-vgg19"):
        find_recipe("tf-vgg16")


def test_writing_refuses_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    recipe, path = RECIPES.get("swd"), tmp_path / "mine.toml"
    write_recipe(recipe, path)
    assert read_recipe(path) == recipe
    other = RECIPES.get("impasto")
    with pytest.raises(UsageError, match="exists"):
        write_recipe(other, path)
    assert read_recipe(path) == recipe
    write_recipe(other, path, force=True)
    assert read_recipe(path) == other
    with pytest.raises(UsageError, match=r"\.toml"):
        write_recipe(other, tmp_path / "mine.txt")
    with pytest.raises(ResourceError, match="could not write"):
        write_recipe(other, tmp_path / "none" / "mine.toml")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.toml"]


def test_a_file_is_used_and_overridden(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(changed("weight = 100.0", "weight = 250.0"), encoding="utf-8")
    values: dict[str, Any] = {"content": "p", "style": ("a",), "recipe": str(path)}
    assert resolve(StylizeSpec.build(**values)).terms[1].weight == 250
    louder = resolve(StylizeSpec.build(**values, style_weight=9, optimizer="rmsprop"))
    assert louder.terms[1].weight == 9
    assert louder.optimizer.name == "rmsprop"
