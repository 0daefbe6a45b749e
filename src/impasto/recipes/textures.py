"""Textures: methods that have no photo to keep."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn, TermSpec
from impasto.recipes.parts import gram, twins

_POOLS = ("conv1_1", "pool1", "pool2", "pool3", "pool4")

GATYS_TEXTURE = Recipe(
    name="gatys-texture",
    title="Gatys et al. 2015: texture synthesis",
    summary="Gatys 2015: Gram matrices at conv1_1 and the poolings, L-BFGS from noise.",
    paper="Gatys, Ecker & Bethge, Texture synthesis using CNNs, NIPS 2015",
    backbone="vgg19.caffe+normalized",
    twins=tuple(f"{name}+normalized" for name in twins("vgg19.caffe")),
    pooling="avg",
    terms=(gram("none", "gatys", 1e9, _POOLS, shares=(1.0,) * 5),),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=20),
    init="noise",
    clamp=False,
    size=256,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (80,), "good": (250,), "best": (600,), "published": (2000,)},
    ),
    stand_in=StandIn(terms=(gram("hw", "relative", 1.0, _POOLS),)),
    sources={
        "backbone": "section 2: VGG-19, weights scaled so that mean activations are 1",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "section 2",
        "padding": "as the network was trained",
        "terms.style": "eq. 2-4; figure 2: conv1_1 and pool1 to pool4",
        "terms.style.layer_weights": "section 3: equal weights",
        "terms.style.weight": "the authors' code: 1e9",
        "optimizer": "section 3: L-BFGS",
        "optimizer.history": "the authors' code: 20",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "section 3: white noise",
        "clamp": "the authors' code bounds the pixels by those of the exemplar",
        "size": "section 4: 256 px",
        "schedule": "one size",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "the authors' code: 2000",
    },
    deviations="The pixels are not bounded; the histograms of the result are matched to those of "
    "the exemplar afterwards, as in the authors' code.",
)

TEXTURE = Recipe(
    name="impasto-texture",
    title="impasto: textures",
    summary="The default of `texture`: coarse to fine, Gram matrices, colours by transport.",
    paper="Gatys, Ecker & Bethge 2015, with the changes described in docs/texture.md",
    pooling="avg",
    terms=(
        gram("hw", "relative", 20.0),
        TermSpec(
            name="palette",
            role="style",
            loss="wasserstein",
            options={"scale": "relative"},
            layers=("image",),
            weight=15.0,
        ),
    ),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=20, first=0.02),
    init="pixels",
    margin=8,
    schedule=Schedule(
        ratio=2.0,
        smallest=64,
        steps={"draft": (30, 60, 100), "good": (100, 150, 200), "best": (300,)},
    ),
)

_MRF_LAYERS = ("relu3_1", "relu4_1")
