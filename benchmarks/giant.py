"""One step on a picture too large to hold: ``python benchmarks/giant.py [SIZE] [TILE] [WIDTH]``.

Makes the goals of the default recipe for a picture of SIZE x SIZE px (16384 unless given), takes
one step of its optimiser in tiles of TILE px (256), and prints how long each part took and the
peak of the process's memory. Everything is as in a job but for the pictures, which are mosaics of
a sample, so that reading and resampling do not count. With WIDTH, a network of the same layers with
random weights and WIDTH instead of 64 channels in its first block takes the place of the real one:
all that grows with the picture is the same but the maps at the cuts, in a fraction of the time.
"""

from __future__ import annotations

import resource
import sys
import threading
import time

import torch
from torch import Tensor

from impasto import images, samples
from impasto.backbones import Backbone, load
from impasto.engine.objective import goal_for
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.engine.store import LARGE, Store
from impasto.engine.tiled import TiledEyes, TiledObjective, Tiles
from impasto.recipes import find_recipe
from impasto.styling.goals import make_term
from impasto.testing import thin_vgg

SAMPLE = 512


def mosaic(size: int, store: Store) -> Tensor:
    """A sample scene again and again, (1, 3, size, size), each copy mirrored."""
    scene = images.to_tensor(images.load(samples.photo("harbour", (SAMPLE, SAMPLE))))
    large = store.empty((1, 3, size, size), scene)
    for row, top in enumerate(range(0, size, SAMPLE)):
        for column, left in enumerate(range(0, size, SAMPLE)):
            piece = scene.flip([a for a, odd in ((-2, row % 2), (-1, column % 2)) if odd])
            part = large[..., top : top + SAMPLE, left : left + SAMPLE]
            part.copy_(piece[..., : part.shape[-2], : part.shape[-1]])
        store.release()
    return large


def say(what: str, begun: float) -> float:
    """Print the time since ``begun`` and the peak so far; returns the time now."""
    now, peak = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"{what:12} {now - begun:8.1f} s, peak {peak / 2**30:5.2f} GiB", flush=True)
    return now


def watch() -> None:
    """Say every five minutes how far the memory has gone."""
    begun = time.monotonic()
    while True:
        time.sleep(300)
        say("... so far", begun)


def main() -> None:
    """Print the figures."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 16384
    tile = int(sys.argv[2]) if len(sys.argv) > 2 else 256
    store = Store(least=LARGE)
    recipe = find_recipe("impasto")
    net: Backbone = (
        thin_vgg(width=int(sys.argv[3]), pooling=recipe.pooling)
        if len(sys.argv) > 3
        else load(recipe.backbone, pooling=recipe.pooling, padding=recipe.padding)
    )
    tiles = Tiles(tile, store)
    eyes = TiledEyes(net, tiles)
    threading.Thread(target=watch, daemon=True).start()
    print(f"{size} x {size} px, tiles of {tile} px, {net.name}, {torch.get_num_threads()} threads")
    clock = say("start", time.monotonic())
    photo = mosaic(size, store)
    painting = images.to_tensor(images.load(samples.painting("nocturne", (SAMPLE, SAMPLE))))
    clock = say("pictures", clock)
    goals = [
        goal_for(make_term(t), eyes, [painting if t.role == "style" else photo], [1.0])
        for t in recipe.terms
    ]
    clock = say("goals", clock)
    run = Optimisation(
        PlainPixels(photo, store=store),
        TiledObjective(net, goals, tiles),
        Optimiser(**recipe.optimizer.model_dump()),
        1,
        store,
    )
    (step,) = run.steps()
    clock = say("step", clock)
    print("terms", {name: round(float(value), 5) for name, value in step.terms.items()})
    pieces = store.pieces(run.image().view(-1), photo.view(-1))
    moved = sum(float((a - b).abs().sum()) for a, b in pieces)
    print(f"mean absolute change of a pixel: {moved / photo.numel():.5f}")


if __name__ == "__main__":
    main()
