"""Heitz, Vanhoey, Chambon & Belcour 2021: sliced Wasserstein distance."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import content, style, tv, twins

#: The first twelve convolutions, after their ReLU.
LAYERS = (
    "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3", "relu3_4",
    "relu4_1", "relu4_2", "relu4_3", "relu4_4",
)  # fmt: skip

SWD = Recipe(
    name="swd",
    title="Sliced Wasserstein distance",
    summary="Heitz 2021: all statistics of the features, along random directions drawn each step.",
    paper="Heitz, Vanhoey, Chambon & Belcour, A sliced Wasserstein loss, CVPR 2021",
    backbone="vgg19.caffe",
    twins=twins("vgg19.caffe"),
    terms=(
        content("relative", 1.0),
        style(
            "sliced-wasserstein", 1.0, LAYERS, projections=64, samples=16384, scale="mean"
        ).model_copy(update={"layer_weights": (1.0,) * 12}),
        tv(5.0),
    ),
    optimizer=OptimizerSpec(lr=0.02, betas=(0.9, 0.99), eps=1e-8, average=0.9),
    init="content",
    clamp=True,
    size=512,
    schedule=Schedule(
        ratio=2.0,
        smallest=112,
        steps={
            "draft": (20, 40, 60),
            "good": (60, 100, 150),
            "best": (200,),
            "published": (500,),
        },
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 1.0),
            style(
                "sliced-wasserstein", 30.0, LAYERS, projections=64, samples=16384, scale="relative"
            ),
            tv(5.0),
        ),
    ),
    sources={
        "backbone": "the paper: VGG-19",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "impasto; the authors' program has average pooling, reflected edges and scaled "
        "activations",
        "padding": "as the network was trained",
        "terms": "impasto",
        "terms.style.layers": "the paper: the first 12 convolutions (as coded: 14)",
        "terms.style.layer_weights": "the paper: summed over layers, as in the authors' program",
        "terms.style.options": "the paper; fewer directions and positions are impasto's",
        "optimizer": "impasto: Adam, since directions are drawn anew at every step; the authors' "
        "program runs L-BFGS and draws anew after 64 evaluations",
        "init": "impasto; the source starts textures from noise",
        "clamp": "impasto",
        "size": "impasto",
        "schedule": "impasto",
    },
    deviations="The source makes textures, from noise around the mean colour, and draws as many "
    "directions as a layer has channels; here a photo is kept, and directions and positions are "
    "bounded.",
)
