"""jcjohnson's neural-style."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import (
    COLOURS_FIRST,
    FIRST_STEP,
    FROM_NOISE,
    PROMPT,
    SMOOTH_POOLING,
    content,
    gram,
    lua_tv,
    tv,
    twins,
)

NEURAL_STYLE = Recipe(
    name="neural-style",
    title="neural-style",
    summary="jcjohnson's neural-style: Gram matrices over C H W, total variation, L-BFGS.",
    paper="J. Johnson, neural-style (Torch), 2015, after Gatys, Ecker & Bethge 2015",
    backbone="vgg19.caffe",
    twins=twins("vgg19.caffe"),
    terms=(
        content("mean", 5.0),
        gram("chw", "mean", 100.0, shares=(1.0,) * 5),
        lua_tv(1e-3),
    ),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=100),
    init="noise:normal:0.001",
    clamp=False,
    size=512,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (80,), "good": (250,), "best": (600,), "published": (1000,)},
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 2.0, "relu3_3"),
            gram("hw", "relative", 20.0, shares=FROM_NOISE),
            tv(15.0),
        ),
        optimizer=PROMPT,
        pooling="avg",
        reason=f"{COLOURS_FIRST} {SMOOTH_POOLING} {FIRST_STEP}",
    ),
    sources={
        "backbone": "neural_style.lua: VGG_ILSVRC_19_layers",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "neural_style.lua: -pooling max",
        "padding": "as the network was trained",
        "terms.content": "neural_style.lua: -content_weight 5, relu4_2, mean squared error",
        "terms.style": "neural_style.lua: -style_weight 100, relu1_1 to relu5_1",
        "terms.style.layer_weights": "neural_style.lua: every layer with the whole weight",
        "terms.style.options": "neural_style.lua: Gram matrix over its features' number",
        "terms.tv": "neural_style.lua: -tv_weight 1e-3; on 0-255 that is 65.025 on [0, 1]",
        "normalize_gradients": "neural_style.lua: -normalize_gradients is off",
        "optimizer": "neural_style.lua and optim.lbfgs: 100 corrections, step 1",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "neural_style.lua: randn * 0.001 around the mean pixel",
        "clamp": "neural_style.lua: clipped when saved",
        "size": "neural_style.lua: -image_size 512",
        "schedule": "one size",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "neural_style.lua: -num_iterations 1000",
    },
    deviations="The value of the total variation is part of the reported loss; in the source only "
    "its gradient exists. The source multiplies pixels by 256; here they reach 255, as in the "
    "network's training. For Adam the source has a step of 10 on the 0-255 scale: "
    "--optimizer adam --learning-rate 0.0392.",
)
