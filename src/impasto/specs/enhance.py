"""The request behind ``impasto enhance``."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from impasto.specs.base import PICTURE, Spec


class EnhanceSpec(Spec):
    """A picture enlarged two or four times, by a network that knows what photos look like."""

    each: ClassVar[str | None] = "image"
    without: ClassVar[frozenset[str]] = frozenset(
        {"save_every", "log", "plot", "save_recipe", "resume"}
    )

    image: str = Field(
        description="The picture; - reads standard input; a folder takes all in it.",
        json_schema_extra=PICTURE,
    )
    scale: Literal[2, 4] | None = Field(
        None, description="How many times larger (default 2, or what the model does)."
    )
    variant: Literal["perceptual", "pixel"] | None = Field(
        None,
        description="perceptual looks crisper, pixel is nearer to the truth (default perceptual).",
    )
    model: str | None = Field(
        None,
        description="In place of the variants: a model that `impasto models` lists, or a "
        ".safetensors file that `impasto train --task enhance` made.",
    )
    alpha: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Strength: 0 gives bicubic interpolation, 1 the network, between a blend.",
    )
    from_style: str | None = Field(
        None,
        description="A painting whose fine texture the enlarged picture takes on.",
        json_schema_extra=PICTURE,
    )
    steps: int = Field(
        24, ge=1, le=2000, description="How long to work on the texture of the painting."
    )
    strength: float = Field(
        1.0, ge=0, le=100, description="How strongly that texture shows against the picture."
    )
    tile: str = Field(
        "auto",
        description="auto, off, or the edge of tiles in px of the picture: less memory, the same "
        "picture to rounding.",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")

    @field_validator("scale", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return int(value) if isinstance(value, str) and value.isdecimal() else value

    @field_validator("tile")
    @classmethod
    def _edge(cls, value: str) -> str:
        if value not in ("auto", "off") and not (value.isdecimal() and int(value) >= 16):
            raise ValueError("must be auto, off or at least 16")
        return value
