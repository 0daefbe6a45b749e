"""Published methods as data, one file each."""

from __future__ import annotations

from pathlib import Path

from impasto.errors import UnknownName, UsageError
from impasto.recipes.crowson import CROWSON
from impasto.recipes.files import parse_recipe, print_recipe, read_recipe, write_recipe
from impasto.recipes.gatys import CONTROLLING, GATYS, NOTEBOOK
from impasto.recipes.lbfgs_hooks import AS_CODED, AS_MEANT
from impasto.recipes.li_wand import LI_WAND
from impasto.recipes.model import (
    OptimizerSpec,
    Recipe,
    Schedule,
    StandIn,
    TermSpec,
    leaves,
    marked,
)
from impasto.recipes.neural_style import NEURAL_STYLE
from impasto.recipes.one_pass import ONE_PASS, OnePass
from impasto.recipes.own import IMPASTO
from impasto.recipes.risser import RISSER
from impasto.recipes.strotss import STROTSS
from impasto.recipes.survey import SURVEY
from impasto.recipes.swd import SWD
from impasto.recipes.textures import (
    GATYS_TEXTURE,
    MRF_TEXTURE,
    SWD_TEXTURE,
    TEXTURE,
    TEXTURE_ROWS,
)
from impasto.recipes.tf_tutorial import TF_TUTORIAL
from impasto.recipes.tf_vgg19 import TF_VGG19
from impasto.recipes.universal import ADAIN, INSTANT, PHOTO, STYLE_SWAP, WCT
from impasto.recipes.vgg16_adam import VGG16_ADAM
from impasto.registry import Registry

RECIPES: Registry[Recipe] = Registry("recipe")
for _recipe in (
    IMPASTO,
    TF_VGG19,
    VGG16_ADAM,
    TF_TUTORIAL,
    SURVEY,
    AS_CODED,
    AS_MEANT,
    GATYS,
    NOTEBOOK,
    NEURAL_STYLE,
    LI_WAND,
    CONTROLLING,
    RISSER,
    STROTSS,
    CROWSON,
    SWD,
    TEXTURE,
    TEXTURE_ROWS,
    GATYS_TEXTURE,
    MRF_TEXTURE,
    SWD_TEXTURE,
):
    RECIPES.add(_recipe.name, _recipe)
for _method in (INSTANT, WCT, ADAIN, STYLE_SWAP, PHOTO):
    ONE_PASS.add(_method.name, _method)


def find_recipe(name: str) -> Recipe:
    """Like :func:`find_method`, but an optimisation.

    Raises:
        UsageError: The recipe is one pass.
    """
    found = find_method(name)
    if isinstance(found, OnePass):
        raise UsageError(f"recipe {found.name} is one pass; an optimisation is needed here")
    return found


def find_method(name: str) -> Recipe | OnePass:
    """A recipe by its name, or out of a file whose name ends in ``.toml``.

    Raises:
        UnknownName: No recipe is called so.
        InputError: The file cannot be read.
        UsageError: The file holds no recipe.
    """
    if name.lower().endswith(".toml"):
        return read_recipe(Path(name))
    if name in ONE_PASS:
        return ONE_PASS.get(name)
    if name in RECIPES:
        return RECIPES.get(name)
    raise UnknownName("recipe", name, [*RECIPES.names(), *ONE_PASS.names()])


__all__ = [
    "ONE_PASS",
    "RECIPES",
    "OnePass",
    "OptimizerSpec",
    "Recipe",
    "Schedule",
    "StandIn",
    "TermSpec",
    "find_method",
    "find_recipe",
    "leaves",
    "marked",
    "parse_recipe",
    "print_recipe",
    "read_recipe",
    "write_recipe",
]
