"""From features of a frozen encoder back to the picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.networks.layers import Residual, conv, enlarged
from impasto.networks.model import NETWORKS, numbers

#: What an architecture may set: channels and stride of the features, channels of the first
#: convolution and of those at full size, residual blocks.
DEFAULTS = {"channels": 128, "stride": 2, "width": 64, "last": 32, "blocks": 1}


class Decoder(nn.Module):
    """A linear read-out of the features, and a network that adds what is not linear.

    The read-out is one 3 x 3 convolution to ``3 stride^2`` channels, laid out as pixels; a least
    squares fit sets it (:meth:`set_readout`), so that training begins at the best that a linear
    map can do. The rest is enlarged step by step (nearest neighbour, then a convolution), sees
    the read-out at full size, and ends in a convolution that begins as zero.

    Args:
        channels: Of the features.
        stride: Pixels per position: a power of 2.
        width: Channels after the first convolution; halved at every enlargement, not below
            ``last``.
        last: Channels of the last hidden layer, at full size.
        blocks: Residual blocks at the size of the features.
    """

    def __init__(self, channels: int, stride: int, width: int, last: int, blocks: int) -> None:
        super().__init__()
        self.stride = stride
        self.readout = conv(channels, 3 * stride**2)
        self.first = conv(channels, width)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.ups = nn.ModuleList()
        for _ in range(stride.bit_length() - 1):
            narrow = max(width // 2, last)
            self.ups.append(conv(width, narrow))
            width = narrow
        self.mix = conv(width + 3, last)
        self.last = conv(last, 3)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) to (B, 3, stride H, stride W), about [0, 1], not clamped."""
        plain = F.pixel_shuffle(self.readout(features), self.stride)
        x = self.blocks(F.relu(self.first(features)))
        for up in self.ups:
            x = F.relu(up(enlarged(x)))
        x = F.relu(self.mix(torch.cat([x, plain - 0.5], 1)))
        rest: Tensor = self.last(x)
        return plain + rest

    @classmethod
    def of(cls, architecture: str) -> Decoder:
        """From ``channels=128,stride=2,width=64,last=32,blocks=1``."""
        return cls(**numbers(architecture, DEFAULTS))

    @torch.no_grad()
    def set_readout(self, weight: Tensor, bias: Tensor) -> None:
        """The linear part: weight (3 stride^2, C, 3, 3), bias (3 stride^2,)."""
        self.readout.weight.copy_(weight)
        if self.readout.bias is not None:
            self.readout.bias.copy_(bias)


NETWORKS.add("decoder", Decoder.of)


class ReadoutFit:
    """Least squares for a linear map from 3 x 3 positions of features to their pixels.

    Sums of products are collected in float64; :meth:`solve` solves the normal equations with a
    ridge that is a fraction of their mean diagonal, so channels that are always 0 stay at 0.

    Args:
        channels: Of the features.
        stride: Pixels per position.
        ridge: See above.
    """

    def __init__(self, channels: int, stride: int, ridge: float = 1e-4) -> None:
        self.channels, self.stride, self.ridge = channels, stride, ridge
        size = 9 * channels + 1
        self._inner = torch.zeros(size, size, dtype=torch.float64)
        self._outer = torch.zeros(size, 3 * stride**2, dtype=torch.float64)

    @torch.no_grad()
    def add(self, features: Tensor, pictures: Tensor, every: int = 1) -> None:
        """Take every so many-th position of features (B, C, H, W) with pictures (B, 3, sH, sW)."""
        seen = F.unfold(F.pad(features, (1, 1, 1, 1), mode="reflect"), 3)[:, :, ::every]
        goal = F.pixel_unshuffle(pictures, self.stride).flatten(2)[:, :, ::every]
        rows = seen.transpose(1, 2).flatten(0, 1)  # (N, 9 C)
        rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
        self._inner += (rows.mT @ rows).double().cpu()
        self._outer += (rows.mT @ goal.transpose(1, 2).flatten(0, 1)).double().cpu()

    def solve(self) -> tuple[Tensor, Tensor]:
        """Weight (3 stride^2, C, 3, 3) and bias (3 stride^2,), float32."""
        size = self._inner.shape[0]
        strength = self.ridge * float(self._inner.diagonal().mean())
        ridge = strength * torch.eye(size, dtype=torch.float64)
        found = torch.linalg.solve(self._inner + ridge, self._outer)
        weight = found[:-1].mT.reshape(-1, self.channels, 3, 3)
        return weight.float(), found[-1].float()
