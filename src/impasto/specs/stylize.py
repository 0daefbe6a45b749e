"""The request behind ``impasto stylize``."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from impasto.specs.base import (
    FILES,
    FULL,
    PAINTINGS,
    PICTURE,
    PICTURE_OR_WORD,
    PRECISION,
    Precision,
    Spec,
)

#: Least and largest size of a painting relative to the result.
STYLE_SCALES = (0.1, 8.0)
#: Most copies of a painting that a single number for ``style_rotations`` can ask for.
MOST_TURNS = 16
#: In place of the size of tiles: activation checkpointing.
RECOMPUTE = "recompute"
#: What names of trained networks begin with, as recipes.
FAST = "fast:"


class StylizeSpec(Spec):
    """A photo and one or several paintings in, a picture out.

    ``None`` means: as the recipe says.
    """

    original: ClassVar[str | None] = "content"

    content: str = Field(
        description="The photo; - reads standard input.", json_schema_extra=PICTURE
    )
    style: tuple[str, ...] = Field(
        (),
        description="One or several paintings; with a trained network as the recipe, their names "
        "(default: its first).",
        max_length=8,
        json_schema_extra=PAINTINGS,
    )
    recipe: str = Field(
        "impasto",
        description="The method; see `impasto recipes`; or a .toml file with one; or fast:NAME, "
        "a network of `impasto models`.",
    )
    size: int | None = Field(
        None, ge=32, le=16384, description="Longest side of the result, in px (default 512)."
    )
    quality: Literal["instant", "draft", "good", "best", "published"] | None = Field(
        None,
        description="How long to work on it (default good); instant: about a second, in one pass; "
        "published: as long as the source of the recipe did.",
    )
    backbone: str | None = Field(
        None, description="The network that looks at the pictures; see `impasto backbones`."
    )
    content_weight: float | None = Field(None, ge=0, description="How closely the photo is kept.")
    style_weight: float | None = Field(
        None, ge=0, description="How strongly the painting shows (default 20)."
    )
    tv_weight: float | None = Field(None, ge=0, description="How smooth the picture must be.")
    content_layers: tuple[str, ...] | None = Field(
        None, description="Layers at which the photo is kept."
    )
    style_layers: tuple[str, ...] | None = Field(
        None,
        description="Layers at which the style is taken. A number before a layer says which "
        "painting gives it and those after it: 1:relu1_1,relu2_1,2:relu3_1,relu4_1.",
    )
    style_layer_weights: tuple[float, ...] | None = Field(
        None, description="One factor per style layer."
    )
    style_blend: tuple[float, ...] | None = Field(
        None, description="Proportions of several paintings (default equal)."
    )
    palette_from: int | None = Field(
        None,
        ge=1,
        description="Number of the painting that gives the colours; the others are recoloured "
        "like it and give their strokes.",
    )
    style_scale: tuple[float, ...] = Field(
        (1.0,),
        min_length=1,
        max_length=8,
        description="Size of the painting relative to the result; 2 makes strokes twice as "
        "large. Several numbers mix the sizes.",
    )
    style_rotations: tuple[float, ...] = Field(
        (),
        max_length=MOST_TURNS,
        description="Degrees by which copies of the painting are turned; its style is taken "
        "from all of them. One number alone, such as 4, is a number of even turns.",
    )
    mask: tuple[str, ...] = Field(
        (),
        max_length=8,
        description="Where each painting goes: one mask per painting, white inside; or one "
        "picture with a plain colour per painting, black for none.",
        json_schema_extra=FILES,
    )
    style_mask: tuple[str, ...] = Field(
        (),
        max_length=8,
        description="Which part of each painting is used: one mask per painting, white inside; "
        "or, with one painting, a picture in the colours of that for --mask.",
        json_schema_extra=FILES,
    )
    mask_soften: float = Field(
        0.5,
        ge=0,
        le=20,
        description="How far the edges of masks are blurred, in percent of the longest side.",
    )
    keep: str | None = Field(
        None,
        description="A mask whose white areas stay as they are in the photo.",
        json_schema_extra=PICTURE,
    )
    init: str | None = Field(
        None,
        description="What to start from: content, noise, instant (the picture of one pass), "
        "mix:R (R part noise), a picture, or one of the starts in docs/recipes.md.",
        json_schema_extra=PICTURE_OR_WORD,
    )
    optimizer: Literal["adam", "lbfgs", "rmsprop", "sgd"] | None = Field(
        None, description="How pixels are moved."
    )
    learning_rate: float | None = Field(None, gt=0, description="Step size of the optimizer.")
    iterations: int | None = Field(
        None, ge=1, le=100_000, description="Steps of the last, full-size scale."
    )
    scales: int | None = Field(
        None,
        ge=1,
        le=16,
        description="Most sizes that are gone through; 1 takes the full size alone, as is right "
        "where --init is a picture that was painted smaller.",
    )
    pooling: Literal["max", "avg"] | None = Field(
        None, description="Pooling of the network; avg is smoother."
    )
    colors: Literal["style", "content", "match", "histogram", "recolor"] = Field(
        "style",
        description="style: the painting's; content: the photo's colours with the painting's "
        "strokes; match: the painting is first recoloured like the photo, by mean and "
        "covariance; histogram: likewise, by histograms; recolor: the photo's light and dark "
        "with the painting's colours.",
    )
    color_space: Literal["lab", "yiq", "oklab"] = Field(
        "lab",
        description="Where light and colour are told apart, for content, recolor and histogram.",
    )
    before: str | None = Field(
        None,
        description="Filters that prepare the photo, such as kuwahara:radius=8+posterise; see "
        "`impasto filters`. Those that need a second picture take the first painting.",
    )
    after: str | None = Field(
        None,
        description="Filters that finish the result, likewise; pictures on the way are without.",
    )
    alpha: float = Field(
        1.0, ge=0, le=1, description="Strength: 0 gives the photo, 1 the result, between a blend."
    )
    tile: str = Field(
        "auto",
        description="Save memory: in tiles of N px; recompute, to keep few activations and compute "
        "the others twice (activation checkpointing); off; auto does what is needed.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Equal seeds give equal pictures.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Precision = Field(FULL, description=PRECISION)

    @field_validator("tile")
    @classmethod
    def _tile(cls, value: str) -> str:
        words = ("auto", "off", RECOMPUTE)
        if value not in words and not (value.isdecimal() and int(value) >= 64):
            raise ValueError(f"must be auto, off, {RECOMPUTE} or a number of px, 64 or more")
        return value

    @field_validator("style_blend", "style_layer_weights")
    @classmethod
    def _weights(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and (min(value) < 0 or sum(value) <= 0):
            raise ValueError("must not be negative, and not all zero")
        return value

    @field_validator("mask", "style_mask", "style_scale", "style_rotations", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) else () if value is None else (value,)

    @field_validator("style_scale")
    @classmethod
    def _sizes(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        low, high = STYLE_SCALES
        if not low <= min(value) <= max(value) <= high:
            raise ValueError(f"must be {low:g} to {high:g}")
        return value

    @field_validator("style_rotations")
    @classmethod
    def _turns(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) == 1 and value[0] not in range(1, MOST_TURNS + 1):
            raise ValueError(f"must be a number of turns up to {MOST_TURNS}, or degrees as a list")
        return value

    @model_validator(mode="after")
    def _lengths(self) -> StylizeSpec:
        count = len(self.style)
        if not count and not self.recipe.startswith(FAST):
            raise ValueError("style needs at least 1, not 0")
        if self.style_blend is not None and len(self.style_blend) != count:
            raise ValueError(
                f"style-blend has {len(self.style_blend)} numbers for {count} paintings"
            )
        if self.palette_from is not None and self.palette_from > count:
            raise ValueError(f"palette-from is {self.palette_from}, with {count} paintings")
        if any(number > count for number, _ in self.numbered_layers()):
            raise ValueError(f"style-layers names a painting beyond the {count} there are")
        if len(self.mask) not in (0, 1, count):
            raise ValueError(f"mask has {len(self.mask)} pictures for {count} paintings")
        if len(self.style_mask) not in (0, count):
            raise ValueError(
                f"style-mask has {len(self.style_mask)} pictures for {count} paintings"
            )
        return self

    @model_validator(mode="after")
    def _exclusive(self) -> StylizeSpec:
        if self.content_weight == 0 and self.style_weight == 0:
            raise ValueError("content-weight and style-weight are both 0: nothing to resemble")
        if self.mask and self.style_blend is not None:
            raise ValueError("mask and style-blend exclude each other: masks say who goes where")
        if self.mask and self.numbered_layers():
            raise ValueError("mask and numbered style-layers exclude each other")
        if self.style_blend is not None and self.numbered_layers():
            raise ValueError("style-blend and numbered style-layers exclude each other")
        if self.palette_from is not None and self.colors in ("content", "match", "histogram"):
            raise ValueError(f"palette-from and colors {self.colors} exclude each other")
        return self

    def numbered_layers(self) -> tuple[tuple[int, str], ...]:
        """Painting (from 1) and name of each style layer; empty where none has a number."""
        found: list[tuple[int, str]] = []
        number = 0
        for text in self.style_layers or ():
            digits, _, name = text.rpartition(":")
            if digits:
                if not digits.isdecimal() or int(digits) < 1:
                    raise ValueError(f"style-layers: {digits!r} is not the number of a painting")
                number = int(digits)
            found.append((number, name))
        if number == 0:
            return ()
        if found[0][0] == 0:
            raise ValueError(f"style-layers: {found[0][1]} comes before the first number")
        return tuple(found)

    def degrees(self) -> tuple[float, ...]:
        """The turns of the painting, first none; :attr:`style_rotations` written out."""
        turns = self.style_rotations
        if len(turns) == 1:
            turns = tuple(360 * i / turns[0] for i in range(int(turns[0])))
        return tuple(dict.fromkeys((0.0, *(float(t) % 360 for t in turns))))
