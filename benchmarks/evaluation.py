"""One evaluation of the default objective: ``python benchmarks/evaluation.py [SIZE [FILE FILE]]``.

Objective and gradient, ours against plain eager PyTorch (channels-last, in-place ReLUs, no
gradients of weights, the same threads), each as the C library allocates by default and with freed
memory kept (which is how impasto's jobs run). Medians of rounds taken in turns, in one process.
The last column is the relative distance of the gradient from float64's, at 256 px; most of it
comes from activations so near 0 that rounding decides about them. The files are a photo and a
painting, or else the sample scenes.
"""

from __future__ import annotations

import os
import sys

import torch
from textbook import Textbook, distance, evaluated, exactly, interleaved, ours, pair

from impasto import native
from impasto.backbones import load
from impasto.engine.allocator import kept_memory

ROUNDS = 5


def gradients(size: int) -> tuple[dict[str, float], float]:
    """Distances from float64 of plain PyTorch and of ours, and of ours with the same signs."""
    backbone, pictures = load(pooling="avg"), pair(size, sys.argv[2:])
    x = pictures.photo.lerp(torch.rand_like(pictures.photo), 0.1)
    exact = exactly(backbone, pictures, x)
    mine = evaluated(ours(backbone, pictures), x)[1]
    theirs = evaluated(Textbook(backbone, pictures, torch.channels_last), x)[1]
    same = distance(mine, exactly(backbone, pictures, x, signs=True))
    return {"eager": distance(theirs, exact), "impasto": distance(mine, exact)}, same


def main() -> None:
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    backbone, pictures = load(pooling="avg"), pair(size, sys.argv[2:])
    mine = ours(backbone, pictures)
    eager = Textbook(backbone, pictures, torch.channels_last)
    x = pictures.photo.lerp(torch.rand_like(pictures.photo), 0.1)

    def torch_only() -> tuple[torch.Tensor, torch.Tensor]:
        os.environ[native.SWITCH] = "off"
        try:
            return evaluated(mine, x)
        finally:
            del os.environ[native.SWITCH]

    ways = {
        "eager": lambda: evaluated(eager, x),
        "impasto": lambda: evaluated(mine, x),
        "impasto, torch's kernels": torch_only,
    }
    usual = interleaved(ways, ROUNDS)
    with kept_memory():
        interleaved(ways, 2)
        keeping = interleaved(ways, ROUNDS)
    errors, same = gradients(min(size, 256))
    print(f"{tuple(x.shape)}, {torch.get_num_threads()} threads, {native.describe()}")
    print(f"{'median (fastest), seconds':26} {'usual':>15} {'kept':>15}   gradient's error")
    for name in ways:
        cells = " ".join(
            f"{t.median:6.3f} ({t.fastest:6.3f})" for t in (usual[name], keeping[name])
        )
        error = f"{errors[name]:.1e}" if name in errors else ""
        print(f"{name:26} {cells}   {error}")
    print(f"impasto's gradient, ReLUs on the same side of 0 in float64: {same:.1e}")
    print("eager / impasto, by medians and by fastest rounds:")
    for label, a, b in (
        ("as each comes", usual["eager"], keeping["impasto"]),
        ("memory kept", keeping["eager"], keeping["impasto"]),
        ("memory not kept", usual["eager"], usual["impasto"]),
    ):
        print(f"  {label:16} {a.median / b.median:.2f} {a.fastest / b.fastest:.2f}")


if __name__ == "__main__":
    main()
