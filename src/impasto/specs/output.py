"""Where a result goes, and what is written beside it."""

from __future__ import annotations

from pathlib import PurePath

from pydantic import Field, field_validator

from impasto.specs.base import Spec


class OutputSpec(Spec):
    """What happens to the result; no effect on the picture itself."""

    output: str | None = Field(
        None, description="The file to write: .png .jpg .webp .avif .tif; - is standard output."
    )
    force: bool = Field(False, description="Overwrite what exists.")
    save_every: int = Field(
        0, ge=0, description="Write a numbered picture every N steps; 0 writes none."
    )
    log: str | None = Field(
        None, description="Write every loss term of every step to this .csv or .jsonl file."
    )
    plot: str | None = Field(None, description="Draw the losses into this .png file.")
    save_recipe: str | None = Field(
        None, description="Write the recipe with all its numbers, as used, to this .toml file."
    )
    keep_metadata: bool = Field(
        False,
        description="Keep the photo's copyright, artist and colour profile, nothing else of it.",
    )
    resume: bool = Field(False, description="Continue from the checkpoint beside the output.")
    max_pixels: int = Field(
        64_000_000, ge=1, description="Largest picture that is read, in pixels."
    )

    @field_validator("log")
    @classmethod
    def _log(cls, value: str | None) -> str | None:
        return _ending(value, ".csv", ".jsonl")

    @field_validator("plot")
    @classmethod
    def _plot(cls, value: str | None) -> str | None:
        return _ending(value, ".png")


def _ending(value: str | None, *allowed: str) -> str | None:
    if value is not None and PurePath(value).suffix.lower() not in allowed:
        raise ValueError(f"must end in {' or '.join(allowed)}")
    return value
