"""What TensorFlow's and MatConvNet's layouts have in common: layers by name, kernels HWIO."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from impasto.backbones.model import Weights
from impasto.errors import WeightsError

#: Positions per axis that fc6 of VGG sees.
_GRID = 7
_KERAS = re.compile(r"block([1-5])_conv([1-4])")
_DENSE = {"fc1": "fc6", "fc2": "fc7", "predictions": "fc8"}


def layer_name(name: str) -> str:
    """The canonical name of a layer of VGG: ``block1_conv1`` is ``conv1_1``, ``fc1`` is ``fc6``."""
    return _DENSE.get(name, _KERAS.sub(r"conv\1_\2", name))


def oriented(layers: Mapping[str, tuple[Tensor, Tensor]]) -> Weights:
    """Canonical weights out of HWIO kernels and (in, out) matrices.

    A fully connected layer that is stored as a convolution (MatConvNet) becomes a matrix. The
    first of them, fc6, reads positions before channels in these layouts and the other way round
    in ours.

    Args:
        layers: By canonical name or Keras': weight (k, k, I, O) or (I, O), bias with O numbers.

    Returns:
        In the order of the network; weights (O, I, k, k) or (O, I), biases (O,).

    Raises:
        WeightsError: A weight has another number of axes, or a bias another length.
    """
    found: Weights = {}
    for key, (weight, bias) in layers.items():
        name = layer_name(key)
        flat = bias.reshape(-1)
        if weight.ndim not in (2, 4) or flat.numel() != weight.shape[-1]:
            raise WeightsError(
                f"layer {name[:60]!r} has a weight {tuple(weight.shape)} and "
                f"a bias {tuple(bias.shape)}"
            )
        found[name] = (_turned(name, weight), flat.contiguous())
    return dict(sorted(found.items()))


def _turned(name: str, weight: Tensor) -> Tensor:
    if name == "fc6" and weight.ndim == 2 and weight.shape[0] % _GRID**2 == 0:
        weight = weight.view(_GRID, _GRID, -1, weight.shape[1])  # (7, 7, C, O)
    if weight.ndim == 4:
        weight = weight.permute(3, 2, 0, 1)  # (O, C, k, k)
        return weight.flatten(1) if name.startswith("fc") else weight.contiguous()
    return weight.T.contiguous()
