"""Activations without their zeros: behind a ReLU, most values are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.native.build import library
from impasto.native.maps import at, lined, sizes, threads


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
    lib = library() if lined(x) and x.shape[0] == 1 else None
    if lib is None:
        return None
    _, channels, height, width = x.shape
    lines, length = height, width * channels
    bits = torch.empty(lines, -(-length // 8), dtype=torch.uint8)
    counts = torch.empty(lines, dtype=torch.int64)
    size = sizes(lines, length, x.stride(2))
    lib.code.impasto_mark(at(x), *size, at(bits), at(counts), threads())
    starts = counts.cumsum(0) - counts
    values = torch.empty(int(counts.sum()))
    lib.code.impasto_pack(at(x), *size, at(bits), at(starts), at(values), threads())
    return Sparse(bits, starts, values)


def dense(x: Sparse, shape: Sequence[int]) -> Tensor:
    """What :func:`sparse` was given, of ``shape``; channels last, without gaps."""
    lib = library()
    if lib is None:
        raise RuntimeError("the kernels were there when the zeros were left out")
    out = torch.empty(tuple(shape), memory_format=torch.channels_last)
    size = sizes(shape[2], shape[1] * shape[3])
    lib.code.impasto_unpack(*(at(part) for part in x), *size, at(out), threads())
    return out
