"""Pictures as Fourier coefficients of decorrelated colours."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from impasto.images.resize import resize

#: Principal axes of the colours of photographs (columns: light, blue-yellow, green-magenta), as
#: long as their deviations, the longest 1. Mean over 246 photographs of the eigenvectors' scaled
#: covariance; ``tests/engine/test_fourier.py`` measures it again.
COLOURS: npt.NDArray[np.float64] = np.array(
    [[0.578, -0.178, 0.044], [0.581, 0.012, -0.097], [0.573, 0.168, 0.054]]
)
#: Values this close to 0 and 1 have no finite parameter; they are moved in.
INSIDE = 0.5 / 255
#: Of the canvas that the sigmoid sees, so that a step of 0.05 moves pixels by a few percent.
GAIN = 0.25


class FourierPixels:
    """``sigmoid(colours . irfft2(coefficients / f^decay))``.

    An optimiser that moves all parameters by about the same amount (Adam) then moves coarse
    shapes further than fine ones, as photographs do, whose amplitudes fall like 1/f; and
    light further than hue. The same picture is described, only the way to it is another.

    Source: Olah, Mordvintsev & Schubert, Feature Visualization, Distill 2017; Mordvintsev,
    Pezzotti, Schubert & Olah, Differentiable Image Parameterizations, Distill 2018.

    Deviations: the colour matrix was measured anew; frequencies count cycles per picture, so
    that a step means the same at every size.

    Args:
        image: (B, 3, H, W) sRGB; copied. 0 and 1 become half a grey level inside.
        decay: Exponent of the frequency; 0 treats all alike.
        chroma: Exponent of the lengths of :data:`COLOURS`: with 1, hue moves as little as it
            varies in photographs; with 0, as far as light. None is plain red, green and blue.
    """

    def __init__(self, image: Tensor, *, decay: float = 1.0, chroma: float | None = 1.0) -> None:
        canvas = torch.logit(image.detach().clamp(INSIDE, 1 - INSIDE))
        self._begin(canvas, decay, chroma)

    def _begin(self, canvas: Tensor, decay: float, chroma: float | None) -> None:
        self.decay, self.chroma = decay, chroma
        self.size = (canvas.shape[-2], canvas.shape[-1])
        self._colours = colour_matrix(chroma).to(canvas)
        self._falloff = falloff(*self.size, decay).to(canvas)
        mixed = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(self._colours), canvas)
        found = torch.fft.rfft2(mixed, norm="ortho") / (GAIN * self._falloff)
        self._spectrum = torch.view_as_real(found).contiguous().requires_grad_(True)

    def parameters(self) -> list[Tensor]:
        """One tensor, (B, 3, H, W // 2 + 1, 2): real and imaginary parts."""
        return [self._spectrum]

    @torch.no_grad()
    def disturb(self, deviation: float, generator: torch.Generator) -> None:
        """Add normal noise to the coefficients, drawn on the CPU."""
        noise = torch.randn(self._spectrum.shape, generator=generator)
        self._spectrum += deviation * noise.to(self._spectrum)

    def canvas(self) -> Tensor:
        """The picture before the sigmoid, (B, 3, H, W)."""
        scaled = torch.view_as_complex(self._spectrum) * (GAIN * self._falloff)
        mixed = torch.fft.irfft2(scaled, s=self.size, norm="ortho")
        return torch.einsum("ij,bjhw->bihw", self._colours, mixed)

    def decode(self) -> Tensor:
        """The picture, inside (0, 1)."""
        return torch.sigmoid(self.canvas())

    def project(self) -> None:
        """Nothing: every coefficient is allowed."""

    @torch.no_grad()
    def resized(self, height: int, width: int) -> FourierPixels:
        """The canvas resampled; what the sigmoid saturated keeps its strength."""
        made = FourierPixels.__new__(FourierPixels)
        made._begin(resize(self.canvas(), (height, width)), self.decay, self.chroma)
        return made


def colour_matrix(chroma: float | None) -> Tensor:
    """(3, 3) float64, from parameters to red, green and blue; see :class:`FourierPixels`."""
    if chroma is None:
        return torch.eye(3, dtype=torch.float64)
    lengths = np.linalg.norm(COLOURS, axis=0)
    return torch.from_numpy(COLOURS * lengths ** (chroma - 1))


def falloff(height: int, width: int, decay: float) -> Tensor:
    """(H, W // 2 + 1) float64: ``(n / f)^decay`` with f in cycles per longest side n, at least 1.

    A coefficient of 1 then makes a wave of the same amplitude whatever the picture's size.
    """
    longest = max(height, width)
    down = torch.fft.fftfreq(height, dtype=torch.float64)[:, None]
    across = torch.fft.rfftfreq(width, dtype=torch.float64)
    frequency = (down.square() + across.square()).sqrt().clamp_min(1 / longest)
    out: Tensor = frequency**-decay
    return out
