"""The request behind ``impasto train``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from impasto.specs.base import PLACES, SETTINGS, Spec


class TrainSpec(Spec):
    """Photos, and paintings where the task has any, in; a trained network out.

    ``None`` means: as the task says.
    """

    without: ClassVar[frozenset[str]] = frozenset({"save_recipe", "keep_metadata"})
    product: ClassVar[Literal["picture", "model"]] = "model"

    style: tuple[str, ...] = Field(
        (),
        max_length=64,
        description="Paintings, for tasks that have any.",
        json_schema_extra=PLACES,
    )
    photos: tuple[str, ...] = Field(
        (),
        max_length=64,
        description="Folders of photos to learn from.",
    )
    task: str | None = Field(
        None,
        description="What is trained; see docs/training.md (default: style where paintings are "
        "named, otherwise decoder).",
    )
    architecture: str | None = Field(
        None, description="Of the network, in the manner of its kind, such as width=64,blocks=1."
    )
    set: tuple[str, ...] = Field(
        (), description="Settings of the task, such as layer=relu3_1.", json_schema_extra=SETTINGS
    )
    init: str | None = Field(
        None, description="A trained model of the same architecture to begin with, by name or file."
    )
    steps: int | None = Field(None, ge=1, le=10_000_000, description="Updates of the weights.")
    batch: int | None = Field(None, ge=1, le=4096, description="Pictures per step.")
    size: int | None = Field(None, ge=16, le=2048, description="Edge of the pictures, in px.")
    learning_rate: float | None = Field(None, gt=0, description="Highest step size of Adam.")
    hold_out: int = Field(
        24, ge=0, le=1000, description="Photos that are kept aside for figures; 0 takes none."
    )
    validate_every: int = Field(
        500, ge=1, description="Steps between figures on the photos that were kept aside."
    )
    precision: Literal["half", "full"] = Field("half", description="Of the numbers in the file.")
    onnx: str | None = Field(
        None, description="At the end, write the network to this .onnx file, too."
    )
    tensorboard: str | None = Field(
        None, description="A folder for TensorBoard: losses of every step, figures, previews."
    )
    licence: str = Field("", description="Of the weights, for their card.")
    seed: int = Field(0, ge=0, lt=2**31, description="Of first weights, order and crops.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")

    @property
    def what(self) -> str:
        """The task."""
        return self.task or ("style" if self.style else "decoder")

    @field_validator("photos", "style", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return value if isinstance(value, list | tuple) else () if value is None else (value,)

    @field_validator("set", mode="before")
    @classmethod
    def _settings(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            return tuple(f"{key}={item}" for key, item in value.items())
        return (value,) if isinstance(value, str) else value

    @field_validator("set")
    @classmethod
    def _pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if "=" not in text:
                raise ValueError("is made of settings such as layer=relu3_1")
        return value
