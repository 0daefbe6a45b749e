"""Several paintings, sizes and turns; colours and strength."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from impasto import images
from impasto.errors import UsageError
from impasto.images.colour import rgb_to_lab, rgb_to_yiq
from impasto.images.resize import resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.losses.mrf import turned
from impasto.recipes import TermSpec
from impasto.specs import StylizeSpec
from impasto.styling.goals import Area, Paintings, goals_at
from impasto.styling.plan import resolve

from .control_cases import ARTS, NET, PHOTO, finish, job

SIZE = (36, 48)
SHOWN = resize(to_tensor(PHOTO), SIZE).clamp(0, 1)


def terms(**options: Any) -> list[TermSpec]:
    spec = StylizeSpec.build(content="p", style=("a", "b"), **options)
    return [t for t in resolve(spec).terms if t.role == "style"]


def test_numbered_layers_divide_the_style() -> None:
    first, second, palette = terms(style_layers=("1:relu1_1", "relu2_1", "2:relu4_1"))
    assert (first.source, first.layers) == (1, ("relu1_1", "relu2_1"))
    assert (second.source, second.layers) == (2, ("relu4_1",))
    assert palette.source == 1
    whole = terms()[0].weight
    assert (first.weight, second.weight) == pytest.approx((whole * 2 / 3, whole / 3))
    assert first.name == second.name == "style"


def test_numbered_layers_keep_their_weights() -> None:
    layers, weights = ("2:relu1_1", "1:relu2_1", "2:relu4_1"), (1.0, 2.0, 3.0)
    second, first, palette = terms(style_layers=layers, style_layer_weights=weights)
    assert (second.source, second.layer_weights) == (2, (1.0, 3.0))
    assert (first.source, first.layer_weights) == (1, (2.0,))
    assert second.weight == first.weight == terms()[0].weight
    assert palette.source == 2


def test_each_layer_has_the_statistics_of_its_painting() -> None:
    run = job(ARTS, style_layers=("1:relu1_1", "2:relu3_1"))
    style = [t for t in run.recipe.terms if t.name == "style"]
    area = run._guides.areas
    photo = resize(run._photo, SIZE)
    goals = goals_at(style, NET, photo, run._paintings, area, 48)
    for goal, art, layer in zip(goals, ARTS, ("relu1_1", "relu3_1"), strict=True):
        (alone,) = goals_at(
            [TermSpec(name="s", role="style", loss="gram", layers=(layer,), weight=1.0)],
            NET,
            photo,
            Paintings([to_tensor(art)]),
            [Area({0: 1.0})],
            48,
        )
        torch.testing.assert_close(goal.targets[layer][0], alone.targets[layer][0])


@pytest.mark.parametrize(
    ("layers", "word"),
    [
        (("relu1_1", "2:relu2_1"), "relu1_1 comes before the first number"),
        (("3:relu1_1",), "beyond the 2"),
        (("0:relu1_1",), "'0' is not the number of a painting"),
        (("x:relu1_1",), "'x' is not the number of a painting"),
    ],
)
def test_wrong_numbers_of_paintings(layers: tuple[str, ...], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        terms(style_layers=layers)


def test_palette_from_recolours_the_other_paintings() -> None:
    run = job(ARTS, palette_from=2)
    mean = [p.mean((0, 2, 3)) for p in run._paintings.images]
    torch.testing.assert_close(mean[0], mean[1], atol=0.06, rtol=0)  # but for the gamut
    torch.testing.assert_close(run._paintings.images[1], to_tensor(ARTS[1]))
    assert [t.source for t in run.recipe.terms if t.name in ("style", "palette")] == [None, 2]
    with pytest.raises(UsageError, match="palette-from is 3, with 2 paintings"):
        job(ARTS, palette_from=3)


def gram_target(paintings: Paintings, longest: int = 48) -> torch.Tensor:
    spec = TermSpec(name="s", role="style", loss="gram", layers=("relu2_1",), weight=1.0)
    (goal,) = goals_at([spec], NET, SHOWN, paintings, [Area({0: 1.0})], longest)
    return goal.targets["relu2_1"][0]


def test_sizes_and_turns_are_mixed_evenly() -> None:
    art = to_tensor(ARTS[0])
    mixed = gram_target(Paintings([art], (0.8, 1.5), (0.0, 90.0)))
    each = [
        gram_target(Paintings([turned(resize(art, size), angle)]), max(size))
        for size in ((30, 38), (58, 72))
        for angle in (0, 90)
    ]
    torch.testing.assert_close(mixed, torch.stack(each).mean(0), rtol=1e-3, atol=1e-5)
    assert (mixed - gram_target(Paintings([art]))).abs().max() > 1e-3


def test_turns_that_leave_too_little_are_left_out() -> None:
    strip = Paintings([torch.rand(1, 3, 20, 200)], (1.0,), (0.0, 45.0))
    views = list(strip.views(0, None, 200, 16))
    assert [tuple(v.shape) for v, _ in views] == [(1, 3, 20, 200)]


def test_masks_turn_with_their_painting() -> None:
    art = torch.zeros(1, 3, 40, 60)
    art[..., :30] = 1
    part = art[:, :1].clone()
    for view, where in Paintings([art], (1.0,), (0.0, 90.0, 20.0)).views(0, part, 60, 8):
        assert where is not None
        torch.testing.assert_close(where, view[:, :1])


@pytest.mark.parametrize(
    ("given", "degrees"),
    [
        ((), (0,)),
        ((4,), (0, 90, 180, 270)),
        ((90, 180), (0, 90, 180)),
        ((0, -90), (0, 270)),
        (3, (0, 120, 240)),
    ],
)
def test_turns(given: Any, degrees: tuple[float, ...]) -> None:
    spec = StylizeSpec.build(content="p", style=("a",), style_rotations=given)
    assert spec.degrees() == degrees


def test_one_number_is_a_list_of_one() -> None:
    assert StylizeSpec.build(content="p", style=("a",), style_scale=2).style_scale == (2.0,)
    assert StylizeSpec.build(content="p", style=("a",), mask="m").mask == ("m",)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"style_scale": (1, 9)}, "style-scale must be 0.1 to 8"),
        ({"style_rotations": (45,)}, "style-rotations must be a number of turns up to 16"),
        ({"alpha": 1.5}, "alpha must be at most 1"),
        ({"palette_from": 1, "colors": "match"}, "exclude each other"),
    ],
)
def test_values_out_of_range(options: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        job(**options)


def test_alpha_goes_from_the_photo_to_the_result() -> None:
    photo, result = from_tensor(SHOWN), finish(job()).image
    np.testing.assert_array_equal(finish(job(alpha=0)).image, photo)
    np.testing.assert_array_equal(finish(job(alpha=1)).image, result)
    np.testing.assert_allclose(
        finish(job(alpha=0.25)).image, 0.75 * photo + 0.25 * result, atol=1e-6
    )


def test_alpha_is_seen_while_it_runs() -> None:
    run = job(alpha=0.0)
    step = next(e for e in run.events() if type(e).__name__ == "Step")
    assert torch.equal(step.image(), resize(run._shown, (18, 24)).clamp(0, 1))


SPACES = {"lab": (rgb_to_lab, 1.0), "yiq": (rgb_to_yiq, 0.01)}


@pytest.mark.parametrize("space", SPACES)
def test_recolor_keeps_the_light_of_the_photo(space: str) -> None:
    forward, unit = SPACES[space]
    result = finish(job(style_weight=200)).image
    done = finish(job(style_weight=200, colors="recolor", color_space=space)).image
    found, photo, free = (
        forward(t) for t in (to_tensor(images.load(done)), SHOWN, to_tensor(images.load(result)))
    )
    light = (found[:, 0] - photo[:, 0]).abs().mean()
    assert light < 2 * unit  # but for colours that sRGB does not hold
    assert light < 0.3 * (free[:, 0] - photo[:, 0]).abs().mean()
    chroma = (found[:, 1:] - free[:, 1:]).abs().mean()
    assert chroma < 0.5 * (photo[:, 1:] - free[:, 1:]).abs().mean()


def test_spaces_differ() -> None:
    pictures = [finish(job(colors="content", color_space=s)).image for s in ("lab", "yiq", "oklab")]
    for i in range(3):
        assert np.abs(pictures[i] - pictures[i - 1]).max() > 1e-3


def test_content_takes_light_at_the_contrast_of_the_photo() -> None:
    run = job(ARTS[1:], colors="content")
    mine, goal = (t.std((0, 2, 3)) for t in (run._paintings.images[0], run._photo))
    torch.testing.assert_close(mine, goal, atol=0.03, rtol=0)
    assert (to_tensor(ARTS[1]).std((0, 2, 3)) - goal).abs().max() > 0.1


@pytest.mark.parametrize("space", SPACES)
def test_histogram_gives_the_painting_the_photos_distribution(space: str) -> None:
    run = job(colors="histogram", color_space=space)
    forward, unit = SPACES[space]
    levels = torch.linspace(0.1, 0.9, 9)
    found = [
        torch.quantile(forward(t)[0, 0], levels) for t in (run._paintings.images[0], run._photo)
    ]
    torch.testing.assert_close(found[0], found[1], atol=2 * unit, rtol=0)
