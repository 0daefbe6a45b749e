"""Statistics of features, and the maps between them, against numpy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.universal import CARRIES, Affine, Gaussian, Sums, mixture, swapped, whitening


def draw(channels: int, height: int, width: int, seed: int) -> Tensor:
    """Features with correlated channels of very different sizes and a mean."""
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(channels, channels, generator=generator)
    mix *= torch.logspace(-1, 1, channels)[:, None]
    flat = mix @ torch.randn(channels, height * width, generator=generator)
    return (flat + torch.randn(channels, 1, generator=generator)).view(1, channels, height, width)


def truth(features: Tensor) -> tuple[np.ndarray, np.ndarray]:
    rows = features[0].flatten(1).double().numpy()
    return rows.mean(1), np.cov(rows, bias=True)


def test_moments_are_those_of_numpy() -> None:
    features = draw(6, 70, 80, 0)  # more positions than a chunk
    mean, cov = truth(features)
    found = Gaussian.of(features.contiguous(memory_format=torch.channels_last))
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.cov, cov, rtol=1e-5, atol=1e-4)


def test_parts_and_maps_add_up() -> None:
    features = draw(4, 8, 10, 1)
    where = torch.rand(1, 1, 8, 10)
    sums = Sums(4)
    sums.add(features[..., :3], where[..., :3])
    sums.add(features[..., 3:], where[..., 3:])
    found = sums.gaussian()
    rows, weights = features[0].flatten(1).double().numpy(), where.flatten().double().numpy()
    np.testing.assert_allclose(found.mean, np.average(rows, axis=1, weights=weights), atol=1e-5)
    np.testing.assert_allclose(
        found.cov, np.cov(rows, aweights=weights, bias=True), rtol=1e-4, atol=1e-4
    )
    assert found.count == pytest.approx(weights.sum(), rel=1e-5)


def test_whitened_features_are_white() -> None:
    features = draw(12, 30, 40, 2)
    _, cov = truth(whitening(Gaussian.of(features), cut=1e-9)(features))
    np.testing.assert_allclose(cov, np.eye(12), atol=1e-3)


@pytest.mark.parametrize("name", ["whiten", "transport"])
def test_the_result_has_the_moments_of_the_painting(name: str) -> None:
    photo, painting = draw(12, 30, 40, 3), draw(12, 25, 31, 4)
    made = CARRIES.get(name)(Gaussian.of(photo), Gaussian.of(painting))(photo)
    (mean, cov), (want_mean, want) = truth(made), truth(painting)
    np.testing.assert_allclose(mean, want_mean, atol=1e-3)
    np.testing.assert_allclose(cov, want, atol=1e-3 * np.abs(want).max())


def test_transport_moves_least() -> None:
    photo, painting = Gaussian.of(draw(8, 30, 40, 5)), Gaussian.of(draw(8, 30, 40, 6))
    near, far = (CARRIES.get(n)(photo, painting) for n in ("transport", "whiten"))
    features = draw(8, 30, 40, 5)
    moved = [float((m(features) - features).square().mean()) for m in (near, far)]
    assert moved[0] < moved[1]
    torch.testing.assert_close(near.matrix, near.matrix.mT, rtol=1e-6, atol=1e-8)


def test_moments_by_channel() -> None:
    photo, painting = draw(5, 9, 9, 7), draw(5, 8, 8, 8)
    made = CARRIES.get("moments")(Gaussian.of(photo), Gaussian.of(painting))(photo)
    torch.testing.assert_close(made.mean((2, 3)), painting.mean((2, 3)), rtol=1e-4, atol=1e-4)
    want = painting.std((2, 3), correction=0)
    torch.testing.assert_close(made.std((2, 3), correction=0), want, rtol=1e-4, atol=1e-4)


DEGENERATE = {
    "constant": torch.full((1, 6, 5, 5), 3.0),
    "zero": torch.zeros(1, 6, 5, 5),
    "one position": draw(6, 1, 1, 9),
    "fewer positions than channels": draw(6, 2, 2, 10),
    "equal channels": draw(1, 9, 9, 11).expand(1, 6, 9, 9),
    "dead channel": draw(6, 9, 9, 12) * torch.tensor([1.0, 1, 0, 1, 1, 1]).view(1, 6, 1, 1),
}


@pytest.mark.parametrize("name", ["whiten", "transport", "moments"])
@pytest.mark.parametrize("photo", DEGENERATE)
@pytest.mark.parametrize("painting", DEGENERATE)
def test_degenerate_features(name: str, photo: str, painting: str) -> None:
    """Always finite, with the painting's mean, and never more varied than the painting."""
    features, other = DEGENERATE[photo], DEGENERATE[painting]
    made = CARRIES.get(name)(Gaussian.of(features), Gaussian.of(other))(features)
    assert bool(torch.isfinite(made).all())
    (mean, cov), (want_mean, want) = truth(made), truth(other)
    np.testing.assert_allclose(mean, want_mean, atol=1e-3)
    assert np.trace(cov) <= np.trace(want) * 1.01 + 1e-3


def test_rank_deficient_photo_keeps_what_it_has() -> None:
    """In a photo of three directions, whitening gives three directions of variance 1."""
    flat = torch.randn(8, 3, generator=torch.Generator().manual_seed(13)) @ draw(3, 20, 20, 14)[
        0
    ].flatten(1)
    features = flat.view(1, 8, 20, 20)
    _, cov = truth(whitening(Gaussian.of(features), cut=1e-6)(features))
    values = np.linalg.eigvalsh(cov)
    np.testing.assert_allclose(values, [0] * 5 + [1] * 3, atol=1e-3)


def test_mixture_and_mean_of_maps() -> None:
    one, two = draw(4, 10, 10, 15), draw(4, 10, 10, 16)
    both = torch.cat([one, two], 3)
    found = mixture([Gaussian.of(one), Gaussian.of(two)], [0.5, 0.5])
    mean, cov = truth(both)
    np.testing.assert_allclose(found.mean, mean, atol=1e-5)
    np.testing.assert_allclose(found.cov, cov, rtol=1e-4, atol=1e-4)
    maps = [Affine(torch.eye(2).double(), torch.zeros(2).double()),
            Affine(3 * torch.eye(2).double(), torch.ones(2).double())]  # fmt: skip
    x = torch.rand(1, 2, 3, 3)
    torch.testing.assert_close(Affine.mean(maps, [0.25, 0.75])(x), 2.5 * x + 0.75)


def test_swap_gives_the_painting_back() -> None:
    """A picture whose patches are the painting's is found patch by patch."""
    painting = draw(6, 9, 11, 17)
    made = swapped(painting, painting, Gaussian.of(painting))
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))  # borders see their frames
    error = float((made[inner] - painting[inner]).square().mean() / painting.square().mean())
    assert error < 1e-3
    other = swapped(draw(6, 7, 8, 18), painting, Gaussian.of(painting))
    (mean, cov), (want_mean, want) = truth(other), truth(painting)
    np.testing.assert_allclose(mean, want_mean, atol=1e-2)
    np.testing.assert_allclose(cov, want, atol=1e-2 * np.abs(want).max())
