"""Neural style transfer by optimisation: the main job."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import StylizeSpec
from impasto.styling.inputs import read_inputs
from impasto.styling.plan import resolve

if TYPE_CHECKING:
    from impasto.styling.run import Stylization


def prepare(spec: StylizeSpec, read: Callable[[str], Picture]) -> Stylization:
    """A job for ``spec``, checked: pictures read, weights verified, memory estimated.

    The pictures are read before torch is loaded, so that a bad one is reported at once.
    """
    recipe = resolve(spec)
    inputs = read_inputs(spec, recipe.init, read)
    from impasto.styling.run import Stylization

    return Stylization(spec, recipe, inputs)


__all__ = ["prepare", "resolve"]
