"""The network that a recipe runs on: its own, a twin, or a stand-in that is announced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from impasto import images, samples
from impasto.backbones import VGG, Preprocessing, weights
from impasto.errors import UnknownName, WeightsError
from impasto.events import Started
from impasto.recipes import RECIPES, Recipe
from impasto.specs import StylizeSpec
from impasto.styling import network
from impasto.styling.inputs import Inputs
from impasto.styling.plan import resolve
from impasto.styling.run import Stylization
from impasto.testing import thin_vgg

SMALL = thin_vgg()


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No weights but the embedded ones."""
    monkeypatch.setenv("IMPASTO_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def spec(**options: Any) -> StylizeSpec:
    return StylizeSpec.build(content="p", style=("a",), **options)


def chosen(**options: Any) -> tuple[Recipe, tuple[str, ...]]:
    request = spec(**options)
    recipe, _, notes = network.choose(resolve(request), request)
    return recipe, notes


def test_a_missing_network_is_stood_in_for_and_said() -> None:
    recipe, notes = chosen(recipe="neural-style")
    stand_in = RECIPES.get("neural-style").stand_in
    assert stand_in is not None
    assert notes[0] == (
        "vgg19.caffe is not here (impasto weights fetch vgg19.caffe): painting with "
        "vgg16_bn.craft, weights rebalanced"
    )
    assert recipe.backbone == "vgg16_bn.craft"
    assert recipe.terms == stand_in.terms
    assert recipe.source("terms.style.weight").startswith("impasto: by eye")
    assert recipe.optimizer == stand_in.optimizer
    assert recipe.source("optimizer.first").startswith("impasto: by eye")


def test_overrides_hold_on_the_stand_in() -> None:
    recipe, _ = chosen(recipe="neural-style", style_weight=77, content_layers=("relu3_2",))
    by_name = {t.name: t for t in recipe.terms}
    assert by_name["style"].weight == 77
    assert by_name["content"].layers == ("relu3_2",)
    assert recipe.source("terms.style.weight") == "the request"
    assert recipe.source("terms.style.options.scale").startswith("impasto: by eye")


def test_layers_that_are_missing_fall_on_their_neighbours() -> None:
    recipe, notes = chosen(recipe="swd")
    style = next(t for t in recipe.terms if t.name == "style")
    assert len(set(style.layers)) == len(style.layers) == 10
    assert sum(style.layer_weights) == pytest.approx(1)
    assert max(style.layer_weights) == pytest.approx(2 / 12)
    assert "style on vgg16_bn.craft: relu3_4 -> relu3_3, relu4_4 -> relu4_3" in notes


def test_layers_of_the_request_must_exist() -> None:
    recipe = spec(recipe="neural-style", style_layers=("relu4_4",))
    with pytest.raises(UnknownName, match="relu4_4"):
        Stylization(recipe, resolve(recipe), _inputs())


def test_a_network_that_the_request_names_must_be_there() -> None:
    with pytest.raises(WeightsError, match=r"vgg19\.tv_in1k are not here"):
        chosen(recipe="neural-style", backbone="vgg19.tv_in1k")


def test_another_network_on_request_gets_the_relative_terms() -> None:
    recipe = resolve(spec(recipe="tf-tutorial", backbone="resnet50.tv_in1k"))
    stand_in = RECIPES.get("tf-tutorial").stand_in
    assert stand_in is not None
    assert (recipe.backbone, recipe.terms) == ("resnet50.tv_in1k", stand_in.terms)
    assert recipe.optimizer.eps == 1e-8
    twin = resolve(spec(recipe="tf-tutorial", backbone="vgg19.caffe"))
    assert twin.terms == RECIPES.get("tf-tutorial").terms


def test_its_own_network_or_a_twin_keeps_the_published_numbers(
    nothing_fetched: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def load(name: str, **variant: str) -> VGG:
        asked.append(name)
        net = thin_vgg(**variant)  # type: ignore[arg-type]
        net.preprocessing = weights.get_entry(name).preprocessing
        return net

    monkeypatch.setattr(network, "load", load)
    (nothing_fetched / weights.get_entry("vgg19.caffe").file).touch()
    request = spec(recipe="tf-vgg19")
    recipe, net, notes = network.choose(resolve(request), request)
    assert asked == ["vgg19.caffe"]
    assert recipe.terms == RECIPES.get("tf-vgg19").terms
    assert notes == ()
    # S1 subtracts (123, 117, 104) from RGB; this twin wants BGR.
    assert net.preprocessing == Preprocessing((104.0, 117.0, 123.0), (1, 1, 1), 255, "bgr")


def _inputs() -> Inputs:
    photo = images.load(samples.photo("harbour", (64, 80)))
    return Inputs(photo, (images.load(samples.painting("wheat", (64, 80))),))


def test_the_notes_reach_whoever_watches() -> None:
    request = spec(recipe="lbfgs-hooks", size=64)
    run = Stylization(request, resolve(request), _inputs())
    started = next(iter(run.events()))
    assert isinstance(started, Started)
    assert "vgg19.tv_in1k is not here" in started.notes[0]
    assert started.settings["backbone"] == "vgg16_bn.craft"
    run.save_recipe(str(Path(weights.weights_dir()) / "used.toml"), force=False)
    again = resolve(spec(recipe=str(Path(weights.weights_dir()) / "used.toml"), size=64))
    assert again.terms == run.recipe.terms


def test_schedules_with_a_longer_first_and_a_slower_last_scale() -> None:
    request = spec(recipe="crowson2021", size=256)
    run = Stylization(request, resolve(request), _inputs(), backbone=SMALL)
    assert [s.steps for s in run.scales] == [240, 80, 60]
    assert [max(s.height, s.width) for s in run.scales] == [128, 181, 256]
    request = spec(recipe="strotss2019", size=256)
    run = Stylization(request, resolve(request), _inputs(), backbone=SMALL)
    assert [run._optimiser_at(i).lr for i in range(3)] == [2e-3, 2e-3, 1e-3]


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ({"size": 512}, [40, 14, 4]),
        ({"size": 300}, [14, 4]),
        ({"size": 200}, [40]),
        ({"size": 64}, [40]),
        ({"size": 300, "iterations": 6}, [14, 6]),
        ({"size": 200, "iterations": 6}, [6]),
        ({"size": 200, "recipe": "crowson2021"}, [2 * 30, 15]),
        ({"size": 150, "recipe": "crowson2021"}, [60]),
        ({"size": 100, "recipe": "controlling2017"}, [60]),
        ({"size": 100, "recipe": "vgg16-adam"}, [60]),
    ],
)
def test_small_pictures_keep_the_steps_of_the_scales_that_they_lack(
    options: dict[str, Any], steps: list[int]
) -> None:
    request = spec(quality="draft", **options)
    run = Stylization(request, resolve(request), _inputs(), backbone=SMALL)
    assert [s.steps for s in run.scales] == steps


def test_scales_that_are_too_small_for_the_network_leave_their_steps() -> None:
    request = spec(size=512, quality="draft")
    wide = images.load(samples.photo("harbour", (64, 2048)))
    run = Stylization(request, resolve(request), Inputs(wide, _inputs().paintings), backbone=SMALL)
    assert [(s.height, s.steps) for s in run.scales] == [(16, 40)]
