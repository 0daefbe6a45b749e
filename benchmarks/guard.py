"""Is it still fast? ``python benchmarks/guard.py``: ratios on small sizes, in under a minute.

Compares what impasto does with the same in plain PyTorch in the same process, in turns, by the
fastest round, so that neither the machine's speed nor its other work matters much. Exits with 1
where a ratio is below its bound; bounds are far below what an idle machine shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from textbook import Textbook, distance, evaluated, interleaved, ours, pair

from impasto import native
from impasto.backbones import load
from impasto.engine.allocator import kept_memory

SIZE, ROUNDS = 224, 6
#: Least ratio of plain PyTorch's time to ours.
BOUNDS = {
    "evaluation": 1.5,
    "convolution, 64 channels": 1.2,
    "convolution, 256 channels": 1.5,
    "Gram matrix and gradient": 1.3,
}
#: Largest relative distance of the gradient from plain PyTorch's; see evaluation.py.
ERROR = 1e-2


def evaluation() -> tuple[float, float]:
    """How many times faster an evaluation is, and the distance of the gradients."""
    backbone, pictures = load(pooling="avg"), pair(SIZE)
    mine, eager = ours(backbone, pictures), Textbook(backbone, pictures, torch.channels_last)
    x = pictures.photo.lerp(torch.rand_like(pictures.photo), 0.1)
    apart = distance(evaluated(mine, x)[1], evaluated(eager, x)[1])
    return ratio(lambda: evaluated(eager, x), lambda: evaluated(mine, x)), apart


def convolution(channels: int, edge: int) -> float:
    weight = torch.randn(channels, channels, 3, 3) / (9 * channels) ** 0.5
    weight = weight.contiguous(memory_format=torch.channels_last)
    filters = native.Filters(weight, torch.zeros(channels))
    x = torch.rand(1, channels, edge, edge).contiguous(memory_format=torch.channels_last)
    return ratio(
        lambda: F.conv2d(x, weight, filters.bias, padding=1).relu_(),
        lambda: native.convolve(x, filters, 1, relu=True),
    )


def gram() -> float:
    x = torch.rand(1, 128, 112, 112).contiguous(memory_format=torch.channels_last)
    x.requires_grad_(True)

    def plain() -> object:
        flat = x.flatten(2)
        return torch.autograd.grad((flat @ flat.mT).square().sum(), x)

    return ratio(plain, lambda: torch.autograd.grad(native.gram(x).square().sum(), x))


def ratio(theirs: Callable[[], object], mine: Callable[[], object]) -> float:
    times = interleaved({"theirs": theirs, "ours": mine}, ROUNDS)
    return times["theirs"].fastest / times["ours"].fastest


def measured() -> tuple[dict[str, float], float]:
    with kept_memory(), torch.random.fork_rng():
        torch.manual_seed(0)
        found, apart = evaluation()
        ratios = {
            "evaluation": found,
            "convolution, 64 channels": convolution(64, 160),
            "convolution, 256 channels": convolution(256, 56),
            "Gram matrix and gradient": gram(),
        }
    return ratios, apart


def main() -> int:
    print(f"{torch.get_num_threads()} threads, {native.describe()}")
    if native.library() is None:
        print("nothing to guard: torch's kernels do the work here")
        return 0
    ratios, apart = measured()
    for name, found in ratios.items():
        verdict = "ok" if found >= BOUNDS[name] else "TOO SLOW"
        print(f"{name:28} {found:5.2f} times faster, bound {BOUNDS[name]}: {verdict}")
    print(f"{'gradients apart':28} {apart:.1e}, bound {ERROR}")
    slow = [name for name, found in ratios.items() if found < BOUNDS[name]]
    return 1 if slow or not apart <= ERROR else 0


if __name__ == "__main__":
    sys.exit(main())
