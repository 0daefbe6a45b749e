"""Halftone: dots of four inks on rotated screens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import torch
from torch import Tensor

from impasto.filters.base import FILTERS, Filter, choice, param, pixels
from impasto.filters.kernels import gaussian
from impasto.images.spaces import luma

# The angles of offset printing: the strong inks 30 degrees apart, so that no moire is seen.
_SCREENS = {"cyan": 15.0, "magenta": 75.0, "yellow": 0.0, "black": 45.0}
_INKS = {
    "cyan": (0.0, 0.64, 0.89),
    "magenta": (0.90, 0.07, 0.51),
    "yellow": (1.0, 0.92, 0.10),
    "black": (0.09, 0.09, 0.11),
}
#: Times that the inks are solved for in turn.
_ROUNDS = 4
_PAPERS = {"white": (1.0, 1.0, 1.0), "cream": (0.985, 0.96, 0.90), "news": (0.92, 0.90, 0.85)}


@FILTERS.register("halftone")
@dataclass(frozen=True)
class Halftone(Filter):
    """Print: round dots of cyan, magenta, yellow and black ink, each on its own screen.

    The threshold of a screen is ``cos 2 pi u + cos 2 pi v`` on turned axes, equalised so that a
    tone of t covers the share t of the paper; edges of dots are antialiased from the screen's
    analytic gradient.
    """

    name: ClassVar[str] = "halftone"
    title: ClassVar[str] = "Halftone"
    source: ClassVar[str] = "Clustered-dot screens at 15, 75, 0 and 45 degrees (offset printing)"

    cell: float = param(6.0, 3.0, 40.0, "distance of the dots, px at 1024")
    inks: str = choice("cmyk", ("cmyk", "mono"), "four inks, or black alone")
    black: float = param(0.9, 0.0, 1.0, "share of the common grey printed with black")
    turn: float = param(0.0, 0.0, 90.0, "turn of all screens, degrees")
    paper: str = choice("white", tuple(_PAPERS), "colour of the paper")

    def render(self, image: Tensor) -> Tensor:
        """Separate, screen, print."""
        cell = max(pixels(self.cell, image), 2.0)
        smooth = gaussian(image, 0.2 * cell)
        result = torch.tensor(_PAPERS[self.paper], device=image.device).view(1, 3, 1, 1)
        result = result.expand_as(image)
        for ink, tone in self._separated(smooth).items():
            cover = _screen(tone, cell, _SCREENS[ink] + self.turn)
            colour = torch.tensor(_INKS[ink], device=image.device).view(1, 3, 1, 1)
            result = result * (1.0 - cover * (1.0 - colour))
        return result

    def _separated(self, image: Tensor) -> dict[str, Tensor]:
        """How much of each ink, in [0, 1], so that the mean of the print is the picture."""
        if self.inks == "mono":
            return {"black": 1.0 - luma(image)}
        # Inks are duller than light: more chroma to begin with.
        grey = luma(image)
        wanted = (grey + 1.15 * (image - grey)).clamp(0.0, 1.0)
        # Black begins where the common grey is dark: specks of it would dirty light colours.
        common = 1.0 - wanted.amax(1, keepdim=True)
        black = self.black * ((common - 0.2) / 0.8).clamp_min(0.0)
        through = 1.0 - black * (1.0 - torch.tensor(_INKS["black"]).to(image).view(1, 3, 1, 1))
        return {**_coloured(wanted / through), "black": black}


def _coloured(wanted: Tensor) -> dict[str, Tensor]:
    """Shares of cyan, magenta and yellow whose print has the mean ``wanted``, (1, 3, H, W).

    Screens at different angles overlap by chance, so what an ink lets through multiplies
    (Demichel, Neugebauer). Every ink is solved for in the channel that it absorbs most, given the
    other two, in turn; they are impure, but little, and few rounds suffice.
    """
    lets = torch.tensor([_INKS[ink] for ink in ("cyan", "magenta", "yellow")]).tolist()
    share = [torch.zeros_like(wanted[:, :1]) for _ in range(3)]
    for _ in range(_ROUNDS):
        for k in range(3):
            first, second = (k + 1) % 3, (k + 2) % 3
            others = (1.0 - share[first] * (1.0 - lets[first][k])) * (
                1.0 - share[second] * (1.0 - lets[second][k])
            )
            lacks = 1.0 - wanted[:, k : k + 1] / others
            share[k] = (lacks / (1.0 - lets[k][k])).clamp(0.0, 1.0)
    return {"yellow": share[2], "magenta": share[1], "cyan": share[0]}


@cache
def _thresholds() -> Tensor:
    """Screen value above which a share i / 512 of the plane lies."""
    wave = torch.cos(2.0 * math.pi * (torch.arange(512, dtype=torch.float64) + 0.5) / 512)
    values = (wave[:, None] + wave[None, :]).reshape(-1).sort(descending=True).values
    inner = values[:: len(values) // 512]
    return torch.cat([inner, values[-1:]]).float()


def _screen(tone: Tensor, cell: float, degrees: float) -> Tensor:
    """Antialiased coverage of one ink."""
    height, width = tone.shape[-2:]
    y = torch.arange(height, device=tone.device, dtype=torch.float32).view(-1, 1)
    x = torch.arange(width, device=tone.device, dtype=torch.float32).view(1, -1)
    # Measured from the middle, so that nothing hangs on a corner.
    y, x = y - 0.5 * (height - 1), x - 0.5 * (width - 1)
    angle, scale = math.radians(degrees), 2.0 * math.pi / cell
    u = scale * (math.cos(angle) * x + math.sin(angle) * y)
    v = scale * (math.cos(angle) * y - math.sin(angle) * x)
    value = torch.cos(u) + torch.cos(v)
    slope = scale * torch.sqrt(torch.sin(u) ** 2 + torch.sin(v) ** 2).clamp_min(0.35)
    place = tone[0, 0].clamp(0.0, 1.0) * 512.0
    low = place.floor().long().clamp(0, 511)
    table = _thresholds().to(tone.device)
    level = table[low] + (place - low) * (table[low + 1] - table[low])
    cover = ((value - level) / slope + 0.5).clamp(0.0, 1.0)
    # The ends are exact: no ink on white, no holes in solid black.
    cover = cover * (place > 1.0) + (1.0 - cover) * (place > 511.0)
    return cover.view(1, 1, height, width)
