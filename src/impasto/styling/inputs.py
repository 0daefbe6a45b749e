"""The pictures of a job, read and checked before any heavy work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from impasto.images import Picture
from impasto.specs import StylizeSpec
from impasto.styling.plan import init_parts


@dataclass(frozen=True)
class Inputs:
    """The photo, the paintings and, where one was given, the start picture."""

    photo: Picture
    paintings: tuple[Picture, ...]
    start: Picture | None = None

    def all(self) -> dict[str, Picture]:
        """Role to picture; styles are numbered from 1 when there are several."""
        named = {"content": self.photo}
        several = len(self.paintings) > 1
        for i, painting in enumerate(self.paintings, 1):
            named[f"style{i}" if several else "style"] = painting
        return named | ({"init": self.start} if self.start else {})

    def described(self) -> dict[str, dict[str, Any]]:
        """What the output says of them: name, sha256, size."""
        return {
            role: {
                "name": picture.source.name,
                "sha256": picture.source.sha256,
                "size": [picture.width, picture.height],
            }
            for role, picture in self.all().items()
        }

    def notes(self) -> tuple[str, ...]:
        """What reading them did that a person might want to know."""
        return tuple(
            f"{picture.source.name}: {note}"
            for picture in self.all().values()
            for note in picture.source.notes
        )


def read_inputs(spec: StylizeSpec, init: str, read: Callable[[str], Picture]) -> Inputs:
    """Every picture that ``spec`` names.

    Raises:
        InputError: One of them cannot be used.
    """
    return Inputs(
        read(spec.content),
        tuple(read(name) for name in spec.style),
        read(init) if init_parts(init)[0] == "picture" else None,
    )
