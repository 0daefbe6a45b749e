"""Methods that need no optimisation: a photo through an encoder and decoders, once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from impasto.recipes.model import Data
from impasto.registry import Registry

#: The layer that is the picture itself.
IMAGE = "image"


class Level(Data):
    """What is done at one layer.

    Attributes:
        layer: Of the encoder, one that there is a decoder for; or ``image``.
        method: ``whiten`` (whitening and colouring), ``transport`` (the same statistics, moving
            features least), ``moments`` (mean and deviation by channel) or ``swap`` (each patch
            becomes the painting's most similar one).
        strength: 0 leaves the features, 1 replaces them.
        ridge: Share of the mean variance that is added to every direction first, so that nothing
            that is hardly there is amplified.
        limit: Deviations above its mean in the painting that a feature may have at most; None
            lets features be as high as the map makes them.
        decoder: Which of the layer's decoders: one that reconstructs, or one that was trained on
            features with the moments of paintings, and paints by itself.
    """

    layer: str
    method: Literal["whiten", "transport", "moments", "swap"] = "transport"
    strength: float = Field(default=1.0, ge=0, le=1)
    ridge: float = Field(default=0.0, ge=0, le=1)
    limit: float | None = Field(default=None, gt=0)
    decoder: Literal["decoder", "adain"] = "decoder"


class Pass(Data):
    """Some levels at one size.

    Attributes:
        size: Longest side, as a part of the result's.
        levels: Deep to shallow.
        detail: How much of the photo's detail, lost in the smaller size of the pass before, is
            added back.
    """

    size: float = Field(default=1.0, gt=0, le=1)
    levels: tuple[Level, ...] = Field(min_length=1)
    detail: float = Field(default=1.0, ge=0, le=1)


class Smooth(Data):
    """A guided filter at the end, which leaves no line that is not in the photo.

    Attributes:
        radius: As a part of the longest side.
        epsilon: Variance of the photo's light below which a window counts as flat.
    """

    radius: float = Field(default=0.02, gt=0, le=0.2)
    epsilon: float = Field(default=1e-3, gt=0, le=1)


class OnePass(Data):
    """A method as data; see :class:`impasto.recipes.Recipe` for the fields with the same name.

    Attributes:
        passes: By quality, coarse to fine.
        smooth: None leaves the picture.
    """

    kind: Literal["one-pass"] = "one-pass"
    name: str
    title: str
    summary: str
    paper: str
    backbone: str = "vgg16_bn.craft+normalized"
    pooling: Literal["max", "avg"] = "avg"
    init: str = "content"
    size: int = Field(default=512, ge=32, le=16384)
    passes: dict[str, tuple[Pass, ...]] = Field(min_length=1)
    quality: str = "good"
    smooth: Smooth | None = None
    deviations: str = ""

    @model_validator(mode="after")
    def _known_quality(self) -> OnePass:
        if self.quality not in self.passes:
            raise ValueError(f"quality {self.quality!r} is none of {', '.join(self.passes)}")
        for quality, passes in self.passes.items():
            sizes = [p.size for p in passes]
            if not passes or sizes != sorted(sizes) or sizes[-1] != 1:
                raise ValueError(f"passes {quality!r} must grow to size 1")
        return self


#: One-pass methods by name; a line for each.
ONE_PASS: Registry[OnePass] = Registry("recipe")
