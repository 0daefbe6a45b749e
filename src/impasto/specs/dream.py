"""The request behind ``impasto dream``."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from impasto.specs.base import FULL, PRECISION, Precision, Spec


class DreamSpec(Spec):
    """A picture in, the same with more of what a network sees in it (DeepDream)."""

    original: ClassVar[str | None] = "image"
    without: ClassVar[frozenset[str]] = frozenset({"save_recipe"})

    image: str = Field(description="The picture; - reads standard input.")
    layer: tuple[str, ...] | None = Field(
        None, min_length=1, description="One or several layers (default one of medium depth)."
    )
    channel: tuple[int, ...] = Field(
        (), description="Only these channels of the layer, counted from 0."
    )
    guide: str | None = Field(
        None, description="A picture: what is seen grows towards what is in this one."
    )
    guide_size: int = Field(
        224, ge=32, le=2048, description="Longest side at which the guide is seen, px."
    )
    octaves: int = Field(
        5, ge=1, le=20, description="Sizes, from small to full; more make larger shapes."
    )
    octave_scale: float = Field(
        1.4, gt=1, le=4, description="Each size relative to the one before."
    )
    iterations: int = Field(12, ge=1, le=10_000, description="Steps at each size.")
    learning_rate: float = Field(
        0.012, gt=0, le=1, description="Mean change of a value in each step; 1 is black to white."
    )
    jitter: int = Field(32, ge=0, le=512, description="Largest random shift at each step, px.")
    smooth: int = Field(
        4,
        ge=0,
        le=10,
        description="Octaves of the gradient that are brought to an equal strength; 0 leaves it "
        "as it is, which gives fine, harsh detail.",
    )
    chroma: float = Field(
        0.25,
        ge=0,
        le=1,
        description="How much colours change, relative to light and dark; 1 sets them free.",
    )
    backbone: str | None = Field(
        None, description="The network that dreams; see `impasto backbones`."
    )
    size: int | None = Field(
        None,
        ge=32,
        le=16384,
        description="Longest side of the result, px (default the picture's, 1024 at most).",
    )
    tile: str = Field("auto", description="Work in tiles of N px to save memory: auto, off or N.")
    zoom: int = Field(
        0,
        ge=0,
        le=9999,
        description="A journey of so many frames, each a dream of a part of the last; -o NAME.gif "
        "for an animation, otherwise NAME-0001 ... beside the last.",
    )
    zoom_scale: float = Field(1.06, gt=0.5, le=2, description="How much nearer each frame is.")
    zoom_rotate: float = Field(0.0, ge=-45, le=45, description="Degrees by which each turns.")
    zoom_octaves: int = Field(2, ge=1, le=20, description="Sizes at each frame after the first.")
    fps: float = Field(12.0, gt=0, le=100, description="Frames a second, of a GIF.")
    seed: int = Field(0, ge=0, lt=2**63, description="Equal seeds give equal pictures.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Precision = Field(FULL, description=PRECISION)

    def others(self) -> tuple[str, ...]:
        """The frames of a journey."""
        return tuple(f"-{i:04d}" for i in range(1, self.zoom + 1))

    @property
    def moves(self) -> bool:
        """Whether the result is a sequence."""
        return self.zoom > 0

    @field_validator("layer", "channel", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | int) else value

    @field_validator("channel")
    @classmethod
    def _channels(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(n < 0 for n in value):
            raise ValueError("must not be negative")
        return value

    @field_validator("tile")
    @classmethod
    def _tile(cls, value: str) -> str:
        if value not in ("auto", "off") and not (value.isdecimal() and int(value) >= 64):
            raise ValueError("must be auto, off or a number of px, 64 or more")
        return value

    @model_validator(mode="after")
    def _fits(self) -> DreamSpec:
        if self.channel and len(self.layer or ("",)) != 1:
            raise ValueError("channel means one layer, not several")
        if self.channel and self.guide is not None:
            raise ValueError("channel and guide exclude each other")
        if self.channel and self.layer is None:
            raise ValueError("channel of which layer? --layer NAME")
        return self
