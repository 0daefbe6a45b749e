"""Matrices as the kernels want them: panels of columns, or tiles of parts."""

from __future__ import annotations

import torch
from torch import Tensor

from impasto.native.build import Library
from impasto.native.maps import at, sizes, threads

#: Of ``amx.c``: parts of a float, channels that a tile holds, columns.
PARTS, DEEP, SIDE = 3, 32, 16


def panels(matrices: Tensor, lib: Library) -> Tensor:
    """(N, I, O) as (N, I * columns): panels of columns one after another, zeros at the end."""
    count, inputs, outputs = matrices.shape
    columns = -(-outputs // lib.lanes) * lib.lanes
    if columns != outputs:
        wider = matrices.new_zeros(count, inputs, columns)
        wider[:, :, :outputs] = matrices
        matrices = wider
    parts = [matrices[:, :, n : n + lib.panel].flatten(1) for n in range(0, columns, lib.panel)]
    return torch.cat(parts, 1)


def splits(lib: Library, *channels: int) -> bool:
    """Whether ``amx.c`` multiplies matrices of so many channels."""
    return lib.splits and not any(n % DEEP for n in channels)


def parts(matrices: Tensor, lib: Library) -> Tensor:
    """(N, I, O) in parts, each value the sum of three of bfloat16 without a rest.

    Tiles of columns one after another, in each tiles of rows, in each its parts, whose rows lie in
    pairs: (N, O / 16, I / 32, 3, 16, 16, 2). I and O are multiples of :data:`DEEP`.
    """
    count, inputs, outputs = matrices.shape
    tiles = (count, outputs // SIDE, inputs // DEEP, PARTS, DEEP // 2, SIDE, 2)
    found = torch.empty(tiles, dtype=torch.bfloat16)
    shape = sizes(count, inputs, outputs)
    dense = matrices.contiguous()
    lib.code.impasto_parts(at(dense), *shape, at(found), threads())
    return found
