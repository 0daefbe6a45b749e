"""The objective of DeepDream: more of what a layer sees already, in tiles of any size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.gradients import even, with_gradient
from impasto.engine.pixels import laplacian_levels
from impasto.engine.tiles import Tiling
from impasto.engine.views import seeded
from impasto.engine.wishes import check_channels
from impasto.images.resize import resize

#: Positions of a picture that are compared with a guide at a time.
CHUNK = 4096
#: What a tile of a network whose padding depends on the size sees beyond itself, px.
LOOSE_HALO = 64


class Score(ABC):
    """A number at each position of a layer; a dream raises their sum."""

    layer: str

    @abstractmethod
    def at(self, features: Tensor) -> Tensor:
        """(1, H, W) for features (1, C, H, W)."""


@dataclass(frozen=True)
class Loudness(Score):
    """The sum of squares of all channels, or of some: whatever is there, more of it.

    Source: Mordvintsev, Olah & Tyka, Inceptionism, 2015 (the gradient there is the activation).
    """

    layer: str
    channels: tuple[int, ...] = ()

    def at(self, features: Tensor) -> Tensor:
        """See :meth:`Score.at`."""
        if self.channels:
            check_channels(self.layer, features.shape[1], self.channels)
            features = features[:, list(self.channels)]
        return features.square().sum(1)


@dataclass(frozen=True, eq=False)
class Guided(Score):
    """The inner product with that feature of a guide which matches best: more of the guide's.

    Source: the guided dreams of Mordvintsev, Olah & Tyka, 2015.

    Attributes:
        layer: Which.
        guide: Features of the guide, (N, C), one row per position.
    """

    layer: str
    guide: Tensor

    def at(self, features: Tensor) -> Tensor:
        """See :meth:`Score.at`."""
        rows = features[0].flatten(1).T  # (H W, C)
        with torch.no_grad():
            best = torch.cat([(part @ self.guide.T).argmax(1) for part in torch.split(rows, CHUNK)])
        return (rows * self.guide[best]).sum(1).view(1, *features.shape[-2:])


class LooseTiling(Tiling):
    """Tiles for networks whose padding depends on the picture's size: nearly the same features.

    Each tile begins on the coarsest grid and sees :data:`LOOSE_HALO` px around it; with a shift
    at each step, what differs at the seams averages out.
    """

    def __post_init__(self) -> None:
        """Every layer will do."""

    @property
    def halo(self) -> int:
        """Px, a multiple of the grid."""
        return -(-LOOSE_HALO // self.grid) * self.grid


def tiling(backbone: Backbone, size: int, layers: Sequence[str]) -> Tiling:
    """Exact tiles where the network allows them, otherwise loose ones."""
    reaches = [backbone.table[backbone.resolve(n)].reach for n in layers]
    kind = LooseTiling if None in reaches else Tiling
    return kind(backbone, size, tuple(dict.fromkeys(layers)))


class Dream:
    """A picture in; minus the sum of all scores, relative to what it was at first.

    Only one tile's activations exist at a time. Each score is divided by its sum over the first
    picture, so that several layers have an equal say.

    The gradient is taken apart into octaves, each brought to an equal size, and put together
    again (:func:`normalised`); its mean magnitude is 1 / (number of values).

    Args:
        backbone: The network.
        scores: What shall grow.
        tile: Edge of a tile, px.
        jitter: Largest shift at each step, px; the picture is rolled.
        levels: Octaves of the gradient that are normalised; 0 leaves it as it is.
        chroma: Factor of what in the gradient is not grey. Networks care more for hue than
            photographs have of it: with 1, dreams turn to neon.
        seed: Of the shifts.
    """

    learns = False

    def __init__(
        self,
        backbone: Backbone,
        scores: Sequence[Score],
        *,
        tile: int,
        jitter: int = 32,
        levels: int = 4,
        chroma: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.tiling = tiling(backbone, tile, [score.layer for score in scores])
        self.scores = list(scores)
        self.jitter, self.levels, self.chroma, self.seed = jitter, levels, chroma, seed
        self._first: list[float] = []
        self._step = 0

    def begin(self, step: int) -> None:
        """A step begins, counted from 0."""
        self._step = step

    def state(self) -> dict[str, Any]:
        """The sums over the first picture."""
        return {"first": list(self._first)}

    def load(self, state: dict[str, Any]) -> None:
        """Go on with the sums of :meth:`state`."""
        self._first = list(state["first"])

    def shift(self, step: int) -> tuple[int, int]:
        """By how much the picture is rolled, down and across, px."""
        drawn = torch.randint(
            -self.jitter, self.jitter + 1, (2,), generator=seeded(self.seed, step)
        )
        return int(drawn[0]), int(drawn[1])

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        """``{"excitation": -1 ...}`` for (1, 3, H, W)."""
        if not self._first:
            with torch.no_grad():
                self._first = _sums(image.detach(), self.tiling, self.scores).tolist()
        factors = [1 / abs(s) if s else 1.0 for s in self._first]
        rolled = with_gradient(image, self._reshaped).roll(self.shift(self._step), (-2, -1))
        mean = _Summed.apply(rolled, self.tiling, self.scores, factors) / len(self.scores)  # type: ignore[no-untyped-call]
        return {"excitation": -mean}

    def _reshaped(self, gradient: Tensor) -> Tensor:
        gradient = normalised(gradient, self.levels)
        grey = gradient.mean(1, keepdim=True)
        return even(grey + self.chroma * (gradient - grey))


def normalised(gradient: Tensor, levels: int) -> Tensor:
    """``gradient`` (B, C, H, W) with an equal root mean square in each of its octaves.

    Without it, a dream is made of the finest detail: that is where gradients are largest.

    Args:
        gradient: What is taken apart into a Laplacian pyramid.
        levels: Of the pyramid, the coarsest included; 0 or 1 changes nothing but the size.
    """
    if levels <= 1:
        return gradient
    parts = [_unit(level) for level in laplacian_levels(gradient, levels)]
    whole = parts[-1]
    for part in parts[-2::-1]:
        whole = part + resize(whole, (part.shape[-2], part.shape[-1]), mode="bilinear")
    return whole


def _unit(level: Tensor) -> Tensor:
    size = level.square().mean((1, 2, 3), keepdim=True).sqrt()
    return level / size.clamp_min(torch.finfo(level.dtype).tiny)


def _tile_sums(seen: Tensor, tiles: Tiling, scores: Sequence[Score], place: Any) -> Tensor:
    """The sum of each score over one tile's own positions; ``seen`` is what the tile sees."""
    features = tiles.features(seen, *place)
    return torch.stack([score.at(features[score.layer]).sum() for score in scores])


def _sums(image: Tensor, tiles: Tiling, scores: Sequence[Score]) -> Tensor:
    """The sum of each score over the picture."""
    total = image.new_zeros(len(scores))
    for down, across in tiles.tiles(*image.shape[-2:]):
        seen = image[..., down.first : down.last, across.first : across.last]
        total = total + _tile_sums(seen, tiles, scores, (down, across))
    return total


class _Summed(torch.autograd.Function):
    """``sum of factor * score`` over a picture; the gradient is made along with the value."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, tiles: Tiling, scores: list[Score], factors: list[float]
    ) -> Tensor:
        weights = image.new_tensor(factors)
        total, slope = image.new_zeros(()), torch.zeros_like(image)
        for down, across in tiles.tiles(*image.shape[-2:]):
            place = (..., slice(down.first, down.last), slice(across.first, across.last))
            with torch.enable_grad():
                seen = image[place].detach().requires_grad_(True)
                value = (weights * _tile_sums(seen, tiles, scores, (down, across))).sum()
            (pull,) = torch.autograd.grad(value, seen)
            total, slope[place] = total + value.detach(), slope[place] + pull
        ctx.save_for_backward(slope)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None]:
        return grads[0] * ctx.saved_tensors[0], None, None, None
