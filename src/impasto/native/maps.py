"""Maps as the kernels are told of them: where they are, lines, positions, threads."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor


def lined(x: Tensor) -> bool:
    """Whether (B, C, H, W) is float32 on the CPU and channels last; lines may have gaps between."""
    channels, width = x.shape[1], x.shape[3]
    if x.device.type != "cpu" or x.dtype != torch.float32 or not x.numel():
        return False
    return (channels == 1 or x.stride(1) == 1) and (width == 1 or x.stride(3) == channels)


def at(tensor: Tensor) -> ctypes.c_void_p:
    """Its address."""
    return ctypes.c_void_p(tensor.data_ptr())


def sizes(*numbers: int) -> tuple[ctypes.c_int64, ...]:
    """Whole numbers as kernels take them."""
    return tuple(ctypes.c_int64(n) for n in numbers)


def threads() -> ctypes.c_int64:
    """How many may work."""
    return ctypes.c_int64(torch.get_num_threads())
