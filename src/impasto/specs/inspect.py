"""The request behind ``impasto inspect``."""

from __future__ import annotations

from pydantic import Field, field_validator

from impasto.specs.base import Spec

#: In place of a list of layers: every one, also those inside blocks.
ALL = "all"
#: In place of a classifier: the picture is not classified.
NONE = "none"


class InspectSpec(Spec):
    """What a network sees in a picture: a sheet of its feature maps, and the numbers behind it."""

    image: str = Field(description="The picture; - reads standard input.")
    backbone: str | None = Field(
        None, description="The network that is looked into; see `impasto backbones`."
    )
    layers: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Which layers, or all (default: the first of each of five depths).",
    )
    size: int = Field(
        512, ge=32, le=4096, description="Longest side at which the network sees the picture, px."
    )
    maps: int = Field(
        16,
        ge=1,
        le=64,
        description="Feature maps per layer: those that together explain most of what varies.",
    )
    gram: bool = Field(False, description="Show the Gram matrices as well.")
    invert: str | None = Field(
        None, description="Rebuild the picture from this layer alone (feature inversion)."
    )
    invert_size: int = Field(
        256, ge=32, le=4096, description="Longest side of the rebuilt picture, px."
    )
    iterations: int = Field(
        200, ge=1, le=100_000, description="Steps of the last scale of the inversion."
    )
    classifier: str | None = Field(
        None,
        description="The network that names what is in the picture, or none (default: the "
        "backbone itself if it can, otherwise the embedded classifier).",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Of the noise that an inversion starts from.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")

    def others(self) -> tuple[str, ...]:
        """The rebuilt picture."""
        return ("-invert",) if self.invert is not None else ()

    def stepless(self) -> bool:
        """Only an inversion takes steps."""
        return self.invert is None

    @field_validator("layers")
    @classmethod
    def _all_alone(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and ALL in value and len(value) > 1:
            raise ValueError("are either all or names")
        return value
