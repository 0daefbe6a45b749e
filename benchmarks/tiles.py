"""What tiles cost per pixel: ``python benchmarks/tiles.py [SIZE] [TILE] [ROUNDS]``.

Objective and gradient of the default recipe on a picture whose longer edge is SIZE px (4096 unless
given) in tiles of TILE px (512), against one pass at 1024 px, in turns in one process: nine of the
small ones before and nine after each large one, ROUNDS (5) times. Freed memory is kept, as in jobs;
the first round has to find it. Prints each round's median and time, and their ratio per pixel; at
the end the peak of the process's memory.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time

from textbook import evaluated, ours, pair
from torch import Tensor

from impasto.backbones import load
from impasto.engine.allocator import kept_memory
from impasto.engine.objective import Objective
from impasto.engine.store import LARGE, Store
from impasto.engine.tiled import Tiles

SMALL, AROUND = 1024, 9


def seconds(wanted: Objective, picture: Tensor) -> float:
    """Of one evaluation with its gradient."""
    begun = time.perf_counter()
    evaluated(wanted, picture)
    return time.perf_counter() - begun


def main() -> None:
    """Print the figures."""
    size, tile, rounds = (
        int(sys.argv[i]) if len(sys.argv) > i else n for i, n in ((1, 4096), (2, 512), (3, 5))
    )
    backbone = load(pooling="avg")
    large, small = pair(size), pair(SMALL)
    tiled, whole = ours(backbone, large, Tiles(tile, Store(LARGE))), ours(backbone, small)
    scale = small.photo.numel() / large.photo.numel()
    shapes = [" x ".join(map(str, p.photo.shape[-2:])) for p in (large, small)]
    print(f"{shapes[0]} px in tiles of {tile} px, {shapes[1]} px in one pass")
    with kept_memory():
        seconds(whole, small.photo)
        for _ in range(rounds):
            around = [seconds(whole, small.photo) for _ in range(AROUND)]
            taken = seconds(tiled, large.photo)
            around += [seconds(whole, small.photo) for _ in range(AROUND)]
            middle = statistics.median(around)
            ratio = f"per pixel {taken / middle * scale:.2f}"
            print(f"one pass {middle:.3f} s, tiles {taken:.2f} s, {ratio}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"peak {peak / 2**30:.2f} GiB, what one pass keeps included")


if __name__ == "__main__":
    main()
