"""Neural style transfer, by optimisation or in one pass; and textures, its style alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from impasto.images import Picture
from impasto.specs import StylizeSpec, TextureSpec
from impasto.specs.texture import QUILTING
from impasto.styling import fast
from impasto.styling.inputs import read_inputs
from impasto.styling.plan import resolve

if TYPE_CHECKING:
    from impasto.styling.one_pass import OnePassStylization
    from impasto.styling.pretrained import Pretrained
    from impasto.styling.quilt import Quilt
    from impasto.styling.run import Stylization
    from impasto.styling.texture import Texture


def prepare(
    spec: StylizeSpec, read: Callable[[str], Picture]
) -> Stylization | OnePassStylization | Pretrained:
    """A job for ``spec``, checked: pictures read, weights verified, memory estimated.

    The pictures are read before torch is loaded, so that a bad one is reported at once.
    """
    if fast.trained(spec):
        inputs = read_inputs(spec.model_copy(update={"style": ()}), "content", read)
        from impasto.styling.pretrained import Pretrained

        return Pretrained(spec, inputs)
    method = fast.resolve(spec)
    if method is not None:
        inputs = read_inputs(spec, method.init, read)
        from impasto.styling.one_pass import OnePassStylization

        return OnePassStylization(spec, method, inputs)
    recipe = resolve(spec)
    inputs = read_inputs(spec, recipe.init, read)
    from impasto.styling.run import Stylization

    return Stylization(spec, recipe, inputs)


def prepare_texture(spec: TextureSpec, read: Callable[[str], Picture]) -> Texture | Quilt:
    """A job for ``spec``, checked in the same way."""
    from impasto.styling.exemplar import read_exemplar

    if spec.recipe == QUILTING:
        inputs = read_exemplar(spec, "pixels", read)
        from impasto.styling.quilt import Quilt

        return Quilt(spec, inputs)
    from impasto.styling.plan import resolve_texture

    recipe = resolve_texture(spec)
    inputs = read_exemplar(spec, recipe.init, read)
    from impasto.styling.texture import Texture

    return Texture(spec, recipe, inputs)


__all__ = ["prepare", "prepare_texture", "resolve"]
