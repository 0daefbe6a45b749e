"""The verb ``enhance``: a picture in, the same two or four times as large out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import EnhanceSpec

if TYPE_CHECKING:
    from impasto.enhancing.run import Enhancing


def prepare(spec: EnhanceSpec, read: Callable[[str], Picture]) -> Enhancing:
    """A job for ``spec``, checked: pictures read, model found and loaded.

    The pictures are read before torch is loaded, so that a bad one is reported at once.
    """
    image = read(spec.image)
    painting = None if spec.from_style is None else read(spec.from_style)
    from impasto.enhancing.run import Enhancing

    return Enhancing(spec, image, painting)


__all__ = ["prepare"]
