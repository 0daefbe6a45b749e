"""What defines the filters that take from a painting: reinhard, histogram, quilting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from impasto.filters.histogram import Histogram
from impasto.filters.quilting import Quilting, _errors, _Patches, _Sides, _Weights
from impasto.filters.reinhard import Reinhard, from_ruderman, to_ruderman
from impasto.images.spaces import luma, rgb_to_lab, rgb_to_oklab

from .scenes import flat, landscape, painting


def sliced(first: torch.Tensor, second: torch.Tensor) -> float:
    """Sliced Wasserstein distance of the colours."""
    generator = torch.Generator().manual_seed(99)
    axes = F.normalize(torch.randn(3, 40, generator=generator), dim=0)
    levels = torch.linspace(0.01, 0.99, 99)
    a, b = (torch.quantile(t[0].reshape(3, -1).T @ axes, levels, dim=0) for t in (first, second))
    return float((a - b).abs().mean())


@pytest.mark.parametrize(("space", "forward"), [("lab", rgb_to_lab), ("oklab", rgb_to_oklab)])
def test_reinhard_matches_mean_and_spread(space: str, forward: object) -> None:
    # Muted, so that nothing leaves the gamut and is clipped.
    image, other = 0.35 + 0.25 * landscape(), 0.3 + 0.3 * painting()
    result = Reinhard(light=1.0, contrast=10.0, space=space)(image, other)
    got, want = (rgb_to_lab(t) if space == "lab" else rgb_to_oklab(t) for t in (result, other))
    scale = 100.0 if space == "lab" else 1.0
    assert (got.mean((2, 3)) - want.mean((2, 3))).abs().max() < 0.01 * scale
    assert (got.std(dim=(2, 3)) - want.std(dim=(2, 3))).abs().max() < 0.01 * scale


def test_reinhard_limits_the_contrast() -> None:
    image = 0.45 + 0.02 * landscape()
    result = Reinhard(contrast=1.5, light=1.0)(image, painting())
    ratio = rgb_to_lab(result).std(dim=(2, 3)) / rgb_to_lab(image).std(dim=(2, 3))
    assert ratio.max() < 1.6


@pytest.mark.parametrize("space", ["lab", "oklab"])
def test_reinhard_makes_no_neon(space: str) -> None:
    """A light grey that turns blue stays as light, and of the hue that was asked for."""
    image = torch.cat([flat((0.85, 0.85, 0.85), 8, 32), flat((0.35, 0.25, 0.2), 24, 32)], 2)
    other = flat((0.1, 0.25, 0.6), 32, 32)
    result = Reinhard(space=space, light=0.0, contrast=1.0)(image, other)
    pale, moved = rgb_to_lab(result)[0, :, 0, 0], rgb_to_lab(image)
    if space == "lab":
        asked = moved[0, 1:, 0, 0] - moved[0, 1:].mean((1, 2)) + rgb_to_lab(other)[0, 1:, 0, 0]
        hues = [float(torch.atan2(t[1], t[0])) for t in (pale[1:], asked)]
        assert hues[0] == pytest.approx(hues[1], abs=0.15)
        assert float(pale[1:].norm()) < 0.6 * float(asked.norm())
    assert float((pale - moved[0, :, 0, 0])[0].abs()) < 2
    assert float(result.max()) <= 1.0


def test_reinhard_of_no_strength_changes_nothing() -> None:
    image = landscape()
    assert (Reinhard(strength=0.0)(image, painting()) - image).abs().max() < 1e-4


def test_reinhard_keeps_the_light_if_asked() -> None:
    image = 0.3 + 0.3 * landscape()
    result = Reinhard(light=0.0)(image, painting())
    assert (rgb_to_lab(result) - rgb_to_lab(image))[:, 0].abs().mean() < 1.0
    assert (rgb_to_lab(result) - rgb_to_lab(image))[:, 1:].abs().mean() > 5.0


def test_ruderman_is_inverted() -> None:
    image = 0.1 + 0.9 * landscape()
    assert (from_ruderman(to_ruderman(image)) - image).abs().max() < 1e-4


def test_histogram_moves_the_whole_distribution() -> None:
    image, other = landscape(), painting()
    result = Histogram(strength=1.0, calm=0.0, rounds=30)(image, other)
    assert sliced(result, other) < 0.2 * sliced(image, other)
    # Mean and spread alone do not do that.
    assert sliced(result, other) < 0.6 * sliced(Reinhard(light=1.0)(image, other), other)


def test_histogram_of_channels_matches_quantiles() -> None:
    image, other = landscape(), painting()
    result = Histogram(strength=1.0, calm=0.0, mode="channels")(image, other)
    levels = torch.linspace(0.05, 0.95, 19)
    for k in range(3):
        got, want = (torch.quantile(t[0, k], levels) for t in (result, other))
        assert (got - want).abs().max() < 0.04


def test_histogram_calms_noise() -> None:
    image = flat((0.5, 0.5, 0.5), 96, 96)
    image += 0.02 * torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    wild, calm = (Histogram(calm=c)(image, painting()) for c in (0.0, 40.0))
    assert calm.diff(dim=3).abs().mean() < 0.6 * wild.diff(dim=3).abs().mean()


def test_quilting_is_made_of_the_painting() -> None:
    """Every small patch of the result is found in the painting, but for the seams."""
    image, other = landscape(96, 128), painting(96, 128)
    result = Quilting(passes=1, block=160.0)(image, other)
    size = 3
    have = F.unfold(other, size)[0].T
    made = F.unfold(result, size)[0].T[::7]
    distance = torch.cdist(made, have).amin(1)
    assert (distance < 1e-3).float().mean() > 0.4
    assert sliced(result, other) < 0.6 * sliced(image, other)


def test_quilting_follows_the_tones_of_the_photo() -> None:
    image = landscape(128, 160)

    def likeness(fidelity: float) -> float:
        result = Quilting(fidelity=fidelity)(image, painting(128, 160))
        a, b = (F.avg_pool2d(luma(t), 8).flatten() for t in (image, result))
        return float(torch.corrcoef(torch.stack([a, b]))[0, 1])

    assert likeness(0.9) > 0.75
    assert likeness(0.0) < likeness(0.9) - 0.2


def test_quilting_seams_are_no_rougher_than_the_painting() -> None:
    other = painting(160, 160)
    result = Quilting(passes=1, fidelity=0.0, block=160.0)(landscape(160, 160), other)
    rough, natural = (t.diff(dim=3).abs().mean() for t in (result, other))
    assert rough < 1.35 * natural


def test_quilting_prefers_the_patch_that_goes_on() -> None:
    """With the photo's tones left out, only the overlap decides."""
    generator = np.random.default_rng(0)
    source = generator.random((60, 70, 3), np.float32)
    patches = _Patches.sampled(source, source[..., 0].copy(), 2, 40, generator)
    there = np.full((3, 24, 24, 3), 0.5, np.float32)
    whole = patches.pixels(np.array([7, 21, 33]))
    there[:, :6] = whole[:, :6]  # what lies above is the upper rim of these patches
    above, left = np.array([True, True, False]), np.array([False, False, False])
    errors = _errors(patches, there, there[..., 0], _Weights(1.0, 0.0, 0.0), _Sides(above, left))
    assert list(errors.argmin(1)[:2]) == [7, 21]
    assert errors[0, 7] < 1e-6
    assert np.ptp(errors[2]) == 0.0  # no neighbour, no preference


def test_quilting_smaller_patches_follow_closer() -> None:
    image = landscape(128, 160)
    one, two = (Quilting(passes=p, block=160.0)(image, painting(128, 160)) for p in (1, 3))
    target = F.avg_pool2d(luma(image), 4).flatten()
    one, two = (
        torch.corrcoef(torch.stack([F.avg_pool2d(luma(t), 4).flatten(), target]))[0, 1]
        for t in (one, two)
    )
    assert two > one
