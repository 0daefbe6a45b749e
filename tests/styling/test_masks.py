"""Masks: which painting goes where, which part of it, and what is kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto import images
from impasto.engine.objective import Objective
from impasto.errors import InputError, UsageError
from impasto.images import Picture
from impasto.images.resize import resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.losses import Gram
from impasto.recipes import Schedule, TermSpec
from impasto.styling.goals import Area, Paintings, goals_at
from impasto.styling.inputs import Inputs

from .control_cases import ARTS, NET, PHOTO, finish, half, job, speckled

RED, BLUE = (0.9, 0.1, 0.1), (0.1, 0.1, 0.9)
ONE_COLOUR = tuple(images.load(speckled(c, i)) for i, c in enumerate((RED, BLUE)))
GREY = images.load(np.full((96, 128, 3), 0.5, np.float32))
LONG = Schedule(ratio=1.0, smallest=24, steps={"good": (40,)})


def redness(rgb: np.ndarray) -> float:
    return float((rgb[..., 0] - rgb[..., 2]).mean())


def gram_slope(where: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Gradient of a shallow style goal in one area on the picture."""
    spec = TermSpec(name="s", role="style", loss="gram", layers=("relu1_1",), weight=1.0)
    photo = resize(to_tensor(PHOTO), size)
    paintings = Paintings([to_tensor(ARTS[0])])
    goals = goals_at([spec], NET, photo, paintings, [Area({0: 1.0}, where=where)], 48)
    x = photo.clone().requires_grad_(True)
    return torch.autograd.grad(sum(Objective(NET, goals)(x).values()), x)[0]


def test_no_gradient_where_another_painting_goes() -> None:
    where = torch.zeros(1, 1, 36, 48)
    where[..., :24] = 1
    slope = gram_slope(where, (36, 48)).abs().amax((0, 1, 2))
    assert (slope[:24] > 0).all()
    assert (slope[25:] == 0).all()  # column 24 is seen by the last kernel of the left half


def test_an_area_pulls_its_pixels_as_strongly_as_the_whole_would() -> None:
    """Shares weigh the areas: two halves with one goal are the goal of the whole, per pixel."""
    whole = gram_slope(torch.ones(1, 1, 32, 48), (32, 48))
    left = torch.zeros(1, 1, 32, 48)
    left[..., :24] = 1
    part = gram_slope(left, (32, 48))
    ratio = part[..., 4:20].norm() / whole[..., 4:20].norm()
    assert 0.5 < ratio < 2


def test_guided_gram_by_hand() -> None:
    where = torch.rand(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    spec = TermSpec(name="s", role="style", loss="gram", layers=("relu1_2",), weight=3.0)
    photo, art = resize(to_tensor(PHOTO), (20, 24)), resize(to_tensor(ARTS[0]), (19, 24))
    goals = goals_at([spec], NET, photo, Paintings([art]), [Area({0: 1.0}, where=where)], 24)
    found = float(Objective(NET, goals)(photo)["s"])
    x, a = (NET.taps(t, ["relu1_2"])["relu1_2"][0].double().flatten(1) for t in (photo, art))
    w = where.double().flatten()
    guided = (x * w) @ x.T / w.sum()
    expected = 3 * w.mean() * (guided - a @ a.T / a.shape[1]).square().mean()
    assert found == pytest.approx(float(expected), rel=1e-4)


def test_each_side_takes_the_statistics_of_its_painting() -> None:
    run = job(ONE_COLOUR, (half("left"), half("right")), photo=GREY, schedule=LONG)
    image = finish(run).image
    assert redness(image[:, :20]) > 0.2
    assert redness(image[:, 28:]) < -0.2
    swapped = job(ONE_COLOUR, (half("right"), half("left")), photo=GREY, schedule=LONG)
    assert redness(finish(swapped).image[:, :20]) < -0.2


def test_one_grey_mask_divides_two_paintings() -> None:
    both = job(ONE_COLOUR, (half("left"), half("right")), photo=GREY)
    one = job(ONE_COLOUR, (half("left"),), photo=GREY)
    assert finish(one).image.tobytes() == finish(both).image.tobytes()


def colour_mask(black: bool = False) -> Picture:
    """Green on the left and magenta on the right, above nothing or themselves."""
    mask = np.zeros((96, 128, 3), np.float32)
    mask[:, :64], mask[:, 64:] = (0, 1, 0), (1, 0, 1)
    mask[48:] *= not black
    return images.load(mask)


def test_one_mask_in_colours_divides_in_reading_order() -> None:
    both = job(ONE_COLOUR, (half("left"), half("right")), photo=GREY)
    one = job(ONE_COLOUR, (colour_mask(),), photo=GREY)
    assert finish(one).image.tobytes() == finish(both).image.tobytes()


def test_black_of_a_mask_in_colours_is_left_to_the_photo() -> None:
    done = finish(job(ONE_COLOUR, (colour_mask(black=True),)))
    photo = from_tensor(resize(to_tensor(PHOTO), (36, 48)).clamp(0, 1))
    np.testing.assert_array_equal(done.image[19:], photo[19:])
    assert np.abs(done.image[:17] - photo[:17]).mean() > 0.01


def test_a_soft_mask_is_a_soft_transition() -> None:
    ramp = images.load(np.tile(np.linspace(1, 0, 128, dtype=np.float32), (96, 1)))
    image = finish(job(ONE_COLOUR, (ramp,), photo=GREY, schedule=LONG)).image
    across = (image[..., 0] - image[..., 2]).mean(0)
    left, middle, right = across[:10].mean(), across[19:29].mean(), across[-10:].mean()
    assert left > middle > right


def test_softened_masks_have_soft_edges() -> None:
    def edge(percent: float) -> int:
        run = job(ONE_COLOUR, (half("left"),), photo=GREY, mask_soften=percent)
        where = run._guides.areas[0].where
        assert where is not None
        return int(((where > 0.01) & (where < 0.99))[0, 0, 10].sum())

    assert edge(0) == 0
    assert 0 < edge(2) < edge(6)


def test_kept_areas_equal_the_photo() -> None:
    run = job(keep=half("top"))
    image = finish(run).image
    photo = from_tensor(resize(to_tensor(PHOTO), (36, 48)).clamp(0, 1))
    np.testing.assert_array_equal(image[:18], photo[:18])
    assert np.abs(image[22:] - photo[22:]).mean() > 0.01
    where = run._guides.areas[0].where
    assert where is not None
    assert float(where[..., :18, :].max()) == 0


def test_keep_goes_with_masks() -> None:
    run = job(ONE_COLOUR, (half("left"), half("right")), keep=half("top"), photo=GREY)
    image = finish(run).image
    assert np.abs(image[:18] - 0.5).max() < 1e-6
    assert [float(a.where.mean()) for a in run._guides.areas if a.where is not None] == [0.25] * 2


@pytest.mark.parametrize("loss", ["gram", "wasserstein", "mrf", "sliced-wasserstein"])
def test_a_style_mask_excludes_the_rest_of_the_painting(loss: str) -> None:
    """The target of a masked half is that of the half alone."""
    both = np.concatenate([ONE_COLOUR[0].rgb[:, :50], ONE_COLOUR[1].rgb[:, :50]], axis=1)
    spec = TermSpec(name="s", role="style", loss=loss, layers=("image",), weight=1.0)
    left = to_tensor(half("left", (80, 100)))[:, :1]

    def value(painting: np.ndarray, parts: dict[int, torch.Tensor], longest: int) -> float:
        paintings, area = Paintings([_tensor(painting)]), Area({0: 1.0}, parts)
        (goal,) = goals_at([spec], NET, to_tensor(GREY), paintings, [area], longest)
        return float(Objective(NET, [goal])(_tensor(both[:, 20:70]))["s"])

    alone = value(both[:, :50], {}, 80)
    assert value(both, {0: left}, 100) == pytest.approx(alone, rel=1e-3)
    assert value(both, {}, 100) != pytest.approx(alone, rel=0.1)


def _tensor(rgb: np.ndarray) -> torch.Tensor:
    return to_tensor(images.load(np.ascontiguousarray(rgb)))


def test_a_picture_styled_by_the_red_half_is_red() -> None:
    both = np.concatenate([ONE_COLOUR[0].rgb[:, :50], ONE_COLOUR[1].rgb[:, :50]], axis=1)
    art = (images.load(np.ascontiguousarray(both)),)
    left, right = (half(side, (80, 100)) for side in ("left", "right"))
    red = finish(job(art, style_masks=(left,), photo=GREY, schedule=LONG)).image
    blue = finish(job(art, style_masks=(right,), photo=GREY, schedule=LONG)).image
    assert redness(red) > 0.3
    assert redness(blue) < -0.3


def test_regions_of_one_painting_by_colour() -> None:
    """Green of the photo's mask takes from the green of the painting's."""
    both = np.concatenate([ONE_COLOUR[0].rgb[:, :50], ONE_COLOUR[1].rgb[:, :50]], axis=1)
    art = (images.load(np.ascontiguousarray(both)),)
    style = np.zeros((80, 100, 3), np.float32)
    style[:, :50], style[:, 50:] = (1, 0, 1), (0, 1, 0)
    run = job(art, (colour_mask(),), (images.load(style),), photo=GREY, schedule=LONG)
    image = finish(run).image
    assert redness(image[:, :20]) < -0.2
    assert redness(image[:, 28:]) > 0.2


def test_masks_go_with_turned_and_scaled_paintings_and_colours() -> None:
    left = half("left", (80, 100))
    run = job(
        ONE_COLOUR,
        (half("left"), half("right")),
        (left, left),
        style_scale=(0.8, 1.0),
        style_rotations=(0, 30),
        colors="content",
        alpha=0.5,
    )
    assert np.isfinite(finish(run).image).all()


BLACK = images.load(np.zeros((96, 128), np.float32))
WHITE = images.load(np.ones((96, 128), np.float32))


@pytest.mark.parametrize(
    ("inputs", "word"),
    [
        ({"masks": (BLACK,)}, "black everywhere"),
        ({"masks": (half("left"), BLACK), "arts": ARTS}, "black everywhere"),
        ({"masks": (WHITE,), "arts": ARTS}, "white everywhere"),
        ({"keep": BLACK}, "black everywhere"),
        ({"keep": WHITE}, "keeps the whole photo"),
        ({"masks": (half("left", (96, 96)),)}, "other proportions"),
        ({"style_masks": (half("left", (96, 200)),)}, "other proportions"),
        ({"masks": (half("left"),), "arts": (*ARTS, ARTS[0])}, "divides two paintings, not 3"),
        ({"masks": (colour_mask(),), "arts": (*ARTS, ARTS[0])}, "2 colours for 3 paintings"),
        ({"masks": (colour_mask(),)}, "not grey"),
    ],
)
def test_bad_masks_are_refused(inputs: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        job(**inputs)  # type: ignore[arg-type]
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"arts": (*ARTS, ARTS[0]), "masks": (half("left"), half("right"))}, "mask has 2"),
        ({"style_masks": (half("left"), half("right"))}, "style-mask has 2"),
        ({"arts": ARTS, "masks": (half("left"),), "style_blend": (1, 2)}, "exclude each other"),
        (
            {"arts": ARTS, "masks": (half("left"),), "style_layers": ("1:relu1_1",)},
            "exclude each other",
        ),
    ],
)
def test_requests_that_make_no_sense(options: dict[str, object], word: str) -> None:
    with pytest.raises(UsageError, match=word) as caught:
        job(**options)  # type: ignore[arg-type]
    assert caught.value.exit_code == 2


def test_masks_are_among_the_described_inputs() -> None:
    inputs = Inputs(PHOTO, ARTS, None, (half("left"),), (), half("top"))
    found = inputs.described()
    assert set(found) == {"content", "style1", "style2", "mask", "keep"}
    assert found["mask"]["sha256"] == half("left").source.sha256


def test_maps_weigh_layers_by_area() -> None:
    """A layer's map is the mean of the mask over what each position stands for."""
    where = torch.zeros(1, 1, 32, 32)
    where[..., :8] = 1
    spec = TermSpec(name="s", role="style", loss="gram", layers=("relu3_1",), weight=1.0)
    photo = resize(to_tensor(PHOTO), (32, 32))
    (goal,) = goals_at(
        [spec], NET, photo, Paintings([to_tensor(ARTS[0])]), [Area({0: 1.0}, where=where)], 32
    )
    assert isinstance(goal.term.loss, Gram)
    assert goal.share == pytest.approx(0.25)
    assert goal.maps["relu3_1"].shape == (1, 1, 8, 8)
    assert goal.maps["relu3_1"][0, 0, 0].tolist() == [1, 1, 0, 0, 0, 0, 0, 0]
