"""impasto's own default: tuned by eye on the embedded backbone."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, TermSpec

IMPASTO = Recipe(
    name="impasto",
    title="impasto",
    summary="The default: coarse to fine, balanced Gram matrices, a palette term, L-BFGS.",
    paper="Gatys, Ecker & Bethge 2016, with the changes described in docs/recipes.md",
    pooling="avg",
    terms=(
        TermSpec(
            name="content",
            role="content",
            loss="content",
            options={"scale": "relative"},
            layers=("relu4_2",),
            weight=1.0,
        ),
        TermSpec(
            name="style",
            role="style",
            loss="gram",
            options={"scale": "relative"},
            layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
            weight=20.0,
        ),
        TermSpec(
            name="palette",
            role="style",
            loss="wasserstein",
            options={"scale": "relative"},
            layers=("image",),
            weight=15.0,
        ),
        TermSpec(
            name="tv",
            role="image",
            loss="tv",
            options={"power": 2.0},
            layers=("image",),
            weight=20.0,
        ),
    ),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=20, asked=0.9, first=0.02),
    init="content",
    margin=8,
    schedule=Schedule(
        ratio=2.0,
        smallest=112,
        detail=1.0,
        steps={"draft": (4, 14, 40), "good": (32, 70, 120), "best": (120, 150, 250)},
    ),
)
