"""The shared operators against independent float64 computations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.nn.functional as F

from impasto.filters import kernels
from impasto.filters.lines import xdog
from impasto.filters.seams import cut_masks, least_path

from .scenes import landscape, step


@pytest.fixture
def picture() -> torch.Tensor:
    return landscape(61, 83)


@pytest.mark.parametrize("sigma", [0.5, 1.3, 4.0, 7.5])
def test_gaussian_is_exact_when_small(picture: torch.Tensor, sigma: float) -> None:
    expected = scipy.ndimage.gaussian_filter(
        picture.double().numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=3.0
    )
    assert np.abs(kernels.gaussian(picture, sigma).numpy() - expected).max() < 4e-3


@pytest.mark.parametrize("sigma", [8.0, 13.0, 30.0])
def test_gaussian_is_close_when_large(sigma: float) -> None:
    noise = torch.rand(1, 1, 300, 337, generator=torch.Generator().manual_seed(2))
    expected = scipy.ndimage.gaussian_filter(
        noise.double().numpy(), (0, 0, sigma, sigma), mode="nearest"
    )
    margin = int(3 * sigma)
    inside = np.s_[..., margin:-margin, margin:-margin]
    error = (kernels.gaussian(noise, sigma).numpy() - expected)[inside]
    assert np.sqrt((error**2).mean()) < 0.12 * expected[inside].std()


def test_gaussian_repeats_the_border() -> None:
    smooth = kernels.gaussian(landscape(90, 111), 3.0)
    expected = scipy.ndimage.gaussian_filter(
        smooth.double().numpy(), (0, 0, 13.0, 13.0), mode="nearest"
    )
    assert np.abs(kernels.gaussian(smooth, 13.0).numpy() - expected).max() < 0.02


def test_gaussian_of_a_large_sigma_on_a_tiny_picture() -> None:
    result = kernels.gaussian(torch.rand(1, 3, 2, 3), 50.0)
    assert result.shape == (1, 3, 2, 3)
    assert torch.isfinite(result).all()


def test_box_is_the_mean_of_a_window(picture: torch.Tensor) -> None:
    expected = scipy.ndimage.uniform_filter(picture.double().numpy(), (0, 0, 7, 7), mode="nearest")
    assert np.abs(kernels.box(picture, 3).numpy() - expected).max() < 1e-6


def test_guided_filter_against_its_definition() -> None:
    generator = torch.Generator().manual_seed(4)
    image = torch.rand(1, 1, 15, 18, generator=generator)
    guide = torch.rand(1, 1, 15, 18, generator=generator)
    radius, epsilon = 2, 0.01
    padded = [np.pad(t[0, 0].double().numpy(), 2 * radius, mode="edge") for t in (image, guide)]
    p, g = padded
    windows = {}
    for y, x in itertools.product(range(radius, p.shape[0] - radius), repeat=1 + 1):
        if x >= p.shape[1] - radius:
            continue
        part = np.s_[y - radius : y + radius + 1, x - radius : x + radius + 1]
        slope = ((g[part] * p[part]).mean() - g[part].mean() * p[part].mean()) / (
            g[part].var() + epsilon
        )
        windows[y, x] = slope, p[part].mean() - slope * g[part].mean()
    for y, x in ((7, 8), (6, 9), (8, 5)):
        near = [
            windows[y + 2 * radius + dy, x + 2 * radius + dx]
            for dy in range(-radius, radius + 1)
            for dx in range(-radius, radius + 1)
        ]
        slope, offset = np.mean(near, axis=0)
        expected = slope * float(guide[0, 0, y, x]) + offset
        got = float(kernels.guided(image, guide, radius, epsilon)[0, 0, y, x])
        assert got == pytest.approx(expected, abs=1e-5)


def test_domain_transform_against_a_plain_loop() -> None:
    image = torch.rand(1, 2, 6, 9, generator=torch.Generator().manual_seed(5))
    reach, tolerance, passes = 4.0, 0.5, 2
    result = image[0].double().numpy()
    guide = image[0].double().numpy()
    for index in range(passes):
        sigma = reach * np.sqrt(3) * 2 ** (passes - 1 - index) / np.sqrt(4**passes - 1)
        a = np.exp(-np.sqrt(2) / sigma)
        for axis in (2, 1):
            line, steps = np.moveaxis(result, axis, 0), np.moveaxis(guide, axis, 0)
            weight = a ** (1 + reach / tolerance * np.abs(np.diff(steps, axis=0)).sum(1))
            line = line.copy()
            for i in range(1, len(line)):
                line[i] += weight[i - 1] * (line[i - 1] - line[i])
            for i in range(len(line) - 2, -1, -1):
                line[i] += weight[i] * (line[i + 1] - line[i])
            result = np.moveaxis(line, 0, axis)
    got = kernels.domain_transform(image, image, reach, tolerance, passes)
    assert np.abs(got[0].numpy() - result).max() < 1e-5


def test_domain_transform_keeps_edges_and_smooths_noise() -> None:
    noisy = step(noise=0.03)
    smooth = kernels.domain_transform(noisy, noisy, 30.0, 0.6)
    assert smooth[..., 4:28].std() < 0.4 * noisy[..., 4:28].std()
    assert smooth[..., 34:].mean() - smooth[..., :30].mean() > 0.45


@pytest.mark.parametrize("degrees", [0, 30, 75, 90, 140])
def test_orientation_runs_along_stripes(degrees: int) -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    angle = np.deg2rad(degrees)
    stripes = torch.sin(0.6 * (-np.sin(angle) * x + np.cos(angle) * y))[None, None]
    tx, ty, anisotropy = kernels.orientation(kernels.structure_tensor(stripes, 3.0))
    inner = np.s_[..., 16:48, 16:48]
    along = (np.cos(angle) * tx[inner] + np.sin(angle) * ty[inner]).abs()
    assert along.min() > 0.999
    assert anisotropy[inner].min() > 0.98


def test_orientation_of_nothing_is_defined() -> None:
    tx, ty, anisotropy = kernels.orientation(kernels.structure_tensor(torch.ones(1, 3, 5, 5), 1.0))
    assert torch.equal(tx, torch.ones_like(tx))
    assert ty.abs().max() < 1e-6
    assert anisotropy.abs().max() == 0


def test_blur_along_stripes_keeps_them() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    stripes = torch.sin(0.5 * (x + y))[None, None]
    noisy = stripes + 0.3 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(6))
    tangent = torch.full((1, 1, 64, 64), 0.5**0.5)
    smooth = kernels.along(noisy, tangent, -tangent, 4.0)
    inner = np.s_[..., 12:52, 12:52]
    before, after = ((t - stripes)[inner].std() for t in (noisy, smooth))
    assert after < 0.55 * before


def test_noise_scales_with_its_period() -> None:
    def noise(size: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(8)
        return kernels.value_noise(size, size, size / 8, generator, octaves=2)

    small, large = noise(64), noise(128)
    assert (F.avg_pool2d(large, 2) - small).abs().max() < 0.1
    assert 0.2 < float(large.std()) < 0.8
    assert large.abs().max() < 2.0


def test_lines_lie_on_the_dark_side_of_edges_only() -> None:
    paper = xdog(step()[:, :1], 1.5)
    assert paper[..., 26:32].min() < 0.3
    assert paper[..., :20].min() > 0.99
    assert paper[..., 44:].min() > 0.99


def test_least_path_is_the_cheapest_of_all() -> None:
    cost = np.random.default_rng(0).random((3, 5, 4)).astype(np.float32)
    paths = least_path(cost)
    legal = [
        way
        for way in itertools.product(range(4), repeat=5)
        if all(abs(a - b) <= 1 for a, b in itertools.pairwise(way))
    ]
    for block, path in zip(cost, paths, strict=True):
        assert tuple(path) in legal
        best = min(sum(block[row, c] for row, c in enumerate(way)) for way in legal)
        assert sum(block[row, c] for row, c in enumerate(path)) == pytest.approx(best, rel=1e-6)


def test_cut_masks_keep_the_old_block_where_it_was() -> None:
    difference = np.ones((2, 8, 8), np.float32)
    difference[:, :, 1] = 0.0  # the seam wants to be in column 1
    masks = cut_masks(difference, 3, np.array([False, False]), np.array([True, False]))
    assert (masks[0, :, 0] == 0.0).all()
    assert (masks[0, :, 1] == 0.5).all()
    assert (masks[0, :, 2:] == 1.0).all()
    assert (masks[1] == 1.0).all()
