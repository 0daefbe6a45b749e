"""DeepDream: a picture with more of what a network sees in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import DreamSpec

if TYPE_CHECKING:
    from impasto.dreaming.run import Dreaming


def prepare(spec: DreamSpec, read: Callable[[str], Picture]) -> Dreaming:
    """A job for ``spec``, checked: pictures read, weights verified, layers found."""
    photo = read(spec.image)
    guide = None if spec.guide is None else read(spec.guide)
    from impasto.dreaming.run import Dreaming

    return Dreaming(spec, photo, guide)


__all__ = ["prepare"]
