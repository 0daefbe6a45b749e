"""The pictures of a texture job, read and checked before torch is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from impasto.errors import InputError
from impasto.images import FloatArray, Picture
from impasto.images.files import shown
from impasto.images.masks import pair_regions, split_colours
from impasto.images.resize import fit_size
from impasto.specs import TextureSpec
from impasto.styling import starts
from impasto.styling.inputs import described_pictures, notes_of
from impasto.styling.regions import check_shape, fits_shape

#: Longest side at which an exemplar is looked at unless the request says otherwise, px.
LONGEST = 512


@dataclass(frozen=True)
class Exemplar:
    """The exemplar and, where they were given, the two label maps and the start.

    Raises:
        InputError: A map does not belong to its picture, or lacks a colour.
    """

    picture: Picture
    labels: tuple[Picture, ...] = ()
    start: Picture | None = None

    def __post_init__(self) -> None:
        """Check the maps."""
        _ = self.regions

    @cached_property
    def regions(self) -> tuple[tuple[FloatArray, FloatArray], ...]:
        """Where in the result, (H, W), goes what of the exemplar, (h, w); empty without maps."""
        if not self.labels:
            return ()
        given, wanted = self.labels
        check_shape(given, self.picture)
        return tuple(pair_regions(split_colours(wanted), split_colours(given)))

    def looked_at(self, longest: int | None) -> tuple[int, int]:
        """Height and width at which the exemplar is looked at."""
        height, width = self.picture.height, self.picture.width
        return fit_size(height, width, longest or min(LONGEST, max(height, width)))

    def result_size(self, spec: TextureSpec) -> tuple[int, int]:
        """Height and width of the result.

        Raises:
            InputError: They do not have the proportions of the map of the result.
        """
        size = spec.extent()
        if not self.labels:
            return size or self.looked_at(spec.exemplar_size)
        wanted = self.labels[1]
        if size is not None and not fits_shape(wanted, size):
            raise InputError(
                f"guide {shown(wanted.source.name)} is {wanted.width} x {wanted.height} px: other "
                f"proportions than {size[1]} x {size[0]}",
                hint="leave out --size",
            )
        return size or (wanted.height, wanted.width)

    def all(self) -> dict[str, Picture]:
        """Role to picture."""
        guides = {f"guide{i}": label for i, label in enumerate(self.labels, 1)}
        start = {"init": self.start} if self.start is not None else {}
        return {"exemplar": self.picture} | guides | start

    def described(self) -> dict[str, dict[str, Any]]:
        """What the output says of them: name, sha256, size."""
        return described_pictures(self.all())

    def notes(self) -> tuple[str, ...]:
        """What reading them did that a person might want to know."""
        return notes_of(self.all())


def read_exemplar(spec: TextureSpec, init: str, read: Callable[[str], Picture]) -> Exemplar:
    """Every picture that ``spec`` names.

    Raises:
        InputError: One of them cannot be used.
    """
    start = read(init) if starts.parse(init).kind == "picture" else None
    return Exemplar(read(spec.exemplar), tuple(map(read, spec.guide)), start)
