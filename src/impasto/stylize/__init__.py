"""Neural style transfer by optimisation: the main job."""

from __future__ import annotations

from impasto.images import Limits
from impasto.specs import OutputSpec, StylizeSpec
from impasto.stylize.inputs import read_inputs
from impasto.stylize.plan import resolve
from impasto.stylize.run import Stylization


def prepare(spec: StylizeSpec, output: OutputSpec) -> Stylization:
    """A job for ``spec``, checked: pictures read, weights verified, memory estimated."""
    recipe = resolve(spec)
    inputs = read_inputs(spec, recipe.init, Limits(max_pixels=output.max_pixels))
    return Stylization(spec, recipe, inputs)


__all__ = ["Stylization", "prepare", "resolve"]
