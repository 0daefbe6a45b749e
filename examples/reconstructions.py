"""Draws figure 1 of Gatys, Ecker & Bethge (2015, 2016): what the layers of a network keep.

    python examples/reconstructions.py [OUTPUT [PHOTO PAINTING]]

Above, the photo rebuilt from one layer at a time: deep layers keep what is there and lose how it
looks. Below, the painting's Gram matrices up to a growing depth: its texture in ever larger
pieces. Both are ``impasto stylize`` with the weight of the other half at 0. Without pictures of
yours the samples are taken. About two minutes on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

import impasto
from impasto import images, samples

Array = npt.NDArray[np.float32]

CONTENT = ("relu1_2", "relu2_2", "relu3_2", "relu4_2", "relu5_2")
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
SIZE, STEPS, GAP = 112, 80, 4


def content(photo: Array, layer: str) -> Array:
    """The photo from one layer, from noise."""
    return _made(photo, photo, style_weight=0, content_layers=[layer])


def style(painting: Array, depth: int) -> Array:
    """The painting's texture from the first ``depth`` layers, from noise."""
    return _made(painting, painting, content_weight=0, style_layers=list(STYLE[:depth]))


def figure(photo: Array, painting: Array) -> Array:
    """Two rows: the picture itself, then five reconstructions."""
    above = [_sized(photo), *(content(photo, layer) for layer in CONTENT)]
    below = [_sized(painting), *(style(painting, depth) for depth in range(1, 6))]
    return np.concatenate([_row(above), _gap(_row(above)), _row(below)])


def _made(photo: Array, painting: Array, **options: object) -> Array:
    return impasto.stylize(
        photo, painting, recipe="gatys2016", backbone="vgg16_bn.craft", pooling="avg",
        tv_weight=2, size=SIZE, iterations=STEPS, **options,
    ).array  # fmt: skip


def _sized(picture: Array) -> Array:
    return impasto.filter(picture, "posterise", size=SIZE, alpha=0).array


def _row(pictures: list[Array]) -> Array:
    """Side by side, all as high as the lowest."""
    height = min(p.shape[0] for p in pictures)
    parts = [np.pad(p[:height], ((0, 0), (0, GAP), (0, 0)), constant_values=1) for p in pictures]
    return np.concatenate(parts, axis=1)[:, :-GAP]


def _gap(row: Array) -> Array:
    return np.ones((GAP, row.shape[1], 3), np.float32)


def main(arguments: list[str]) -> None:
    """Make the figure."""
    target = Path(arguments[0] if arguments else "reconstructions.jpg")
    if len(arguments) == 3:
        photo, painting = (images.load(Path(name)).rgb for name in arguments[1:])
    else:
        photo, painting = (draw((384, 384)) for draw in (_harbour, _nocturne))
    images.save(figure(photo, painting), target, force=True)
    print(target)


def _harbour(size: tuple[int, int]) -> Array:
    return samples.photo("harbour", size)


def _nocturne(size: tuple[int, int]) -> Array:
    return samples.painting("nocturne", size)


if __name__ == "__main__":
    main(sys.argv[1:])
