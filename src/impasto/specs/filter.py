"""The request behind ``impasto filter``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from impasto.specs.base import PICTURE, SETTINGS, Spec


class FilterSpec(Spec):
    """A classical look for a photo, without a network: one filter, or several in a row."""

    each: ClassVar[str | None] = "image"
    original: ClassVar[str | None] = "image"
    without: ClassVar[frozenset[str]] = frozenset(
        {"save_every", "log", "plot", "save_recipe", "resume"}
    )

    name: str = Field(
        description="A filter, such as kuwahara, or several, such as "
        "kuwahara:radius=8+posterise:colours=6; see `impasto filters`."
    )
    image: str = Field(
        description="The photo; - reads standard input; a folder takes all in it.",
        json_schema_extra=PICTURE,
    )
    reference: str | None = Field(
        None,
        description="The painting that some filters take colours or textures from.",
        json_schema_extra=PICTURE,
    )
    set: tuple[str, ...] = Field(
        (),
        description="Parameters, such as radius=8,passes=1; each goes to the one filter that has "
        "it.",
        json_schema_extra=SETTINGS,
    )
    size: int | None = Field(
        None, ge=1, le=16384, description="Longest side of the result, in px (default: as it is)."
    )
    alpha: float = Field(
        1.0, ge=0, le=1, description="Strength: 0 gives the photo, 1 the filter, between a blend."
    )
    seed: int | None = Field(
        None, ge=0, le=2**31 - 1, description="Of every filter that draws at random."
    )

    @field_validator("set", mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return tuple(f"{key}={item}" for key, item in value.items())
        return (value,) if isinstance(value, str) else value
