"""MatConvNet's networks: MATLAB structs inside cells inside structs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.backbones.base import Preprocessing
from impasto.backbones.formats.named import oriented
from impasto.backbones.model import PREPROCESSING, Weights
from impasto.errors import WeightsError


def read(path: Path) -> tuple[Weights, Preprocessing]:
    """Canonical weights, and the mean that the file says it subtracts (RGB, 0-255).

    Raises:
        WeightsError: scipy is not installed, or the file is damaged or no such network.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise WeightsError(
            "reading .mat files needs scipy", hint="pip install impasto[formats]"
        ) from None
    try:
        content = loadmat(path)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:
        # The reader trips over damage in many ways.
        raise WeightsError(f"{path} is damaged, or not a .mat file up to version 7.2") from error
    if "layers" not in content:
        raise WeightsError(f"{path} holds no network: there is no 'layers' in it")
    return oriented(dict(_layers(content["layers"]))), _preprocessing(content)


def _layers(cells: Any) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Name, weight (HWIO) and bias of each layer that has numbers."""
    for cell in np.asarray(cells, dtype=object).reshape(-1):
        struct = _unwrapped(cell)
        fields = getattr(getattr(struct, "dtype", None), "names", None) or ()
        if "name" not in fields:
            continue
        pair = _pair(struct, fields)
        if len(pair) == 2:
            yield _text(struct["name"]), (_tensor(pair[0]), _tensor(pair[1]))


def _pair(struct: Any, fields: tuple[str, ...]) -> list[Any]:
    """The weight and the bias, which newer files keep in a cell and older ones in two fields."""
    if "weights" in fields:
        cells = np.asarray(struct["weights"], dtype=object)
        # A cell in a struct comes wrapped once more.
        while cells.size == 1 and cells.dtype == object:
            cells = np.asarray(cells.reshape(-1)[0])
        return list(cells.reshape(-1)) if cells.dtype == object else []
    return [struct[name] for name in ("filters", "biases") if name in fields]


def _preprocessing(content: dict[str, Any]) -> Preprocessing:
    """The average picture's mean where the file has one, or else the one that VGG is known by."""
    plain = PREPROCESSING.get("matconvnet")
    normalization = _field(_field(content.get("meta"), "normalization"), "averageImage")
    if normalization is None:
        normalization = _field(content.get("normalization"), "averageImage")
    if normalization is None:
        return plain
    average = np.asarray(_unwrapped(normalization), dtype=np.float64)
    if average.size == 0 or average.size % 3 or (average.size > 3 and average.shape[-1] != 3):
        return plain
    r, g, b = average.reshape(-1, 3).mean(axis=0)
    return Preprocessing((float(r), float(g), float(b)), (1, 1, 1), 255.0)


def _field(struct: Any, name: str) -> Any:
    struct = _unwrapped(struct)
    names = getattr(getattr(struct, "dtype", None), "names", None) or ()
    return struct[name] if name in names else None


def _unwrapped(value: Any) -> Any:
    """What is inside arrays of one object."""
    while (
        isinstance(value, np.ndarray)
        and value.size == 1
        and (value.dtype == object or value.dtype.names)
    ):
        value = value.reshape(-1)[0]
    return value


def _text(value: Any) -> str:
    return str(np.asarray(_unwrapped(value)).reshape(-1)[0])


def _tensor(value: Any) -> Tensor:
    array = np.asarray(_unwrapped(value))
    if array.dtype.kind not in "fiu":
        raise WeightsError(f"a weight is of {array.dtype}, not of numbers")
    return torch.from_numpy(np.array(array, dtype=np.float32))
