"""The request behind ``impasto texture``."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from impasto.specs.base import FILES, FULL, PRECISION, Precision, Spec
from impasto.specs.stylize import StylizeSpec

#: In place of a recipe: the classical method, without a network.
QUILTING = "quilting"
#: Shortest and longest side of a texture, px.
SIDES = (32, 16384)


class TextureSpec(Spec):
    """More of a texture: an exemplar in, a picture of any size with the same look out.

    ``None`` means: as the recipe says.
    """

    without: ClassVar[frozenset[str]] = frozenset({"keep_metadata"})

    exemplar: str = Field(description="A picture of the texture; - reads standard input.")
    recipe: str = Field(
        "impasto-texture",
        description="The method; see `impasto recipes`; a .toml file with one; or quilting, the "
        "classical method without a network. Of recipes for stylize, the style is taken.",
    )
    size: str | None = Field(
        None,
        description="Width and height of the result, such as 640x480, or one number for a square "
        "(default: the exemplar's).",
    )
    seamless: bool = Field(
        False, description="Make a picture whose edges meet, to cover a plane with copies of it."
    )
    exemplar_size: int | None = Field(
        None,
        ge=32,
        le=16384,
        description="Longest side at which the exemplar is looked at, in px; half of it makes "
        "everything in the texture half as large (default: as it is, at most 512).",
    )
    guide: tuple[str, ...] = Field(
        (),
        description="Texture by numbers: two pictures in plain colours, one that divides the "
        "exemplar and one that says where its parts go.",
        json_schema_extra=FILES,
    )
    colors: Literal["exemplar", "free"] = Field(
        "exemplar",
        description="exemplar: in the end the histograms of the channels are made the "
        "exemplar's; free: the colours stay as they were found.",
    )
    quality: Literal["draft", "good", "best", "published"] | None = Field(
        None, description="How long to work on it (default good); published: as the source did."
    )
    backbone: str | None = Field(
        None, description="The network that looks at the pictures; see `impasto backbones`."
    )
    style_layers: tuple[str, ...] | None = Field(
        None, description="Layers at which the texture is taken."
    )
    style_layer_weights: tuple[float, ...] | None = Field(None, description="One factor per layer.")
    tv_weight: float | None = Field(None, ge=0, description="How smooth the picture must be.")
    init: str | None = Field(
        None,
        description="What to start from: quilting, pixels (the exemplar's, in disorder), noise, a "
        "picture, or one of the starts in docs/recipes.md.",
    )
    optimizer: Literal["adam", "lbfgs", "rmsprop", "sgd"] | None = Field(
        None, description="How pixels are moved."
    )
    learning_rate: float | None = Field(None, gt=0, description="Step size of the optimizer.")
    iterations: int | None = Field(
        None, ge=1, le=100_000, description="Steps of the last, full-size scale."
    )
    pooling: Literal["max", "avg"] | None = Field(
        None, description="Pooling of the network; avg is smoother."
    )
    block: int | None = Field(
        None,
        ge=12,
        le=1024,
        description="Side of quilting's patches, px (default: a quarter of the exemplar's).",
    )
    tile: str = Field(
        "auto",
        description="Save memory: in tiles of N px; recompute, to keep few activations and compute "
        "the others twice (activation checkpointing); off; auto does what is needed.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Equal seeds give equal pictures.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Precision = Field(FULL, description=PRECISION)

    @field_validator("size", mode="before")
    @classmethod
    def _size(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and len(value) == 2:
            value = f"{value[0]}x{value[1]}"
        text = str(value) if isinstance(value, int) else value
        if not isinstance(text, str):
            return text
        sides = _sides(text)
        if sides is None or not SIDES[0] <= min(sides) <= max(sides) <= SIDES[1]:
            low, high = SIDES
            raise ValueError(f"must be like 640x480 or 512, sides from {low} to {high}")
        return text

    @field_validator("guide")
    @classmethod
    def _two(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) not in (0, 2):
            raise ValueError("needs two pictures: of the exemplar and of the result")
        return value

    def extent(self) -> tuple[int, int] | None:
        """:attr:`size` as height and width."""
        sides = None if self.size is None else _sides(self.size)
        return None if sides is None else (sides[1], sides[0])

    def refused(self) -> frozenset[str]:
        """Quilting is done in one go: nothing to log, number or go on with, and no recipe."""
        steps = frozenset({"save_every", "log", "plot", "resume", "save_recipe"})
        return self.without | steps if self.recipe == QUILTING else self.without

    def stylization(self) -> StylizeSpec:
        """The same request for ``stylize``, as far as the two have fields in common.

        Raises:
            UsageError: A value that only ``stylize`` checks is out of range.
        """
        shared = StylizeSpec.model_fields.keys() & type(self).model_fields.keys()
        common = {name: getattr(self, name) for name in shared - {"size", "colors"}}
        picture = self.exemplar
        return StylizeSpec.build(content=picture, style=(picture,), content_weight=0, **common)


def _sides(text: str) -> tuple[int, int] | None:
    """Width and height out of ``640x480`` or ``512``."""
    found = re.fullmatch(r"(\d{1,6})(?:[xX×](\d{1,6}))?", text.strip())
    return None if found is None else (int(found[1]), int(found[2] or found[1]))
