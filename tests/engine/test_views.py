"""Random views: where every pixel comes from, and that draws can be repeated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from impasto.engine.views import GREY, Views, _mixed
from impasto.testing import gradient_picture

PICTURE = gradient_picture(24, 20, torch.float64)


class Fixed(Views):
    """Views with a move that the test chose."""

    def moves(self, count, step):
        return torch.tensor([self.move] * count, dtype=torch.float64)


def seen(move, picture=PICTURE, pad=0):
    view = Fixed(pad=pad, jitter=1)
    object.__setattr__(view, "move", move)
    return view(picture, 0)


def test_nothing_asked_for_nothing_done():
    assert Views()(PICTURE, 3) is PICTURE


def test_pad():
    view = Views(pad=3)(PICTURE, 0)
    assert view.shape == (1, 3, 30, 26)
    torch.testing.assert_close(view[..., 3:-3, 3:-3], PICTURE)
    assert float(view[..., :3, :].min()) == float(view[..., :3, :].max()) == GREY


def test_a_move_of_nothing():
    torch.testing.assert_close(seen((0.0, 0.0, 1.0, 0.0)), PICTURE)
    padded = seen((0.0, 0.0, 1.0, 0.0), pad=2)
    torch.testing.assert_close(padded[..., 2:-2, 2:-2], PICTURE)


def test_shift():
    """By 2 px to the right and 1 px down."""
    moved = seen((2.0, 1.0, 1.0, 0.0))
    torch.testing.assert_close(moved[..., 1:, 2:], PICTURE[..., :-1, :-2])
    assert torch.allclose(moved[..., 0, :], torch.tensor(GREY).double())


def test_quarter_turn():
    square = PICTURE[..., :20, :]
    turned = seen((0.0, 0.0, 1.0, math.pi / 2), square)
    torch.testing.assert_close(turned, square.rot90(-1, (-2, -1)))


def test_larger():
    """Twice the size: the middle half fills the view; bilinear between."""
    large = seen((0.0, 0.0, 2.0, 0.0))[0, 0]
    across = np.interp((np.arange(20) - 9.5) / 2 + 9.5, np.arange(20), PICTURE[0, 0, 0].numpy())
    np.testing.assert_allclose(large[6].numpy(), across, atol=1e-9)


def test_draws_depend_on_seed_and_step_alone():
    views = Views(jitter=8, scale=0.2, rotate=10, seed=5)
    torch.testing.assert_close(views.moves(3, 7), views.moves(3, 7), atol=0, rtol=0)
    assert not torch.equal(views.moves(3, 7), views.moves(3, 8))
    assert not torch.equal(views.moves(3, 7), Views(jitter=8, scale=0.2, seed=6).moves(3, 7))
    state = torch.get_rng_state()
    views(PICTURE, 1)
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"


def test_seeds_and_steps_do_not_meet():
    found = {_mixed(seed, step) for seed in range(60) for step in range(60)}
    assert len(found) == 3600


def test_ranges():
    moves = torch.cat([Views(jitter=8, scale=0.25, rotate=10).moves(8, i) for i in range(200)])
    assert moves[:, :2].abs().max() <= 8 and moves[:, :2].abs().max() > 7.5
    assert 1 / 1.25 - 1e-6 <= moves[:, 2].min() < 0.82 and 1.22 < moves[:, 2].max() <= 1.25 + 1e-6
    assert math.radians(9.5) < moves[:, 3].abs().max() <= math.radians(10)
    assert moves[:, :2].mean().abs() < 0.3


def test_count():
    views = Views(jitter=4, count=3)(PICTURE, 0)
    assert views.shape[0] == 3
    assert not torch.equal(views[0], views[1])


@pytest.mark.parametrize("views", [Views(1, 2, 0.3, 20), Views(2)])
def test_gradient(views):
    small = PICTURE[..., :4, :5].clone().requires_grad_(True)
    assert torch.autograd.gradcheck(lambda x: views(x, 1), small)
