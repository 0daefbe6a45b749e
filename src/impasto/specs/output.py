"""Where a result goes, and what is written beside it."""

from __future__ import annotations

from pydantic import Field

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
    resume: bool = Field(False, description="Continue from the checkpoint beside the output.")
    max_pixels: int = Field(
        64_000_000, ge=1, description="Largest picture that is read, in pixels."
    )
