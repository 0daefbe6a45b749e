"""Keras' HDF5 files: weights alone, whole models, and the .weights.h5 of Keras 3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.backbones.formats.named import layer_name, oriented
from impasto.backbones.model import Weights
from impasto.backbones.vgg import CONFIGS, conv_names
from impasto.errors import WeightsError

#: Keras 3 numbers its layers by kind: conv2d, conv2d_1, ...
_WRAPPERS = ("model_weights", "layers", "_layer_checkpoint_dependencies", "vars")
_NUMBERED = re.compile(r"(conv2d|dense)(?:_(\d+))?")


def read(path: Path) -> Weights:
    """Canonical weights.

    Raises:
        WeightsError: h5py is not installed, or the file is damaged or no VGG.
    """
    try:
        import h5py
    except ImportError:
        raise WeightsError(
            "reading .h5 files needs h5py", hint="pip install impasto[formats]"
        ) from None
    try:
        with h5py.File(path, "r") as file:
            arrays = dict(_datasets(file))
    except OSError as error:
        raise WeightsError(f"{path} is damaged, or not an HDF5 file") from error
    pairs = _pairs(arrays)
    if not pairs:
        raise WeightsError(f"{path} holds no layers with a kernel and a bias")
    return oriented(_numbered(pairs))


def _datasets(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every array with its path; optimizer state is left out, links out of the file as well."""
    import h5py

    for key in group:
        if isinstance(group.get(key, getlink=True), h5py.ExternalLink):
            raise WeightsError("the file links to another file")
        item = group[key]
        if isinstance(item, h5py.Dataset):
            if item.dtype.kind in "fiu" and not {"optimizer", "optimizer_weights"} & set(path):
                yield (*path, key), np.array(item[()], dtype=np.float32)
        else:
            yield from _datasets(item, (*path, key))


def _pairs(arrays: dict[tuple[str, ...], Any]) -> dict[str, tuple[Tensor, Tensor]]:
    """Kernel and bias by the name of their layer.

    Keras 2 writes ``block1_conv1/block1_conv1/kernel:0`` (its oldest files
    ``block1_conv1/block1_conv1_W_1:0``), Keras 3 ``layers/conv2d/vars/0``.
    """
    found: dict[str, dict[str, Tensor]] = {}
    for path, array in arrays.items():
        groups = [p for p in path[:-1] if p not in _WRAPPERS]
        if groups:
            kind = "weight" if array.ndim > 1 else "bias"
            found.setdefault(groups[0], {})[kind] = torch.from_numpy(array)
    return {name: (pair["weight"], pair["bias"]) for name, pair in found.items() if len(pair) == 2}


def _numbered(pairs: dict[str, tuple[Tensor, Tensor]]) -> dict[str, tuple[Tensor, Tensor]]:
    """Layers that Keras 3 has numbered, by the names of the VGG with as many of them."""
    convs, dense = (_in_order(pairs, kind) for kind in ("conv2d", "dense"))
    named = {layer_name(n): pair for n, pair in pairs.items() if not _NUMBERED.fullmatch(n)}
    for blocks in CONFIGS.values():
        names = conv_names(blocks)
        if len(names) == len(convs):
            named |= dict(zip(names, convs, strict=True))
    return named | dict(zip(("fc6", "fc7", "fc8"), dense, strict=False))


def _in_order(pairs: dict[str, tuple[Tensor, Tensor]], kind: str) -> list[tuple[Tensor, Tensor]]:
    found = {}
    for name, pair in pairs.items():
        match = _NUMBERED.fullmatch(name)
        if match and match[1] == kind:
            found[int(match[2] or 0)] = pair
    return [found[i] for i in sorted(found)]
