"""Back from a unit to the pixels: the gradient, deconvnet and guided backpropagation; Grad-CAM.

The three ways down differ in one place only, in what a rectifier ``y = min(max(x, 0), top)``
hands on of the signal ``g`` that comes from above (Springenberg et al. 2015, figure 1):

=============  =============================  ==============================================
``gradient``   ``g [0 < x < top]``            Simonyan et al. 2014: the true gradient
``deconv``     ``max(g, 0)``                  Zeiler & Fergus 2014: what came up is forgotten
``guided``     ``max(g, 0) [0 < x < top]``    Springenberg et al. 2015: both conditions
=============  =============================  ==============================================

Everything else is the gradient in all three: a transposed convolution is a convolution's
gradient, and unpooling by switches that of a maximum. ``top`` is infinite for ReLU and 6 for
ReLU6, which the papers did not have; it is treated as a second end at which a unit is off.

The rule holds while a context is open and in one thread: calls of torch's rectifiers are answered
by our own, and no network is touched, so there is nothing to be left behind.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from impasto.backbones import Backbone
from impasto.backbones.operations import Pool
from impasto.errors import UsageError

RULES = ("gradient", "deconv", "guided")

#: Functions that rectify, each with the value at which it stops to grow.
RECTIFIERS: Mapping[Callable[..., Tensor], float] = {
    F.relu: math.inf,
    torch.relu: math.inf,
    torch.Tensor.relu: math.inf,
    F.relu6: 6.0,
}


class _Rectify(torch.autograd.Function):
    """``min(max(x, 0), top)`` with one of :data:`RULES` on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, top: float, rule: str) -> Tensor:
        """Any shape."""
        ctx.rule = rule
        ctx.save_for_backward((x > 0) & (x < top))
        return x.clamp(0, top)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        """The signal for ``x``."""
        (signal,) = grads
        if ctx.rule != "gradient":
            signal = signal.clamp_min(0)
        if ctx.rule != "deconv":
            signal = signal * ctx.saved_tensors[0]
        return signal, None, None


class Rule(TorchFunctionMode):
    """A context in which rectifiers send signals back by ``rule``.

    Raises:
        UsageError: Unknown rule.
    """

    def __init__(self, rule: str) -> None:
        if rule not in RULES:
            raise UsageError(f"rule {rule!r} is not known", hint=f"use {', '.join(RULES)}")
        super().__init__()
        self.rule = rule

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Every call of torch inside the context comes here."""
        top = RECTIFIERS.get(func)
        if top is None:
            return func(*args, **(kwargs or {}))
        x = args[0] if args else kwargs["input"]
        return _Rectify.apply(x, top, self.rule)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Unit:
    """One channel of one layer.

    Attributes:
        layer: Canonical name.
        channel: From 0.
    """

    layer: str
    channel: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.channel}"

    def check(self, backbone: Backbone) -> None:
        """Refuse a channel that the layer does not have.

        Raises:
            UsageError: It has not; the message says how many there are.
        """
        count = backbone.table[self.layer].channels
        if not 0 <= self.channel < count:
            raise UsageError(
                f"{self.layer} of {backbone.name} has no unit {self.channel}",
                hint=f"its units are 0 to {count - 1}",
            )


@dataclass(frozen=True, eq=False)
class Projection:
    """A unit's activation, taken back to the pixels.

    Attributes:
        signal: (3, H, W); for the rule ``gradient`` change of activation per change of pixel.
        activation: Of the unit, where it is strongest or was asked for.
        place: Row and column of that position.
    """

    signal: Tensor
    activation: float
    place: tuple[int, int]


def project(
    backbone: Backbone,
    image: Tensor,
    unit: Unit,
    rule: str = "gradient",
    place: tuple[int, int] | None = None,
    *,
    spread: bool = False,
) -> Projection:
    """What of the picture ``unit`` answers to, by one of :data:`RULES`.

    One position is taken down, as in the papers; or with ``spread`` all of them at once, each
    as strongly as it is active: what the unit finds anywhere in the picture.

    Args:
        backbone: Any network whose rectifiers are in :data:`RECTIFIERS`; left as it was.
        image: (1, 3, H, W) in [0, 1]; not changed.
        unit: Which one.
        rule: How signals pass rectifiers.
        place: Row and column in the unit's map; where it is strongest if not given.
        spread: Start from the whole map.

    Raises:
        UnknownName: There is no such layer.
        UsageError: There is no such unit, or no such rule.
        InputError: The picture is too small for the layer.
    """
    unit.check(backbone)
    with torch.enable_grad(), Rule(rule):
        pixels = image.detach().clone().requires_grad_(True)
        plane = backbone.taps(pixels, [unit.layer])[unit.layer][0, unit.channel]
        at = place or strongest(plane.detach())
        seed = torch.zeros_like(plane)
        seed[at] = 1.0
        if spread and plane.numel() > 1 and bool((plane > 0).any()):
            seed = plane.detach().clamp_min(0)
        # A sum, since torch loads sympy (seconds) for a gradient of anything but a number.
        (signal,) = torch.autograd.grad((plane * seed).sum(), pixels)
    return Projection(signal[0], float(plane[at].detach()), at)


def strongest(plane: Tensor) -> tuple[int, int]:
    """Row and column of the greatest value of ``plane`` (H, W); the first of equals."""
    row, column = divmod(int(plane.argmax()), plane.shape[1])
    return row, column


def grad_cam(backbone: Backbone, image: Tensor, unit: Unit, layer: str) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017, equations 1 and 2): where the evidence for a unit lies.

    ``max(sum_k a_k A_k, 0)`` with ``a_k`` the mean over positions of ``d y / d A_k``, where
    ``A`` are the maps of ``layer`` and ``y`` is the unit, summed over its positions.

    Args:
        backbone: The network.
        image: (1, 3, H, W) in [0, 1].
        unit: What is explained: a class before the softmax, or a unit of any layer.
        layer: Whose maps are weighed; the unit's own or one before it.

    Returns:
        (H', W'), not negative.

    Raises:
        UsageError: There is no such unit, or ``layer`` has no positions or comes after it.
    """
    unit.check(backbone)
    order = list(backbone.table)
    if not backbone.table[layer].stride or order.index(layer) > order.index(unit.layer):
        raise UsageError(
            f"{layer} cannot explain {unit}", hint="name a layer with positions, not behind it"
        )
    with torch.enable_grad():
        pixels = image.detach().clone().requires_grad_(True)
        taps = backbone.taps(pixels, {layer, unit.layer})
        maps = taps[layer]
        (slopes,) = torch.autograd.grad(taps[unit.layer][0, unit.channel].sum(), maps)
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    return (weights * maps.detach()).sum(dim=1)[0].clamp_min(0)


def cam_layer(backbone: Backbone, unit: Unit) -> str:
    """Where Grad-CAM looks unless told otherwise: the last maps before the unit.

    A unit with positions is its own map. For others it is the deepest layer with positions that
    is not a pooling: as much meaning as there is, while it still has a place.
    """
    if backbone.table[unit.layer].stride:
        return unit.layer
    order = list(backbone.table)
    before = order[: order.index(unit.layer)]
    return [n for n in before if backbone.table[n].stride and not n.startswith("pool")][-1]


def sees_the_picture(backbone: Backbone) -> bool:
    """Whether ``deconv`` depends on the picture at all.

    Its rectifiers forget what came up, so that only the switches of maximum poolings know the
    picture (Springenberg et al. 2015, section 3.4). Without such poolings it is the same picture
    for every photo.
    """
    return any(isinstance(m, Pool) and m.kind == "max" for m in backbone.modules())


def logits_layer(backbone: Backbone) -> str:
    """The layer whose units are the classes, before the softmax.

    A probability also rises when the evidence for all other classes falls, so that its gradient
    speaks of these (Simonyan et al. 2014, section 2).

    Raises:
        UsageError: The network has no classifier.
    """
    if not backbone.has_classifier:
        raise UsageError(
            f"{backbone.name} has no classifier", hint="leave out --backbone, or name a layer"
        )
    order = list(backbone.table)
    return order[order.index("prob") - 1]
