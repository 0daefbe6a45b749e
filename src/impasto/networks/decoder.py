"""From features of a frozen encoder back to the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.native import Filters
from impasto.networks.layers import (
    Mirrored,
    Residual,
    enlarged,
    mirrored,
    smoothly_enlarged,
    zeroed,
)
from impasto.networks.model import NETWORKS, numbers

#: What an architecture may set: channels and stride of the features, rounds of correction, their
#: hidden channels; channels of the first convolution and of those at full size, residual blocks;
#: whether enlargement is bilinear.
DEFAULTS = {
    "channels": 128,
    "stride": 2,
    "rounds": 1,
    "hidden": 48,
    "width": 48,
    "last": 24,
    "blocks": 1,
    "smooth": 0,
}

#: From pictures (B, 3, H, W) to their features.
Encode = Callable[[Tensor], Tensor]


class Decoder(nn.Module):
    """Inverts an encoder: a first guess, then corrections by what the encoder sees in it.

    The guess ``x`` of features ``f`` is a linear read-out (one 3 x 3 convolution to ``3 stride^2``
    channels, laid out as pixels) plus a small network for what is not linear. Each correction
    looks at the guess through the encoder ``E`` and adds a map of what is missing,
    ``x + C(f - E(x), f)``: one step of a solver of ``E(x) = f`` whose step was learnt. Both begin
    at the best that a linear map can do, by least squares (:class:`ReadoutFit`).

    Args:
        channels: Of the features.
        stride: Pixels per position: a power of 2.
        rounds: Corrections; 0 for features that are no picture's.
        hidden: Channels of the hidden layer of a correction.
        width: Channels after the first convolution; halved at every enlargement, not below
            ``last``.
        last: Channels of the last hidden layer, at full size.
        blocks: Residual blocks at the size of the features.
        smooth: Whether features are enlarged bilinearly, not repeated, and the read-out has no
            pattern of the period of a position (:func:`unpatterned`).
    """

    def __init__(
        self,
        *,
        channels: int,
        stride: int,
        rounds: int = 1,
        hidden: int = 48,
        width: int = 48,
        last: int = 24,
        blocks: int = 1,
        smooth: int = 0,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.smooth = bool(smooth)
        self.readout = Mirrored(channels, 3 * stride**2)
        self.rest = Rest(channels, stride, width, last, blocks, self.smooth)
        self.corrections = nn.ModuleList(
            Correction(channels, stride, hidden) for _ in range(rounds)
        )
        self._entry: tuple[tuple[object, ...], Filters] | None = None

    def forward(self, features: Tensor, encode: Encode) -> Tensor:
        """The last of :meth:`guesses`."""
        guess = features
        for guess in self.guesses(features, encode):  # noqa: B007
            pass
        return guess

    def guesses(self, features: Tensor, encode: Encode) -> Iterator[Tensor]:
        """From (B, C, H, W) the first guess and one after each correction.

        Args:
            features: What ``encode`` should give, (B, C, H, W).
            encode: Pictures to features, differentiable where it is trained through.

        Yields:
            (B, 3, stride H, stride W), about [0, 1], not clamped.
        """
        guess = self.first(features)
        yield guess
        for correction in self.corrections:
            guess = guess + correction(features - encode(guess), features)
            yield guess

    def first(self, features: Tensor) -> Tensor:
        """The guess before any correction: it needs no encoder, and is the calmest.

        Features that no picture has, such as those of a style transfer, are better off without
        corrections, which look for a picture that has them and find weaves.
        """
        both = mirrored(features, self._enter())
        widths = [self.readout.out_channels, self.rest.first.out_channels]
        read, hidden = torch.split(both, widths, 1)
        plain = F.pixel_shuffle(read, self.stride)
        plain = unpatterned(plain, self.stride) if self.smooth else plain
        guess: Tensor = plain + self.rest(F.relu(hidden), plain)
        return guess

    def _enter(self) -> Filters:
        """The read-out and the first filters of the rest, which see the same, as one."""
        parts = [self.readout.weight, self.readout.bias, self.rest.first.weight]
        parts.append(self.rest.first.bias)
        key = tuple((id(p), p._version) for p in parts if p is not None)
        learning = any(p.requires_grad for p in parts if p is not None)
        if learning or self._entry is None or self._entry[0] != key:
            weight, bias = evened(self.readout, self.stride)
            assert self.rest.first.bias is not None
            entry = Filters(
                torch.cat([weight, self.rest.first.weight]), torch.cat([bias, self.rest.first.bias])
            )
            if learning:
                return entry
            self._entry = key, entry
        return self._entry[1]

    def reach(self) -> int:
        """Pixels beyond a position's own on each side that :meth:`first` depends on, at most."""
        # At the size of the features, at the sizes between (s/2 + ... + 1), at full size; and a
        # bilinear enlargement looks one position further, of the size before (s + ... + 2).
        further = 2 * (self.stride - 1) if self.smooth else 0
        return self.stride * (1 + 2 * len(self.rest.blocks)) + (self.stride - 1) + 2 + further

    @classmethod
    def of(cls, architecture: str) -> Decoder:
        """From ``channels=128,stride=2,rounds=1`` and so on, see :data:`DEFAULTS`."""
        return cls(**numbers(architecture, DEFAULTS, zero=("rounds", "smooth")))


class Rest(nn.Module):
    """What a linear read-out misses; begins as zero.

    Enlarged step by step, with a convolution after each, the features are mixed at full
    size with the read-out itself.

    Args:
        channels: See :class:`Decoder`, as the others.
        stride: As above.
        width: As above.
        last: As above.
        blocks: As above.
        smooth: As above.
    """

    def __init__(
        self, channels: int, stride: int, width: int, last: int, blocks: int, smooth: bool = False
    ) -> None:
        super().__init__()
        self.enlarged = smoothly_enlarged if smooth else enlarged
        self.first = Mirrored(channels, width)
        self.blocks = nn.Sequential(*(Residual(width) for _ in range(blocks)))
        self.ups = nn.ModuleList()
        for _ in range(stride.bit_length() - 1):
            narrow = max(width // 2, last)
            self.ups.append(Mirrored(width, narrow))
            width = narrow
        self.mix = Mirrored(width + 3, last)
        self.last = zeroed(Mirrored(last, 3))

    def forward(self, hidden: Tensor, plain: Tensor) -> Tensor:
        """What :attr:`first` made, after its ReLU, (B, width, H, W), and the read-out.

        Args:
            hidden: As above.
            plain: (B, 3, stride H, stride W).

        Returns:
            Of the size of ``plain``.
        """
        x = self.blocks(hidden)
        for up in self.ups:
            x = up(self.enlarged(x), relu=True)
        x = self.mix(torch.cat([x, plain - 0.5], 1), relu=True)
        made: Tensor = self.last(x)
        return made


class Correction(nn.Module):
    """From what is missing in the features to what is missing in the picture.

    Linear in what is missing, plus a hidden layer that sees the features as well: which channels
    are silent decides what a pixel does to the others.

    Args:
        channels: See :class:`Decoder`, as the others.
        stride: As above.
        hidden: As above.
    """

    def __init__(self, channels: int, stride: int, hidden: int) -> None:
        super().__init__()
        self.stride = stride
        self.readout = zeroed(Mirrored(channels, 3 * stride**2))
        self.hidden = Mirrored(2 * channels, hidden)
        self.last = zeroed(Mirrored(hidden, 3 * stride**2))

    def forward(self, missing: Tensor, features: Tensor) -> Tensor:
        """Twice (B, C, H, W) to (B, 3, stride H, stride W)."""
        hidden = self.hidden(torch.cat([missing, features], 1), relu=True)
        return F.pixel_shuffle(self.readout(missing) + self.last(hidden), self.stride)


def evened(readout: nn.Conv2d, stride: int) -> tuple[Tensor, Tensor]:
    """Weight and bias of a read-out, changed so that constant features give a constant picture.

    The pixels of a position are read by filters of their own. Least squares makes them agree on
    the constant features of photos; on others, which a style transfer makes, they would differ,
    and every plain area would show a checkerboard.

    Returns:
        (3 stride^2, C, 3, 3), every filter's sum over its positions the same for all pixels of a
        colour, and (3 stride^2,).
    """
    weight, bias = readout.weight, readout.bias
    assert bias is not None
    sums = weight.sum((2, 3)).view(3, stride**2, -1)
    excess = (sums - sums.mean(1, keepdim=True)).flatten(0, 1)
    weight = weight - excess[:, :, None, None] / (weight.shape[2] * weight.shape[3])
    even = bias.view(3, -1).mean(1, keepdim=True).expand(3, stride**2)
    return weight, even.flatten()


def unpatterned(picture: Tensor, stride: int) -> Tensor:
    """A picture (B, 3, H, W) without what repeats every ``stride`` pixels: a short blur.

    The kernel, a mean of ``stride`` pixels and then of 2, has zeros at that period and at all
    fractions of it. The pixels of a position are read by filters of their own, and what they make
    of features that no photo has differs from one to the next.
    """
    if stride == 1:
        return picture
    ends = picture.new_tensor([0.5, *[1.0] * (stride - 1), 0.5]) / stride
    kernel = torch.outer(ends, ends).expand(picture.shape[1], 1, -1, -1)
    grown = F.pad(picture, (stride // 2,) * 4, mode="reflect")
    return F.conv2d(grown, kernel, groups=picture.shape[1])


@torch.no_grad()
def set_readout(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    """Set a read-out: weight (3 stride^2, C, 3, 3), bias (3 stride^2,)."""
    layer.weight.copy_(weight)
    if layer.bias is not None:
        layer.bias.copy_(bias)


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
