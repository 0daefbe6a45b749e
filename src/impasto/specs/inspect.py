"""The request behind ``impasto inspect``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from impasto.specs.base import FOLDER, PICTURE, Spec

#: In place of a list of layers: every one, also those inside blocks.
ALL = "all"
#: In place of a classifier: the picture is not classified.
NONE = "none"
#: In place of a layer: what is explained is a class.
CLASS = "class"
#: Units that a report shows of each layer unless told otherwise.
SHOWN_UNITS = 32
#: Methods that take a unit back to the pixels.
SIGNALS = ("guided", "deconv", "gradient")
_RANGE = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


class InspectSpec(Spec):
    """What a network sees in a picture: a sheet of its feature maps, and the numbers behind it."""

    without: ClassVar[frozenset[str]] = frozenset({"keep_metadata"})

    image: str = Field(
        description="The picture; - reads standard input.", json_schema_extra=PICTURE
    )
    backbone: str | None = Field(
        None, description="The network that is looked into; see `impasto backbones`."
    )
    layers: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="Which layers, or all (default: the first of each of five depths).",
    )
    size: int | None = Field(
        None,
        ge=32,
        le=4096,
        description="Longest side at which the network sees pictures, px (default 512; 256 with "
        "--photos).",
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
    explain: str | None = Field(
        None,
        description="Show where in the picture the evidence for this lies: class:NAME, class:N, "
        "class (the most probable one), or LAYER:N for a unit.",
    )
    method: Literal["gradcam", "guided-gradcam", "guided", "deconv", "gradient", "all"] | None = (
        Field(
            None,
            description="How it is explained (default gradcam); all shows them together. With "
            "--photos: what is shown of the crops, guided (default), deconv or gradient.",
        )
    )
    cam_layer: str | None = Field(
        None,
        description="Whose maps Grad-CAM weighs (default: the unit's own layer; for classes the "
        "deepest with positions).",
    )
    photos: str | None = Field(
        None,
        description="A folder of photos: find the nine that excite each unit most, beside the "
        "picture. With -o NAME.html a page per layer to click through.",
        json_schema_extra=FOLDER,
    )
    units: str | None = Field(
        None,
        description="Which units of each layer are shown with --photos: 0-15,40, or all "
        f"(default: the {SHOWN_UNITS} that the picture excites most).",
    )
    atlas: str | None = Field(
        None,
        description="A folder of pictures made by `impasto visualize`, shown beside the photos; "
        "their names end in LAYER-N.",
        json_schema_extra=FOLDER,
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

    def refused(self) -> frozenset[str]:
        """Without an inversion there are no losses."""
        losses = self.without | {"save_every", "log", "plot"}
        if self.explain is not None or self.photos is not None:
            return losses | {"save_recipe"}
        return self.without if self.invert is not None else losses

    def pages(self) -> bool:
        """The report on a folder."""
        return self.photos is not None

    def unit_numbers(self) -> tuple[int, ...] | None:
        """The units that are asked for, ascending; None for all or the default."""
        if self.units in (None, ALL):
            return None
        found: set[int] = set()
        for first, last in _RANGE.findall(str(self.units)):
            found.update(range(int(first), int(last or first) + 1))
        return tuple(sorted(found))

    @field_validator("units", mode="before")
    @classmethod
    def _units(cls, value: Any) -> Any:
        if isinstance(value, Iterable) and not isinstance(value, str):
            value = ",".join(map(str, value))
        if not isinstance(value, str) or value == ALL:
            return value
        for part in value.split(","):
            match = _RANGE.fullmatch(part.strip())
            if match is None or int(match[2] or match[1]) < int(match[1]):
                raise ValueError("must be all, or numbers and ranges such as 0-15,40")
        return value

    @field_validator("explain")
    @classmethod
    def _explain(cls, value: str | None) -> str | None:
        what, _, which = (value or CLASS).rpartition(":")
        named = value == CLASS or (value or "").startswith(f"{CLASS}:")
        if value is not None and not named and not (what and which.isdecimal()):
            raise ValueError("must be class, class:NAME, class:N or LAYER:N")
        return value

    @model_validator(mode="after")
    def _one_task(self) -> InspectSpec:
        tasks = [n for n in ("explain", "photos", "invert") if getattr(self, n) is not None]
        if len(tasks) > 1:
            raise ValueError(f"{tasks[0]} and {tasks[1]} exclude each other")
        needs = {"cam_layer": "explain", "units": "photos", "atlas": "photos"}
        for name, other in needs.items():
            if getattr(self, name) is not None and getattr(self, other) is None:
                raise ValueError(f"{name.replace('_', '-')} goes with --{other}")
        if self.method is not None and self.explain is None and self.photos is None:
            raise ValueError("method goes with --explain or --photos")
        if self.photos is not None and self.method not in (None, *SIGNALS):
            raise ValueError(f"method must be {', '.join(SIGNALS)} with --photos")
        if self.explain is not None and self.layers is not None:
            raise ValueError("explain names its layer itself; leave out --layers")
        if self.cam_layer is not None and self.method in SIGNALS:
            raise ValueError(f"cam-layer means nothing for {self.method}")
        return self

    @field_validator("layers")
    @classmethod
    def _all_alone(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if value is not None and ALL in value and len(value) > 1:
            raise ValueError("are either all or names")
        return value
