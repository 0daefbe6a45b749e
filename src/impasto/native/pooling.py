"""Means of 2 x 2 pixels of channels-last features, forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from impasto.native.build import Library, library
from impasto.native.maps import at, sizes, threads


def mean_pool(x: Tensor) -> Tensor | None:
    """``avg_pool2d(x, 2)``, or None where that is torch's to do.

    Args:
        x: (B, C, H, W); an odd last row or column is left out.
    """
    if torch.compiler.is_exporting():
        return None
    rows = x.permute(0, 2, 3, 1)
    if x.device.type != "cpu" or x.dtype != torch.float32 or not rows.is_contiguous():
        return None
    lib = library()
    if lib is None or min(x.shape[-2:]) < 2 or not x.numel():
        return None
    out: Tensor = _MeanPool.apply(x, lib)  # type: ignore[no-untyped-call]
    return out


class _MeanPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, lib: Library) -> Tensor:
        """See :func:`mean_pool`."""
        batch, channels, height, width = ctx.shape = tuple(x.shape)
        ctx.lib = lib
        out = _empty(batch, channels, height // 2, width // 2)
        _call(lib.code.impasto_pool, x, ctx.shape, out)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        """A quarter of the slope to each of four pixels."""
        out = _empty(*ctx.shape)
        dense = slope.permute(0, 2, 3, 1).contiguous()
        _call(ctx.lib.code.impasto_unpool, dense, ctx.shape, out)
        return out, None


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, memory_format=torch.channels_last)


def _call(kernel: Any, source: Tensor, shape: tuple[int, ...], target: Tensor) -> None:
    batch, channels, height, width = sizes(*shape)
    kernel(at(source), batch, height, width, channels, at(target), threads())
