"""Activations without their zeros: behind a ReLU, most values are."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.native.build import Library, library


class Sparse(NamedTuple):
    """The values of a map that are not 0.

    Attributes:
        bits: For each value whether it is there, line by line, uint8, eight to a byte.
        starts: Where the values of each line begin, int64.
        values: They, float32.
    """

    bits: Tensor
    starts: Tensor
    values: Tensor


def sparse(x: Tensor) -> Sparse | None:
    """Leave out the zeros of a map, or None where there are no kernels for it.

    Args:
        x: (B, C, H, W), float32 on the CPU, channels last; there may be gaps between lines.
    """
    lib = _kernels(x)
    if lib is None:
        return None
    _, channels, height, width = x.shape
    lines, length = height, width * channels
    bits = torch.empty(lines, -(-length // 8), dtype=torch.uint8)
    counts = torch.empty(lines, dtype=torch.int64)
    size = tuple(ctypes.c_int64(n) for n in (lines, length, x.stride(2)))
    lib.code.impasto_mark(_at(x), *size, _at(bits), _at(counts), _threads())
    starts = counts.cumsum(0) - counts
    values = torch.empty(int(counts.sum()))
    lib.code.impasto_pack(_at(x), *size, _at(bits), _at(starts), _at(values), _threads())
    return Sparse(bits, starts, values)


def dense(x: Sparse, shape: Sequence[int]) -> Tensor:
    """What :func:`sparse` was given, of ``shape``; channels last, without gaps."""
    lib = library()
    if lib is None:
        raise RuntimeError("the kernels were there when the zeros were left out")
    out = torch.empty(tuple(shape), memory_format=torch.channels_last)
    size = ctypes.c_int64(shape[2]), ctypes.c_int64(shape[1] * shape[3])
    lib.code.impasto_unpack(*(_at(part) for part in x), *size, _at(out), _threads())
    return out


def _kernels(x: Tensor) -> Library | None:
    batch, channels, _, width = x.shape
    if x.device.type != "cpu" or x.dtype != torch.float32 or batch != 1 or not x.numel():
        return None
    last = (channels == 1 or x.stride(1) == 1) and (width == 1 or x.stride(3) == channels)
    return library() if last else None


def _at(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())


def _threads() -> ctypes.c_int64:
    return ctypes.c_int64(torch.get_num_threads())
