"""S1: the TensorFlow program on MatConvNet's VGG-19."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import (
    AGAINST_SPECKLE,
    COLOURS_FIRST,
    FROM_NOISE,
    content,
    gram,
    tv,
    twins,
)

TF_VGG19 = Recipe(
    name="tf-vgg19",
    title="TensorFlow, VGG-19",
    summary="S1: average pooling, Adam from noise mixed with the photo, 5000 steps at 800 px.",
    paper="S1, after Gatys, Ecker & Bethge 2016",
    backbone="vgg19.matconvnet",
    twins=twins("vgg19.matconvnet"),
    mean=(123.0, 117.0, 104.0),
    pooling="avg",
    terms=(content("root", 1.0), gram("none", "gatys", 500.0, shares=(1.0,) * 5)),
    optimizer=OptimizerSpec(
        lr=2.0 / 255, betas=(0.9, 0.999), eps=255e-8, eps_hat=True, scaled=False
    ),
    init="mix:0.7:uniform:20",
    clamp=False,
    size=800,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (100,), "good": (300,), "best": (1000,), "published": (5000,)},
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 1.0, "relu3_3"),
            gram("hw", "relative", 20.0, shares=FROM_NOISE),
            tv(15.0),
        ),
        optimizer=OptimizerSpec(
            lr=10.0 / 255, betas=(0.9, 0.999), eps=255e-8, eps_hat=True, decay=0.05
        ),
        reason=f"{COLOURS_FIRST} {AGAINST_SPECKLE} Adam's steps begin five times as long, since "
        "a draft has a fiftieth of the source's number, and shrink to a twentieth.",
    ),
    sources={
        "backbone": "S1: imagenet-vgg-verydeep-19.mat",
        "twins": "the same weights in other files",
        "mean": "S1, as coded; the weights come with (123.68, 116.779, 103.939)",
        "pooling": "S1, as coded",
        "padding": "S1: SAME, which is zeros",
        "terms": "S1, as coded",
        "terms.content.options": "S1: sum (F-P)^2 / (2 sqrt(N) sqrt(M))",
        "terms.style.options": "S1: sum (G-A)^2 / (4 N^2 M^2)",
        "optimizer": "TensorFlow's defaults of Adam",
        "optimizer.lr": "S1: 2.0 on the 0-255 scale",
        "optimizer.eps": "TensorFlow's default 1e-8 on the 0-255 scale",
        "optimizer.scaled": "S1: the objective as it is",
        "init": "S1: 0.7 uniform(-20, 20) + 0.3 photo, both with the mean subtracted",
        "clamp": "S1: clipped when saved",
        "size": "S1: 800 x 600",
        "schedule": "S1: one size",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "S1",
    },
    deviations="The picture keeps the photo's aspect and the painting its own; in S1 both are "
    "squeezed to 800 x 600.",
)
