"""Sample pictures: contract, determinism, texture statistics, and what defines each of them."""

from __future__ import annotations

import numpy as np
import pytest

from impasto import samples
from impasto.errors import UnknownName, UsageError

SIZE = (192, 240)


@pytest.mark.parametrize("name", samples.names())
def test_painting_keeps_its_contract(name):
    picture = samples.painting(name, SIZE, seed=3)
    assert picture.shape == (*SIZE, 3)
    assert picture.dtype == np.float32
    assert np.isfinite(picture).all()
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.flags.c_contiguous


@pytest.mark.parametrize("name", samples.names())
def test_same_seed_same_bytes_other_seed_other_picture(name):
    first = samples.painting(name, (96, 120), seed=5)
    assert samples.painting(name, (96, 120), seed=5).tobytes() == first.tobytes()
    assert np.abs(samples.painting(name, (96, 120), seed=6) - first).mean() > 0.01


def test_unknown_painting_suggests_a_name():
    with pytest.raises(UnknownName, match="nocturne"):
        samples.painting("nocturn")


@pytest.mark.parametrize("size", [(63, 640), (512, 2049), (0, 0), (-512, 640)])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(UsageError, match="64 to 2048"):
        samples.painting("nocturne", size)


def test_negative_seed_is_refused():
    with pytest.raises(UsageError, match="seed"):
        samples.painting("nocturne", SIZE, seed=-1)


def test_nocturne_glows_above_and_is_lit_below():
    red, _, blue = np.moveaxis(samples.painting("nocturne", (256, 320)), -1, 0)
    sky = slice(0, 150)
    assert (blue[sky] - red[sky] > 0.15).mean() > 0.5
    assert 0.05 < (red[sky] - blue[sky] > 0.25).mean() < 0.25
    village = (red - blue > 0.3)[185:215, 96:288]
    assert 0.03 < village.mean() < 0.5
