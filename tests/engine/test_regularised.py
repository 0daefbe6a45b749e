"""The rules of Yosinski et al. 2015 against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto.engine.regularised import RegularisedPixels, Regulariser, blurred
from impasto.errors import UsageError

X = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
G = torch.randn(2, 3, 9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def cut(x: np.ndarray, size: np.ndarray, percent: float) -> np.ndarray:
    found = x.copy()
    for one, sizes in zip(found, size, strict=True):
        one[:, sizes < np.percentile(sizes, percent)] = 0
    return found


def test_nothing():
    assert torch.equal(Regulariser()(X, G, 0), X)


def test_decay():
    torch.testing.assert_close(Regulariser(decay=0.3)(X, G, 1), 0.7 * X)


@pytest.mark.parametrize("deviation", [0.5, 1.0, 2.5])
def test_blur(deviation):
    """A dense matrix per axis, edges mirrored by padding."""
    radius = int(4 * deviation + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / deviation) ** 2)
    weights /= weights.sum()
    expected = X.numpy()
    for axis in (2, 3):
        pad = [(radius, radius) if i == axis else (0, 0) for i in range(4)]
        wide = np.pad(expected, pad, mode="symmetric")
        expected = np.apply_along_axis(np.convolve, axis, wide, weights, mode="valid")
    np.testing.assert_allclose(blurred(X, deviation).numpy(), expected, atol=1e-12)


def test_blur_of_a_constant_is_the_constant():
    torch.testing.assert_close(blurred(torch.ones(1, 1, 1, 5), 2.0), torch.ones(1, 1, 1, 5))


def test_blur_only_now_and_then():
    rule = Regulariser(blur=1.0, every=4)
    changed = [not torch.equal(rule(X, G, step), X) for step in range(9)]
    assert changed == [True, False, False, False, True, False, False, False, True]


def test_small_norms():
    expected = cut(X.numpy(), np.linalg.norm(X.numpy(), axis=1), 50)
    np.testing.assert_array_equal(Regulariser(norm=50)(X, G, 1).numpy(), expected)


def test_small_contributions():
    size = np.abs((X * G).numpy().sum(1))
    found = Regulariser(contribution=90)(X, G, 1).numpy()
    np.testing.assert_array_equal(found, cut(X.numpy(), size, 90))
    assert 0.08 < (np.abs(found).sum(1) > 0).mean() < 0.15


def test_pixels_are_changed_around_the_mean():
    image = torch.full((1, 3, 4, 4), 0.9)
    pixels = RegularisedPixels(image, Regulariser(decay=0.5), (0.5, 0.4, 0.3))
    pixels.project()
    expected = torch.tensor([0.7, 0.65, 0.6]).view(3, 1, 1).expand(1, 3, 4, 4)
    torch.testing.assert_close(pixels.decode().detach(), expected)
    assert pixels.taken == 1
    assert torch.equal(image, torch.full((1, 3, 4, 4), 0.9)), "the caller's picture is untouched"


def test_pixels_stay_in_range():
    pixels = RegularisedPixels(torch.full((1, 3, 4, 4), 1.8), Regulariser(), (0.5, 0.5, 0.5))
    pixels.project()
    assert float(pixels.decode().max().detach()) == 1.0


def test_resized_goes_on_counting():
    pixels = RegularisedPixels(torch.rand(1, 3, 4, 4), Regulariser(blur=1.0), (0.5, 0.5, 0.5))
    pixels.project()
    larger = pixels.resized(8, 8)
    assert larger.taken == 1 and larger.decode().shape == (1, 3, 8, 8)


@pytest.mark.parametrize(
    "bad",
    [{"decay": 1.0}, {"decay": -0.1}, {"blur": -1}, {"every": 0}, {"norm": 100}, {"norm": -1}],
)
def test_ranges(bad):
    with pytest.raises(UsageError):
        Regulariser(**bad)
