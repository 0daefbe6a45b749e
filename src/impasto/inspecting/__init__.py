"""What a network sees in a picture: numbers, feature maps, classes, and what a layer keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import InspectSpec

if TYPE_CHECKING:
    from impasto.inspecting.explain import Explanation
    from impasto.inspecting.folder import FolderInspection
    from impasto.inspecting.run import Inspection


def prepare(
    spec: InspectSpec, read: Callable[[str], Picture]
) -> Inspection | Explanation | FolderInspection:
    """A job for ``spec``, checked: picture read, weights verified, layers found.

    The picture is read before torch is loaded, so that a bad one is reported at once.
    """
    picture = read(spec.image)
    if spec.explain is not None:
        from impasto.inspecting.explain import Explanation

        return Explanation(spec, picture)
    if spec.photos is not None:
        from impasto.inspecting.folder import FolderInspection

        return FolderInspection(spec, picture, read)
    from impasto.inspecting.run import Inspection

    return Inspection(spec, picture)


__all__ = ["prepare"]
