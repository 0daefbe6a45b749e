"""How near enlarged pictures are to the true ones: ``python benchmarks/enhance.py [MODEL ...]``.

PSNR and SSIM on luma, a border of as many pixels as the scale left out, and a distance of
features in the manner of LPIPS, on Set5 and Set14: bicubic interpolation, the shipped models and
those that are named. Pictures are made small by antialiased bicubic interpolation and rounded to
8 bits. Features are those of EfficientNet-Lite0, a network that no model was trained with (Zhang
et al. 2018, uncalibrated: mean over layers of the squared distance of unit vectors). Needs the
folder of sample pictures (``IMPASTO_SHARED``, or ``shared`` beside the checkout).
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from impasto import backbones, images
from impasto.images.quality import psnr, ssim
from impasto.images.resize import resize
from impasto.images.tensors import to_tensor
from impasto.losses import Perceptual
from impasto.networks import Enhancer
from impasto.networks.enhance import enlarge
from impasto.networks.shelf import loaded

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("IMPASTO_SHARED", ROOT.parent / "shared")) / "data" / "sr"
SETS = ("Set5", "Set14")
#: Of EfficientNet-Lite0: after its stem, and the first of every later stride, rectified.
LAYERS = ("stem", "block1_expand", "block3_expand", "block5_expand", "block9_expand")
#: What the literature prints for bicubic interpolation, as MATLAB computes it.
PUBLISHED = {
    ("Set5", 2): (33.64, 0.9292),
    ("Set5", 4): (28.42, 0.8101),
    ("Set14", 2): (30.22, 0.8683),
    ("Set14", 4): (25.99, 0.7023),
}
#: From a small picture to a large one.
Enlarging = Callable[[Tensor], Tensor]


def truth(folder: str) -> list[Tensor]:
    """The pictures of a set, (1, 3, H, W), sides multiples of 4."""
    return [to_tensor(images.load(p)) for p in sorted((DATA / folder).glob("*.png"))]


def reduced(image: Tensor, scale: int) -> Tensor:
    height, width = (n // scale for n in image.shape[-2:])
    small = resize(image, (height, width), mode="bicubic").clamp(0, 1)
    return (small * 255).round() / 255


class Distance:
    """Of features, see the module."""

    def __init__(self) -> None:
        self.backbone = backbones.load("efficientnet_lite0.in1k")
        self.loss = Perceptual()

    @torch.no_grad()
    def __call__(self, image: Tensor, true: Tensor) -> float:
        a, b = (self.backbone.taps(t, LAYERS) for t in (image, true))
        return statistics.mean(float(self.loss(a[n], self.loss.target(b[n]))) for n in LAYERS)


def bicubic(scale: int) -> Enlarging:
    def enlarging(small: Tensor) -> Tensor:
        size = (small.shape[-2] * scale, small.shape[-1] * scale)
        return resize(small, size, mode="bicubic").clamp(0, 1)

    return enlarging


def network(name: str) -> tuple[int, Enlarging]:
    """Scale and function of a model."""
    net = loaded(name).network
    assert isinstance(net, Enhancer), name
    return net.scale, lambda small: enlarge(net, small)


def row(folder: str, scale: int, name: str, enlarging: Enlarging, distance: Distance) -> str:
    """One line of the table."""
    figures, begun = [], time.perf_counter()
    for true in truth(folder):
        made = enlarging(reduced(true, scale))
        figures.append((psnr(made, true, scale), ssim(made, true, scale), distance(made, true)))
    spent = time.perf_counter() - begun
    cells = [statistics.mean(column) for column in zip(*figures, strict=True)]
    cells_text = f"{cells[0]:.2f} | {cells[1]:.4f} | {cells[2]:.4f}"
    known = PUBLISHED.get((folder, scale)) if name == "bicubic" else None
    printed = f"{known[0]:.2f} / {known[1]:.4f}" if known else ""
    sys.stderr.write(f"{folder} x{scale} {name}: {spent:.0f} s\n")
    return f"| {folder} | {scale} | {name} | {cells_text} | {printed} |"


def main() -> None:
    """Print the table."""
    shipped = [f"enhance-x{s}-{v}" for s in (2, 4) for v in ("pixel", "perceptual")]
    ways = [(s, "bicubic", bicubic(s)) for s in (2, 4)]
    for name in [*shipped, *sys.argv[1:]]:
        scale, enlarging = network(name)
        ways.append((scale, f"`{Path(name).stem}`", enlarging))
    distance = Distance()
    print("| set | scale | | PSNR, dB | SSIM | distance | published PSNR / SSIM |")
    print("|---|---|---|---|---|---|---|")
    for folder in SETS:
        for scale, name, enlarging in sorted(ways, key=lambda way: way[0]):
            print(row(folder, scale, name, enlarging, distance), flush=True)


if __name__ == "__main__":
    main()
