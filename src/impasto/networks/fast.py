"""A lean network that paints a photo in one pass, in any of several styles or a mixture of them.

Nearly all its work is done on a quarter of the height and width: the photo is folded into
channels first (no pixel is lost), and unfolded step by step at the end. That makes it several
times cheaper per pixel than the network of Johnson et al. 2016, whose 9 x 9 convolutions at full
size move most of the bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.framing import framed, unframed
from impasto.networks.layers import (
    Enlarging,
    Mirrored,
    moments_of,
    smoothly_enlarged,
    valid,
    zeroed,
)
from impasto.networks.model import NETWORKS, numbers
from impasto.networks.norm import ConditionalNorm
from impasto.networks.sight import STRIDE, Sight

#: What an architecture may set: channels and residual blocks at a quarter of the size, channels
#: at half and at full size, number of styles, and whether it looks through a pretrained network.
DEFAULTS = {"width": 64, "blocks": 5, "half": 24, "full": 8, "styles": 1, "sight": 0}
#: Pixels that are folded into channels, per axis.
FOLD = 4
#: Blocks from one look at what is seen to the next.
EVERY = 2
#: Slope of the way past the network, at mid grey: the logit's, 4, softened.
SLOPE = 4.0
#: Bytes per pixel at the peak of a pass by strips, without and with sight; measured: 89 and 201,
#: with torch's kernels 115 and 249.
STRIPS, STRIPS_SEEN = 120, 250
#: At least, at once, with sight.
SEEN = 260
#: Bytes per pixel at the peak of a pass at once: in any case, and for each channel at full size.
#: Measured with torch's kernels: 260 with 8 channels, 780 with 32, 920 with 40; with ours 94, 300
#: and 411, and 204 with 8 and sight (259 with torch's).
FLAT, EACH = 100, 21


class ConditionalBlock(nn.Module):
    """``x + norm(B relu(norm(A x)))``.

    Args:
        channels: Of input and output.
        styles: How many styles there are.
    """

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.first = Mirrored(channels, channels)
        self.first_norm = ConditionalNorm(channels, styles)
        self.second = Mirrored(channels, channels)
        self.second_norm = ConditionalNorm(channels, styles)

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        """(B, C, H, W) to the same."""
        inner = self.first_norm(self.first(x), shares, relu=True)
        made: Tensor = self.second_norm(self.second(inner), shares, besides=x)
        return made


class PhotoNet(nn.Module):
    """What paints photos: called with (B, 3, H, W) in [0, 1], shares, and noise if it is noisy.

    Args:
        styles: How many styles it knows.
        widest: Most channels of a layer, those at half the size counted as a quarter and so on.

    Attributes:
        multiple: What height and width must be multiples of.
        noisy: Whether the same photo has many pictures, chosen by noise of its shape in [0, 1].
        bytes_per_pixel: Memory at the peak of a pass.
    """

    multiple: int = FOLD
    noisy: ClassVar[bool] = False

    def __init__(self, styles: int, widest: float) -> None:
        super().__init__()
        self.styles = styles
        self.bytes_per_pixel = round(FLAT + EACH * widest)

    def shares(self, image: Tensor, shares: Tensor | None) -> Tensor:
        """The weights of the styles as (B or 1, S)."""
        if shares is None:
            shares = image.new_zeros(1, self.styles)
            shares[:, 0] = 1
        return shares


class FastNet(PhotoNet):
    """Photo in, painting out.

    It begins as the identity but for a softened contrast: what the last convolution gives is
    added to the photo before the sigmoid. What of the photo's finest detail goes past the network
    is learnt too, by a convolution of its own.

    Args:
        width: Channels at a quarter of the size.
        blocks: Residual blocks there.
        half: Channels at half the size.
        full: Channels at full size.
        styles: How many styles it knows.
        sight: 1 adds to the trunk what a pretrained network sees (:mod:`impasto.networks.sight`),
            before every second block; 0 does not look.

    Attributes:
        bytes_by_strips: As ``bytes_per_pixel``, by strips, without what a strip takes.
    """

    def __init__(
        self, *, width: int, blocks: int, half: int, full: int, styles: int, sight: int = 0
    ) -> None:
        super().__init__(styles, max(full, half / 4, width / FOLD**2))
        self.first = Mirrored(3 * FOLD**2, width)
        self.first_norm = ConditionalNorm(width, styles)
        self.blocks = nn.ModuleList(ConditionalBlock(width, styles) for _ in range(blocks))
        self.to_half, self.half_norm = Enlarging(width, half), ConditionalNorm(half, styles)
        self.to_full, self.full_norm = Enlarging(half, full), ConditionalNorm(full, styles)
        self.last = zeroed(Mirrored(full, 3))
        self.past = zeroed(Mirrored(3, 3))
        self.sight = Sight(width, styles, -(-blocks // EVERY)) if sight else None
        self.bytes_by_strips = STRIPS
        if sight:
            self.multiple, self.bytes_by_strips = STRIDE, STRIPS_SEEN
            self.bytes_per_pixel = max(self.bytes_per_pixel, SEEN)

    @classmethod
    def of(cls, architecture: str) -> FastNet:
        """From ``width=64,blocks=5`` and so on, see :data:`DEFAULTS`."""
        return cls(**numbers(architecture, DEFAULTS, zero=("sight",)))

    def forward(self, image: Tensor, shares: Tensor | None = None) -> Tensor:
        """Paint.

        Args:
            image: (B, 3, H, W) in [0, 1]; H and W multiples of 4, with sight of 8, at least 8.
            shares: (B or 1, S) weights of the styles, summing to 1; the first style without.

        Returns:
            (B, 3, H, W) in (0, 1).
        """
        shares = self.shares(image, shares)
        x = self.trunk(image, shares)
        x = self.half_norm(self.to_half(x), shares, relu=True)
        x = self.full_norm(self.to_full(x), shares, relu=True)
        return self.finished(self.last(x), image, self.past(image - 0.5))

    def trunk(self, image: Tensor, shares: Tensor) -> Tensor:
        """(B, 3, H, W) to (B, width, H / 4, W / 4): everything but the way back to full size."""
        folded = F.pixel_unshuffle(image - 0.5, FOLD)
        x: Tensor = self.first_norm(self.first(folded), shares, relu=True)
        seen = None if self.sight is None else self.sight(image, shares)
        for place, block in enumerate(self.blocks):
            if self.sight is not None and place % EVERY == 0:
                x = x + self.sight.joins[place // EVERY](seen)
            x = block(x, shares)
        return x

    @staticmethod
    def finished(last: Tensor, image: Tensor, past: Tensor) -> Tensor:
        """The picture from what the last convolutions gave and the photo, all (B, 3, H, W)."""
        return torch.sigmoid(last + torch.add(past, image - 0.5, alpha=SLOPE))


NETWORKS.add("fast", FastNet.of)


@torch.no_grad()
def paint(
    network: PhotoNet, image: Tensor, shares: Tensor | None = None, strip: int = 0, seed: int = 0
) -> Tensor:
    """The picture that ``network`` makes of ``image``, of any size.

    It is made with a margin, see :mod:`impasto.networks.framing`. With ``strip`` the layers at
    half and full size work on strips of rows, so that memory at the peak is that of the layers at
    a quarter of the size, some 60 bytes per pixel. The statistics of normalisation are those of
    the whole picture, gathered strip by strip in a pass of their own: the result is the same to
    rounding.

    Args:
        network: In evaluation mode.
        image: (1, 3, H, W) in [0, 1].
        shares: (1, S) weights of the styles.
        strip: Rows of the picture per strip; 0 takes all at once, as networks other than
            :class:`FastNet` always do.
        seed: Of the noise, for a network that has any.

    Raises:
        UsageError: ``strip`` is not a multiple of 4.
    """
    height, width = image.shape[-2:]
    noise = (noise_like(image, seed),) if network.noisy else ()
    padded, *noises = (_laid_out(framed(x, network.multiple)) for x in (image, *noise))
    shares = network.shares(padded, shares)
    made: Tensor
    if not isinstance(network, FastNet) or not strip or strip >= padded.shape[-2]:
        made = network(padded, shares, *noises)
    elif strip % FOLD:
        raise UsageError(f"strips of {strip} rows", hint="take a multiple of 4")
    else:
        made = _by_strips(network, padded, shares, strip)
    return unframed(made, height, width).contiguous()


def noise_like(image: Tensor, seed: int) -> Tensor:
    """Even noise in [0, 1] of the shape of a picture; equal seeds give equal noise anywhere."""
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(image.shape, generator=draw, dtype=image.dtype).to(image.device)


def _laid_out(image: Tensor) -> Tensor:
    return image.contiguous(memory_format=torch.channels_last)


def _by_strips(network: FastNet, image: Tensor, shares: Tensor, strip: int) -> Tensor:
    """As :meth:`FastNet.forward`, the part after the trunk in strips."""
    trunk = network.trunk(image, shares)

    def half(start: int, stop: int) -> Tensor:
        """Rows of the layer at half size before its norm."""
        return _rows(network.to_half, trunk, start, stop)

    rows = trunk.shape[-2] * 2
    half_moments = _moments(half(a, b) for a, b in _spans(rows, strip // 2))

    def halved(start: int, stop: int) -> Tensor:
        made: Tensor = network.half_norm(half(start, stop), shares, half_moments, relu=True)
        return made

    def full(start: int, stop: int) -> Tensor:
        """Rows of the layer at full size before its norm."""
        first, last = max(0, start // 2 - 1), min(rows, -(-stop // 2) + 1)
        return _rows(network.to_full, halved(first, last), start, stop, first, rows)

    full_moments = _moments(full(a, b) for a, b in _spans(2 * rows, strip))
    made = torch.empty_like(image)
    for start, stop in _spans(2 * rows, strip):
        first, last = max(0, start - 1), min(2 * rows, stop + 1)
        x = network.full_norm(full(first, last), shares, full_moments, relu=True)
        past = _mirrored(network.past, image[..., first:last, :] - 0.5, start - first, last - stop)
        x = _mirrored(network.last, x, start - first, last - stop)
        made[..., start:stop, :] = network.finished(x, image[..., start:stop, :], past)
    return made


def _spans(rows: int, strip: int) -> Iterator[tuple[int, int]]:
    for start in range(0, rows, strip):
        yield start, min(rows, start + strip)


def _rows(
    layer: Mirrored, x: Tensor, start: int, stop: int, first: int = 0, whole: int | None = None
) -> Tensor:
    """Rows ``start`` to ``stop`` of ``layer(smoothly_enlarged(x))``.

    Args:
        layer: A 3 x 3 convolution that mirrors at the border.
        x: Rows ``first`` and those after it of (B, C, ``whole``, W).
        start: First row wanted, at twice the size of ``x``.
        stop: Row after the last one.
        first: See ``x``.
        whole: Rows of the whole; those of ``x`` without.
    """
    size = x.shape[-2] if whole is None else whole
    above, below = max(0, start - 1), min(2 * size, stop + 1)
    a, b = max(0, (above - 1) // 2), min(size, below // 2 + 1)
    part = smoothly_enlarged(x[..., a - first : b - first, :])[
        ..., above - 2 * a : below - 2 * a, :
    ]
    return _mirrored(layer, part, start - above, below - stop)


def _mirrored(layer: Mirrored, x: Tensor, above: int, below: int) -> Tensor:
    """``layer`` on rows with ``above`` and ``below`` neighbours (0 or 1); 0 is mirrored."""
    x = F.pad(x, (1, 1, 1 - above, 1 - below), mode="reflect")
    return valid(x, layer.filters)


def _moments(parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Variance and mean per channel over all parts, (B, C, 1, 1), joined in float64."""
    found = []
    for part in parts:
        var, mean = moments_of(part)
        found.append((part.shape[-2] * part.shape[-1], var.double(), mean.double()))
    count = sum(n for n, _, _ in found)
    mean = torch.stack([n * m for n, _, m in found]).sum(0) / count
    var = torch.stack([n * (v + (m - mean) ** 2) for n, v, m in found]).sum(0) / count
    return var.float(), mean.float()
