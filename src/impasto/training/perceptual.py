"""Terms that look through a frozen network: at two pictures, of which one should be the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.backbones import Backbone
from impasto.losses import Content, Gram

#: Layer of the feature loss (Johnson et al. 2016, section 4.2).
FEATURES = "relu2_2"
#: Layers of the texture loss (Sajjadi et al. 2017, section 4.2.3), and edge of its patches in px.
TEXTURE, PATCH = ("relu1_1", "relu2_1", "relu3_1"), 16
#: Layer that the critic sees, its hidden channels, its Adam's step size and moments.
CRITIC, HIDDEN, CRITIC_LR, CRITIC_BETAS = "relu2_1", 64, 2e-4, (0.5, 0.99)

#: From features of the result and of the truth to a scalar.
Term = Callable[[Tensor, Tensor], Tensor]


class Eyes:
    """The terms that look through a frozen network.

    Args:
        encoder: That network.
        wanted: Names of terms: features, texture, adversarial.
    """

    def __init__(self, encoder: Backbone, wanted: Sequence[str]) -> None:
        self.encoder = encoder
        self.wanted = {n: self._parts(n) for n in wanted}
        self.layers = list(dict.fromkeys(n for parts in self.wanted.values() for n in parts))
        device = next(encoder.parameters()).device
        self.critic = critic(encoder.table[encoder.resolve(CRITIC)].channels).to(device)
        self.optimiser = torch.optim.Adam(
            self.critic.parameters(), lr=CRITIC_LR, betas=CRITIC_BETAS
        )

    def terms(self, made: Tensor, true: Tensor) -> dict[str, Tensor]:
        """Each term of pictures (B, 3, H, W), without weight."""
        found = self.encoder.taps(made, self.layers)
        with torch.no_grad():
            goal = self.encoder.taps(true, self.layers)
        return {
            name: torch.stack([term(found[n], goal[n]) for n, term in parts.items()]).mean()
            for name, parts in self.wanted.items()
        }

    def state(self) -> dict[str, Any]:
        """See :meth:`impasto.training.task.Task.state`."""
        return {"critic": self.critic.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, state: dict[str, Any]) -> None:
        """See :meth:`impasto.training.task.Task.load`."""
        self.critic.load_state_dict(state["critic"])
        self.optimiser.load_state_dict(state["optimiser"])

    def _parts(self, name: str) -> dict[str, Term]:
        """Layer to what is measured there."""
        if name == "texture":
            strides = {n: self.encoder.table[self.encoder.resolve(n)].stride for n in TEXTURE}
            return {n: partial(texture, edge=PATCH // strides[n]) for n in TEXTURE}
        return {FEATURES: features} if name == "features" else {CRITIC: self._adversarial}

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
    """Squared distance of (B, C, H, W) over the squared size of ``true``."""
    loss = Content(scale="relative")
    return loss(made, loss.target(true))


def texture(made: Tensor, true: Tensor, edge: int) -> Tensor:
    """Mean over patches of the squared distance of their Gram matrices, over the true one's size.

    Args:
        made: (B, C, H, W), both sides at least ``edge``.
        true: The like.
        edge: Of a patch, in positions.
    """
    loss = Gram(scale="relative")
    return loss(patches(made, edge), loss.target(patches(true, edge)))


def patches(layer: Tensor, edge: int) -> Tensor:
    """(B, C, H, W) cut into squares beside each other, (N, C, ``edge``, ``edge``); a rest goes."""
    channels = layer.shape[1]
    squares = layer.unfold(2, edge, edge).unfold(3, edge, edge)  # (B, C, h, w, edge, edge)
    return squares.permute(0, 2, 3, 1, 4, 5).reshape(-1, channels, edge, edge)


def critic(channels: int) -> nn.Module:
    """Features (B, ``channels``, H, W) to scores (B, 1, H, W); photos' are above 1."""
    return nn.Sequential(
        nn.Conv2d(channels, HIDDEN, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(HIDDEN, 1, 1),
    )
