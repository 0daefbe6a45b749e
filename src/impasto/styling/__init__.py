"""Neural style transfer: the main job, by optimisation or in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import StylizeSpec
from impasto.styling import fast
from impasto.styling.inputs import read_inputs
from impasto.styling.plan import resolve

if TYPE_CHECKING:
    from impasto.styling.one_pass import OnePassStylization
    from impasto.styling.run import Stylization


def prepare(spec: StylizeSpec, read: Callable[[str], Picture]) -> Stylization | OnePassStylization:
    """A job for ``spec``, checked: pictures read, weights verified, memory estimated.

    The pictures are read before torch is loaded, so that a bad one is reported at once.
    """
    method = fast.resolve(spec)
    if method is not None:
        inputs = read_inputs(spec, method.init, read)
        from impasto.styling.one_pass import OnePassStylization

        return OnePassStylization(spec, method, inputs)
    recipe = resolve(spec)
    inputs = read_inputs(spec, recipe.init, read)
    from impasto.styling.run import Stylization

    return Stylization(spec, recipe, inputs)


__all__ = ["prepare", "resolve"]
