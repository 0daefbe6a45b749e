"""Checks what `make demo` made: run by continuous integration with the folder as argument."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

from impasto import images
from impasto.backbones import load
from impasto.engine.objective import Objective, goal_for
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import from_tensor, to_tensor
from impasto.recipes import RECIPES
from impasto.styling.goals import make_term


def difference(result: images.Picture, other: images.Picture) -> float:
    """Mean absolute difference of two pictures at the size of the first."""
    same = from_tensor(resize(to_tensor(other), result.size))
    return float(np.abs(same - result.rgb).mean())


def loss(picture: images.Picture, photo: images.Picture, painting: images.Picture) -> float:
    """The default objective of ``picture`` on the real network."""
    recipe, network = RECIPES.get("impasto"), load(pooling="avg")
    size = picture.size if picture.size != photo.size else fit_size(*photo.size, recipe.size)
    x, p, a = (to_tensor(i) for i in (picture, photo, painting))
    painting_at = resize(a, fit_size(*painting.size, max(size)))
    goals = [
        goal_for(
            make_term(t), network, [painting_at if t.role == "style" else resize(p, size)], [1.0]
        )
        for t in recipe.terms
    ]
    with torch.no_grad():
        return float(sum(Objective(network, goals)(resize(x, size)).values()))


def main(folder: Path) -> int:
    """Exit code 1 if the result is no stylization."""
    names = ("photo", "painting", "result")
    photo, painting, result = (images.load(folder / f"{name}.png") for name in names)
    metadata = images.read_metadata(folder / "result.png")
    problems = []
    if metadata is None or not metadata["complete"]:
        problems.append("the result carries no settings, or was not finished")
    elif not (after := loss(result, photo, painting)) < 0.3 * loss(photo, photo, painting):
        problems.append(f"the loss is {after:.3g}, more than 0.3 of the photo's")
    for name, other in (("photo", photo), ("painting", painting)):
        if difference(result, other) < 0.03:
            problems.append(f"the result is the {name}")
    if result.rgb.std() < 0.05:
        problems.append("the result is flat")
    for problem in problems:
        sys.stderr.write(f"check_demo: {problem}\n")
    sys.stdout.write(f"{1 - bool(problems)} passed, {int(bool(problems))} failed\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
