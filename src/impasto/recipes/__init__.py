"""Published methods as data, one file each."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, TermSpec
from impasto.recipes.own import IMPASTO
from impasto.registry import Registry

RECIPES: Registry[Recipe] = Registry("recipe")
for _recipe in (IMPASTO,):
    RECIPES.add(_recipe.name, _recipe)

__all__ = ["RECIPES", "OptimizerSpec", "Recipe", "Schedule", "TermSpec"]
