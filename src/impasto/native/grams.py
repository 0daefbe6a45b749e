"""Gram matrices of channels-last features, and their gradient in one product."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from impasto.errors import ResourceError
from impasto.native.build import Library, library
from impasto.native.maps import at, lined, sizes, threads
from impasto.native.packing import panels, parts, splits


def gram(features: Tensor) -> Tensor:
    """``sum_p F(p) F(p)^T``; the gradient is computed as the one product that it is.

    Autograd on ``F F^T`` would not know that both factors are the same, and needs two products
    and their sum, each as large as the features.

    Args:
        features: (B, C, H, W).

    Returns:
        (B, C, C), symmetric.
    """
    out: Tensor = _Gram.apply(features)  # type: ignore[no-untyped-call]
    return out


class _Gram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        """See :func:`gram`."""
        ctx.save_for_backward(features)
        lib = _kernels(features)
        if lib is None:
            rows = _rows(features)
            return rows.mT @ rows
        batch, channels = features.shape[:2]
        out = torch.empty(batch, channels, channels)
        kernel = lib.code.impasto_gram_split if splits(lib, channels) else lib.code.impasto_gram
        for sample, result in zip(features, out, strict=True):
            lines = *_lines(sample), *sizes(channels)
            if kernel(at(sample), *lines, at(result), threads()):
                raise _no_memory(channels)
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        """``F (S + S^T)``, laid out as the features are."""
        (features,) = ctx.saved_tensors
        if torch.is_grad_enabled():
            return (_rows(features) @ (slope + slope.mT)).mT.reshape(features.shape)
        pull = torch.empty_like(features)
        _times(features, slope, pull, add=False)
        return pull


def add_gram_pull(into: Tensor, features: Tensor, slope: Tensor) -> None:
    """Add to ``into`` the gradient of ``<slope, gram(features)>``, which is ``F (S + S^T)``.

    Args:
        into: (B, C, H, W).
        features: (B, C, H, W).
        slope: (B, C, C).
    """
    _times(features, slope, into, add=True)


@torch.no_grad()
def _times(features: Tensor, slope: Tensor, out: Tensor, *, add: bool) -> None:
    """``F (S + S^T)`` to ``out``, or added to it."""
    both = slope + slope.mT
    lib = _kernels(features, out)
    if lib is None:
        pull = (_rows(features) @ both).mT.reshape(features.shape)
        (out.add_ if add else out.copy_)(pull)
        return
    channels = features.shape[1]
    split = splits(lib, channels)
    times = lib.code.impasto_times_split if split else lib.code.impasto_times
    index = () if split else (torch.arange(channels, dtype=torch.int32),)
    for sample, matrix, result in zip(features, both, out, strict=True):
        packed = parts(matrix[None], lib) if split else panels(matrix[None], lib)
        weights = at(packed), *sizes(channels), *map(at, index)
        target = at(result), *sizes(result.stride(1), add)
        if times(at(sample), *_lines(sample), *weights, *target, threads()):
            raise _no_memory(channels)


def _rows(features: Tensor) -> Tensor:
    """(B, C, H, W) as (B, H * W, C); a view for any dense layout."""
    if features.is_contiguous():
        return features.flatten(2).mT
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def _kernels(*maps: Tensor) -> Library | None:
    """The kernels, where they can take ``maps``."""
    lib = library()
    if lib is None or maps[0].shape[1] % lib.lanes or not all(map(lined, maps)):
        return None
    return lib


def _lines(sample: Tensor) -> tuple[ctypes.c_int64, ...]:
    """Lines of (C, H, W), positions in each, values from one to the next."""
    return sizes(*sample.shape[1:], sample.stride(1))


def _no_memory(channels: int) -> ResourceError:
    return ResourceError(f"no memory for the Gram matrix of {channels} channels")
