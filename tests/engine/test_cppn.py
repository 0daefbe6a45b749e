"""Pictures as functions of place."""

from __future__ import annotations

import math

import numpy as np
import torch

from impasto.engine.cppn import CPPNPixels, places


def test_places_have_mean_0_and_variance_1():
    found = places(64, 64).double()
    torch.testing.assert_close(found.mean(1), torch.zeros(3).double(), atol=0.02, rtol=0)
    torch.testing.assert_close(found.var(1), torch.ones(3).double(), atol=0.03, rtol=0)


def test_the_shorter_side_spans_less():
    x, y, _ = places(10, 40)
    assert math.isclose(float(x.max()), -float(x.min()), rel_tol=1e-6)
    assert float(y.max()) < 0.3 * float(x.max())


def test_decodes_as_numpy_does(generator):
    pixels = CPPNPixels(2, 5, 7, generator)
    x = np.broadcast_to(places(5, 7).numpy().astype(np.float64), (2, 3, 35))
    *hidden, last = [w.detach().numpy().astype(np.float64) for w in pixels.parameters()]
    for weight in hidden:
        bent = np.arctan(weight @ x)
        x = np.concatenate([bent / 0.67, (bent**2 - 0.45) / 0.4], 1)
    expected = 1 / (1 + np.exp(-(last @ x)))
    np.testing.assert_allclose(
        pixels.decode().detach().numpy(), expected.reshape(2, 3, 5, 7), atol=1e-4
    )


def test_the_same_function_at_every_size(generator):
    """Every second sample of three times the size is where the small one's samples are."""
    small = CPPNPixels(1, 6, 6, generator)
    large = small.resized(18, 18)
    torch.testing.assert_close(large.decode()[..., 1::3, 1::3], small.decode(), atol=1e-5, rtol=0)
    assert large.parameters()[0] is not small.parameters()[0]


def test_begins_near_grey_but_not_flat(generator):
    picture = CPPNPixels(3, 24, 24, generator).decode().detach()
    assert 0.35 < float(picture.mean()) < 0.65
    assert (picture.flatten(1).std(1) > 0.02).all()


def test_learns_a_picture(generator):
    pixels = CPPNPixels(1, 12, 12, generator)
    goal = torch.zeros(1, 3, 12, 12)
    goal[..., 6:] = 0.9
    adam = torch.optim.Adam(pixels.parameters(), lr=0.01)
    for _ in range(150):
        adam.zero_grad()
        loss = (pixels.decode() - goal).square().mean()
        loss.backward()
        adam.step()
    assert float(loss.detach()) < 0.01
