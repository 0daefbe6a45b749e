"""The request behind ``impasto visualize``."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from impasto.specs.base import FULL, PRECISION, WORDS, Precision, Spec

#: In place of a list of channels: every one of the layer.
ALL = "all"
_RANGE = re.compile(r"(\d+)-(\d+)")
_PLACE = re.compile(r"\d+(,\d+,\d+)?")


class VisualizeSpec(Spec):
    """What a unit of a network looks for: a picture that excites it most (activation maximisation).

    ``None`` means: as the recipe says.
    """

    without: ClassVar[frozenset[str]] = frozenset({"save_recipe", "keep_metadata"})

    layer: str | None = Field(
        None, description="The layer; alone: all of it, or the part that --channel ... names."
    )
    channel: int | None = Field(
        None, ge=0, description="A channel, wherever it answers, counted from 0."
    )
    channels: tuple[str, ...] = Field(
        (), description="Several channels as an atlas: all, or numbers and ranges (0-15,40)."
    )
    singles: bool = Field(
        False,
        description="Write each unit's picture beside the sheet, NAME-LAYER-N.EXT: a folder of "
        "them is what `impasto inspect --atlas` shows.",
    )
    neuron: str | None = Field(
        None,
        description="A channel at one place: C for the middle of the layer, or C,ROW,COLUMN.",
    )
    class_: tuple[str, ...] = Field(
        (),
        description="One or several classes of ImageNet: a name, number or WordNet id.",
        json_schema_extra=WORDS,
    )
    direction: str | None = Field(
        None,
        description="A direction among the channels of the layer: weights as 3:1,40:-0.5, or a "
        "picture whose mean activation it is.",
    )
    objective: tuple[str, ...] = Field(
        (),
        description='Units joined with + - and *: "relu4_1:3 + 0.5 * relu4_1:40"; C@ is the '
        "neuron in the middle, C@R,S one elsewhere, class:NAME a class.",
        json_schema_extra=WORDS,
    )
    between: int = Field(
        0, ge=0, le=64, description="Pictures between neighbours: from one unit to the next."
    )
    diversity: int = Field(1, ge=1, le=16, description="Different pictures of each unit.")
    diversity_weight: float = Field(
        1.0, ge=0, description="How different, relative to the excitation."
    )
    backbone: str | None = Field(
        None,
        description="The network (default vgg16_bn.craft, for classes efficientnet_lite0.in1k); "
        "see `impasto backbones`.",
    )
    recipe: str | None = Field(None, description="The method; see docs/visualize.md.")
    pixels: Literal["fourier", "plain", "laplacian", "cppn"] | None = Field(
        None, description="What is moved."
    )
    init: str | None = Field(None, description="A picture to start from instead of noise.")
    size: int = Field(256, ge=32, le=4096, description="Longest side, px.")
    iterations: int | None = Field(None, ge=1, le=100_000, description="Steps for each picture.")
    learning_rate: float | None = Field(None, gt=0, description="Step size.")
    pad: int | None = Field(None, ge=0, le=512, description="Grey around the picture, px.")
    jitter: float | None = Field(
        None, ge=0, le=512, description="Largest random shift at each step, px."
    )
    rescale: float | None = Field(
        None, ge=0, le=4, description="Largest random change of size: 0.1 is ten percent."
    )
    rotate: float | None = Field(None, ge=0, le=180, description="Largest random turn, degrees.")
    views: int | None = Field(
        None, ge=1, le=64, description="Random views per step, whose answers are averaged."
    )
    tv_weight: float | None = Field(None, ge=0, description="How smooth the picture must be.")
    rivals: float | None = Field(
        None, ge=0, le=1, description="How much other classes count against a class."
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Equal seeds give equal pictures.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Precision = Field(FULL, description=PRECISION)

    @field_validator("channels", "class_", "objective", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        if isinstance(value, range):
            value = tuple(value)
        several = value if isinstance(value, list | tuple) else () if value is None else (value,)
        return tuple(str(v) if isinstance(v, int) else v for v in several)

    @field_validator("channels")
    @classmethod
    def _channels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for item in value:
            ends = _RANGE.fullmatch(item)
            if item != ALL and not item.isdecimal() and ends is None:
                raise ValueError("must be all, numbers or ranges such as 0-15")
            if ends is not None and int(ends[1]) > int(ends[2]):
                raise ValueError(f"has a range that ends before it begins: {item}")
        if ALL in value and len(value) > 1:
            raise ValueError("are either all or numbers")
        return value

    @field_validator("neuron", mode="before")
    @classmethod
    def _neuron(cls, value: Any) -> Any:
        text = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        text = str(text) if isinstance(text, int) else text
        if isinstance(text, str) and not _PLACE.fullmatch(text):
            raise ValueError("must be C or C,ROW,COLUMN")
        return text

    @model_validator(mode="after")
    def _what(self) -> VisualizeSpec:
        parts = {
            "channel": self.channel is not None,
            "channels": bool(self.channels),
            "neuron": self.neuron is not None,
            "direction": self.direction is not None,
        }
        whole = {"class": bool(self.class_), "objective": bool(self.objective)}
        given = [name for name, there in {**parts, **whole}.items() if there]
        if len(given) > 1:
            raise ValueError(f"{given[0]} and {given[1]} exclude each other")
        if not given and self.layer is None:
            raise ValueError(
                "what shall be excited? --layer NAME with --channel N, --channels all or "
                "--neuron N; or --class NAME; or --objective"
            )
        if given and given[0] in parts and self.layer is None:
            raise ValueError(f"{given[0]} of which layer? --layer NAME")
        if given and given[0] in whole and self.layer is not None:
            raise ValueError(f"layer and {given[0]} exclude each other")
        if self.pixels == "cppn" and self.init is not None:
            raise ValueError("pixels cppn cannot start from a picture")
        return self

    def numbers(self, count: int) -> tuple[int, ...]:
        """The channels that :attr:`channels` means, each once, for a layer of ``count``."""
        if self.channels == (ALL,):
            return tuple(range(count))
        found: dict[int, None] = {}
        for item in self.channels:
            first, _, last = item.partition("-")
            found |= dict.fromkeys(range(int(first), int(last or first) + 1))
        return tuple(found)
