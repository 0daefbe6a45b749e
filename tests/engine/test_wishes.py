"""What to excite: values against numpy, composition, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto.engine.excite import Excitement, Manner
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.engine.views import Views
from impasto.engine.wishes import (
    Channel,
    Class,
    Direction,
    Energy,
    Neuron,
    interpolated,
    likeness,
)
from impasto.errors import UsageError
from impasto.testing import gradient_picture, thin_vgg

F = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
Z = torch.randn(2, 7, 1, 1, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
FEATURES = {"a": F, "logits": Z}
N = F.numpy()


def test_values():
    np.testing.assert_allclose(Channel("a", 2).value(FEATURES), N[:, 2].mean((1, 2)))
    np.testing.assert_allclose(Neuron("a", 1).value(FEATURES), N[:, 1, 2, 3])
    np.testing.assert_allclose(Neuron("a", 1, 4, 0).value(FEATURES), N[:, 1, 4, 0])
    np.testing.assert_allclose(Energy("a").value(FEATURES), (N**2).mean((1, 2, 3)))
    found = Energy("a", (0, 3)).value(FEATURES)
    np.testing.assert_allclose(found, (N[:, [0, 3]] ** 2).mean((1, 2, 3)))


def test_class():
    z = Z[..., 0, 0].numpy()
    np.testing.assert_allclose(Class("logits", 5).value(FEATURES), z[:, 5])
    others = np.log(np.exp(np.delete(z, 5, 1)).sum(1))
    np.testing.assert_allclose(Class("logits", 5, 0.4).value(FEATURES), z[:, 5] - 0.4 * others)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_direction(power):
    vector = np.array([1.0, 0, -2, 0.5])
    unit = vector / np.linalg.norm(vector)
    along = np.einsum("bchw,c->bhw", N, unit)
    cosine = np.maximum(along / np.linalg.norm(N, axis=1), 0.1)
    found = Direction("a", tuple(vector), power).value(FEATURES)
    np.testing.assert_allclose(found, (along * cosine**power).mean((1, 2)))


def test_composition():
    wish = 2 * (Channel("a", 0) + 0.5 * Neuron("a", 3)) - Class("logits", 1)
    assert [w for w, _ in wish.terms()] == [2, 1, -1]
    assert wish.layers() == ("a", "logits")
    assert str(wish) == "2 * a:0 + a:3@ + -1 * class:1"
    assert (-Channel("a", 1)).terms() == ((-1.0, Channel("a", 1)),)
    assert (Channel("a", 1) * 3).terms() == (3 * Channel("a", 1)).terms()


def test_interpolated():
    one, other = Channel("a", 0), Channel("a", 1)
    found = interpolated(one, other, 3)
    assert found[0] is one and found[-1] is other
    shares = [[w for w, _ in mix.terms()] for mix in found[1:-1]]
    assert shares == [[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]]


@pytest.mark.parametrize(
    "unit",
    [
        Channel("a", 4),
        Neuron("a", 9),
        Neuron("a", 0, 5, 0),
        Energy("a", (4,)),
        Class("logits", 7),
        Direction("a", (1.0,)),
    ],
)
def test_refuses_what_is_not_there(unit):
    with pytest.raises(UsageError):
        unit.value(FEATURES)


def test_likeness():
    def gram(i):
        flat = N[i].reshape(4, -1)
        found = flat @ flat.T
        return found / np.linalg.norm(found)

    expected = (gram(0) * gram(1)).sum()
    assert float(likeness(F)) == pytest.approx(expected)
    assert float(likeness(F[:1].expand(3, -1, -1, -1))) == pytest.approx(1.0)
    assert float(likeness(F[:1])) == pytest.approx(0.0)
    assert not likeness(torch.zeros(2, 3, 4, 4)).any()


NET = thin_vgg()
START = 0.5 + 0.05 * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))


def test_terms_of_an_excitement():
    wish = Excitement(NET, Channel("relu3_1", 2), Manner(redirect=0, tv=2.0))
    terms = wish(START)
    expected = NET.taps(START, ["relu3_1"])["relu3_1"][:, 2].mean()
    assert float(terms["excitation"]) == pytest.approx(-float(expected))
    dx, dy = START.diff(dim=-1)[..., :-1, :], START.diff(dim=-2)[..., :-1]
    tv = ((dx**2 + dy**2 + 1e-6).sqrt() - 1e-3).mean()
    assert float(terms["tv"]) == pytest.approx(2 * float(tv), rel=1e-4)


def test_the_excitation_pulls_equally_at_every_layer():
    for layer in ("relu1_1", "relu4_1"):
        leaf = START.clone().requires_grad_(True)
        Excitement(NET, Energy(layer), Manner(redirect=0))(leaf)["excitation"].backward()
        assert float(leaf.grad.abs().sum()) == pytest.approx(1, rel=1e-4)


def test_diversity_pushes_pictures_apart():
    two = START.expand(2, -1, -1, -1) + 0.01 * torch.randn(
        2, 3, 48, 48, generator=torch.Generator().manual_seed(1)
    )

    def ended(weight: float) -> float:
        manner = Manner(redirect=0, diversity=weight)
        wish = Excitement(NET, Channel("relu4_1", 3), manner, "relu4_1")
        run = Optimisation(PlainPixels(two), wish, Optimiser(lr=0.02, scaled=False), 30)
        for _ in run.steps():
            pass
        return float(likeness(NET.taps(run.image(), ["relu4_1"])["relu4_1"]))

    assert ended(5.0) < ended(0.0) - 0.02


@pytest.mark.parametrize(
    "wish",
    [
        Channel("relu3_1", 2),
        Neuron("relu3_1", 2),
        Energy("relu4_1"),
        Direction("relu3_1", tuple(float(i % 3) for i in range(16)), 1.0),
        Channel("relu3_1", 2) + Channel("conv2_1", 1),
    ],
)
def test_climbs(wish):
    manner = Manner(Views(4, 3, 0.1, 8))
    excite = Excitement(NET, wish, manner)
    run = Optimisation(PlainPixels(START), excite, Optimiser(lr=0.02, scaled=False), 20)
    for _ in run.steps():
        pass
    still = Excitement(NET, wish, Manner(redirect=0))
    before, after = (float(still(x)["excitation"]) for x in (START, run.image()))
    assert after < before - 0.2 * abs(before)


def test_a_channel_ends_higher_than_in_a_picture():
    """What was optimised for the channel excites it more than any gradient does."""
    excite = Excitement(NET, Channel("relu3_1", 2), Manner(redirect=0))
    run = Optimisation(PlainPixels(START), excite, Optimiser(lr=0.03, scaled=False), 30)
    for _ in run.steps():
        pass
    best = float(excite(run.image())["excitation"])
    assert best < float(excite(gradient_picture(48, 48))["excitation"])
