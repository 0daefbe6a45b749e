"""Fourier pixels: the formula against numpy, the way there and back, gradients, colours."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.engine.fourier import COLOURS, GAIN, FourierPixels, colour_matrix
from impasto.testing import gradient_picture


def numpy_decode(spectrum: np.ndarray, size: tuple[int, int], decay: float) -> np.ndarray:
    """The formula of the docstring, in float64, by numpy's transform."""
    height, width = size
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    frequency = np.maximum(np.hypot(down, across), 1 / max(size))
    scaled = (spectrum[..., 0] + 1j * spectrum[..., 1]) * GAIN / frequency**decay
    mixed = np.fft.irfft2(scaled, s=size, norm="ortho")
    return 1 / (1 + np.exp(-np.einsum("ij,bjhw->bihw", COLOURS, mixed)))


@pytest.mark.parametrize("size", [(8, 8), (9, 6), (7, 11), (1, 5)])
@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5])
def test_decodes_as_numpy_does(size, decay, generator):
    pixels = FourierPixels(torch.full((2, 3, *size), 0.5, dtype=torch.float64), decay=decay)
    pixels.disturb(0.1, generator)
    spectrum = pixels.parameters()[0].detach().numpy()
    expected = numpy_decode(spectrum, size, decay)
    np.testing.assert_allclose(pixels.decode().detach().numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("chroma", [1.0, 0.5, 0.0, None])
@pytest.mark.parametrize("size", [(16, 12), (15, 13)])
def test_a_picture_comes_back(size, chroma):
    picture = gradient_picture(*size).clamp(0.01, 0.99)
    pixels = FourierPixels(picture, chroma=chroma)
    torch.testing.assert_close(pixels.decode(), picture, atol=2e-5, rtol=0)


def test_black_and_white_stay_finite():
    picture = torch.tensor([0.0, 1.0]).repeat(1, 3, 4, 2)
    found = FourierPixels(picture).decode()
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found, picture, atol=0.003, rtol=0)


def test_gradient(generator):
    picture = torch.rand(1, 3, 4, 5, generator=generator, dtype=torch.float64)
    pixels = FourierPixels(picture)
    weight = torch.rand(1, 3, 4, 5, generator=generator, dtype=torch.float64)
    start = pixels.parameters()[0].detach().clone()

    def value(spectrum: torch.Tensor) -> torch.Tensor:
        pixels._spectrum = spectrum
        return (pixels.decode() * weight).sum()

    assert torch.autograd.gradcheck(value, start.requires_grad_(True))


def test_a_wave_looks_the_same_at_every_size():
    """Half the sizes, the same coefficient: the same wave at half the samples."""
    waves = []
    for n in (16, 32):
        pixels = FourierPixels(torch.full((1, 3, n, n), 0.5, dtype=torch.float64))
        with torch.no_grad():
            pixels.parameters()[0][0, 0, 0, 2, 0] = 0.3
        waves.append(pixels.canvas().detach()[0, 0, 0])
    torch.testing.assert_close(waves[0], waves[1][::2])
    assert waves[0].abs().max() > 0.04


def test_resized_keeps_the_picture():
    picture = 0.2 + 0.6 * gradient_picture(24, 24)
    twice = FourierPixels(picture).resized(48, 36)
    expected = 0.2 + 0.6 * gradient_picture(48, 36)
    torch.testing.assert_close(twice.decode(), expected, atol=0.01, rtol=0)
    assert twice.parameters()[0].requires_grad


def test_light_moves_further_than_hue():
    lengths = np.linalg.norm(COLOURS, axis=0)
    assert lengths[0] > 3 * lengths[1] > 3 * lengths[2]
    axes = COLOURS / lengths
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=0.01)
    assert np.all(COLOURS[:, 0] > 0), "the first axis is light"


def test_chroma_is_an_exponent_of_the_lengths():
    lengths = np.linalg.norm(COLOURS, axis=0)
    half = colour_matrix(0.5).numpy()
    np.testing.assert_allclose(np.linalg.norm(half, axis=0), lengths**0.5)
    np.testing.assert_allclose(half / lengths**0.5, COLOURS / lengths)
    np.testing.assert_allclose(colour_matrix(1.0), COLOURS)
    np.testing.assert_allclose(colour_matrix(0.0).norm(dim=0), 1)
    assert torch.equal(colour_matrix(None), torch.eye(3).double())


@pytest.mark.data
def test_colours_are_those_of_photographs(shared):
    """``COLOURS COLOURS^T`` is the covariance of photographs, up to a factor."""
    files = (
        sorted((shared / "photos").glob("*.jpg"))
        + sorted((shared / "train" / "photos").iterdir())[::12]
    )
    total = np.zeros((3, 3))
    for path in files:
        with Image.open(path) as image:
            image.thumbnail((128, 128))
            pixels = np.asarray(image.convert("RGB"), np.float64).reshape(-1, 3)
        total += np.cov(pixels.T)
    ours = COLOURS @ COLOURS.T
    np.testing.assert_allclose(ours / ours.trace(), total / total.trace(), atol=0.03)
