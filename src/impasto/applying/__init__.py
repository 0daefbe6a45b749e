"""The verb ``apply``: a trained network and a photo in, a picture out, in one pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import ApplySpec

if TYPE_CHECKING:
    from impasto.applying.run import Applying
    from impasto.applying.weaving import Weaving

#: What stands for a photo where a texture is made.
SIZE = re.compile(r"\d+x\d+")


def prepare(spec: ApplySpec, read: Callable[[str], Picture]) -> Applying | Weaving:
    """A job for ``spec``, checked: photo read, model found and loaded.

    The photo is read before torch is loaded, so that a bad one is reported at once.
    """
    if SIZE.fullmatch(spec.image) and not Path(spec.image).exists():
        from impasto.applying.weaving import Weaving

        return Weaving(spec)
    image = read(spec.image)
    from impasto.applying.run import Applying

    return Applying(spec, image)


__all__ = ["prepare"]
