"""Does a result look the same at every size? ``python benchmarks/same_look.py [SIZE] [QUALITY]``.

A sample scene is painted at SIZE and at twice that. The large result is scaled down and compared
with the small one, for the recipe's coarse-to-fine schedule and for a single scale of as much work:

- Gram: distance of Gram matrices relative to the small result's, mean over five layers;
- Lab: mean absolute difference of L, a and b after a Gaussian blur of 2% of the size.

For the scale of both numbers: the same between the small result and the photo.
"""

from __future__ import annotations

import sys
import time

import torch
from torch import Tensor

from impasto import images, samples
from impasto.backbones import Backbone, load
from impasto.events import Finished
from impasto.images.colour import rgb_to_lab
from impasto.images.masks import soften
from impasto.images.resize import resize
from impasto.losses.gram import gram_sum
from impasto.recipes import Recipe, Schedule
from impasto.specs import StylizeSpec
from impasto.styling.inputs import Inputs
from impasto.styling.plan import resolve
from impasto.styling.run import Stylization

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
PHOTO = images.load(samples.photo("harbour", (768, 1024)))
PAINTING = images.load(samples.painting("nocturne", (768, 1024)))
BLUR = 0.02


def single(recipe: Recipe, size: int) -> Recipe:
    """The recipe at its final size only, with the evaluations of all scales spent there."""
    steps = recipe.schedule.steps[recipe.quality]
    scales, total = 0, 0.0
    while size / 2**scales >= recipe.schedule.smallest:
        total += steps[min(scales, len(steps) - 1)] / 4**scales
        scales += 1
    schedule = Schedule(ratio=1.0, smallest=16, steps={recipe.quality: (round(total),)})
    return recipe.model_copy(update={"schedule": schedule})


def painted(net: Backbone, size: int, quality: str, *, coarse: bool) -> Tensor:
    """A result, (1, 3, H, W)."""
    spec = StylizeSpec.build(content="photo", style=("painting",), size=size, quality=quality)
    recipe = resolve(spec) if coarse else single(resolve(spec), size)
    run = Stylization(spec, recipe, Inputs(PHOTO, (PAINTING,)), backbone=net)
    *_, last = run.events()
    assert isinstance(last, Finished)
    return images.to_tensor(images.load(last.image))


def gram_distance(net: Backbone, a: Tensor, b: Tensor) -> float:
    """See the module."""
    with torch.no_grad():
        taps = [net.taps(t, LAYERS) for t in (a, b)]
    found = 0.0
    for name in LAYERS:
        first, second = (gram_sum(t[name]) for t in taps)
        found += float((first - second).norm() / second.norm())
    return found / len(LAYERS)


def lab_distance(a: Tensor, b: Tensor) -> float:
    """See the module."""
    return float((blurred(rgb_to_lab(a)) - blurred(rgb_to_lab(b))).abs().mean())


def blurred(lab: Tensor) -> Tensor:
    """Each channel, softened."""
    low, high = lab.amin(), lab.amax()
    planes = ((lab - low) / (high - low))[0].numpy()
    soft = [torch.from_numpy(soften(p, BLUR * max(p.shape))) for p in planes]
    return torch.stack(soft) * (high - low) + low


def main(size: int = 256, quality: str = "good") -> None:
    recipe = resolve(StylizeSpec.build(content="photo", style=("painting",)))
    net = load(recipe.backbone, pooling=recipe.pooling, padding=recipe.padding)
    print(f"{'':24}  Gram   Lab  ({size} and {2 * size} px, {quality})", flush=True)
    for name, coarse in (("coarse to fine", True), ("single scale", False)):
        begun = time.monotonic()
        small, large = (painted(net, s, quality, coarse=coarse) for s in (size, 2 * size))
        shape = (small.shape[-2], small.shape[-1])
        down = resize(large, shape, clamp=True)
        for what, tensor in (("small", small), ("large", large)):
            images.save(images.from_tensor(tensor), f"same-look-{name}-{what}.png", force=True)
        photo = resize(images.to_tensor(PHOTO), shape, clamp=True)
        for label, other in ((name, down), ("  for scale: the photo", photo)):
            numbers = gram_distance(net, other, small), lab_distance(other, small)
            print(f"{label:24}  {numbers[0]:.3f}  {numbers[1]:.2f}", flush=True)
        print(f"  {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main(*(int(a) if a.isdigit() else a for a in sys.argv[1:]))  # type: ignore[arg-type]
