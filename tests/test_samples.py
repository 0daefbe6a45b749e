"""Sample pictures: contract, determinism, texture statistics, and what defines each of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from impasto import samples
from impasto.errors import UnknownName, UsageError
from impasto.samples import hatching, nocturne
from impasto.samples.brush import blank
from impasto.samples.fields import GUIDE, Frame

SIZE = (192, 240)
SMALL = (96, 120)
EVERYTHING = samples.names() + samples.photo_names()


@lru_cache
def drawn(name, size=SIZE, seed=3):
    draw = samples.painting if name in samples.names() else samples.photo
    picture = draw(name, size, seed)
    picture.flags.writeable = False
    return picture


def luminance(picture):
    return picture @ np.array([0.2126, 0.7152, 0.0722])


def slopes(picture):
    """Mean absolute difference between vertical and between horizontal neighbours."""
    light = luminance(picture)
    return np.abs(np.diff(light, axis=0)).mean(), np.abs(np.diff(light, axis=1)).mean()


def blocks(picture, side):
    """Means of ``side`` x ``side`` blocks."""
    h, w = picture.shape[0] // side, picture.shape[1] // side
    return picture.reshape(h, side, w, side, *picture.shape[2:]).mean(axis=(1, 3))


def hues(picture):
    """How many of 512 cells of the colour cube are used."""
    return len(np.unique(np.minimum(picture.reshape(-1, 3) * 8, 7).astype(int) @ [64, 8, 1]))


def test_registries_hold_the_promised_pictures():
    assert samples.names() == [
        "nocturne",
        "wheat",
        "lilies",
        "stained_glass",
        "woodblock",
        "hatching",
        "geometric",
    ]
    assert samples.photo_names() == ["harbour", "still_life"]


def test_every_picture_is_documented():
    page = (Path(__file__).parents[1] / "docs" / "samples.md").read_text(encoding="utf-8")
    assert [name for name in EVERYTHING if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("name", EVERYTHING)
def test_picture_keeps_its_contract(name):
    picture = drawn(name)
    assert picture.shape == (*SIZE, 3)
    assert picture.dtype == np.float32
    assert picture.flags.c_contiguous
    assert np.isfinite(picture).all()
    assert 0 <= picture.min() < 0.2
    assert 0.7 < picture.max() <= 1


@pytest.mark.parametrize("name", EVERYTHING)
def test_same_seed_same_bytes_other_seed_other_picture(name):
    first = drawn(name, SMALL)
    assert drawn.__wrapped__(name, SMALL).tobytes() == first.tobytes()
    assert np.abs(drawn(name, SMALL, 4) - first).mean() > 0.01


@pytest.mark.parametrize("name", EVERYTHING)
def test_a_small_picture_is_the_large_one_from_further_away(name):
    nearer = blocks(drawn(name), 4)
    further = blocks(drawn(name, SMALL), 2)
    assert np.abs(nearer - further).mean() < 0.025
    assert np.corrcoef(nearer.ravel(), further.ravel())[0, 1] > 0.975


@pytest.mark.parametrize("size", [(64, 64), (64, 200), (200, 64)])
@pytest.mark.parametrize("name", ["stained_glass", "woodblock", "geometric", "harbour"])
def test_small_and_long_formats(name, size):
    picture = drawn(name, size)
    assert picture.shape == (*size, 3)
    assert picture.std() > 0.08


@pytest.mark.slow
@pytest.mark.parametrize("size", [(2048, 64), (64, 2048), (700, 700)])
@pytest.mark.parametrize("name", EVERYTHING)
def test_extreme_formats(name, size):
    picture = drawn.__wrapped__(name, size)
    assert picture.shape == (*size, 3)
    assert np.isfinite(picture).all()
    assert picture.std() > 0.08


@pytest.mark.parametrize("name", samples.names())
def test_paintings_have_texture_and_palette_at_several_scales(name):
    picture = drawn(name)
    light = luminance(picture)
    coarse = blocks(light, 8)
    fine = light - np.kron(coarse, np.ones((8, 8)))
    assert 0.04 < np.mean(slopes(picture)) < 0.17
    assert 0.08 < fine.std() < 0.20
    assert 0.08 < coarse.std() < 0.32
    assert 0.15 < picture.std(axis=(0, 1)).mean() < 0.35
    assert hues(picture) > (15 if name == "hatching" else 45)


@pytest.mark.parametrize("name", samples.photo_names())
def test_photos_are_smooth_but_not_flat(name):
    picture = drawn(name)
    assert np.mean(slopes(picture)) < 0.03
    assert picture.std(axis=(0, 1)).mean() > 0.11
    assert hues(picture) > 45


def test_names_are_looked_up_in_the_right_registry():
    with pytest.raises(UnknownName, match="nocturne"):
        samples.painting("nocturn")
    with pytest.raises(UnknownName, match="harbour"):
        samples.photo("harbor")
    with pytest.raises(UnknownName):
        samples.photo("nocturne")


@pytest.mark.parametrize("size", [(63, 640), (512, 2049), (0, 0), (-512, 640)])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(UsageError, match="64 to 2048"):
        samples.painting("nocturne", size)


def test_negative_seed_is_refused():
    with pytest.raises(UsageError, match="seed"):
        samples.photo("harbour", SMALL, seed=-1)


def test_drawing_leaves_the_global_generator_alone():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    samples.painting("geometric", SMALL)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_nocturne_glows_above_and_is_lit_below():
    red, _, blue = np.moveaxis(drawn("nocturne"), -1, 0)
    sky = slice(0, 112)
    assert (blue[sky] - red[sky] > 0.15).mean() > 0.5
    assert 0.05 < (red[sky] - blue[sky] > 0.25).mean() < 0.25
    village = (red - blue > 0.3)[139:161, 72:216]
    assert 0.03 < village.mean() < 0.5


def test_nocturne_discs_go_from_cream_to_gold_outwards():
    canvas = nocturne._discs(blank(*SIZE, np.zeros(3)), nocturne.WHIRLS, np.random.default_rng(0))
    x, y = canvas.frame.grid()
    for whirl in (w for w in nocturne.WHIRLS if w.disc):
        cx, cy = canvas.frame.place(whirl.fx, whirl.fy)
        r = np.hypot(x - cx, y - cy) / whirl.disc
        middle, rim = canvas.colour[r < 0.5], canvas.colour[(r > 1.2) & (r < 1.7)]
        assert luminance(middle).mean() > 0.75
        assert luminance(rim).mean() < luminance(middle).mean() - 0.1


def test_wheat_is_gold_below_turquoise_and_its_strokes_stand_up():
    picture = drawn("wheat")
    red, green, blue = np.moveaxis(picture, -1, 0)
    assert (blue[:30] > red[:30] + 0.05).mean() > 0.5
    assert (green[:30] > red[:30]).mean() > 0.5
    assert (red[110:] > blue[110:] + 0.2).mean() > 0.6
    (sky_rows, sky_columns), (field_rows, field_columns) = (
        slopes(picture[:90]),
        slopes(picture[110:]),
    )
    assert field_columns / field_rows > 1.3 * sky_columns / sky_rows


def test_lilies_are_level_dabs_with_pink_flowers():
    picture = drawn("lilies")
    middle = picture[:, 60:180]
    rows, columns = slopes(middle)
    assert rows > 1.5 * columns
    red, green, blue = np.moveaxis(picture, -1, 0)
    assert ((red > 0.75) & (red > green + 0.05)).mean() > 0.01
    assert (picture.min(axis=2) > 0.8).mean() > 0.01, "white petals"
    assert ((green > red + 0.05) & (green > blue + 0.05)).mean() > 0.1
    assert ((blue > green + 0.05) & (red > 0.35)).mean() > 0.1


def test_stained_glass_is_saturated_cells_between_dark_leads():
    picture = drawn("stained_glass")
    lead = picture.max(axis=2) < 0.25
    assert 0.10 < lead.mean() < 0.40
    glass = picture[~lead]
    assert np.median(glass.max(axis=1) - glass.min(axis=1)) > 0.35
    crossings = np.abs(np.diff(lead.astype(int), axis=1)).sum(axis=1)
    assert np.median(crossings) > 14


def test_woodblock_is_flat_bands_in_blue_and_cream_within_a_margin():
    picture = drawn("woodblock")
    light = luminance(picture)
    assert (np.abs(np.diff(light, axis=1)) < 0.03).mean() > 0.5
    red, _, blue = np.moveaxis(picture, -1, 0)
    assert (blue[110:] > red[110:] + 0.08).mean() > 0.6
    rim = np.concatenate([picture[:2].reshape(-1, 3), picture[-2:].reshape(-1, 3)])
    assert (rim[:, 0] > rim[:, 2]).all()
    assert rim.std(axis=0).max() < 0.05


def test_hatching_is_one_ink_that_follows_the_tone_of_the_scene():
    picture = drawn("hatching")
    assert (picture[..., 0] >= picture[..., 2]).all()
    frame = Frame(*SIZE).at(GUIDE)
    scene = hatching._scene(frame, np.random.default_rng(3))
    rows = np.linspace(0, frame.height, 25).astype(int)[:-1]
    columns = np.linspace(0, frame.width, 31).astype(int)[:-1]
    tone = np.add.reduceat(np.add.reduceat(scene.tone, rows, 0), columns, 1)
    assert np.corrcoef(tone.ravel(), blocks(luminance(picture), 8).ravel())[0, 1] > 0.85


def test_geometric_has_bold_primaries_on_a_pale_ground():
    red, green, blue = np.moveaxis(drawn("geometric"), -1, 0)
    shares = {
        "red": (red > 0.5) & (green < 0.35) & (blue < 0.35),
        "blue": (blue > 0.4) & (red < 0.3) & (green < 0.4),
        "yellow": (red > 0.6) & (green > 0.45) & (blue < 0.35),
        "black": np.maximum(np.maximum(red, green), blue) < 0.25,
        "ground": np.minimum(np.minimum(red, green), blue) > 0.6,
    }
    low = {"red": 0.05, "blue": 0.02, "yellow": 0.03, "black": 0.08, "ground": 0.45}
    assert {k: bool(shares[k].mean() > low[k]) for k in low} == dict.fromkeys(low, True)


def test_harbour_has_a_sun_and_mirrors_its_sky():
    picture = drawn("harbour")
    light = luminance(picture)
    sun = np.unravel_index(light[:100].argmax(), (100, 240))
    assert 40 < sun[0] < 75
    first = round(0.6 * SIZE[0])
    above, below = light[first - 40 : first][::-1], light[first : first + 40]
    assert np.corrcoef(above.ravel(), below.ravel())[0, 1] > 0.6


def test_still_life_has_a_cup_and_fruit_of_strong_colours_that_throw_shadows():
    picture = drawn("still_life")
    vivid = (picture.max(axis=2) - picture.min(axis=2)) > 0.42
    assert 0.05 < vivid.mean() < 0.5
    red, green, blue = np.moveaxis(picture, -1, 0)
    wood = (red > 1.1 * green) & (green > 1.15 * blue)
    light = luminance(picture)
    near_fruit = light[110:160][wood[110:160]]
    assert np.quantile(near_fruit, 0.05) < 0.6 * np.median(light[165:])
