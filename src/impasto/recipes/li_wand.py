"""Li & Wand 2016: patches."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import (
    FIRST_STEP,
    PROMPT,
    SMOOTH_POOLING,
    content,
    lua_tv,
    style,
    tv,
    twins,
)

_LAYERS = ("relu3_1", "relu4_1")

LI_WAND = Recipe(
    name="li-wand2016",
    title="Patches (CNNMRF)",
    summary="Li & Wand 2016: every 3 x 3 patch of features becomes its nearest in the painting.",
    paper="Li & Wand, Combining Markov random fields and CNNs for image synthesis, CVPR 2016",
    backbone="vgg19.caffe",
    twins=twins("vgg19.caffe"),
    terms=(
        content("mean", 20.0),
        style("mrf", 1e-4, _LAYERS, patch=3, stride=2, scale="sum").model_copy(
            update={"layer_weights": (1.0, 1.0)}
        ),
        lua_tv(1e-3),
    ),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=25),
    init="content",
    clamp=False,
    size=384,
    schedule=Schedule(
        ratio=2.0,
        smallest=64,
        count=3,
        steps={
            "draft": (30, 60, 80),
            "good": (60, 80, 100),
            "best": (100,),
            "published": (100,),
        },
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 2.5),
            style("mrf", 1.6, ("relu2_1", *_LAYERS), patch=5, stride=2, scale="relative"),
            tv(0.3),
        ),
        optimizer=PROMPT.model_copy(update={"history": 25}),
        pooling="avg",
        reason="Patches of 5 x 5, at relu2_1 as well: with 3 x 3 at relu3_1 and relu4_1 of the "
        "embedded network too many patches are alike, so that their matches disagree and only "
        f"their mean is left, without strokes. {SMOOTH_POOLING} {FIRST_STEP}",
    ),
    sources={
        "backbone": "the authors' code: VGG_ILSVRC_19_layers",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "the authors' code",
        "padding": "as the network was trained",
        "terms.content": "the authors' code: content weight 2e1; relu4_2 in run_trans.lua",
        "terms.style": "the authors' code: weight 1e-4 at relu3_1 and relu4_1",
        "terms.style.options": "the paper: patches 3 x 3; stride 2 as coded (printed: 1)",
        "terms.tv": "the authors' code: 1e-3 on 0-255, as 65.025 on [0, 1]",
        "optimizer": "the authors' code: L-BFGS",
        "optimizer.history": "cnnmrf.lua: -nCorrection 25",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "the authors' code: the photo",
        "clamp": "the authors' code: clipped when saved",
        "size": "the authors' code: 384 px",
        "schedule": "the authors' code: 3 resolutions, each twice the one before (run_trans.lua)",
        "schedule.smallest": "impasto",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "the authors' code: 100 each",
    },
    deviations="The authors' other program, cnnmrf.lua, takes content at relu4_1. The painting is "
    "not rotated or scaled, which is the documented default of their code; its examples add one "
    "turn and one size each way, which a recipe file can do with `rotations` and `scales` of the "
    "loss `mrf`.",
)
