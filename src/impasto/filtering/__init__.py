"""The verb ``filter``: a photo and a chain of filters in, a picture out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import FilterSpec

if TYPE_CHECKING:
    from impasto.filtering.run import Filtering


def prepare(spec: FilterSpec, read: Callable[[str], Picture]) -> Filtering:
    """A job for ``spec``, checked: pictures read, filters found, parameters in range.

    The pictures are read before torch is loaded, so that a bad one is reported at once.
    """
    image = read(spec.image)
    reference = None if spec.reference is None else read(spec.reference)
    from impasto.filtering.run import Filtering

    return Filtering(spec, image, reference)


__all__ = ["prepare"]
