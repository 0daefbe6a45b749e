"""The request behind ``impasto apply``."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from impasto.specs.base import Spec


class ApplySpec(Spec):
    """A photo painted in one pass by a trained network."""

    each: ClassVar[str | None] = "image"
    original: ClassVar[str | None] = "image"
    without: ClassVar[frozenset[str]] = frozenset(
        {"save_every", "log", "plot", "save_recipe", "resume"}
    )

    model: str = Field(
        description="A model that `impasto models` lists, or a .safetensors file that "
        "`impasto train` made."
    )
    image: str = Field(
        description="The photo; - reads standard input; a folder takes all in it. For a network "
        "of textures, a size such as 640x480."
    )
    style: tuple[str, ...] = Field(
        (),
        max_length=64,
        description="Which of the model's paintings, by name or number from 1; several are mixed "
        "(default: the first).",
    )
    style_blend: tuple[float, ...] | None = Field(
        None, description="Proportions of several paintings (default equal)."
    )
    size: int | None = Field(
        None, ge=8, le=32768, description="Longest side of the result, in px (default: as it is)."
    )
    alpha: float = Field(
        1.0, ge=0, le=1, description="Strength: 0 gives the photo, 1 the painting, between a blend."
    )
    colors: Literal["style", "content"] = Field(
        "style", description="Whose colours; content keeps those of the photo."
    )
    tile: str = Field(
        "auto",
        description="auto, off, or rows per strip: less memory, the same picture to rounding.",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Of the noise of networks that have any.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")

    @field_validator("style", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return (str(value),) if isinstance(value, str | int) else value

    @field_validator("style_blend")
    @classmethod
    def _sum(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and (min(value, default=-1) < 0 or sum(value) <= 0):
            raise ValueError("must be proportions, at least one of them more than 0")
        return value

    @field_validator("tile")
    @classmethod
    def _rows(cls, value: str) -> str:
        if value not in ("auto", "off") and not (value.isdecimal() and int(value) >= 16):
            raise ValueError("must be auto, off or at least 16")
        return value
