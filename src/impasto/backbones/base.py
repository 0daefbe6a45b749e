"""What every frozen network here is: a walk through named activations.

A backbone maps pictures to *taps*: the activations of the layers that a caller names. Pictures go
in as ``(B, 3, H, W)`` float sRGB in [0, 1]; how the numbers must be shifted and scaled for the
weights at hand is part of the weights (:class:`Preprocessing`) and happens inside.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from impasto.errors import InputError, UnknownName

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Tap:
    """What is known of a layer before it is run.

    Attributes:
        channels: Number of feature maps.
        stride: Input pixels per feature position, along one axis.
        min_size: Smallest input edge, in pixels, for which the layer has at least one position.
    """

    channels: int
    stride: int
    min_size: int = 1


@dataclass(frozen=True)
class Preprocessing:
    """From sRGB in [0, 1] to what some weights were trained on.

    ``y = (scale * x - mean) / std`` per channel, the channels in the order of ``channels``.

    Attributes:
        mean: Subtracted, in the units of ``scale * x`` and in the order of ``channels``.
        std: Divided by, likewise.
        scale: 1 for networks that see [0, 1], 255 for those that see bytes.
        channels: ``"rgb"`` or ``"bgr"``.
    """

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    scale: float = 1.0
    channels: str = "rgb"

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` (B, 3, H, W) in [0, 1] as the network wants it, same shape."""
        if self.channels == "bgr":
            x = x.flip(1)
        gain = x.new_tensor([self.scale / s for s in self.std]).view(3, 1, 1)
        shift = x.new_tensor([m / s for m, s in zip(self.mean, self.std, strict=True)])
        return x * gain - shift.view(3, 1, 1)


class Backbone(nn.Module, ABC):
    """A frozen network whose activations can be read by name.

    Args:
        name: ``arch.tag``, such as ``"vgg16_bn.craft"``.
        preprocessing: What the weights expect.
        table: Every layer in the order of the forward pass.
        aliases: Other names for the same layers (``{"block1_conv1": "conv1_1"}``).
    """

    def __init__(
        self,
        name: str,
        preprocessing: Preprocessing,
        table: Mapping[str, Tap],
        aliases: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.preprocessing = preprocessing
        self.table = dict(table)
        self.aliases = dict(aliases or {})

    @abstractmethod
    def walk(self, x: Tensor, keep: frozenset[str]) -> Iterator[tuple[str, Tensor]]:
        """Yield every activation in the order of :attr:`table`.

        ``x`` has been preprocessed. Layers in ``keep`` are read by the caller after the walk has
        gone on, so they must not be overwritten in place; all others may be.
        """

    def freeze(self) -> Backbone:
        """Evaluation mode, no gradients to the weights; returns self."""
        return self.requires_grad_(False).eval()

    def resolve(self, layer: str) -> str:
        """The canonical name of ``layer``.

        Raises:
            UnknownName: No such layer; the message suggests the nearest.
        """
        name = self.aliases.get(layer, layer)
        if name not in self.table:
            raise UnknownName(f"layer of {self.name}", layer, self.table)
        return name

    def min_size(self, layers: Iterable[str]) -> int:
        """Smallest picture edge, in pixels, at which all ``layers`` exist."""
        return max((self.table[self.resolve(n)].min_size for n in layers), default=1)

    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations of ``layers`` for the pictures ``x``.

        Args:
            x: (B, 3, H, W), floating, sRGB in [0, 1].
            layers: Names or aliases. The walk stops after the deepest of them.

        Returns:
            The names as they were given, each with a tensor (B, C, H', W').

        Raises:
            UnknownName: A layer does not exist.
            InputError: The picture is smaller than the deepest layer needs.
        """
        names = {layer: self.resolve(layer) for layer in layers}
        wanted = frozenset(names.values())
        if not wanted:
            return {}
        need = self.min_size(wanted)
        if min(x.shape[-2:]) < need:
            deepest = max(wanted, key=lambda n: self.table[n].min_size)
            raise InputError(
                f"a picture of {x.shape[-1]} x {x.shape[-2]} px is too small for {deepest} of "
                f"{self.name}, which needs {need} px",
                hint="choose a larger size or a shallower layer",
            )
        found: dict[str, Tensor] = {}
        for name, activation in self.walk(self.preprocessing(x), wanted):
            if name in wanted:
                found[name] = activation
                if len(found) == len(wanted):
                    break
        return {layer: found[name] for layer, name in names.items()}


def fold_batch_norm(
    weight: Tensor,
    bias: Tensor | None,
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    var: Tensor,
    eps: float = 1e-5,
) -> tuple[Tensor, Tensor]:
    """A convolution and the batch norm after it (evaluation mode) as one convolution.

    Computed in float64 and returned in the dtype of ``weight``.

    Args:
        weight: (O, I, kH, kW).
        bias: (O,) or None.
        gamma: Scale of the norm, (O,).
        beta: Shift of the norm, (O,).
        mean: Running mean, (O,).
        var: Running variance, (O,).
        eps: The norm's epsilon.

    Returns:
        Weight (O, I, kH, kW) and bias (O,).
    """
    gain = gamma.double() / (var.double() + eps).sqrt()
    shift = -mean.double() if bias is None else bias.double() - mean.double()
    folded = weight.double() * gain.view(-1, 1, 1, 1)
    return folded.to(weight.dtype), (beta.double() + shift * gain).to(weight.dtype)


def device_of(module: nn.Module) -> torch.device:
    """Where the weights of ``module`` live."""
    return next(module.parameters()).device
