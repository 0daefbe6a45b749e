"""Gram matrices of channels-last features, and their gradient in one product."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from impasto.errors import ResourceError
from impasto.native.build import Library, library
from impasto.native.convolution import panels


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
        rows = _rows(features)
        lib = _kernels(rows)
        if lib is None:
            return rows.mT @ rows
        batch, count, channels = rows.shape
        out = torch.empty(batch, channels, channels)
        size = ctypes.c_int64(count), ctypes.c_int64(channels)
        for sample, result in zip(rows, out, strict=True):
            if lib.code.impasto_gram(_at(sample), *size, _at(result), _threads()):
                raise ResourceError(f"no memory for the Gram matrix of {channels} channels")
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        """``F (S + S^T)``, laid out as the features are."""
        (features,) = ctx.saved_tensors
        return gram_pull(features, slope)


def gram_pull(features: Tensor, slope: Tensor) -> Tensor:
    """The gradient of ``<slope, gram(features)>``: ``F (S + S^T)``, laid out as the features are.

    Args:
        features: (B, C, H, W).
        slope: (B, C, C).

    Returns:
        (B, C, H, W).
    """
    both = slope + slope.mT
    rows = _rows(features)
    lib = None if torch.is_grad_enabled() else _kernels(rows)
    pull = rows @ both if lib is None else _times(lib, rows, both)
    return pull.mT.reshape(features.shape)


def _rows(features: Tensor) -> Tensor:
    """(B, C, H, W) as (B, H * W, C); a view for any dense layout."""
    if features.is_contiguous():
        return features.flatten(2).mT
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def _kernels(rows: Tensor) -> Library | None:
    """The kernels, where they can take ``rows``."""
    if rows.device.type != "cpu" or rows.dtype != torch.float32 or not rows.is_contiguous():
        return None
    lib = library()
    return None if lib is None or rows.shape[-1] % lib.lanes or not rows.numel() else lib


def _times(lib: Library, rows: Tensor, matrices: Tensor) -> Tensor:
    """``rows`` (B, M, C) times ``matrices`` (B, C, C)."""
    out = torch.empty_like(rows)
    count, channels = rows.shape[1:]
    index = torch.arange(channels, dtype=torch.int32)
    size = ctypes.c_int64(count), ctypes.c_int64(channels)
    for sample, matrix, result in zip(rows, matrices, out, strict=True):
        packed = panels(matrix[None], lib)
        lib.code.impasto_times(
            *(_at(sample), *size, _at(packed), size[1], _at(index), _at(result), _threads())
        )
    return out


def _at(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _threads() -> ctypes.c_int64:
    return ctypes.c_int64(torch.get_num_threads())
