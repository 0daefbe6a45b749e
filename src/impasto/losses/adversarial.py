"""The Markovian adversarial loss: a critic of patches that learns while the picture moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.losses.base import (
    LOSSES,
    Critic,
    Target,
    draw_positions,
    flat_weight,
    inner_weight,
    option,
    total_weight,
)


@LOSSES.register("adversarial")
@dataclass(frozen=True)
class MarkovianAdversarial(Critic):
    """How clearly a critic of 3 x 3 feature patches sees that the picture is not the painting.

    ``1/M sum_p w(p) max(0, 1 - D(patch_p))`` with the critic ``D(x) = a . leaky(W x + b) + c``,
    a convolution to ``hidden`` channels, leaky ReLU of slope 0.2, and a convolution to one. The
    critic has learnt to give the painting's patches 1 and more, the picture's -1 and less:
    :meth:`learn` takes ``updates`` Adam steps down ``mean max(0, 1 - D(painting)) + mean max(0,
    1 + D(picture))``. Features are first brought to the painting's mean and deviation per channel.

    The critic is part of the target, a value: its parameters and Adam's two moments in a row.
    :meth:`learn` returns a new target and draws nothing, so a run that is saved with its targets
    goes on exactly. The engine lets it learn once a step, from the features it has at hand, before
    the loss is evaluated; L-BFGS, whose objective must stand still, is refused.

    An untrained critic says nothing, and in balance the loss stays near 1: a falling value means
    that the critic was deceived, not that it has come to rest. It has no least value at its own
    target.

    Source: Li & Wand 2016b (MGAN and its optimisation variant MDAN).

    Cost: 27 C ``hidden`` M multiply-adds a step for the picture, three times as much again for
    what is learnt; memory ``hidden`` M and ``patches`` x 9 C.

    Blends: union of the patches, each painting's with its share in the critic's mean; the critic
    of the first one.

    Deviations: a critic of one hidden layer with features in standard units, where the source has
    a 4 x 4 convolution with batch norm; it sees ``patches`` patches, spread at random, the same
    ones each step.

    Attributes:
        hidden: Channels of the critic's hidden layer.
        lr: Adam's step size (betas 0.5 and 0.999).
        updates: Adam steps of the critic per step of the picture.
        patches: Largest number of the painting's patches.
        seed: Of the critic's start and the choice of patches.
    """

    hidden: int = option(32, least=1)
    lr: float = option(2e-3, above=0)
    updates: int = option(1, least=1)
    patches: int = option(1024, least=1)
    seed: int = option(0, least=0)

    def target(self, features: Tensor, weight: Tensor | None = None) -> Target:
        """Patches (n, C, 3, 3), their weights (n,), and the critic (4, P).

        The rows of the critic are its parameters, Adam's first and second moment, and the number
        of updates so far in the first entry of the last.
        """
        features = features.detach()
        padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
        weights = flat_weight(features, _inner(weight)).expand(features.shape[0], -1).reshape(1, -1)
        index = draw_positions(weights, self.patches, self.seed)
        height, width = features.shape[-2:]
        sample, place = index // (height * width), index % (height * width)
        reach = torch.arange(3, device=index.device)
        rows = (place // width)[:, None, None] + reach[:, None]
        columns = (place % width)[:, None, None] + reach
        patches = padded[sample[:, None, None], :, rows, columns].permute(0, 3, 1, 2)
        return patches.contiguous(), weights[0, index], self._newborn(features)

    def blend(self, targets: Sequence[Target], weights: Sequence[float]) -> Target:
        """The union of patches with the first one's critic."""
        shares = [
            share * t[1] / t[1].sum().clamp_min(1e-30)
            for t, share in zip(targets, weights, strict=True)
        ]
        return torch.cat([t[0] for t in targets]), torch.cat(shares), targets[0][2].clone()

    def __call__(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """See the class; the critic stands still."""
        scores = self.scores(features, target)
        return _mean((1 - scores).clamp_min(0), _inner(weight))

    def scores(self, features: Tensor, target: Target) -> Tensor:
        """What the critic thinks of the patch around each position, (B, 1, H, W)."""
        shift, gain = _standard(target, features)
        padded = F.pad((features - shift) * gain, (1, 1, 1, 1), mode="replicate")
        return self._judge(padded, target[2][0].to(features))

    def learn(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Target:
        """The target with the critic after ``updates`` Adam steps."""
        for _ in range(self.updates):
            target = self.moved(target, self.slope(features, target, weight))
        return target

    @torch.enable_grad()
    def slope(self, features: Tensor, target: Target, weight: Tensor | None = None) -> Tensor:
        """The gradient of the critic's own objective, (P,).

        Its mean over pictures is that of all of them together.
        """
        shift, gain = _standard(target, features)
        real = (target[0].to(features) - shift) * gain
        shares = target[1].to(features).view(-1, 1, 1, 1)
        shares = shares / shares.sum().clamp_min(1e-30)
        fake = F.pad((features.detach() - shift) * gain, (1, 1, 1, 1), mode="replicate")
        parameters = target[2][0].to(features).detach().clone().requires_grad_(True)
        of_real = ((1 - self._judge(real, parameters)).clamp_min(0) * shares).sum()
        of_fake = _mean((1 + self._judge(fake, parameters)).clamp_min(0), _inner(weight))
        return torch.autograd.grad(of_real + of_fake, parameters)[0]

    def moved(self, target: Target, slope: Tensor) -> Target:
        """The target with the critic after one Adam step along ``slope``, (P,)."""
        critic = target[2].to(slope)
        # A picture that went astray and will be taken back must leave no trace.
        critic = torch.where(slope.isfinite().all(), self._adam(critic, slope), critic)
        return target[0], target[1], critic

    def _judge(self, padded: Tensor, parameters: Tensor) -> Tensor:
        """Scores (B, 1, H - 2, W - 2) of patches in standard units."""
        channels, hidden = padded.shape[1], self.hidden
        first, bias, second, last = torch.split(
            parameters, [hidden * channels * 9, hidden, hidden, 1]
        )
        seen = F.conv2d(padded, first.view(hidden, channels, 3, 3), bias)
        return F.conv2d(F.leaky_relu(seen, 0.2), second.view(1, hidden, 1, 1), last)

    def _newborn(self, like: Tensor) -> Tensor:
        """Parameters by Kaiming's rule, zeros for Adam, (4, P)."""
        random = torch.Generator().manual_seed(self.seed)
        fan_in = 9 * like.shape[1]
        first = (
            torch.randn(self.hidden * fan_in, generator=random, device="cpu") * (2 / fan_in) ** 0.5
        )
        second = torch.randn(self.hidden, generator=random, device="cpu") * (1 / self.hidden) ** 0.5
        row = torch.cat((first, first.new_zeros(self.hidden), second, first.new_zeros(1)))
        return torch.stack((row, *row.new_zeros(3, row.numel()))).to(like)

    @torch.no_grad()
    def _adam(self, critic: Tensor, slope: Tensor) -> Tensor:
        count = critic[3, 0] + 1
        first = 0.5 * critic[1] + 0.5 * slope
        second = 0.999 * critic[2] + 0.001 * slope.square()
        size = (second / (1 - 0.999**count)).sqrt() + 1e-8
        moved = critic[0] - self.lr * first / (1 - 0.5**count) / size
        counted = torch.zeros_like(moved)
        counted[0] = count
        return torch.stack((moved, first, second, counted))


def _standard(target: Target, like: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and 1 / deviation per channel of the painting's patches, (1, C, 1, 1)."""
    patches, weights = target[0].to(like), target[1].to(like).view(-1, 1, 1, 1)
    weights = weights / (9 * weights.sum().clamp_min(1e-30))
    mean = (patches * weights).sum(dim=(0, 2, 3), keepdim=True)
    variance = ((patches - mean).square() * weights).sum(dim=(0, 2, 3), keepdim=True)
    return mean, torch.where(variance > 1e-12, (variance + 1e-12).rsqrt(), torch.ones_like(mean))


def _inner(weight: Tensor | None) -> Tensor | None:
    """A patch weighs the smallest weight inside it."""
    if weight is None:
        return None
    return inner_weight(F.pad(weight, (1, 1, 1, 1), mode="replicate"), 3, 1)


def _mean(scores: Tensor, weight: Tensor | None) -> Tensor:
    weighted = scores if weight is None else scores * weight.to(scores)
    count = total_weight(scores, weight).clamp_min(1e-12)
    return (weighted.sum(dim=(1, 2, 3)) / count).mean()
