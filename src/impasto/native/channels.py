"""Instance normalisation of channels-last features, with the ReLU or the sum behind it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from impasto.native.build import Library, library
from impasto.native.maps import at, sizes, threads

#: Lines that ``impasto_sums`` takes at once, and floats that a line has at least.
_GROUP, _LINE = 256, 64
#: Deviations that are taken for rounding, relative to the largest channel of the features.
NOISE = 4e-6


def normalise(
    x: Tensor,
    gamma: Tensor,
    beta: Tensor,
    eps: float,
    *,
    relu: bool = False,
    besides: Tensor | None = None,
) -> Tensor | None:
    """``gamma (x - mean) / sqrt(var + eps) + beta``, or None where that is torch's to do.

    Args:
        x: (B, C, H, W); mean and biased variance are those of each picture's channels. A channel
            that is constant but for rounding gives beta.
        gamma: (B or 1, C).
        beta: The like.
        eps: Added to the variance.
        relu: Whether what is below 0 becomes 0.
        besides: Added before that, like ``x``.
    """
    if not _suits(x) or (besides is not None and not _suits(besides)):
        return None
    lib = library()
    if lib is None:
        return None
    made: Tensor = _Normalise.apply(x, gamma, beta, besides, eps, relu, lib)  # type: ignore[no-untyped-call]
    return made


def _suits(x: Tensor) -> bool:
    """Whether ``x`` is dense float32 on the CPU, channels last, and nobody traces it."""
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.numel() > 0
        and x.permute(0, 2, 3, 1).is_contiguous()
        and not torch.compiler.is_exporting()
    )


class _Normalise(torch.autograd.Function):
    """The gradient is a mixture of the slopes, the input and a number, by channel."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        gamma: Tensor,
        beta: Tensor,
        besides: Tensor | None,
        eps: float,
        relu: bool,
        lib: Library,
    ) -> Tensor:
        """See :func:`normalise`."""
        count = x.shape[-2] * x.shape[-1]
        # Sums of distances from the first pixel: no digits are lost where values hardly differ.
        near = x[:, :, 0, 0].detach()
        first, second = _sums(lib, x, near) / count
        mean = near + first
        var = (second - first**2).clamp_min(0)
        # Convolutions by tiles round each pixel otherwise: of a flat photo that is all there is.
        flat = var <= (mean**2 + var).amax(1, keepdim=True) * NOISE**2
        root = var.add(eps).rsqrt().masked_fill(flat, 0)
        scale = gamma.double() * root
        centre = mean.float()
        y = _mixed(
            lib, x, centre, scale, beta + (centre - mean) * scale, besides=besides, relu=relu
        )
        ctx.save_for_backward(x, mean, root, gamma, *((y,) if relu else ()))
        ctx.lib = lib
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of ``x``, ``gamma``, ``beta`` and ``besides``."""
        x, mean, root, gamma, *rest = ctx.saved_tensors
        made = rest[0] if rest else None
        slope = slope.contiguous(memory_format=torch.channels_last)
        count = x.shape[-2] * x.shape[-1]
        centre = mean.float()
        total, along = _sums(ctx.lib, x, centre, slope, made)
        along = along + total * (centre - mean)
        pull: Tensor | None = None
        if ctx.needs_input_grad[0]:
            share = gamma.double() * root
            factor = -share * root**2 * along / count
            shift = factor * (centre - mean) - share * total / count
            pull = _mixed(ctx.lib, x, centre, factor, shift, slope=slope, share=share, made=made)
        by_gamma, by_beta = (
            v.sum(0, keepdim=True) if len(gamma) < len(v) else v for v in (along * root, total)
        )
        besides = None
        if ctx.needs_input_grad[3]:
            besides = slope if made is None else slope * (made > 0)
        return pull, by_gamma.to(gamma), by_beta.to(gamma), besides, None, None, None


def _sums(
    lib: Library, x: Tensor, centre: Tensor, slope: Tensor | None = None, made: Tensor | None = None
) -> Tensor:
    """``sum u`` and ``sum u (x - centre)``, (2, B, C) float64; see ``impasto_sums``."""
    batch, channels, height, width = x.shape
    times = _times(channels)
    line, length = times * channels, height * width * channels
    groups = -(-length // (line * _GROUP))
    sums = torch.empty(batch, groups, 2, line, dtype=torch.float64)
    middle = centre.repeat(1, times).contiguous()
    lib.code.impasto_sums(
        *(at(x), _at(slope), _at(made), at(middle), *sizes(batch, length, line)),
        *(at(sums), threads()),
    )
    return sums.sum(1).view(batch, 2, times, channels).sum(2).transpose(0, 1)


def _mixed(
    lib: Library,
    x: Tensor,
    centre: Tensor,
    factor: Tensor,
    shift: Tensor,
    *,
    slope: Tensor | None = None,
    share: Tensor | None = None,
    made: Tensor | None = None,
    besides: Tensor | None = None,
    relu: bool = False,
) -> Tensor:
    """``factor (x - centre) + share slope + shift + besides``, by channel; see ``impasto_mix``."""
    batch, channels, height, width = x.shape
    times = _times(channels)
    rows = [None if v is None else _row(v, batch, times) for v in (centre, factor, share, shift)]
    out = torch.empty_like(x, memory_format=torch.channels_last)
    lib.code.impasto_mix(
        *(at(x), _at(slope), _at(made), _at(besides), *map(_at, rows)),
        *(*sizes(batch, height * width * channels, times * channels, relu), at(out), threads()),
    )
    return out


def _row(values: Tensor, batch: int, times: int) -> Tensor:
    """(B or 1, C) as a line of floats for each picture."""
    return values.detach().float().expand(batch, -1).repeat(1, times).contiguous()


def _times(channels: int) -> int:
    """How often the channels lie in a line, so that it is a whole number of vectors."""
    return _LINE // math.gcd(_LINE, channels)


def _at(tensor: Tensor | None) -> Any:
    return None if tensor is None else at(tensor)
