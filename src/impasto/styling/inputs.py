"""The pictures of a job, read and checked before any heavy work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from impasto.images import FloatArray, Picture
from impasto.specs import StylizeSpec
from impasto.styling import starts
from impasto.styling.regions import Region, kept, parts_of, regions_of


@dataclass(frozen=True)
class Inputs:
    """The photo, the paintings and, where they were given, the start picture and the masks.

    Raises:
        InputError: A mask is empty or does not belong to its picture.
    """

    photo: Picture
    paintings: tuple[Picture, ...]
    start: Picture | None = None
    masks: tuple[Picture, ...] = ()
    style_masks: tuple[Picture, ...] = ()
    keep: Picture | None = None

    def __post_init__(self) -> None:
        """Check the masks."""
        _ = self.regions, self.parts, self.kept

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """Which painting goes where; empty without masks."""
        return regions_of(self.photo, self.paintings, self.masks, self.style_masks)

    @cached_property
    def parts(self) -> tuple[FloatArray | None, ...]:
        """The part of each painting that counts, where there are no regions."""
        return () if self.masks else parts_of(self.paintings, self.style_masks)

    @cached_property
    def kept(self) -> FloatArray | None:
        """What stays as it is in the photo."""
        return kept(self.photo, self.keep)

    def all(self) -> dict[str, Picture]:
        """Role to picture; those of one role are numbered from 1 when there are several."""
        named = {"content": self.photo}
        roles = {"style": self.paintings, "mask": self.masks, "style_mask": self.style_masks}
        for role, pictures in roles.items():
            for i, picture in enumerate(pictures, 1):
                named[f"{role}{i}" if len(pictures) > 1 else role] = picture
        single = {"init": self.start, "keep": self.keep}
        return named | {role: picture for role, picture in single.items() if picture}

    def described(self) -> dict[str, dict[str, Any]]:
        """What the output says of them: name, sha256, size."""
        return described_pictures(self.all())

    def notes(self) -> tuple[str, ...]:
        """What reading them did that a person might want to know."""
        return notes_of(self.all())


def described_pictures(pictures: Mapping[str, Picture]) -> dict[str, dict[str, Any]]:
    """What the output says of pictures, by role: name, sha256, size."""
    return {
        role: {
            "name": picture.source.name,
            "sha256": picture.source.sha256,
            "size": [picture.width, picture.height],
        }
        for role, picture in pictures.items()
    }


def notes_of(pictures: Mapping[str, Picture]) -> tuple[str, ...]:
    """What reading pictures did that a person might want to know."""
    return tuple(
        f"{picture.source.name}: {note}"
        for picture in pictures.values()
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
        read(init) if starts.parse(init).kind == "picture" else None,
        tuple(map(read, spec.mask)),
        tuple(map(read, spec.style_mask)),
        read(spec.keep) if spec.keep is not None else None,
    )
