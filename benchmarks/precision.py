"""Does the network pay in fewer bits here? ``python benchmarks/precision.py [SIZE ...]``.

One evaluation (objective and gradient) of the default recipe, by median times of rounds taken in
turns in one process, freed memory kept: the network in bfloat16 against impasto as it comes
(float32, kernels of its own) and against plain eager PyTorch in float32. The last columns are the
relative distances of the gradient and of the objective from float32's.
"""

from __future__ import annotations

import sys

import torch
from textbook import Textbook, distance, evaluated, interleaved, ours, pair

from impasto import native
from impasto.backbones import load
from impasto.engine.allocator import kept_memory
from impasto.engine.devices import placed

SIZES, ROUNDS = (256, 512), 7


def row(size: int) -> str:
    """One size: the two ratios, and how far gradient and value are apart."""
    backbone, pictures = load(pooling="avg"), pair(size)
    low = ours(placed(backbone, torch.device("cpu"), "bfloat16"), pictures)
    mine, eager = ours(backbone, pictures), Textbook(backbone, pictures, torch.channels_last)
    draw = torch.Generator().manual_seed(0)
    x = pictures.photo.lerp(torch.rand(pictures.photo.shape, generator=draw), 0.1)
    ways = {
        "eager": lambda: evaluated(eager, x),
        "float32": lambda: evaluated(mine, x),
        "bfloat16": lambda: evaluated(low, x),
    }
    with kept_memory():
        times = {name: t.median for name, t in interleaved(ways, ROUNDS).items()}
    (value, slope), (near, found) = evaluated(mine, x), evaluated(low, x)
    return (
        f"| {size} | {times['eager'] / times['bfloat16']:.2f} "
        f"| {times['float32'] / times['bfloat16']:.2f} "
        f"| {times['eager'] / times['float32']:.2f} "
        f"| {distance(found, slope):.1e} | {float((near - value).abs() / value):.1e} |"
    )


def main() -> None:
    print(f"{torch.get_num_threads()} threads, {native.describe()}")
    print(
        "| size, px | eager / bfloat16 | impasto / bfloat16 | eager / impasto | gradient | value |"
    )
    print("|--:|--:|--:|--:|--:|--:|")
    for size in [int(text) for text in sys.argv[1:]] or SIZES:
        print(row(size), flush=True)


if __name__ == "__main__":
    main()
