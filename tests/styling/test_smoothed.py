"""SWAG on the embedded network with residual connections: what smoothing does there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

import impasto
from impasto import images, samples
from impasto.backbones import Backbone, load
from impasto.losses import LOSSES
from impasto.losses.gram import Gram
from impasto.losses.smooth import smooth, spread
from impasto.recipes import Recipe, Schedule, TermSpec, write_recipe

Array = npt.NDArray[np.float32]

NAME = "efficientnet_lite0.in1k"
#: Blocks that add their input to their output.
RESIDUAL = ("block2", "block4", "block7", "block10", "block12")
PHOTO = samples.photo("harbour", (72, 96))
ART = samples.painting("nocturne", (72, 96))


def evenness(activations: Tensor) -> float:
    """Entropy of activations as shares of their sum, relative to that of equal ones."""
    shares = activations.double().abs().flatten()
    shares = shares / shares.sum()
    entropy = -(shares * shares.clamp_min(1e-300).log()).sum()
    return float(entropy / np.log(len(shares)))


@pytest.fixture(scope="module")
def net() -> Backbone:
    return load(NAME)


def test_activations_become_more_even(net: Backbone) -> None:
    taps = net.taps(images.to_tensor(images.load(ART)), RESIDUAL)
    for name, features in taps.items():
        in_deviations = smooth(features, temperature=6 * spread(features, None))
        assert evenness(features) < 0.98 < 0.99 < evenness(in_deviations), name
        # As printed, at a temperature of 1, activations as large as these become single peaks.
        assert evenness(smooth(features)) < evenness(features), name


def test_no_position_rules_the_gradient(net: Backbone) -> None:
    picture = images.to_tensor(images.load(PHOTO))
    wanted = net.taps(images.to_tensor(images.load(ART)), RESIDUAL)

    def ruled(loss: str, **options: object) -> float:
        """Part of the squared gradient that the strongest hundredth of all entries has."""
        parts = []
        for name, features in net.taps(picture, RESIDUAL).items():
            made = LOSSES.get(loss)(**options)
            leaf = features.detach().requires_grad_(True)
            value = made(leaf, made.target(wanted[name]))
            (grad,) = torch.autograd.grad(value, leaf)
            squares = grad.square().flatten().sort(descending=True).values
            parts.append(float(squares[: len(squares) // 100].sum() / squares.sum()))
        return float(np.mean(parts))

    assert ruled("swag", unit="std", temperature=6.0) < 0.25 < 0.6 < ruled("swag")


def test_the_style_is_taken_on_a_residual_network(tmp_path: Path) -> None:
    smoothed = painted(tmp_path, "swag", 200.0, unit="std", temperature=3.0)
    plain = painted(tmp_path, "gram", 20.0)
    start, ours, theirs = (distance(picture) for picture in (PHOTO, smoothed, plain))
    assert ours < 0.55 * start
    assert ours < 1.25 * theirs


def painted(folder: Path, loss: str, weight: float, **options: object) -> Array:
    """The photo after a few steps on the residual network."""
    layers = ("block0", *RESIDUAL[:-1])
    if loss == "gram":
        options = {"scale": "relative"}
    terms = (
        TermSpec(name="content", role="content", loss="content", layers=("block7",), weight=1,
                 options={"scale": "relative"}),
        TermSpec(name="style", role="style", loss=loss, layers=layers, weight=weight,
                 options=options),
        TermSpec(name="tv", role="image", loss="tv", layers=("image",), weight=2),
    )  # fmt: skip
    recipe = Recipe(
        name="residual", title="t", summary="s", paper="p", backbone=NAME, terms=terms,
        optimizer={"name": "lbfgs", "lr": 1.0, "first": 0.02},
        schedule=Schedule(ratio=1.0, steps={"good": (30,)}),
    )  # fmt: skip
    path = folder / f"{loss}.toml"
    write_recipe(recipe, path)
    return impasto.stylize(PHOTO, ART, recipe=str(path), size=96).array


def distance(picture: Array) -> float:
    """How far from the painting a network of another family sees a picture; 1 is no likeness."""
    judge, layers = load("vgg16_bn.craft"), ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    loss = Gram(scale="relative")
    seen = judge.taps(images.to_tensor(images.load(picture)), layers)
    wanted = judge.taps(images.to_tensor(images.load(ART)), layers)
    return float(np.mean([float(loss(seen[n], loss.target(wanted[n]))) for n in layers]))
