"""S5: the PyTorch program with hooks, as coded and as meant."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import (
    AGAINST_SPECKLE,
    FIRST_STEP,
    PROMPT,
    SMOOTH_POOLING,
    content,
    gram,
    tv,
)

_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_4")
_REASON = f"{AGAINST_SPECKLE} {FIRST_STEP}"
_SOURCES = {
    "backbone": "S5: torchvision's vgg19, features by index",
    "twins": "none",
    "mean": "as the weights come: ImageNet's mean and deviation",
    "pooling": "S5",
    "padding": "S5",
    "terms.content": "S5",
    "terms.content.layers": "S5: index 21, conv4_2; the ReLU behind it works in place, so what the "
    "hook holds in the end is relu4_2",
    "terms.content.weight": "impasto; S5 leaves the weights to the reader",
    "terms.style": "S5",
    "terms.style.options": "S5: G / (H W), loss mean",
    "terms.style.weight": "impasto; S5 leaves the weights to the reader",
    "optimizer": "torch's defaults of L-BFGS",
    "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
    "init": "S5: content or noise",
    "clamp": "S5: clipped when shown",
    "size": "impasto; S5 leaves it open",
    "schedule": "S5: one size",
    "schedule.steps": "impasto, but for the published ones",
    "schedule.steps.published": "S5: N epochs of 20 evaluations; 15 epochs are impasto's",
}

AS_CODED = Recipe(
    name="lbfgs-hooks",
    title="PyTorch with hooks, as coded",
    summary="S5 as coded: the loop keeps the last style layer only; L-BFGS.",
    paper="S5, after Gatys, Ecker & Bethge 2016",
    backbone="vgg19.tv_in1k",
    terms=(content("mean", 1.0), gram("hw", "mean", 100.0, ("relu4_4",), (1.0,))),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=100),
    init="content",
    clamp=False,
    size=512,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (40,), "good": (100,), "best": (300,), "published": (300,)},
    ),
    stand_in=StandIn(
        terms=(content("relative", 1.0), gram("hw", "relative", 15.0, ("relu4_4",)), tv(20.0)),
        optimizer=PROMPT,
        pooling="avg",
        reason=f"{SMOOTH_POOLING} {_REASON} One deep layer knows little of colour: the photo's "
        "remain, and what the painting adds is bright.",
    ),
    sources=_SOURCES
    | {"terms.style.layers": "S5 as coded: of five layers the loop keeps the last, index 25"},
    deviations="As coded, the loop over layers overwrites the loss instead of adding to it, so "
    "that only the last style layer counts; `lbfgs-hooks-meant` adds all five.",
)

AS_MEANT = Recipe(
    name="lbfgs-hooks-meant",
    title="PyTorch with hooks, as meant",
    summary="S5 as meant: all five style layers are added up; L-BFGS.",
    paper="S5, after Gatys, Ecker & Bethge 2016",
    backbone="vgg19.tv_in1k",
    terms=(content("mean", 1.0), gram("hw", "mean", 100.0, _LAYERS, (1.0,) * 5)),
    optimizer=AS_CODED.optimizer,
    init="content",
    clamp=False,
    size=512,
    schedule=AS_CODED.schedule,
    stand_in=StandIn(
        terms=(content("relative", 1.0), gram("hw", "relative", 30.0, _LAYERS), tv(10.0)),
        optimizer=PROMPT,
        reason=_REASON,
    ),
    sources=_SOURCES | {"terms.style.layers": "S5: indices 1, 6, 11, 20, 25"},
    deviations="The sum over style layers that S5 describes; `lbfgs-hooks` is what its code does.",
)
