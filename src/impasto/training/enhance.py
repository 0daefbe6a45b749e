"""The task ``enhance``: photos that were made small, back to their size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto import backbones
from impasto.errors import UsageError
from impasto.images.quality import psnr, ssim
from impasto.images.resize import resize
from impasto.networks.enhance import DEFAULTS, Enhancer
from impasto.networks.model import numbers
from impasto.training.perceptual import Eyes
from impasto.training.photos import Crops
from impasto.training.task import Asked, Plan, Task, channels_last

#: Edge of a crop in px of the small picture: with pixels alone, and with features.
EDGE, SEEN_EDGE = 48, 32
#: Edge of the windows in which a grid is looked for, px of the small picture.
WINDOW = 4
#: Parameters that not every network has: of the second doubling, and of blocks at full size.
EXTRA = ("ups.1.", "fine.")


class EnhanceTask(Task):
    """From a photo made small by antialiased bicubic interpolation back to the photo.

    Settings, all but ``encoder`` and ``robust`` weights of terms: ``pixels``, mean absolute error,
    with ``robust`` that of :func:`robust`; ``grid``, see :func:`grid`; ``features``, squared
    distance of the directions of features; ``texture``, that of Gram matrices of patches, which
    asks for the right texture without asking for it in the right place; ``adversarial``, how
    clearly a critic of pixels, which learns beside the network, tells the result from photos
    (:mod:`impasto.training.perceptual`). ``encoder`` is the frozen network that features and
    texture look through.

    Source: Johnson, Alahi & Fei-Fei 2016, section 4.2, with the distance of Zhang et al. 2018
    (features); Sajjadi, Schoelkopf & Hirsch
    2017 (texture of patches, adversarial). Deviations: the critic is small and learns by the hinge
    loss; pictures are moved by some pixels, and made smaller, before the frozen network looks.

    In several processes every one has a critic of its own.

    Args:
        asked: The request.

    Raises:
        UsageError: A setting makes no sense.
        WeightsError: The weights of the encoder are not there.
    """

    kind = "enhance"

    def __init__(self, asked: Asked) -> None:
        terms = {"pixels": 1.0, "grid": 0.0, "features": 0.0, "texture": 0.0, "adversarial": 0.0}
        self.numbers = asked.read({**terms, "robust": 0.0, "encoder": backbones.DEFAULT})
        if not any(self.numbers[n] for n in terms):
            raise UsageError("no term has a weight", hint=f"set one of {', '.join(terms)}")
        if not 0 <= self.numbers["robust"] < math.inf:
            raise UsageError("robust must be 0 or more", hint="0 is the mean absolute error")
        wanted = numbers(asked.architecture or "", DEFAULTS)
        self.architecture = ",".join(f"{k}={v}" for k, v in wanted.items() if v)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(asked.seed)
            self.enhancer = Enhancer.of(self.architecture)
            self.eyes = self._eyes(asked.device)
        self.scale = self.enhancer.scale
        self.network = channels_last(self.enhancer.to(asked.device))
        crops = Crops((SEEN_EDGE if self.eyes else EDGE) * self.scale, (1.0, 1.5))
        self.plan = Plan(steps=6000, batch=4, crops=crops, lr=1e-3)

    def settings(self) -> dict[str, Any]:
        """The settings of the class."""
        return dict(self.numbers)

    def adopt(self, weights: Mapping[str, Tensor]) -> bool:
        """Also those of a network with another scale, or with no blocks at full size."""
        mine = self.enhancer.state_dict()
        own = {k: v for k, v in mine.items() if k.startswith(EXTRA) and k not in weights}
        shared = {k: v for k, v in weights.items() if k in mine or not k.startswith(EXTRA)}
        return super().adopt(shared | own)

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """The terms whose weight is not 0; every second batch lies on its side."""
        batch = batch.mT if step % 2 else batch
        made = self.enhancer(self.reduced(batch))
        error = made - batch
        pixels = robust(error, self.numbers["robust"]) if self.numbers["robust"] else error.abs()
        terms = {"pixels": pixels.mean(), "grid": grid(error, self.scale)}
        if self.eyes is not None:
            terms |= self.eyes.terms(made, batch, step)
        return {n: self.numbers[n] * value for n, value in terms.items() if self.numbers[n]}

    @torch.no_grad()
    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        """``psnr`` (dB) and ``ssim`` on luma, ``bicubic`` and ``bicubic_ssim`` to compare with."""
        found: dict[str, list[float]] = {}
        for photo in photos:
            true, small = self._whole(photo), self.reduced(photo)
            for name, made in (("", self.enhancer(small)), ("bicubic", self.enhancer.plain(small))):
                found.setdefault(name or "psnr", []).append(psnr(made, true, self.scale))
                name = f"{name}_ssim".strip("_")
                found.setdefault(name, []).append(ssim(made, true, self.scale))
        return {name: sum(values) / len(values) for name, values in found.items()}

    @torch.no_grad()
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """Three photos, below them bicubic interpolation, below that the network."""
        shown = [self._whole(p) for p in photos if p.shape == photos[0].shape][:3]
        small = [self.reduced(p) for p in shown]
        rows = [shown, [self.enhancer.plain(s) for s in small], [self.enhancer(s) for s in small]]
        return torch.cat([torch.cat(row, 3) for row in rows], 2)

    def state(self) -> dict[str, Any]:
        """The critic and its optimiser."""
        return {} if self.eyes is None else self.eyes.state()

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        if self.eyes is not None:
            self.eyes.load(state)

    @torch.no_grad()
    def reduced(self, photos: Tensor) -> Tensor:
        """(B, 3, H, W) made small, in steps of 8 bits, as a file would have it."""
        height, width = (n // self.scale for n in photos.shape[-2:])
        small = resize(self._whole(photos), (height, width), mode="bicubic").clamp(0, 1)
        return (small * 255).round() / 255

    def _whole(self, photos: Tensor) -> Tensor:
        """Without the rows and columns that make up no whole pixel of the small picture."""
        height, width = (n // self.scale * self.scale for n in photos.shape[-2:])
        return photos[..., :height, :width]

    def _eyes(self, device: torch.device) -> Eyes | None:
        wanted = {n: self.numbers[n] for n in ("features", "texture", "adversarial")}
        if not any(wanted.values()):
            return None
        encoder = backbones.load(self.numbers["encoder"], pooling="avg", normalized=True)
        return Eyes(encoder.to(device), [n for n, weight in wanted.items() if weight])


def robust(error: Tensor, scale: float) -> Tensor:
    """``s log(1 + |e| / s)``: errors far beyond ``scale`` hardly count by how far.

    Of several sharp pictures that a blurred one may come from, the mean absolute error asks for
    their median, which is blurred where edges may lie here or there. This asks for one of them.

    Args:
        error: Any shape.
        scale: Error from which on, in the units of the picture.
    """
    return scale * torch.log1p(error.abs() / scale)


def grid(error: Tensor, scale: int) -> Tensor:
    """How far errors repeat with the grid of the small picture, mean absolute value.

    Every pixel of the small picture becomes ``scale`` x ``scale`` others, each from channels of
    its own. Within windows of :data:`WINDOW` pixels of the small picture the errors are averaged
    for each of these places; what differs from place to place is a pattern of that period, which
    photos do not have. Terms that ask for more texture would otherwise find it first.

    Args:
        error: (B, 3, H, W), sides multiples of ``scale``.
        scale: The period.
    """
    batch, _, height, width = error.shape
    places = F.pixel_unshuffle(error, scale)  # (B, 3 scale^2, H / scale, W / scale)
    window = min(WINDOW, height // scale, width // scale)
    means = F.avg_pool2d(places, window, max(1, window // 2)).view(batch, 3, scale**2, -1)
    return (means - means.mean(2, keepdim=True)).abs().mean()
