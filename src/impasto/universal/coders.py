"""Layers that can be read and written: the encoder's, each with its decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from impasto import networks
from impasto.backbones import Backbone
from impasto.errors import UsageError, WeightsError
from impasto.networks import Decoder, shelf

#: The layer that is the picture itself.
IMAGE = "image"
#: The usual kind of decoder.
RECONSTRUCT = "decoder"


@dataclass(frozen=True, eq=False)
class Coder:
    """One layer.

    Attributes:
        layer: Its name; ``image`` is the picture itself.
        backbone: Whose layer.
        decoder: None for the picture itself.
        stride: Pixels per position.
        reach: Pixels beyond its own that a position depends on when it is encoded.
        back: Likewise a pixel when it is decoded, encoding not counted.
    """

    layer: str
    backbone: Backbone
    decoder: Decoder | None = None
    stride: int = 1
    reach: int = 0
    back: int = 0

    def encode(self, picture: Tensor) -> Tensor:
        """(1, 3, H, W) to (1, C, H / stride, W / stride)."""
        if self.decoder is None:
            return picture
        return self.backbone.taps(picture, [self.layer])[self.layer]

    def decode(self, features: Tensor) -> Tensor:
        """The inverse, about [0, 1], not clamped."""
        if self.decoder is None:
            return features
        return self.decoder.first(features)

    def settled(self, features: Tensor) -> Tensor:
        """Without values that the layer cannot have; in place."""
        return features.clamp_(0, 1) if self.decoder is None else features.clamp_min_(0)


class Coders:
    """All layers of an encoder that there are decoders for, each built when it is asked for.

    Args:
        backbone: The encoder, as the decoders were trained for it.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self._built: dict[tuple[str, str], Coder] = {}

    def get(self, layer: str, kind: str = RECONSTRUCT) -> Coder:
        """The layer called so.

        Args:
            layer: Its name.
            kind: What its decoder was trained for: what its file's name begins with.

        Raises:
            UsageError: There is no decoder for it.
            WeightsError: The decoder is damaged or does not fit.
        """
        if (layer, kind) not in self._built:
            made = Coder(IMAGE, self.backbone) if layer == IMAGE else self._make(layer, kind)
            self._built[layer, kind] = made
        return self._built[layer, kind]

    def _make(self, layer: str, kind: str) -> Coder:
        name = f"{kind}-{layer}"
        have = shelf.names()
        if name not in have:
            layers = [n.removeprefix(f"{kind}-") for n in have if n.startswith(f"{kind}-")]
            hint = f"there are {', '.join([*layers, IMAGE])}"
            raise UsageError(f"there is no {kind} for {layer}", hint=hint)
        decoder = networks.load(have[name], "decoder").network
        tap = self.backbone.table.get(layer)
        if not isinstance(decoder, Decoder) or tap is None or tap.reach is None:
            raise WeightsError(f"{name} does not fit {self.backbone.name}")
        if (decoder.readout.in_channels, decoder.stride) != (tap.channels, tap.stride):
            raise WeightsError(f"{name} does not fit {layer} of {self.backbone.name}")
        device = next(self.backbone.parameters()).device
        decoder = decoder.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return Coder(layer, self.backbone, decoder, tap.stride, max(tap.reach), decoder.reach())
