"""K. Crowson's style-transfer-pytorch, 2021."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import FIRST_OF_BLOCKS, content, style, tv

_SHARES = tuple(w / 341 for w in (256, 64, 16, 4, 1))

CROWSON = Recipe(
    name="crowson2021",
    title="style-transfer-pytorch",
    summary="Crowson 2021: Wasserstein distance of features, Adam coarse to fine, averaged.",
    paper="K. Crowson, style-transfer-pytorch, 2021",
    backbone="vgg19.tv_in1k",
    padding="replicate",
    terms=(
        content("mean", 0.015),
        style("wasserstein", 1.0, FIRST_OF_BLOCKS, scale="mean", ridge=1e-4).model_copy(
            update={"layer_weights": _SHARES}
        ),
        tv(2.0, form="nine-point", power=2.0, scale="pixels"),
    ),
    optimizer=OptimizerSpec(lr=0.02, betas=(0.9, 0.99), eps=1e-8, scaled=False, average=0.99),
    init="content",
    clamp=True,
    size=512,
    schedule=Schedule(
        ratio=2**0.5,
        smallest=128,
        steps={"draft": (15, 30, 60), "good": (60, 80, 120), "best": (250,), "published": (500,)},
        first=2.0,
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 1.0),
            style("wasserstein", 25.0, FIRST_OF_BLOCKS, scale="relative", ridge=0.0),
            tv(10.0, form="nine-point", power=2.0, scale="pixels"),
        ),
        optimizer=OptimizerSpec(lr=0.02, betas=(0.9, 0.99), eps=1e-8, scaled=False, average=0.9),
        reason="The layers weigh alike: of errors relative to their targets, shares of 256 to 1 "
        "would leave nothing of the deep ones. The running mean spans ten steps instead of a "
        "hundred, which is more than a draft has.",
    ),
    sources={
        "backbone": "style_transfer.py: torchvision's vgg19",
        "twins": "none",
        "mean": "as the weights come",
        "pooling": "style_transfer.py: max",
        "padding": "style_transfer.py: replicate",
        "terms.content": "style_transfer.py: content_weight 0.015, layer 22, ContentLossMSE",
        "terms.style": "style_transfer.py: StyleLossW2, eps 1e-4",
        "terms.style.layer_weights": "style_transfer.py: 256, 64, 16, 4, 1 over their sum",
        "terms.tv": "style_transfer.py: tv_weight 2, nine-point stencil",
        "optimizer": "style_transfer.py: Adam, step_size 0.02, betas 0.9 and 0.99",
        "optimizer.average": "style_transfer.py: avg_decay 0.99",
        "optimizer.scaled": "style_transfer.py: the objective as it is",
        "init": "style_transfer.py: content",
        "clamp": "style_transfer.py: every step",
        "size": "style_transfer.py: end_scale 512",
        "schedule": "style_transfer.py: min_scale 128, by the square root of 2",
        "schedule.first": "style_transfer.py: initial_iterations 1000",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "style_transfer.py: iterations 500",
    },
    deviations="As in the later versions of the source, read in copies of it: the version stored "
    "under its own name still has Gram matrices, and a content distance over its own L1 norm. The "
    "running mean begins with the picture after the first step; in the source with the one before. "
    "The root in the Wasserstein distance is exact, where the source iterates. Adam's moments are "
    "resized from scale to scale, and brought to the gradient's new size.",
)
