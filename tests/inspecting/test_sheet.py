"""The sheet: colours, sizes, that every panel has something on it and nothing runs over."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import ImageChops

from impasto.images.spaces import rgb_to_oklab
from impasto.inspecting import sheet
from impasto.inspecting.colormaps import LEVELS, NOTHING, coloured, diverging, sequential
from impasto.inspecting.drawing import (
    PAPER,
    fitted,
    gram_image,
    map_image,
    paper,
    spotlight,
    width_of,
    wrapped,
    writable,
)
from impasto.inspecting.measure import ClassGuess, look
from impasto.testing import gradient_picture, thin_vgg

NET = thin_vgg()
LAYERS = ("conv1_1", "relu2_1", "relu4_1")
GUESSES = tuple(ClassGuess(f"class of long name {i}" * (i + 1), 0.5 / 2**i) for i in range(5))


def findings(height=96, width=128, maps=16, **more) -> sheet.Findings:
    picture = gradient_picture(height, width)
    views = tuple(look(NET, picture, more.pop("layers", LAYERS), maps))
    fields = {v.name: 10 for v in views}
    photo = picture[0].permute(1, 2, 0).numpy()
    return sheet.Findings(
        "photo.jpg", photo, "vgg16.thin", "VGG-16", views, fields,
        **{"classes": GUESSES, "classifier": "someone", "grams": True} | more,
    )  # fmt: skip


def inked(part) -> float:
    """Share of pixels that are not paper."""
    return float((np.asarray(part) != PAPER).any(axis=2).mean())


def lightness(table: np.ndarray) -> np.ndarray:
    rgb = torch.from_numpy(table).T[None, :, None].double()
    return rgb_to_oklab(rgb)[0, 0, 0].numpy()


def test_sequential_colours_rise_evenly_in_lightness():
    steps = np.diff(lightness(sequential()))
    assert sequential().shape == (LEVELS, 3)
    assert steps.min() > 0
    assert steps.max() < 2 * steps.mean()


def test_diverging_colours_are_dark_at_zero_and_even_on_both_sides():
    light = lightness(diverging())
    assert light.argmin() in (LEVELS // 2 - 1, LEVELS // 2)
    np.testing.assert_allclose(light, light[::-1], atol=0.03)
    assert (np.diff(light[: LEVELS // 2]) < 0).all()
    blue, warm = diverging()[20], diverging()[-20]
    assert blue[2] > blue[0] and warm[0] > warm[2]


def test_colours_of_numbers():
    pixels = coloured([[0.0, 1.0, np.nan, 5.0]], 0, 1)[0]
    expected = (sequential()[[0, -1]] * 255 + 0.5).astype(np.uint8)
    np.testing.assert_array_equal(pixels[[0, 1]], expected)
    np.testing.assert_array_equal(pixels[2], NOTHING)
    np.testing.assert_array_equal(pixels[3], expected[1])
    signed = coloured([[-2.0, 0.0, 1.0]], -2, 1)[0].astype(int)
    assert signed[1].sum() < signed[2].sum() < signed[0].sum(), "one scale for both signs"
    assert coloured(np.zeros((2, 2)), 0, 0).max() == (sequential()[0] * 255 + 0.5).astype(int).max()


def test_deep_maps_keep_their_cells():
    cells = np.array([[0.0, 1.0], [0.5, 0.25]], np.float32)
    drawn = np.asarray(map_image(cells, (20, 10)))
    for y in range(2):
        for x in range(2):
            block = drawn[5 * y : 5 * y + 5, 10 * x : 10 * x + 10].reshape(-1, 3)
            assert len(np.unique(block, axis=0)) == 1
    assert len(np.unique(drawn.reshape(-1, 3), axis=0)) == 4


def test_one_outlier_does_not_darken_a_map():
    values = np.full((40, 40), 0.5, np.float32)
    values[0, 0] = 1000.0
    assert np.asarray(map_image(values, (40, 40)))[20, 20].sum() > 600
    lonely = np.zeros((40, 40), np.float32)
    lonely[3, 3] = 2.0
    drawn = np.asarray(map_image(lonely, (40, 40))).astype(int).sum(axis=2)
    assert drawn[3, 3] > drawn[20, 20] + 300


def test_gram_is_sorted_by_energy_and_logarithmic():
    strength = np.array([0.01, 100.0, 1.0])
    gram = np.diag(strength).astype(np.float32)
    drawn = np.asarray(gram_image(gram, 30)).astype(int).sum(axis=2)
    on_diagonal = [drawn[5 + 10 * i, 5 + 10 * i] for i in range(3)]
    assert on_diagonal[0] > on_diagonal[1] > on_diagonal[2]
    dark = coloured([[0.0]], 0, 1).astype(int).sum()
    assert drawn[5, 15] == dark and on_diagonal[1] > dark + 100, "1 % of the maximum is half way"
    assert np.asarray(gram_image(np.zeros((4, 4), np.float32), 8)).std(axis=(0, 1)).max() == 0


def test_the_spotlight_lights_a_square():
    photo = paper(101, 81).point(lambda _: 40)
    lit = np.asarray(spotlight(photo, 21))
    as_before = (lit == 40).all(axis=2)
    rows, columns = as_before.any(axis=1).sum(), as_before.any(axis=0).sum()
    assert abs(rows - 21) <= 1 and abs(columns - 21) <= 1
    assert as_before[40, 50]
    assert ImageChops.difference(spotlight(photo, None), photo).getbbox() is None
    assert ImageChops.difference(spotlight(photo, 500), photo).getbbox() is None


@pytest.mark.parametrize("text", ["short", "a rather long name of a file.jpeg", "W" * 300])
def test_text_fits(text):
    line = fitted(text, 16, 120)
    assert width_of(line, 16) <= 120
    assert line == text or "\u2026" in line


def test_text_is_what_the_typeface_can_write():
    assert writable("Unïcôde 水 x.png") == "Unicode ? x.png"
    lines = wrapped("one two three four five six", 14, 60)
    assert " ".join(lines) == "one two three four five six"
    assert all(width_of(line, 14) <= 60 for line in lines)


@pytest.mark.parametrize("aspect", [0.1, 0.75, 1.0, 4 / 3, 3.0, 9.0])
@pytest.mark.parametrize("count", [1, 2, 7, 16, 64])
def test_grids_fit_the_room(count, aspect):
    room = sheet.INNER - sheet.FACTS - sheet.GUTTER
    columns, (width, height) = sheet.grid(count, room, aspect)
    assert 1 <= columns <= count
    assert columns * width + (columns - 1) * sheet.GAP <= room
    assert width >= sheet.LEAST and height >= 1


def test_the_usual_grid_is_two_full_rows():
    assert sheet.grid(16, sheet.INNER - sheet.FACTS - sheet.GUTTER, 4 / 3)[0] == 8


@pytest.mark.parametrize(
    "part",
    [
        sheet.heading,
        sheet.opening,
        sheet.closing,
        lambda f: sheet.layer_band(f.views[0], f),
        lambda f: sheet.layer_band(f.views[-1], f),
        lambda f: sheet.gram_band(f.views),
    ],
)
def test_every_panel_shows_something(part):
    drawn = part(findings())
    assert drawn.width == sheet.INNER
    assert 0.003 < inked(drawn) < 0.99


@pytest.mark.parametrize(
    "size", [(96, 128), (128, 96), (64, 300), (300, 64)], ids=["wide", "high", "pano", "strip"]
)
def test_margins_stay_empty(size):
    image = findings(*size)
    inversion = sheet.Inversion("relu2_1", image.photo, 0.1)
    for found in (image, findings(*size, inversion=inversion)):
        drawn = np.asarray(sheet.draw_sheet(found))
        assert drawn.shape[1] == sheet.WIDTH
        margin = sheet.MARGIN
        for border in (
            drawn[: margin - 8], drawn[-margin:], drawn[:, : margin - 3], drawn[:, 3 - margin :]
        ):  # fmt: skip
            assert (border == PAPER).all()


def test_the_sheet_grows_with_what_it_shows():
    def height(**more) -> int:
        return sheet.draw_sheet(findings(**more)).height

    plain = height(grams=False)
    assert height() > plain
    assert height(grams=False, layers=(*LAYERS, "relu5_1")) > plain + 150
    assert height(grams=False, classes=()) <= plain


def test_the_inversion_is_beside_the_photo():
    found = findings()
    red = np.zeros_like(found.photo)
    red[..., 0] = 1
    drawn = np.asarray(sheet.opening(findings(inversion=sheet.Inversion("relu2_1", red, 0.1))))
    assert ((drawn == (255, 0, 0)).all(axis=2)).mean() > 0.1
    assert not (np.asarray(sheet.opening(found)) == (255, 0, 0)).all(axis=2).any()


def test_bars_are_as_long_as_classes_are_probable():
    drawn = np.asarray(sheet.opening(findings())).astype(int)
    accent = (drawn == sheet.ACCENT).all(axis=2)
    track = (drawn == sheet.RULE).all(axis=2)
    row = int(np.flatnonzero(accent.any(axis=1))[2])
    share = accent[row].sum() / (accent[row].sum() + track[row].sum())
    assert share == pytest.approx(GUESSES[0].probability, abs=0.01)


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (0.004, "0.4 %"), (0.0996, "10 %"), (0.634, "63 %"), (1, "100 %")],
)
def test_percent(share, text):
    assert sheet.percent(share) == text
