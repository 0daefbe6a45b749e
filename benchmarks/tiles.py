"""What tiles cost per pixel: ``python benchmarks/tiles.py [SIZE] [TILE] [ROUNDS]``.

Objective and gradient of the default recipe on a picture of SIZE px (4096 unless given) in tiles
of TILE px (512), against one pass at 1024 px, in turns in one process: nine of the small ones
before and nine after each large one. Freed memory is kept, as in jobs. Prints each round's median
and time, and their ratio per pixel; at the end the peak of the process's memory.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time

import torch
from torch import Tensor

from impasto import images, samples
from impasto.backbones import load
from impasto.engine.allocator import kept_memory
from impasto.engine.objective import Objective, goal_for
from impasto.engine.store import LARGE, Store
from impasto.engine.tiled import TiledEyes, TiledObjective, Tiles
from impasto.images.resize import resize
from impasto.recipes import find_recipe
from impasto.styling.goals import make_term

SMALL, AROUND = 1024, 9


def objective(size: int, tiles: Tiles | None) -> tuple[Objective, Tensor]:
    """What the default recipe wants of a picture of ``size`` px, and such a picture."""
    recipe = find_recipe("impasto")
    net = load(recipe.backbone, pooling=recipe.pooling, padding=recipe.padding)
    eyes = net if tiles is None else TiledEyes(net, tiles)
    scene = images.to_tensor(images.load(samples.photo("harbour", (512, 512))))
    painting = images.to_tensor(images.load(samples.painting("nocturne", (512, 512))))
    photo = resize(scene, (size, size)).clamp(0, 1)
    goals = [
        goal_for(make_term(t), eyes, [painting if t.role == "style" else photo], [1.0])
        for t in recipe.terms
    ]
    found = Objective(net, goals) if tiles is None else TiledObjective(net, goals, tiles)
    return found, photo.flip(-1)


def seconds(wanted: Objective, picture: Tensor) -> float:
    """Of one evaluation with its gradient."""
    x = picture.clone().requires_grad_(True)
    begun = time.perf_counter()
    torch.stack(list(wanted(x).values())).sum().backward()
    return time.perf_counter() - begun


def main() -> None:
    """Print the figures."""
    size, tile, rounds = (
        int(sys.argv[i]) if len(sys.argv) > i else n for i, n in ((1, 4096), (2, 512), (3, 5))
    )
    large = objective(size, Tiles(tile, Store(LARGE)))
    small = objective(SMALL, None)
    print(f"{size} px in tiles of {tile} px, {SMALL} px in one pass")
    with kept_memory():
        seconds(*small)
        for _ in range(rounds):
            before = [seconds(*small) for _ in range(AROUND)]
            tiled = seconds(*large)
            whole = statistics.median(before + [seconds(*small) for _ in range(AROUND)])
            ratio = tiled / whole * (SMALL / size) ** 2
            print(f"one pass {whole:.3f} s, tiles {tiled:.2f} s, per pixel {ratio:.2f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak {peak / 2**30:.2f} GiB (with both kept memories)")


if __name__ == "__main__":
    main()
