"""Crops, their files and their bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.inspecting.backprop import Unit, project
from impasto.inspecting.boxes import Box, seen_box
from impasto.inspecting.signals import framed, heat_of, overlay, panel, signal_image
from impasto.inspecting.tiles import cut, decoded, encoded, signal_in
from impasto.testing import gradient_picture, thin_vgg

RNG = np.random.default_rng(0)
NOISE = RNG.random((200, 300, 3)).astype(np.float32)


def test_a_crop_is_the_box():
    part = cut(NOISE, Box(10, 20, 15, 40))
    np.testing.assert_array_equal(part, NOISE[10:15, 20:40])


@pytest.mark.parametrize("most", [20_000, 4_000, 1_000, 300])
def test_pictures_keep_their_allowance(most):
    data = encoded(NOISE, 128, most)
    assert len(data) <= most
    assert max(decoded(data).size) <= 128


def test_smooth_pictures_keep_their_size_and_small_ones_their_pixels():
    smooth = gradient_picture(100, 200)[0].permute(1, 2, 0).numpy()
    image = decoded(encoded(smooth, 128, 9000))
    assert image.size == (128, 64)
    small = (RNG.integers(0, 256, (5, 7, 3)) / 255).astype(np.float32)
    pixels = np.asarray(decoded(encoded(small, 128, 9000)))
    np.testing.assert_array_equal(pixels, np.round(small * 255))


def test_a_signal_is_cut_from_that_of_the_whole_photo():
    net, place = thin_vgg(), (2, 9)
    image = torch.rand(1, 3, 80, 96, generator=torch.Generator().manual_seed(0))
    for rule in ("guided", "deconv", "gradient"):
        found = signal_in(net, image, Unit("relu3_1", 3), place, rule)
        box = seen_box(net, "relu3_1", place, (80, 96))
        whole = project(net, image, Unit("relu3_1", 3), rule, place).signal
        expected = signal_image(whole[:, box.top : box.bottom, box.left : box.right])
        # Kernels round differently by size, and a ReLU at zero then lets pass or not.
        np.testing.assert_allclose(found, expected, atol=5e-3)


def test_nothing_is_grey_and_colours_keep_their_ratios():
    assert (signal_image(torch.zeros(3, 4, 5)) == 0.5).all()
    signal = torch.zeros(3, 10, 10)
    signal[0, 0, 0], signal[1, 0, 0] = 2.0, -1.0
    picture = signal_image(signal)
    np.testing.assert_allclose(picture[0, 0], [1.0, 0.25, 0.5], atol=0.01)
    assert (picture[1:] == 0.5).all()


def test_heat_is_drawn_where_it_is_and_nowhere_else():
    heat = heat_of(torch.tensor([[0.0, 0.0], [0.0, 3.0]]), (40, 40))
    assert heat.max() == 1 and heat[:10, :10].max() == 0
    assert heat_of(torch.zeros(2, 2), (4, 4)).max() == 0
    photo = np.full((40, 40, 3), 0.5, np.float32)
    drawn = overlay(photo, heat)
    np.testing.assert_allclose(drawn[:10, :10], 0.5, atol=1e-6)
    assert np.ptp(drawn[-1, -1]) > 0.15, "hot is colourful"
    assert drawn.min() >= 0 and drawn.max() <= 1


def test_frames_and_panels():
    photo = np.zeros((60, 90, 3), np.float32)
    drawn = framed(photo, Box(10, 20, 30, 50))
    assert drawn[10, 20].any() and drawn[29, 49].any()
    assert not drawn[20, 35].any() and not drawn[9].any() and not drawn[30].any()
    parts = [(f"part {i}", "about", photo) for i in range(4)]
    sheet = panel(parts, "A title that is far too long for the sheet " * 9)
    assert isinstance(sheet, Image.Image)
    assert sheet.width > 3 * 400 and sheet.height > 2 * 280
