"""The network of Johnson et al. 2016, from its architecture string."""

from __future__ import annotations

import re
from itertools import accumulate

import torch
from torch import Tensor, nn

from impasto.errors import UsageError
from impasto.networks.fast import FOLD, SLOPE, ConditionalBlock, PhotoNet
from impasto.networks.layers import conv, enlarged
from impasto.networks.model import LARGEST, NETWORKS
from impasto.networks.norm import ConditionalNorm

#: As printed, without the number of styles.
PRINTED = "c9s1-32,d64,d128,R128,R128,R128,R128,R128,u64,u32,c9s1-3"
#: Halvings in a row, at most.
DEEPEST = 5
#: One layer: a convolution, one down, a residual block, one up; or the number of styles.
_LAYER = re.compile(r"c(?P<size>[1-9])s1-(?P<flat>\d+)|(?P<kind>[dRu])(?P<width>\d+)")
_STYLES = re.compile(r"styles=(\d+)")


class Layer(nn.Module):
    """A convolution, its norm and, but for the last one, a ReLU.

    Args:
        layer: The convolution.
        styles: How many styles there are.
        grown: Whether the input is enlarged first.
        last: No norm, no ReLU.
    """

    def __init__(
        self, layer: nn.Conv2d, styles: int, *, grown: bool = False, last: bool = False
    ) -> None:
        super().__init__()
        self.layer, self.grown = layer, grown
        self.norm = None if last else ConditionalNorm(layer.out_channels, styles)

    def forward(self, x: Tensor, shares: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C', H', W')."""
        made: Tensor = self.layer(enlarged(x) if self.grown else x)
        return made if self.norm is None else self.norm(made, shares, relu=True)


class JohnsonNet(PhotoNet):
    """Photo in, painting out, with 9 x 9 convolutions at full size.

    ``c9s1-32`` is a convolution of 9 x 9 with stride 1 to 32 channels, ``d64`` one of 3 x 3 with
    stride 2, ``R128`` a residual block, ``u64`` an enlargement and a convolution of 3 x 3.

    Source: Johnson, Alahi & Fei-Fei 2016, supplement; instance norm after Ulyanov et al. 2016b.
    Deviations: as the authors' later models, enlargement in place of fractional strides and
    mirrored borders; a sigmoid in place of a scaled tanh; scale and shift of the norm by style.

    Args:
        layers: Of the string, in order.
        styles: How many styles it knows.
    """

    def __init__(self, layers: list[str], styles: int) -> None:
        super().__init__(styles, widest(layers))
        self.multiple = max(FOLD, 2 ** max(depths(layers)))
        self.layers, width = nn.ModuleList(), 3
        for place, text in enumerate(layers):
            found = _LAYER.fullmatch(text)
            assert found is not None
            made, last = int(found["flat"] or found["width"]), place == len(layers) - 1
            if found["kind"] == "R":
                self.layers.append(ConditionalBlock(made, styles))
            elif found["flat"]:
                layer = conv(width, made, int(found["size"]))
                self.layers.append(Layer(layer, styles, last=last))
            else:
                layer = conv(width, made, stride=2 if found["kind"] == "d" else 1)
                self.layers.append(Layer(layer, styles, grown=found["kind"] == "u"))
            width = made

    @classmethod
    def of(cls, architecture: str) -> JohnsonNet:
        """From a string such as :data:`PRINTED`, in which ``styles=N`` may stand.

        Raises:
            UsageError: It makes no sense.
        """
        parts = [p.strip() for p in architecture.split(",") if p.strip()]
        counts = [m[1] for p in parts if (m := _STYLES.fullmatch(p))]
        layers = [p for p in parts if not _STYLES.fullmatch(p)] or PRINTED.split(",")
        checked(layers)
        return cls(layers, min(LARGEST, max(1, int(counts[-1]))) if counts else 1)

    def forward(self, image: Tensor, shares: Tensor | None = None) -> Tensor:
        """Paint; as :meth:`impasto.networks.fast.FastNet.forward`."""
        shares, x = self.shares(image, shares), image - 0.5
        for layer in self.layers:
            x = layer(x, shares)
        return torch.sigmoid(SLOPE * x)


def checked(layers: list[str]) -> None:
    """Refuse layers that do not make a picture out of one.

    Raises:
        UsageError: They do not.
    """
    width, scale = 3, 0
    for text in layers:
        found = _LAYER.fullmatch(text)
        number = int(found["flat"] or found["width"]) if found else 0
        wrong = found is None or not 1 <= number <= LARGEST or int(found["size"] or 1) % 2 == 0
        if wrong or (text[0] == "R" and number != width):
            raise UsageError(f"architecture: {text!r} makes no sense", hint=f"such as {PRINTED}")
        width, scale = number, scale + {"d": 1, "u": -1}.get(text[0], 0)
    if max(depths(layers)) > DEEPEST:
        raise UsageError(f"architecture: more than {DEEPEST} layers d before the first u")
    if width != 3 or scale or not layers[-1].startswith("c"):
        raise UsageError(
            "architecture: it must end with a convolution to 3 channels, as large as it began",
            hint=f"such as {PRINTED}",
        )


def depths(layers: list[str]) -> list[int]:
    """How often the size has been halved after each layer."""
    return list(accumulate({"d": 1, "u": -1}.get(text[0], 0) for text in layers))


def widest(layers: list[str]) -> float:
    """Most channels of a layer, as :class:`impasto.networks.fast.PhotoNet` counts them."""
    widths = [int(re.findall(r"\d+", text)[-1]) for text in layers]
    return max(w / 4.0**d for w, d in zip(widths, depths(layers), strict=True))


NETWORKS.add("johnson", JohnsonNet.of)
