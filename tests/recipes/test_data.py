"""The recipes as data: sources, names, layers, qualities."""

from __future__ import annotations

import pytest

from impasto.backbones import ARCHITECTURES, weights
from impasto.recipes import RECIPES, Recipe, TermSpec, leaves, marked
from impasto.specs import StylizeSpec
from impasto.styling import starts
from impasto.styling.goals import make_term
from impasto.styling.plan import resolve, terms_at

PUBLISHED = [n for n in RECIPES.names() if not n.startswith("impasto")]
ASKED_FOR = (
    "tf-vgg19 vgg16-adam tf-tutorial lbfgs-hooks lbfgs-hooks-meant gatys2016 gatys2016-notebook "
    "neural-style crowson2021 controlling2017 li-wand2016 risser2017 strotss2019 swd impasto "
    "gatys-texture mrf-texture swd-texture impasto-texture"
)


def test_the_methods_are_there() -> None:
    assert set(ASKED_FOR.split()) <= set(RECIPES.names())


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_number_has_a_source(name: str) -> None:
    recipe = RECIPES.get(name)
    plain = leaves(Recipe(name="x", title="x", summary="x", paper="x", terms=recipe.terms,
                          schedule=recipe.schedule, quality=recipe.quality))  # fmt: skip
    for field, value in leaves(recipe).items():
        stated = value != plain.get(field) or field.split(".")[0] in ("terms", "schedule")
        must = stated or field in ("pooling", "padding", "init", "clamp", "size", "backbone")
        assert recipe.source(field) or not must, f"{field} = {value} has no source"
    for key in recipe.sources:
        assert any(f == key or f.startswith(key + ".") for f in leaves(recipe)), key
    assert recipe.deviations


@pytest.mark.parametrize("name", RECIPES.names())
def test_names_exist(name: str) -> None:
    recipe = RECIPES.get(name)
    for backbone in (recipe.backbone, *recipe.twins):
        entry = weights.get_entry(backbone.removesuffix(weights.NORMALIZED))
        table = ARCHITECTURES.get(entry.arch).outline()
        for term in recipe.terms:
            assert make_term(term).name == term.name
            for layer in term.layers:
                assert layer == "image" or table.resolve(layer) == layer
    assert starts.parse(recipe.init).kind != "picture"


@pytest.mark.parametrize("name", PUBLISHED)
def test_stand_ins(name: str) -> None:
    recipe = RECIPES.get(name)
    if recipe.stand_in is None:
        terms = recipe.terms
    else:
        terms = recipe.stand_in.terms
        assert {t.role for t in recipe.terms} <= {t.role for t in terms}
        weights.get_entry(recipe.stand_in.backbone.removesuffix(weights.NORMALIZED))
    # What runs on any network must not depend on the size of its activations.
    for term in terms:
        free = term.options.get("scale") == "relative" or term.loss in ("remd", "self-similarity")
        assert free or term.role == "image", f"{term.name} depends on the network"


@pytest.mark.parametrize("name", PUBLISHED)
def test_qualities(name: str) -> None:
    schedule = RECIPES.get(name).schedule
    assert list(schedule.steps) == ["draft", "good", "best", "published"]
    totals = [sum((*s, *(s[-1],) * (4 - len(s)))) for s in schedule.steps.values()]
    assert totals[0] < totals[1] <= totals[2]


def test_published_numbers_of_the_literature() -> None:
    get = RECIPES.get
    assert (get("gatys2016").pooling, get("gatys2016").terms[1].weight) == ("avg", 1e3)
    assert get("gatys2016").init == "noise"
    notebook = get("gatys2016-notebook")
    assert notebook.terms[1].layer_weights == pytest.approx(
        [1e3 / 4096, 1e3 / 16384, 1e3 / 65536, 1e3 / 262144, 1e3 / 262144]
    )
    assert notebook.schedule.steps["published"] == (200, 500)
    style = get("neural-style")
    assert [t.weight for t in style.terms] == [5, 100, pytest.approx(1e-3 * 255**2)]
    assert style.init == "noise:normal:0.001"
    crowson = get("crowson2021")
    assert crowson.terms[1].layer_weights[0] / crowson.terms[1].layer_weights[-1] == 256
    assert [t.weight for t in crowson.terms] == [0.015, 1, 2]
    assert (crowson.padding, crowson.optimizer.average) == ("replicate", 0.99)
    wand = get("li-wand2016")
    assert (wand.terms[0].weight, wand.terms[1].weight) == (20, 1e-4)
    assert (wand.size, wand.schedule.count) == (384, 3)
    assert get("controlling2017").size == 1024


def test_published_numbers_of_textures() -> None:
    gatys = RECIPES.get("gatys-texture")
    assert gatys.pooling == "avg"
    assert gatys.terms[0].layers == ("conv1_1", "pool1", "pool2", "pool3", "pool4")
    assert gatys.optimizer.name == "lbfgs" and gatys.init == "noise"
    assert gatys.schedule.steps["published"] == (2000,)
    textures = [r for _, r in RECIPES if "texture" in r.name]
    assert len(textures) == 5
    for recipe in textures:
        assert all(t.role != "content" for t in recipe.terms)


def test_content_of_strotss_is_halved_at_each_scale() -> None:
    terms = RECIPES.get("strotss2019").terms
    found = [{t.name: t.weight for t in terms_at(terms, i)} for i in range(4)]
    assert [f["content"] for f in found] == [16, 8, 4, 2]
    assert [f["palette"] for f in found] == [1 / 16, 1 / 8, 1 / 4, 1 / 2]
    assert [f["style"] for f in found] == [1, 1, 1, 1]


def test_overridden_numbers_lose_their_source() -> None:
    spec = StylizeSpec.build(
        content="p", style=("a",), recipe="tf-vgg19", style_weight=7, size=300, iterations=12
    )
    recipe = resolve(spec)
    assert recipe.source("terms.style.weight") == "the request"
    assert recipe.source("size") == "the request"
    assert recipe.source("schedule.steps.good") == "the request"
    assert recipe.source("terms.content.weight") == "S1, as coded"
    assert recipe.source("optimizer.lr").startswith("S1")


def test_leaves_and_marked() -> None:
    recipe = RECIPES.get("neural-style")
    found = leaves(recipe)
    assert found["terms.tv.options.form"] == "isotropic"
    assert found["optimizer.betas"] == (0.9, 0.99)
    terms = (*recipe.terms, TermSpec(name="style", role="style", loss="gram", layers=("relu1_1",),
                                     weight=3))  # fmt: skip
    more = recipe.model_copy(update={"terms": terms})
    assert leaves(more)["terms.style-2.weight"] == 3
    assert marked(recipe, more, "me").source("terms.style-2.weight") == "me"
    assert marked(recipe, recipe, "me") is recipe
