"""What every frozen network here is: a walk through named activations.

A backbone maps pictures to *taps*: the activations of the layers that a caller names. Pictures go
in as ``(B, 3, H, W)`` float sRGB in [0, 1]; how the numbers must be shifted and scaled for the
weights at hand is part of the weights (:class:`Preprocessing`) and happens inside.
"""

from __future__ import annotations

import contextlib
import difflib
import json
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from impasto.backbones.lowering import LOW, Lowered
from impasto.errors import InputError, UnknownName, UsageError, WeightsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

#: Names in VGG's manner, and the number of convolutions in each of VGG-19's blocks.
_VGG_NAME = re.compile(r"(conv|relu|pool)([1-5])(?:_([1-4]))?")
_KERAS_NAME = re.compile(r"^block([1-5])_(conv|pool)")
_VGG_DEPTHS = (2, 2, 4, 4, 4)


@dataclass(frozen=True)
class Tap:
    """What is known of a layer before it is run.

    Attributes:
        channels: Number of feature maps.
        stride: Input pixels per feature position, along one axis; 0 where one position stands for
            the whole picture (fully connected layers and global means).
        min_size: Smallest input edge, in pixels, for which the layer has at least one position.
        inner: Whether the layer lies inside a block (a residual block's first ReLU, a branch of
            an inception module); lists for people leave such layers out.
        reach: How many pixels before its first and after its last own pixel a position can see
            (its own are ``stride`` wide; below 0 where it does not see all of these); None where
            that is the whole picture, or depends on its size (TensorFlow's SAME padding) or wraps
            round (circular padding).
    """

    channels: int
    stride: int
    min_size: int = 1
    inner: bool = False
    reach: tuple[int, int] | None = None


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

    def __str__(self) -> str:
        """JSON that :meth:`parse` reads."""
        return json.dumps(asdict(self))

    @staticmethod
    def parse(text: str) -> Preprocessing:
        """The inverse of ``str``.

        Raises:
            WeightsError: The text is not what ``str`` writes.
        """
        try:
            raw = json.loads(text)
            (m1, m2, m3), (s1, s2, s3) = raw["mean"], raw["std"]
            mean, std = (float(m1), float(m2), float(m3)), (float(s1), float(s2), float(s3))
            made = Preprocessing(mean, std, float(raw["scale"]), raw["channels"])
        except (ValueError, KeyError, TypeError):
            raise WeightsError(f"preprocessing {text[:60]!r} cannot be read") from None
        finite = all(math.isfinite(v) for v in (*mean, *std, made.scale))
        if not finite or 0 in std:
            raise WeightsError(f"preprocessing {text[:60]!r} makes no sense")
        if made.channels not in ("rgb", "bgr"):
            raise WeightsError(f"channels {made.channels!r} are neither rgb nor bgr")
        return made

    def __call__(self, x: Tensor) -> Tensor:
        """``x`` (B, 3, H, W) in [0, 1] as the network wants it, same shape."""
        if self.channels == "bgr":
            x = x.flip(1)
        gain = x.new_tensor([self.scale / s for s in self.std]).view(3, 1, 1)
        # Differences first: the other way round they lose digits where x is near the mean.
        return (x - x.new_tensor([m / self.scale for m in self.mean]).view(3, 1, 1)) * gain


class Backbone(nn.Module, ABC):
    """A frozen network whose activations can be read by name.

    Args:
        name: ``arch.tag``, such as ``"vgg16_bn.craft"``.
        preprocessing: What the weights expect.
        table: Every layer in the order of the forward pass.
        aliases: Other names for the same layers (``{"block1_conv1": "conv1_1"}``); those of
            layers that are not in ``table`` are dropped.
        levels: The layers that stand for VGG's blocks 1 to 5, shallow to deep; see
            :meth:`nearest`.
    """

    def __init__(
        self,
        name: str,
        preprocessing: Preprocessing,
        table: Mapping[str, Tap],
        aliases: Mapping[str, str] | None = None,
        levels: Sequence[Sequence[str]] = (),
    ) -> None:
        super().__init__()
        self.name = name
        self.preprocessing = preprocessing
        self.table = dict(table)
        self.aliases = {a: n for a, n in (aliases or {}).items() if n in self.table}
        present = (tuple(n for n in level if n in self.table) for level in levels)
        self.levels = tuple(level for level in present if level)

    @abstractmethod
    def walk(
        self, x: Tensor, keep: frozenset[str], after: str | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield activations in the order of :attr:`table`.

        ``x`` has been preprocessed, or is the activation of the layer ``after``, one for which
        :meth:`restarts` holds; then only what follows it is yielded. Layers in ``keep`` are read by
        the caller after the walk has gone on, so they must not be overwritten in place; all others
        may be, but never ``x``. Where ``keep`` names any, the others may be left out; where it is
        empty, every activation is yielded.
        """

    @property
    def cuts(self) -> tuple[str, ...]:
        """Borders that are one for tiles too, shallow to deep: one for each stride from 4 on."""
        return ()

    @property
    def borders(self) -> tuple[str, ...]:
        """Layers after which a walk can begin, shallow to deep: one for each stride from 2 on."""
        return ()

    def restarts(self, layer: str) -> bool:
        """Whether a walk can begin after ``layer``, as it can after all :attr:`borders`."""
        return layer in self.borders

    @property
    def lowered(self) -> bool:
        """Whether it computes in fewer bits: then what is asked for is one step of autograd."""
        return next(self.parameters()).dtype in LOW

    def filter_bytes(self, layers: Iterable[str]) -> int:
        """Bytes of the filters down to the deepest of ``layers`` in the form of our kernels."""
        del layers
        return 0

    def freeze(self) -> Backbone:
        """Evaluation mode, no gradients to the weights; returns self."""
        return self.requires_grad_(False).eval()

    def resolve(self, layer: str) -> str:
        """The canonical name of ``layer``.

        Raises:
            UnknownName: No such layer; the hint names the one that plays its part, or those with
                names like it.
        """
        name = self.aliases.get(layer, layer)
        if name in self.table:
            return name
        error = self._unknown(layer)
        with contextlib.suppress(UnknownName):
            error.hint = f"the layer that plays its part here is {self.nearest(layer)}"
        raise error

    def _unknown(self, layer: str) -> UnknownName:
        close = difflib.get_close_matches(layer, self.table, cutoff=0.5)
        outer = [n for n, tap in self.table.items() if not tap.inner]
        return UnknownName(f"layer of {self.name}", layer, close or outer)

    def nearest(self, layer: str) -> str:
        """The layer that plays the part of ``layer`` in this network.

        A layer that exists, or an alias, is itself. Any other must be named in VGG's manner:
        ``reluB_I`` becomes the layer as far into this network's level B as I is into VGG-19's
        block B, its ``convB_I`` where there is one; ``poolB`` becomes the last of level B. A
        network with fewer levels gives its deepest.

        Returns:
            A key of :attr:`table`.

        Raises:
            UnknownName: Neither a layer nor a name of VGG.
        """
        name = self.aliases.get(layer, layer)
        if name in self.table:
            return name
        match = _VGG_NAME.fullmatch(_KERAS_NAME.sub(r"\2\1_", layer).rstrip("_"))
        if match is None or not self.levels:
            raise UnknownName(f"layer of {self.name}", layer, self.table)
        kind, block, index = match[1], int(match[2]), match[3]
        level = self.levels[min(block, len(self.levels)) - 1]
        depth = 1.0 if index is None else (int(index) - 1) / (_VGG_DEPTHS[block - 1] - 1)
        found = level[round(min(depth, 1.0) * (len(level) - 1))]
        before = found.replace("relu", "conv", 1)
        return before if kind == "conv" and before in self.table else found

    @property
    def has_classifier(self) -> bool:
        """Whether :meth:`classify` works: the weights hold the fully connected layers too."""
        return "prob" in self.table

    def classify(self, x: Tensor) -> Tensor:
        """Probabilities of the classes of ImageNet.

        Args:
            x: (B, 3, H, W) in [0, 1]; see :func:`impasto.backbones.classifier_view` for the
                view that the networks were trained on.

        Returns:
            (B, 1000), each row sums to 1, in the order of
            :func:`impasto.backbones.class_names`.

        Raises:
            UsageError: The weights have no classifier.
        """
        if not self.has_classifier:
            raise UsageError(f"{self.name} has no classifier", hint="use efficientnet_lite0.in1k")
        return self.taps(x, ["prob"])["prob"].flatten(1)

    def min_size(self, layers: Iterable[str]) -> int:
        """Smallest picture edge, in pixels, at which all ``layers`` exist."""
        return max((self.table[self.resolve(n)].min_size for n in layers), default=1)

    def taps(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations of ``layers`` for the pictures ``x``.

        Args:
            x: (B, 3, H, W), floating, sRGB in [0, 1].
            layers: Names or aliases. The walk stops after the deepest of them.

        Returns:
            The names as they were given, each with a tensor (B, C, H', W') in the dtype of ``x``,
            also where the network computes in fewer bits (:mod:`impasto.backbones.lowering`).

        Raises:
            UnknownName: A layer does not exist.
            InputError: The picture is smaller than the deepest layer needs.
        """
        names = {layer: self.resolve(layer) for layer in layers}
        self.check_size(x, names.values())
        return self._read(self.preprocessing(x), names)

    def taps_after(self, cut: str, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Activations of ``layers``, all of them behind ``cut``, given its activation ``x``.

        Args:
            cut: One of :attr:`borders`, or another for which :meth:`restarts` holds.
            x: (B, C, H, W).
            layers: Names or aliases.
        """
        return self._read(x, {layer: self.resolve(layer) for layer in layers}, cut)

    def check_size(self, x: Tensor, layers: Iterable[str]) -> None:
        """Refuse pictures ``x`` (B, 3, H, W) for which some of ``layers`` has no position.

        Raises:
            InputError: The message names the deepest layer and what it needs.
        """
        names = [self.resolve(layer) for layer in layers]
        need = self.min_size(names)
        if min(x.shape[-2:]) < need:
            deepest = max(names, key=lambda n: self.table[n].min_size)
            raise InputError(
                f"a picture of {x.shape[-1]} x {x.shape[-2]} px is too small for {deepest} of "
                f"{self.name}, which needs {need} px",
                hint="choose a larger size or a shallower layer",
            )

    def _read(
        self, x: Tensor, names: Mapping[str, str], after: str | None = None
    ) -> dict[str, Tensor]:
        """Activations by the keys of ``names``, in the dtype of ``x``; see :meth:`walk`."""
        wanted, dtype = frozenset(names.values()), next(self.parameters()).dtype
        if not wanted:
            return {}
        passage = Lowered(dtype) if dtype in LOW and dtype != x.dtype else None
        inside = x if passage is None else passage.lower(x)
        found = self._found(self.walk(inside, wanted, after), wanted)
        if passage is not None:
            found = passage.lift(found, x.dtype)
        return {layer: found[name] for layer, name in names.items()}

    @staticmethod
    def _found(walk: Iterator[tuple[str, Tensor]], wanted: frozenset[str]) -> dict[str, Tensor]:
        """What ``wanted`` names, as soon as all of it was met."""
        found: dict[str, Tensor] = {}
        for name, activation in walk:
            if name in wanted:
                found[name] = activation
                if len(found) == len(wanted):
                    break
        return found


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
