"""Seconds that each filter takes on a drawn scene, as a table.

``python benchmarks/filters.py [--side 1024] [--threads 2] [NAME ...]``: median of five after a
warm-up, and the processor time of the fastest run, which does not depend on what else is running.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from impasto import samples
from impasto.filters import FILTERS


def picture(kind: str, side: int) -> torch.Tensor:
    """A scene of 4 : 3 drawn by impasto, with the longest side ``side``."""
    size = (side * 3 // 4, side)
    draw = samples.painting if kind == "nocturne" else samples.photo
    drawn = torch.from_numpy(draw(kind, size)).permute(2, 0, 1).unsqueeze(0)
    return drawn.float().contiguous()


def measured(name: str, image: torch.Tensor, painting: torch.Tensor) -> tuple[float, float]:
    """Median wall time and least processor time, in seconds."""
    step = FILTERS.get(name)()
    step(image, painting)
    wall, work = [], []
    for _ in range(5):
        begin, busy = time.perf_counter(), time.process_time()
        step(image, painting)
        wall.append(time.perf_counter() - begin)
        work.append(time.process_time() - busy)
    return statistics.median(wall), min(work)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=sorted(FILTERS.names()))
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image, painting = picture("harbour", options.side), picture("nocturne", options.side)
    print("| filter | seconds | processor seconds |")
    print("|---|---|---|")
    for name in options.names:
        wall, work = measured(name, image, painting)
        print(f"| `{name}` | {wall:.2f} | {work:.2f} |", flush=True)


if __name__ == "__main__":
    main()
