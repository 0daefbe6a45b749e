"""Losses on pictures that go on at their opposite edges, and Gram matrices of shifted features."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from impasto.losses import LOSSES, MRF, ShiftedGram, TotalVariation

from .loss_cases import features
from .test_formulas import check

F64 = NDArray[np.float64]
SHIFTS = (1, 3)


def shifted(f: F64, down: int, across: int) -> F64:
    """The mean of ``F_i(p) F_j(p + d)``, position by position."""
    channels, height, width = f.shape
    total, count = np.zeros((channels, channels)), 0
    for y in range(height - down):
        for x in range(width - across):
            total += np.outer(f[:, y, x], f[:, y + down, x + across])
            count += 1
    return total / count


def distance(scale: str) -> Any:
    def formula(f: F64, a: F64) -> float:
        error = size = 0.0
        for shift in SHIFTS:
            for d in ((shift, 0), (0, shift)):
                error += float(np.sum((shifted(f, *d) - shifted(a, *d)) ** 2))
                size += float(np.sum(shifted(a, *d) ** 2))
        return error / size if scale == "relative" else error / (f.shape[0] ** 2 * 2 * len(SHIFTS))

    return formula


@pytest.mark.parametrize("scale", ["mean", "relative"])
def test_shifted_gram(scale: Any) -> None:
    x, y = features(0, 1, 4, 6, 7), features(1, 1, 4, 5, 8)
    check(ShiftedGram(SHIFTS, scale), distance(scale), x, y)


def test_shifts_that_do_not_fit_are_left_out() -> None:
    x, y = features(0, 1, 3, 6, 7), features(1, 1, 3, 6, 5)
    loss = ShiftedGram((2, 5), "relative")
    grams, there = loss.target(y)
    assert there.tolist() == [[1.0, 1.0, 1.0, 0.0]]
    assert float(grams[0, 3].abs().max()) == 0
    without = ShiftedGram((2,), "mean")(x, ShiftedGram((2,)).target(y))
    both = ShiftedGram((2, 5), "mean")(x, loss.target(y))
    down = shifted(x[0].numpy(), 5, 0) - shifted(y[0].numpy(), 5, 0)
    assert float(both) == pytest.approx((2 * float(without) + np.mean(down**2)) / 3)


def test_blends_take_a_shift_from_the_paintings_that_have_it() -> None:
    loss = ShiftedGram((4,))
    one, two = loss.target(features(0, 1, 3, 6, 6)), loss.target(features(1, 1, 3, 6, 4))
    grams, there = loss.blend([one, two], [0.25, 0.75])
    assert there.tolist() == [[1.0, 1.0]]
    torch.testing.assert_close(grams[0, 1], one[0][0, 1])
    torch.testing.assert_close(grams[0, 0], 0.25 * one[0][0, 0] + 0.75 * two[0][0, 0])


PERIODIC = [
    ("tv", {}),
    ("tv", {"form": "isotropic", "power": 1.0}),
    ("shifted-gram", {"shifts": (1, 3)}),
    ("mrf", {"stride": 1}),
    ("mrf", {"stride": 2}),
]


@pytest.mark.parametrize(("name", "options"), PERIODIC)
def test_rolling_a_periodic_picture_changes_nothing(name: str, options: dict[str, Any]) -> None:
    """And without the option it does, which is why there is one."""
    x, y = features(0, 1, 3, 8, 12), features(1, 1, 3, 9, 7)
    rolled = x.roll((2, 4), (2, 3))
    for periodic in (True, False):
        loss: Any = LOSSES.get(name)(**options, periodic=periodic)
        target = loss.target(y)
        same = abs(float(loss(x, target) - loss(rolled, target))) < 1e-12
        assert same is periodic


def test_periodic_total_variation_is_that_of_a_plane_of_copies() -> None:
    x = features(0, 1, 3, 5, 6).numpy()
    steps = [np.roll(x, -1, axis) - x for axis in (2, 3)]
    expected = sum(np.mean(step**2) for step in steps)
    found = TotalVariation(periodic=True)(torch.from_numpy(x), ())
    assert float(found) == pytest.approx(expected)


def test_periodic_patches_cross_the_edge() -> None:
    """A picture that is whole only across its edge finds all patches of the painting."""
    whole = features(0, 1, 3, 8, 8)
    cut = whole.roll((3, 3), (2, 3))
    target = MRF(stride=1).target(torch.cat([whole] * 2, 2).repeat(1, 1, 1, 2))
    assert float(MRF(stride=1, periodic=True)(cut, target)) == pytest.approx(0, abs=1e-12)
    alone = MRF(stride=1).target(whole)
    assert float(MRF(stride=1)(cut, alone)) > 0.01
