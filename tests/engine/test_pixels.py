"""The Laplacian pyramid: exact, resized, moved by the loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from impasto.engine.optimise import Optimisation, Optimiser, optimise
from impasto.engine.pixels import LaplacianPixels, PlainPixels, laplacian_levels
from impasto.images.resize import resize

IMAGE = torch.rand(1, 3, 37, 54, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (37, 54), (64, 64)])
@pytest.mark.parametrize("levels", [1, 2, 5, 20])
def test_decodes_to_what_it_was_given(size: tuple[int, int], levels: int) -> None:
    image = resize(IMAGE, size)
    pixels = LaplacianPixels(image, levels=levels)
    torch.testing.assert_close(pixels.decode(), image, atol=1e-12, rtol=0)
    assert len(pixels.parameters()) <= levels
    assert all(p.is_leaf and p.requires_grad for p in pixels.parameters())


def test_sizes_of_the_levels() -> None:
    sizes = [tuple(level.shape[-2:]) for level in laplacian_levels(IMAGE, 5)]
    assert sizes == [(37, 54), (19, 27), (10, 14), (5, 7), (3, 4)]


def test_a_flat_picture_lives_in_the_last_level_alone() -> None:
    *fine, coarse = laplacian_levels(torch.full((1, 3, 32, 32), 0.7, dtype=torch.float64), 4)
    assert all(float(level.abs().max()) < 1e-12 for level in fine)
    torch.testing.assert_close(coarse, torch.full_like(coarse, 0.7))


def test_resized_is_the_resized_picture() -> None:
    found = LaplacianPixels(IMAGE, levels=4).resized(50, 70)
    torch.testing.assert_close(found.decode(), resize(IMAGE, (50, 70)), atol=1e-12, rtol=0)
    assert len(found.parameters()) == 4


def test_the_gradients_of_the_levels_are_the_pictures_pulled_back() -> None:
    """Decoding is linear, so <gradient of a level, d> = <slope, decode(d in that level)>."""
    pixels = LaplacianPixels(IMAGE, levels=3)
    random = torch.Generator().manual_seed(2)
    slope = torch.randn(IMAGE.shape, generator=random, dtype=torch.float64)
    grads = torch.autograd.grad((slope * pixels.decode()).sum(), pixels.parameters())
    for k, grad in enumerate(grads):
        other = LaplacianPixels(torch.zeros_like(IMAGE), levels=3)
        change = torch.randn(grad.shape, generator=random, dtype=torch.float64)
        with torch.no_grad():
            other.parameters()[k].copy_(change)
            found = (slope * other.decode()).sum()
        torch.testing.assert_close((grad * change).sum(), found)


def test_projection_clamps_the_picture() -> None:
    pixels = LaplacianPixels(IMAGE * 3 - 1, levels=4, clamp=True)
    pixels.project()
    torch.testing.assert_close(pixels.decode(), (IMAGE * 3 - 1).clamp(0, 1), atol=1e-12, rtol=0)
    free = LaplacianPixels(IMAGE * 3 - 1, levels=4)
    free.project()
    assert float(free.decode().min().detach()) < 0


def test_coarse_shapes_move_faster_than_with_plain_pixels() -> None:
    """What the pyramid is for: a flat change of colour in few small steps."""

    def to_grey(image: Tensor) -> dict[str, Tensor]:
        return {"d": (image - 0.5).square().mean()}

    settings = Optimiser("rmsprop", lr=2e-3, betas=(0.9, 0.99))
    black = torch.zeros(1, 3, 32, 32)
    losses = []
    for pixels in (PlainPixels(black), LaplacianPixels(black)):
        *_, last = optimise(pixels, to_grey, settings, 40)
        losses.append(float(last.loss))
    assert losses[1] < 0.6 * losses[0]


def test_adam_and_lbfgs_move_pyramids_too() -> None:
    for settings in (Optimiser("adam", lr=0.02), Optimiser("lbfgs", lr=1.0)):
        job = Optimisation(
            LaplacianPixels(torch.zeros(1, 3, 20, 30)),
            lambda x: {"d": (x - 0.5).square().mean()},
            settings,
            60,
        )
        for _ in job.steps():
            pass
        assert float((job.image() - 0.5).abs().max()) < 0.05
        finer = Optimisation(job.pixels.resized(40, 60), job.objective, settings, 3)
        finer.inherit(job, lambda t: resize(t, (40, 60)))
        assert len(list(finer.steps())) == 3
