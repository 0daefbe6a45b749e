"""Terms that look through a frozen network: at two pictures, of which one should be the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.backbones import Backbone
from impasto.images.resize import resize
from impasto.losses import Gram, Perceptual

#: Layers of the feature loss.
FEATURES = ("relu1_2", "relu2_2", "relu3_1", "relu4_1")
#: Layers of the texture loss (Sajjadi et al. 2017), and edge of its patches in px.
TEXTURE, PATCH = ("relu1_1", "relu2_1", "relu3_1"), 16
#: Channels of the critic, its Adam's step size and moments.
HIDDEN, CRITIC_LR, CRITIC_BETAS = (32, 64, 64), 5e-4, (0.5, 0.99)
#: Pixels by which pictures are moved before the network looks, along each axis, and factors by
#: which they are made smaller, in turn.
SHIFTS, ZOOMS = 8, (0.9, 0.75, 0.6)
#: Edge that the network needs for its deepest layer and the patches of the texture, px.
LEAST = 16

#: From features of the result and of the truth to a scalar.
Term = Callable[[Tensor, Tensor], Tensor]


class Eyes:
    """The terms that look through a frozen network, and those of a critic of pixels.

    From step to step both pictures are moved under the network's pooling grid, and the network
    sees them in other sizes, never in their own: what is made from channels laid out as pixels has
    a grid of its own, and terms that always saw it in the same place would draw it (Kettunen,
    Harkonen & Lehtinen 2019 make distances robust in that manner).

    Args:
        encoder: That network.
        wanted: Names of terms: features, texture, adversarial.
    """

    def __init__(self, encoder: Backbone, wanted: Sequence[str]) -> None:
        self.encoder = encoder
        self.parts = {n: self._parts(n) for n in wanted if n != "adversarial"}
        self.judges = "adversarial" in wanted
        self.layers = list(dict.fromkeys(n for parts in self.parts.values() for n in parts))
        self.critic = critic().to(next(encoder.parameters()).device)
        self.optimiser = torch.optim.Adam(
            self.critic.parameters(), lr=CRITIC_LR, betas=CRITIC_BETAS
        )

    def terms(self, made: Tensor, true: Tensor, step: int) -> dict[str, Tensor]:
        """Each term of pictures (B, 3, H, W), without weight; ``step`` says how they are moved."""
        down, right = step % SHIFTS, step // SHIFTS % SHIFTS
        made, true = made[..., down:, right:], true[..., down:, right:]
        zoom = ZOOMS[step % len(ZOOMS)]
        found = self._seen(made, zoom)
        with torch.no_grad():
            goal = self._seen(true, zoom)
        values = {
            name: torch.stack([term(found[n], goal[n]) for n, term in parts.items()]).mean()
            for name, parts in self.parts.items()
        }
        return values | ({"adversarial": self._adversarial(made, true)} if self.judges else {})

    def state(self) -> dict[str, Any]:
        """See :meth:`impasto.training.task.Task.state`."""
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """See :meth:`impasto.training.task.Task.load`."""
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _seen(self, pictures: Tensor, zoom: float) -> dict[str, Tensor]:
        if not self.layers:
            return {}
        height, width = (max(LEAST, round(n * zoom)) for n in pictures.shape[-2:])
        return self.encoder.taps(resize(pictures, (height, width), mode="bicubic"), self.layers)

    def _parts(self, name: str) -> dict[str, Term]:
        """Layer to what is measured there."""
        if name == "features":
            return dict.fromkeys(FEATURES, features)
        strides = {n: self.encoder.table[self.encoder.resolve(n)].stride for n in TEXTURE}
        return {n: partial(texture, edge=PATCH // strides[n]) for n in TEXTURE}

    def _adversarial(self, made: Tensor, true: Tensor) -> Tensor:
        """What the critic thinks of ``made``, after it has learnt from both once."""
        self.optimiser.zero_grad(set_to_none=True)
        seen = made.detach()
        error = F.relu(1 - self.critic(true)).mean() + F.relu(1 + self.critic(seen)).mean()
        slopes = torch.autograd.grad(error, list(self.critic.parameters()))
        if all(bool(s.isfinite().all()) for s in slopes):
            for parameter, slope in zip(self.critic.parameters(), slopes, strict=True):
                parameter.grad = slope
            self.optimiser.step()
        still = {name: p.detach() for name, p in self.critic.named_parameters()}
        return F.relu(1 - torch.func.functional_call(self.critic, still, made)).mean()


def features(made: Tensor, true: Tensor) -> Tensor:
    """Mean squared distance of the directions of (B, C, H, W) at every position."""
    loss = Perceptual()
    return loss(made, loss.target(true))


def texture(made: Tensor, true: Tensor, edge: int) -> Tensor:
    """Squared distance of the Gram matrices of patches, summed, over the squared size of the true.

    Smooth patches have small matrices and count little: their grain cannot be known, and a network
    that is asked for it draws a grid.

    Args:
        made: (B, C, H, W), both sides at least ``edge``.
        true: The like.
        edge: Of a patch, in positions.
    """
    loss = Gram(scale="sum")
    goal = loss.target(patches(true, edge))
    size = goal[0].square().sum((1, 2)).mean()
    return loss(patches(made, edge), goal) / size.clamp_min(torch.finfo(size.dtype).tiny)


def patches(layer: Tensor, edge: int) -> Tensor:
    """(B, C, H, W) cut into squares beside each other, (N, C, ``edge``, ``edge``); a rest goes."""
    channels = layer.shape[1]
    squares = layer.unfold(2, edge, edge).unfold(3, edge, edge)  # (B, C, h, w, edge, edge)
    return squares.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, edge, edge)


def critic() -> nn.Module:
    """Pictures (B, 3, H, W) to scores of their parts, above 1 for photos; it sees 20 px at once."""
    first, second, third = HIDDEN
    return nn.Sequential(
        nn.Conv2d(3, first, 3),
        nn.LeakyReLU(0.2),
        nn.Conv2d(first, second, 4, stride=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(second, third, 4, stride=2),
        nn.LeakyReLU(0.2),
        nn.Conv2d(third, 1, 3),
    )
