"""Risser, Wilmot & Barnes 2017: histograms."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, TermSpec
from impasto.recipes.parts import content, gram, tv, twins

RISSER = Recipe(
    name="risser2017",
    title="Histogram losses",
    summary="Risser 2017: Gram matrices, and histograms of features against washed-out contrast.",
    paper="Risser, Wilmot & Barnes, Stable and controllable neural texture synthesis, 2017",
    backbone="vgg19.caffe",
    twins=twins("vgg19.caffe"),
    terms=(
        content("relative", 1.0, "relu4_1"),
        gram("hw", "relative", 20.0, ("relu1_1", "relu2_1", "relu3_1", "relu4_1")),
        TermSpec(
            name="histogram",
            role="style",
            loss="histogram",
            options={"scale": "relative"},
            layers=("relu1_1", "relu4_1"),
            weight=4.0,
        ),
        tv(5.0),
    ),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=20, first=0.02),
    init="content",
    clamp=True,
    size=512,
    schedule=Schedule(
        ratio=2.0,
        smallest=112,
        steps={
            "draft": (8, 25, 60),
            "good": (40, 80, 150),
            "best": (150, 200, 300),
            "published": (150, 200, 300),
        },
    ),
    sources={
        "backbone": "the paper: VGG-19",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "impasto",
        "padding": "as the network was trained",
        "terms": "impasto: relative to the target, in place of the source's automatic tuning",
        "terms.histogram.layers": "the paper: relu1_1 and relu4_1",
        "terms.histogram.loss": "the paper",
        "terms.style.layers": "the paper",
        "terms.tv.loss": "the paper: total variation",
        "optimizer": "L-BFGS as in the paper; the numbers are impasto's",
        "init": "impasto",
        "clamp": "impasto",
        "size": "impasto",
        "schedule": "the paper: coarse to fine; the numbers are impasto's",
    },
    deviations="The source tunes its weights while it runs, by the sizes of gradients. Here every "
    "term is relative to its target, which needs no tuning and no other numbers on other networks.",
)
