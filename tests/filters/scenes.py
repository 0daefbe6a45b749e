"""Pictures made for the filters' tests: known edges, known tones, known areas."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.filters import FILTERS, Filter


def landscape(height: int = 96, width: int = 128) -> Tensor:
    """Blue sky over a green field, a red house, a white cloud; a little noise."""
    y = torch.linspace(0.0, 1.0, height).view(-1, 1).expand(height, width)
    x = torch.linspace(0.0, 1.0, width).view(1, -1).expand(height, width)
    picture = torch.stack([0.35 + 0.3 * y, 0.55 + 0.25 * y, 0.85 + 0.05 * y])

    def paint(mask: Tensor, colour: tuple[float, float, float]) -> None:
        picture[:, mask] = torch.tensor(colour).view(3, 1)

    paint((x - 0.7) ** 2 * 4 + (y - 0.2) ** 2 * 16 < 0.06, (0.97, 0.97, 0.98))
    paint(y > 0.6, (0.30, 0.45, 0.15))
    paint((x > 0.2) & (x < 0.45) & (y > 0.4) & (y < 0.8), (0.75, 0.2, 0.12))
    noise = torch.randn(3, height, width, generator=torch.Generator().manual_seed(3))
    return (picture + 0.01 * noise).clamp(0.0, 1.0).unsqueeze(0)


def painting(height: int = 80, width: int = 100) -> Tensor:
    """Diagonal strokes in ochre, blue and near black."""
    y = torch.arange(height).view(-1, 1)
    x = torch.arange(width).view(1, -1)
    wave = torch.sin((x + y) * 0.5) + 0.6 * torch.sin((x - 2 * y) * 0.17)
    mix = ((wave + 1.6) / 3.2).clamp(0.0, 1.0)
    dark, light = torch.tensor([0.08, 0.10, 0.30]), torch.tensor([0.90, 0.72, 0.25])
    return (dark.view(3, 1, 1) + (light - dark).view(3, 1, 1) * mix).unsqueeze(0)


def flat(colour: tuple[float, float, float], height: int = 64, width: int = 64) -> Tensor:
    """One colour."""
    return torch.tensor(colour).view(1, 3, 1, 1).expand(1, 3, height, width).clone()


def step(low: float = 0.25, high: float = 0.75, size: int = 64, noise: float = 0.0) -> Tensor:
    """Grey, dark on the left, light on the right."""
    picture = torch.full((1, 3, size, size), low)
    picture[..., size // 2 :] = high
    grain = torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(1))
    return (picture + noise * grain).clamp(0.0, 1.0)


def run(step_: Filter, image: Tensor) -> Tensor:
    """The filter on the image, with a painting where it needs one."""
    return step_(image, painting() if step_.needs_reference else None)


NAMES = FILTERS.names()
