"""The verb ``filter``: a photo and a chain of filters in, a picture out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.errors import UsageError
from impasto.images import Picture
from impasto.specs import FilterSpec

if TYPE_CHECKING:
    from impasto.filtering.run import Filtering


def prepare(spec: FilterSpec, read: Callable[[str], Picture]) -> Filtering:
    """A job for ``spec``, checked: pictures read, filters found, parameters in range.

    The pictures are read before torch is loaded, so that a bad one is reported at once.

    Raises:
        UsageError: The name is that of a file: a picture where the filter belongs.
    """
    if Path(spec.name).is_file() and not Path(spec.image).exists():
        raise UsageError(
            f"{spec.name} is a file, not a filter",
            hint=f"the filter comes first: impasto filter {spec.image} {spec.name}",
        )
    image = read(spec.image)
    reference = None if spec.reference is None else read(spec.reference)
    from impasto.filtering.run import Filtering

    return Filtering(spec, image, reference)


__all__ = ["prepare"]
