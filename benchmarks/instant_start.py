"""What ``--init instant`` saves: ``python benchmarks/instant_start.py [SIZE [PHOTO PAINTING]]``.

The default recipe from the photo and from the picture of one pass, at one scale (all evaluations
at full size) and coarse to fine as a draft: the objective after some evaluations at full size, and
how many from the photo are as good as 10 from the instant picture.
"""

from __future__ import annotations

import sys
from itertools import accumulate

from impasto import images, samples
from impasto.backbones import load
from impasto.events import Finished, Step
from impasto.recipes import Schedule
from impasto.specs import StylizeSpec
from impasto.styling.inputs import Inputs
from impasto.styling.plan import resolve
from impasto.styling.run import Stylization

#: Evaluations at one scale, and those that are printed.
MOST, SHOWN = 60, (1, 3, 5, 10, 20, 40, 60)


def curve(pictures: Inputs, size: int, start: str, *, single: bool) -> tuple[list[float], float]:
    """The lowest loss so far at the last scale, by evaluation, and seconds of the whole."""
    spec = StylizeSpec.build(
        content="photo", style=("painting",), size=size, quality="draft", init=start
    )
    recipe = resolve(spec)
    if single:
        schedule = Schedule(ratio=1.0, smallest=16, steps={"draft": (MOST,)})
        recipe = recipe.model_copy(update={"schedule": schedule})
    run = Stylization(spec, recipe, pictures, backbone=load(pooling=recipe.pooling))
    losses: dict[int, list[float]] = {}
    for event in run.events():
        if isinstance(event, Step):
            losses.setdefault(event.scale, []).append(event.loss)
        elif isinstance(event, Finished):
            seconds = event.seconds
    return list(accumulate(losses[max(losses)], min)), seconds


def main(words: list[str]) -> None:
    """Print both tables."""
    size = int(words[0]) if words else 256
    files = words[1:3] or [samples.photo("harbour", (384, 512)), samples.painting("nocturne")]
    pictures = Inputs(images.load(files[0]), (images.load(files[1]),))
    found = {s: curve(pictures, size, s, single=True)[0] for s in ("content", "instant")}
    print(f"one scale, {size} px    " + "".join(f"{n:>9}" for n in SHOWN))
    for name, losses in found.items():
        print(f"  from {name:16}" + "".join(f"{losses[n - 1]:9.3f}" for n in SHOWN))
    goal = found["instant"][9]
    later = next((i for i, v in enumerate(found["content"], 1) if v <= goal), None)
    print(f"  10 from instant are as good as {later or f'more than {MOST}'} from the photo")
    for name in found:
        losses, seconds = curve(pictures, size, name, single=False)
        print(f"draft from {name}: {losses[-1]:.3f} after {seconds:.1f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
