"""S4: the survey's formulas."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import (
    COLOURS_FIRST,
    FROM_NOISE,
    SMOOTH_POOLING,
    content,
    gram,
    tv,
)

SURVEY = Recipe(
    name="survey",
    title="The survey's formulas",
    summary="S4: squared errors as sums, Gram matrices over 2 C H W, gradient descent from noise.",
    paper="S4, after Gatys, Ecker & Bethge 2015 and 2016",
    backbone="vgg19.tv_in1k",
    terms=(content("half", 1.0), gram("2chw", "sum", 1e6)),
    optimizer=OptimizerSpec(name="sgd", lr=5e-4),
    init="noise:uniform:20",
    clamp=True,
    size=512,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (80,), "good": (250,), "best": (1500,), "published": (1000,)},
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 8.0, "relu3_3"),
            gram("2chw", "relative", 20.0, shares=FROM_NOISE),
            tv(15.0),
        ),
        optimizer=OptimizerSpec(lr=10.0 / 255, betas=(0.9, 0.99), decay=0.05),
        pooling="avg",
        reason="Gradient descent whose step Adam chooses for every pixel: with one step for all, "
        "pictures from noise stayed grey for as many steps as a draft has. "
        f"{COLOURS_FIRST} {SMOOTH_POOLING}",
    ),
    sources={
        "backbone": "S4: AlexNet, VGG, later ResNet; the choice among them is impasto's",
        "twins": "none",
        "mean": "as the weights come",
        "pooling": "S4 leaves it open",
        "padding": "as the network was trained",
        "terms": "impasto; S4 leaves alpha, beta and lambda_l open",
        "terms.content.options": "S4: 1/2 sum (F-P)^2",
        "terms.content.layers": "S4: one middle layer; which is impasto's choice",
        "terms.style.options": "S4: sum / (2 H W C)",
        "terms.style.layers": "S4: several; which is impasto's choice",
        "terms.style.layer_weights": "S4: lambda_l; equal ones are impasto's choice",
        "optimizer": "impasto, for an objective that is 1 at the start",
        "optimizer.name": "S4: gradient descent",
        "init": "S4: noise; its size is impasto's choice",
        "clamp": "impasto; S4 leaves it open",
        "size": "impasto; S4 leaves it open",
        "schedule": "impasto; S4 leaves it open",
    },
    deviations="S4 gives formulas and no numbers; every number here is impasto's.",
)
