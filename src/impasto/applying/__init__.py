"""The verb ``apply``: a trained network and a photo in, a picture out, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import ApplySpec

if TYPE_CHECKING:
    from impasto.applying.run import Applying


def prepare(spec: ApplySpec, read: Callable[[str], Picture]) -> Applying:
    """A job for ``spec``, checked: photo read, model found and loaded.

    The photo is read before torch is loaded, so that a bad one is reported at once.
    """
    image = read(spec.image)
    from impasto.applying.run import Applying

    return Applying(spec, image)


__all__ = ["prepare"]
