"""PSNR and SSIM on luma, against float64 numpy written from the formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from impasto.errors import UsageError
from impasto.images.quality import psnr, ssim, studio_luma


def pair(height: int, width: int, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Two pictures (H, W, 3) in steps of 8 bits."""
    draw = np.random.default_rng(height * width)
    true = np.kron(draw.random((-(-height // 4), -(-width // 4), 3)), np.ones((4, 4, 1)))
    true = true[:height, :width]
    near = np.clip(true + noise * draw.standard_normal(true.shape), 0, 1)
    return np.round(near * 255) / 255, np.round(true * 255) / 255


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)[None].float()


def luma(image: np.ndarray) -> np.ndarray:
    return 16 + image @ np.array([65.481, 128.553, 24.966])


def windows(plane: np.ndarray) -> np.ndarray:
    """(h, w, 11, 11): every place where the window lies inside."""
    return np.lib.stride_tricks.sliding_window_view(plane, (11, 11))


def ssim_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    place = np.arange(11) - 5
    kernel = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    kernel /= kernel.sum()
    x, y = windows(a), windows(b)
    mx, my = (x * kernel).sum((2, 3)), (y * kernel).sum((2, 3))
    vx = ((x - mx[..., None, None]) ** 2 * kernel).sum((2, 3))
    vy = ((y - my[..., None, None]) ** 2 * kernel).sum((2, 3))
    both = ((x - mx[..., None, None]) * (y - my[..., None, None]) * kernel).sum((2, 3))
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found = (2 * mx * my + c1) * (2 * both + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(found.mean())


def test_luma_is_that_of_television() -> None:
    corners = torch.tensor([[0.0, 1.0, 1.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]).view(1, 3, 1, 3)
    found = studio_luma(corners).flatten()
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx([16, 235, 81.481], abs=1e-9)


@pytest.mark.parametrize("border", [0, 3])
def test_psnr_is_the_formula(border: int) -> None:
    near, true = pair(37, 30)
    inner = slice(border, -border or None)
    error = ((luma(near) - luma(true))[inner, inner] ** 2).mean()
    want = 10 * math.log10(255**2 / error)
    assert psnr(tensor(near), tensor(true), border) == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("noise", [0.02, 0.3])
def test_ssim_is_the_formula(border: int, noise: float) -> None:
    near, true = pair(29, 41, noise)
    inner = slice(border, -border or None)
    want = ssim_by_hand(luma(near)[inner, inner], luma(true)[inner, inner])
    assert ssim(tensor(near), tensor(true), border) == pytest.approx(want, abs=1e-6)


def test_the_border_does_not_count() -> None:
    _, true = pair(40, 40)
    framed = tensor(true)
    framed[..., :2, :] = 1 - framed[..., :2, :]
    framed[..., -2:] = 0
    assert psnr(framed, tensor(true), 2) > 140 > 30 > psnr(framed, tensor(true), 0)
    assert ssim(framed, tensor(true), 2) == pytest.approx(1, abs=1e-12)
    assert ssim(framed, tensor(true), 0) < 0.999


def test_what_8_bits_do_not_hold_does_not_count() -> None:
    _, true = pair(16, 16)
    image = tensor(true)
    outside = torch.where(image == 1, 1.3, image + 0.3 / 255)
    assert psnr(outside, image) > 140


def test_flat_pictures_are_alike() -> None:
    flat = torch.full((1, 3, 12, 12), 0.25)
    assert ssim(flat, flat) == pytest.approx(1, abs=1e-12)
    assert math.isfinite(psnr(flat, flat))


def test_what_cannot_be_compared_is_refused() -> None:
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(UsageError, match="16 x 16 and 12 x 16"):
        psnr(image, image[..., :12])
    with pytest.raises(UsageError, match="too few"):
        ssim(image, image, 3)
    with pytest.raises(UsageError, match="too few"):
        psnr(image, image, 8)
