"""Losses against formulas written out in numpy, in float64, from the sources.

The first half is the five documents that the recipes reproduce; each is checked in value and, by
differences of the numpy function, in gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import scipy.special
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.losses import (
    MRF,
    Content,
    Contextual,
    Gram,
    Histogram,
    Laplacian,
    MarkovianAdversarial,
    MeanCovariance,
    MeanStd,
    Perceptual,
    Range,
    RelaxedEMD,
    SelfSimilarity,
    SlicedWasserstein,
    SmoothContent,
    SmoothGram,
    TotalVariation,
    Wasserstein,
)
from impasto.losses.hypercolumns import hypercolumns

from .loss_cases import features

F64 = NDArray[np.float64]
Formula = Callable[[F64, F64], float]
N, H, W = 4, 6, 7
M = H * W


def check(loss: Any, formula: Formula, x: Tensor, y: Tensor) -> None:
    """Value and slope along random directions equal those of ``formula``."""
    x = x.clone().requires_grad_(True)
    found = loss(x, loss.target(y))
    (slope,) = torch.autograd.grad(found, x)
    a, b = x.detach().numpy()[0], y.numpy()[0]
    np.testing.assert_allclose(found.item(), formula(a, b), rtol=1e-9)
    for seed in range(3):
        direction = np.random.default_rng(seed).standard_normal(a.shape)
        step = 1e-5
        numeric = (formula(a + step * direction, b) - formula(a - step * direction, b)) / (2 * step)
        np.testing.assert_allclose((slope[0].numpy() * direction).sum(), numeric, rtol=1e-5)


def gram(f: F64) -> F64:
    g = np.zeros((f.shape[0], f.shape[0]))
    for i in range(f.shape[0]):
        for j in range(f.shape[0]):
            g[i, j] = np.sum(f[i] * f[j])
    return g


def s1_content(f: F64, p: F64) -> float:
    return float(np.sum((f - p) ** 2) / (2 * N**0.5 * M**0.5))


def s1_style(f: F64, a: F64) -> float:
    return float(np.sum((gram(f) - gram(a)) ** 2) / (4 * N**2 * M**2))


def s2_content(f: F64, p: F64) -> float:
    return float(np.mean((f - p) ** 2))


def s2_style(f: F64, a: F64) -> float:
    return float(np.mean((gram(f) / (N * H * W) - gram(a) / (N * H * W)) ** 2))


def s3_style(f: F64, a: F64) -> float:
    return float(np.mean((gram(f) / (H * W) - gram(a) / (H * W)) ** 2))


def s4_content(f: F64, p: F64) -> float:
    return float(0.5 * np.sum((f - p) ** 2))


def s4_style(f: F64, a: F64) -> float:
    return float(np.sum((gram(f) / (2 * H * W * N) - gram(a) / (2 * H * W * N)) ** 2))


DOCUMENTS: dict[str, tuple[Any, Formula]] = {
    "S1 content": (Content("root"), s1_content),
    "S1 style, also Gatys 2016 eq. 4": (Gram("none", "gatys"), s1_style),
    "S2 content, also S3 and S5": (Content("mean"), s2_content),
    "S2 style, also neural-style": (Gram("chw", "mean"), s2_style),
    "S3 style, also S5": (Gram("hw", "mean"), s3_style),
    "S4 content, also Gatys 2016 eq. 1": (Content("half"), s4_content),
    "S4 style": (Gram("2chw", "sum"), s4_style),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_five_documents(name: str) -> None:
    loss, formula = DOCUMENTS[name]
    check(loss, formula, features(0, 1, N, H, W), features(1, 1, N, H, W))


def test_gram_as_printed_equals_the_other_normalisation() -> None:
    """G / M inside and 1 / (4 N^2) outside is the printed form; sizes may then differ."""
    x, y = features(0, 1, N, H, W), features(1, 1, N, 9, 5)
    printed = Gram("none", "gatys")
    by_hand = np.sum((gram(x.numpy()[0]) / M - gram(y.numpy()[0]) / 45) ** 2) / (4 * N**2)
    np.testing.assert_allclose(printed(x, printed.target(y)).item(), by_hand)


# The rest of the literature.


def adain(f: F64, a: F64) -> float:
    total = 0.0
    for c in range(N):
        total += (f[c].mean() - a[c].mean()) ** 2 / N
        total += (np.sqrt(f[c].var() + 1e-5) - np.sqrt(a[c].var() + 1e-5)) ** 2 / N
    return float(total)


def moments_l1(f: F64, a: F64) -> float:
    f, a = f.reshape(N, -1), a.reshape(N, -1)
    means = np.abs(f.mean(1) - a.mean(1)).sum() / N
    return float(means + np.abs(np.cov(f, bias=True) - np.cov(a, bias=True)).sum() / N**2)


def moments_l2(f: F64, a: F64) -> float:
    f, a = f.reshape(N, -1), a.reshape(N, -1)
    means = ((f.mean(1) - a.mean(1)) ** 2).sum() / N
    return float(means + ((np.cov(f, bias=True) - np.cov(a, bias=True)) ** 2).sum() / N**2)


def gaussian_w2(f: F64, a: F64, ridge: float = 0.0) -> float:
    f, a = f.reshape(N, -1), a.reshape(N, -1)
    cf, ca = (np.cov(t, bias=True) + ridge * np.eye(N) for t in (f, a))
    root = scipy.linalg.sqrtm(ca)
    cross = scipy.linalg.sqrtm(root @ cf @ root)
    return float(
        np.mean((f.mean(1) - a.mean(1)) ** 2) + np.mean(np.diag(cf + ca - 2 * np.real(cross)))
    )


def lpips(f: F64, p: F64) -> float:
    return float(
        np.mean(np.sum((f / np.linalg.norm(f, axis=0) - p / np.linalg.norm(p, axis=0)) ** 2, 0))
    )


def swag(f: F64, a: F64) -> float:
    f, a = (scipy.special.softmax(t) * t.size for t in (f, a))
    return float(np.sum((gram(f) - gram(a)) ** 2) / np.sum(gram(a) ** 2))


def swag_content(f: F64, p: F64) -> float:
    f, p = (scipy.special.softmax(t / 2.0, axis=(1, 2)) for t in (f, p))
    return float(np.sum((f - p) ** 2) / np.sum(p**2))


def histogram(f: F64, a: F64) -> float:
    return float(np.mean([(np.sort(f[c].ravel()) - np.sort(a[c].ravel())) ** 2 for c in range(N)]))


def contextual(f: F64, a: F64, h: float = 0.3) -> float:
    centre = a.reshape(N, -1).mean(1)[:, None]
    x, y = (t.reshape(N, -1) - centre for t in (f, a))
    cx = np.zeros((M, M))
    for i in range(M):
        d = np.array(
            [
                1 - x[:, i] @ y[:, j] / np.linalg.norm(x[:, i]) / np.linalg.norm(y[:, j])
                for j in range(M)
            ]
        )
        w = np.exp((1 - d / (d.min() + 1e-5)) / h)
        cx[i] = w / w.sum()
    return float(-np.log(cx.max(0).mean()))


LITERATURE: dict[str, tuple[Any, Formula]] = {
    "AdaIN": (MeanStd(), adain),
    "STROTSS moments": (MeanCovariance(norm="l1"), moments_l1),
    "mean and covariance": (MeanCovariance(), moments_l2),
    "Wasserstein": (Wasserstein(), gaussian_w2),
    "Wasserstein, ridge": (Wasserstein(ridge=0.1), lambda f, a: gaussian_w2(f, a, 0.1)),
    "LPIPS, uniform": (Perceptual(eps=1e-14), lpips),
    "SWAG": (SmoothGram(), swag),
    "SWAG content per channel": (SmoothContent("channel", 2.0), swag_content),
    "SWAG in deviations": (SmoothGram(unit="std"), lambda f, a: swag(f / a.std(), a / a.std())),
    "histogram": (Histogram(), histogram),
    "contextual": (Contextual(bandwidth=0.3, chunk=5), contextual),
}


@pytest.mark.parametrize("name", LITERATURE)
def test_the_literature(name: str) -> None:
    loss, formula = LITERATURE[name]
    check(loss, formula, features(0, 1, N, H, W, shift=1.0), features(1, 1, N, H, W, shift=1.0))


def test_sliced_wasserstein_is_the_mean_of_distances_on_lines() -> None:
    loss = SlicedWasserstein(projections=50)
    x, y = features(0, 1, N, H, W), features(1, 1, N, H, W)
    directions = loss._directions(x).numpy()
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    a, b = (np.sort(directions @ t.numpy()[0].reshape(N, -1), axis=1) for t in (x, y))
    np.testing.assert_allclose(loss(x, loss.target(y)).item(), np.mean((a - b) ** 2))


def test_sliced_wasserstein_of_shifted_clouds() -> None:
    """A shift by s costs |s|^2 / N on average over directions; no directions are preferred."""
    shift = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    x = features(0, 1, N, H, W)
    loss = SlicedWasserstein(projections=20_000)
    found = loss(x + shift.view(1, N, 1, 1), loss.target(x)).item()
    np.testing.assert_allclose(found, float(shift.square().sum()) / N, rtol=0.03)


@pytest.mark.parametrize("sizes", [(42, 30), (30, 42), (42, 84), (1, 42), (42, 1)])
def test_quantiles_of_unequal_numbers(sizes: tuple[int, int]) -> None:
    x, y = features(0, 1, 2, 1, sizes[0]), features(1, 1, 2, 1, sizes[1])
    expected = 0.0
    for c in range(2):
        ordered = np.sort(y.numpy()[0, c, 0])
        for i, value in enumerate(np.sort(x.numpy()[0, c, 0])):
            place = math.ceil(Fraction(2 * i + 1, 2 * sizes[0]) * sizes[1]) - 1
            expected += (value - ordered[place]) ** 2 / (2 * sizes[0])
    loss = Histogram()
    np.testing.assert_allclose(loss(x, loss.target(y)).item(), expected)
    ones = torch.ones(1, 1, 1, sizes[1])
    np.testing.assert_allclose(loss(x, loss.target(y, ones)).item(), expected)


def test_whole_weights_are_repetitions() -> None:
    """A position of weight 3 counts as three positions, for every loss of distributions."""
    x, y = features(0, 1, N, 1, 12), features(1, 1, N, 1, 12)
    times = torch.tensor([1, 3, 2, 1, 1, 4, 2, 1, 1, 2, 1, 5])
    weight = times.view(1, 1, 1, -1).double()
    for loss in (Gram(), MeanStd(), MeanCovariance(), Wasserstein()):
        many = loss.target(torch.repeat_interleave(y, times, -1))
        repeated = loss(torch.repeat_interleave(x, times, -1), many)
        torch.testing.assert_close(loss(x, loss.target(y, weight), weight), repeated)
    for loss in (Histogram(), SlicedWasserstein()):
        many = loss.target(torch.repeat_interleave(y, times, -1))
        torch.testing.assert_close(loss(x, loss.target(y, weight)), loss(x, many))


def test_remd_by_loops() -> None:
    x, y = features(0, 1, N, H, W), features(1, 1, N, 5, 5)
    a, b = x.numpy()[0].reshape(N, -1).T, y.numpy()[0].reshape(N, -1).T
    cosine = np.array([[1 - p @ q / np.linalg.norm(p) / np.linalg.norm(q) for q in b] for p in a])
    length = np.array([[np.sqrt(np.mean((p - q) ** 2)) for q in b] for p in a])
    for metric, cost in (("cosine", cosine), ("euclidean", length), ("both", cosine + length)):
        loss = RelaxedEMD(metric=metric)  # type: ignore[arg-type]
        expected = max(cost.min(1).mean(), cost.min(0).mean())
        np.testing.assert_allclose(loss((x,), loss.target((y,))).item(), expected, rtol=1e-4)
    both = RelaxedEMD(moments=2.0)
    expected = max(cosine.min(1).mean(), cosine.min(0).mean())
    expected += 2 * moments_l1(a.T[:, :, None], b.T[:, :, None])
    np.testing.assert_allclose(both((x,), both.target((y,))).item(), expected, rtol=1e-6)


def test_self_similarity_by_loops() -> None:
    x, y = features(0, 1, N, H, W), features(1, 1, N, H, W)

    def shares(t: Tensor) -> F64:
        v = t.numpy()[0].reshape(N, -1)
        v = v / np.linalg.norm(v, axis=0)
        d = 1 - v.T @ v
        return np.asarray(d / d.sum(0, keepdims=True))

    loss = SelfSimilarity()
    expected = np.abs(shares(x) - shares(y)).sum() / M
    np.testing.assert_allclose(loss((x,), loss.target((y,))).item(), expected, rtol=1e-6)


def test_hypercolumns_interpolate_coarse_layers() -> None:
    fine, coarse = features(0, 1, 2, 8, 8), features(1, 1, 3, 4, 4)
    index = torch.arange(64)
    found = hypercolumns((coarse, fine), index)
    torch.testing.assert_close(found[:, 3:], fine.flatten(2))
    grown = torch.nn.functional.interpolate(coarse, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(found[:, :3], grown.flatten(2))


def mrf(f: F64, a: F64, patch: int, stride: int) -> tuple[float, list[int]]:
    """Brute force over all pairs of patches; sum of squares and the matches."""

    def patches(t: F64) -> list[F64]:
        return [
            t[:, y : y + patch, x : x + patch]
            for y in range(0, t.shape[1] - patch + 1, stride)
            for x in range(0, t.shape[2] - patch + 1, stride)
        ]

    mine, theirs = patches(f), patches(a)
    total, found = 0.0, []
    for p in mine:
        scores = [np.sum(p * s) / np.linalg.norm(p) / np.linalg.norm(s) for s in theirs]
        found.append(int(np.argmax(scores)))
        total += float(np.sum((p - theirs[found[-1]]) ** 2))
    return total, found


@pytest.mark.parametrize(("patch", "stride"), [(3, 1), (3, 2), (2, 3), (1, 1), (5, 2)])
@pytest.mark.parametrize("chunk", [4, 1000])
def test_mrf_by_brute_force(patch: int, stride: int, chunk: int) -> None:
    x, y = features(0, 1, N, 9, 8), features(1, 1, N, 8, 10)
    loss = MRF(patch=patch, stride=stride, scale="sum", chunk=chunk)
    total, matches = mrf(x.numpy()[0], y.numpy()[0], patch, stride)
    target = loss.target(y)
    assert loss.match(x, target).flatten().tolist() == matches
    np.testing.assert_allclose(loss(x, target).item(), total)
    mean = MRF(patch=patch, stride=stride)(x, target).item()
    np.testing.assert_allclose(mean, total / (len(matches) * N * patch**2))
    check(loss, lambda f, a: mrf(f, a, patch, stride)[0], x, y)


def test_mrf_finds_a_patch_of_any_of_several_targets() -> None:
    loss = MRF(stride=1, scale="sum")
    one, two = features(0, 1, N, 6, 7), features(1, 1, N, 7, 6)
    both = loss.blend([loss.target(one), loss.target(two)], [0.5, 0.5])
    assert len(both[1]) == 20 + 20
    for picture in (one, two):
        assert loss(picture, both) < 1e-9
    few = loss.blend([loss.target(one), loss.target(two)], [0.8, 0.2])
    assert len(few[1]) == 20 + 5
    assert loss(one, few) < 1e-9 < loss(two, few)


def test_mrf_views_are_rotations_and_scales() -> None:
    picture = torch.rand(1, 3, 40, 60, generator=torch.Generator().manual_seed(0))
    loss = MRF(rotations=(90.0, 10.0), scales=(0.5,))
    views = loss.views(picture)
    assert [tuple(v.shape[-2:]) for v in views[:2]] == [(40, 60), (60, 40)]
    assert len(views) == 6
    assert torch.equal(views[0], picture)
    assert torch.equal(views[1], torch.rot90(picture, 1, (-2, -1)))
    assert tuple(views[3].shape[-2:]) == (20, 30)
    assert MRF().views(picture)[0] is not picture


def test_mrf_rotation_agrees_with_scipy() -> None:
    y, x = torch.meshgrid(torch.linspace(0, 1, 61), torch.linspace(0, 1, 81), indexing="ij")
    smooth = (torch.sin(6 * x) + torch.cos(5 * y))[None, None]
    for angle in (10.0, -17.0, 45.0, 100.0):
        (found,) = MRF(rotations=(angle,)).views(smooth)[1]
        turned = scipy.ndimage.rotate(smooth[0, 0].numpy(), angle, reshape=False, order=1)
        if angle == 100.0:  # scipy keeps the frame; ours turns with the picture
            turned = scipy.ndimage.rotate(np.rot90(smooth[0, 0].numpy()), 10.0, reshape=False)
        h, w = found.shape[-2:]
        top, left = (turned.shape[0] - h) / 2, (turned.shape[1] - w) / 2
        ys, xs = np.meshgrid(np.arange(h) + top, np.arange(w) + left, indexing="ij")
        expected = scipy.ndimage.map_coordinates(turned, [ys, xs], order=1)
        assert np.abs(found[0].numpy() - expected)[1:-1, 1:-1].max() < 0.02


def test_laplacian_by_convolution() -> None:
    x, y = features(0, 1, 3, 9, 13), features(1, 1, 3, 9, 13)
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]])

    def edges(t: Tensor, pool: int) -> F64:
        grey = t.numpy()[0].sum(0)
        h, w = grey.shape[0] // pool, grey.shape[1] // pool
        pooled = grey[: h * pool, : w * pool].reshape(h, pool, w, pool).mean((1, 3))
        return np.asarray(scipy.ndimage.convolve(pooled, kernel, mode="nearest"))

    loss = Laplacian(pools=(2, 4), scale="sum")
    expected = sum(np.sum((edges(x, p) - edges(y, p)) ** 2) for p in (2, 4))
    np.testing.assert_allclose(loss(x, loss.target(y)).item(), expected)


def test_total_variation_by_loops() -> None:
    x = features(0, 1, 2, 5, 4)
    t = x.numpy()[0]
    across, down, both = [], [], []
    for c in range(2):
        for i in range(5):
            for j in range(4):
                if j < 3:
                    across.append(abs(t[c, i, j + 1] - t[c, i, j]))
                if i < 4:
                    down.append(abs(t[c, i + 1, j] - t[c, i, j]))
                if i < 4 and j < 3:
                    dx, dy = t[c, i, j + 1] - t[c, i, j], t[c, i + 1, j] - t[c, i, j]
                    both.append(dx**2 + dy**2)
    a, d, b = (np.array(v) for v in (across, down, both))
    expected = {
        TotalVariation(): (a**2).mean() + (d**2).mean(),
        TotalVariation(1.0): a.mean() + d.mean(),
        TotalVariation(1.5, scale="sum"): (a**1.5).sum() + (d**1.5).sum(),
        TotalVariation(2.0, scale="pixels"): ((a**2).sum() + (d**2).sum()) / 40,
        TotalVariation(2.0, "isotropic", "half", 0.0): b.sum() / 2,
        TotalVariation(2.5, "isotropic", "sum", 0.0): (b**1.25).sum(),
        TotalVariation(1.0, "isotropic", "mean", 1e-12): np.sqrt(b).mean(),
    }
    for loss, value in expected.items():
        np.testing.assert_allclose(loss(x, ()).item(), value, rtol=1e-5, err_msg=str(loss))


def test_isotropic_half_has_the_gradient_of_neural_style() -> None:
    """TVLoss there adds differences over the part without last row and column."""
    x = features(0, 1, 3, 6, 5)
    t = x.numpy()
    grad = np.zeros_like(t)
    dx = t[..., :-1, :-1] - t[..., :-1, 1:]
    dy = t[..., :-1, :-1] - t[..., 1:, :-1]
    grad[..., :-1, :-1] += dx + dy
    grad[..., :-1, 1:] -= dx
    grad[..., 1:, :-1] -= dy
    y = x.clone().requires_grad_(True)
    (found,) = torch.autograd.grad(TotalVariation(2.0, "isotropic", "half", 0.0)(y, ()), y)
    np.testing.assert_allclose(found.numpy(), grad, atol=1e-12)


def test_nine_point_variation_by_loops() -> None:
    """K. Crowson's term: means of squares, 2/3 straight + 1/6 oblique, edges repeated once."""
    x = features(0, 1, 2, 5, 4)
    t = np.pad(x.numpy()[0], ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows, columns, falling, rising = [], [], [], []
    for c in range(2):
        for i in range(6):
            for j in range(5):
                if i and j:
                    rows.append((t[c, i, j + 1] - t[c, i, j]) ** 2)
                    columns.append((t[c, i + 1, j] - t[c, i, j]) ** 2)
                falling.append((t[c, i + 1, j + 1] - t[c, i, j]) ** 2)
                rising.append((t[c, i + 1, j] - t[c, i, j + 1]) ** 2)
    straight, oblique = np.mean(rows) + np.mean(columns), np.mean(falling) + np.mean(rising)
    loss = TotalVariation(2.0, "nine-point", "pixels")
    np.testing.assert_allclose(loss(x, ()).item(), 2 * straight / 3 + oblique / 6)
    np.testing.assert_allclose(
        TotalVariation(1.0, "nine-point", "sum")(x, ()).item(),
        2 / 3 * np.sqrt([*rows, *columns]).sum() + np.sqrt([*falling, *rising]).sum() / 6,
    )


def test_range_priors() -> None:
    x = features(0, 1, 3, 4, 5)
    t = x.numpy()
    np.testing.assert_allclose(Range()(x, ()).item(), np.mean((2 * (t - 0.5)) ** 6))
    box = np.mean((t - np.clip(t, -0.2, 0.9)) ** 2)
    np.testing.assert_allclose(Range("box", 2.0, -0.2, 0.9)(x, ()).item(), box)


def test_adversarial_by_numpy() -> None:
    """The hinge of a critic of one hidden layer, patch by patch."""
    loss = MarkovianAdversarial(hidden=3, patches=6)
    x, y = features(0, 1, 2, 4, 5), features(1, 1, 2, 6, 6)
    patches, shares, critic = loss.target(y)
    assert patches.shape == (6, 2, 3, 3)
    assert shares.shape == (6,)
    row = critic[0].numpy()
    w, b, a, c = row[:54].reshape(3, 2, 3, 3), row[54:57], row[57:60], row[60]
    mean = patches.numpy().mean((0, 2, 3))[:, None, None]
    std = patches.numpy().std((0, 2, 3))[:, None, None]
    padded = np.pad((x.numpy()[0] - mean) / std, ((0, 0), (1, 1), (1, 1)), mode="edge")
    total = 0.0
    for i in range(4):
        for j in range(5):
            seen = np.array([np.sum(k * padded[:, i : i + 3, j : j + 3]) for k in w]) + b
            total += max(0.0, 1 - (a @ np.where(seen > 0, seen, 0.2 * seen) + c))
    np.testing.assert_allclose(loss(x, (patches, shares, critic)).item(), total / 20)
