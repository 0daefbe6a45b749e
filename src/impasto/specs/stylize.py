"""The request behind ``impasto stylize``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from impasto.specs.base import Spec


class StylizeSpec(Spec):
    """A photo and one or several paintings in, a picture out.

    ``None`` means: as the recipe says.
    """

    content: str = Field(description="The photo; - reads standard input.")
    style: tuple[str, ...] = Field(
        description="One or several paintings.", min_length=1, max_length=8
    )
    recipe: str = Field("impasto", description="The method; see `impasto recipes`.")
    size: int | None = Field(
        None, ge=32, le=16384, description="Longest side of the result, in px (default 512)."
    )
    quality: Literal["draft", "good", "best"] | None = Field(
        None, description="How long to work on it (default good)."
    )
    backbone: str | None = Field(
        None, description="The network that looks at the pictures; see `impasto backbones`."
    )
    content_weight: float | None = Field(None, ge=0, description="How closely the photo is kept.")
    style_weight: float | None = Field(
        None, ge=0, description="How strongly the painting shows; 30 to 200 are sensible."
    )
    tv_weight: float | None = Field(None, ge=0, description="How smooth the picture must be.")
    content_layers: tuple[str, ...] | None = Field(
        None, description="Layers at which the photo is kept."
    )
    style_layers: tuple[str, ...] | None = Field(
        None, description="Layers at which the style is taken."
    )
    style_layer_weights: tuple[float, ...] | None = Field(
        None, description="One factor per style layer."
    )
    style_blend: tuple[float, ...] | None = Field(
        None, description="Proportions of several paintings (default equal)."
    )
    style_scale: float = Field(
        1.0,
        ge=0.1,
        le=8,
        description="Size of the painting relative to the result; 2 makes strokes twice as large.",
    )
    init: str | None = Field(
        None, description="What to start from: content, noise, mix:R (R part noise) or a picture."
    )
    optimizer: Literal["adam", "lbfgs"] | None = Field(None, description="How pixels are moved.")
    learning_rate: float | None = Field(None, gt=0, description="Step size of the optimizer.")
    iterations: int | None = Field(
        None, ge=1, le=100_000, description="Steps of the last, full-size scale."
    )
    pooling: Literal["max", "avg"] | None = Field(
        None, description="Pooling of the network; avg is smoother."
    )
    colors: Literal["style", "content", "match"] = Field(
        "style",
        description="style: the painting's; content: the photo's colours with the painting's "
        "light and dark; match: the painting is first recoloured like the photo.",
    )
    tile: str = Field("auto", description="Work in tiles of N px to save memory: auto, off or N.")
    seed: int = Field(0, ge=0, lt=2**63, description="Equal seeds give equal pictures.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")

    @field_validator("style_blend", "style_layer_weights")
    @classmethod
    def _weights(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and (min(value) < 0 or sum(value) <= 0):
            raise ValueError("must not be negative, and not all zero")
        return value

    @model_validator(mode="after")
    def _lengths(self) -> StylizeSpec:
        if self.style_blend is not None and len(self.style_blend) != len(self.style):
            raise ValueError(
                f"style-blend has {len(self.style_blend)} numbers for {len(self.style)} paintings"
            )
        return self
