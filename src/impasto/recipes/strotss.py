"""Kolkin, Salavon & Shakhnarovich 2019: relaxed optimal transport."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn, TermSpec

_COLUMNS = (
    "image", "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2", "relu3_3",
    "relu4_3", "relu5_3",
)  # fmt: skip
_TERMS = (
    TermSpec(
        name="content",
        role="content",
        loss="self-similarity",
        options={"samples": 1024},
        layers=_COLUMNS,
        weight=16.0,
        scaling=0.5,
    ),
    TermSpec(
        name="style",
        role="style",
        loss="remd",
        options={"metric": "cosine", "moments": 1.0, "samples": 1024},
        layers=_COLUMNS,
        weight=1.0,
    ),
    TermSpec(
        name="palette",
        role="style",
        loss="remd",
        options={"metric": "both", "samples": 1024},
        layers=("image",),
        weight=1 / 16,
        scaling=2.0,
    ),
)
#: For the embedded network; see the reason below.
_BY_EYE = tuple(
    term.model_copy(update={"weight": weight, "options": {**term.options, "samples": 512}})
    for term, weight in zip(_TERMS, (6.0, 4.0, 0.5), strict=True)
)

STROTSS = Recipe(
    name="strotss2019",
    title="STROTSS",
    summary="Kolkin 2019: hypercolumns matched by optimal transport, the photo by what is alike.",
    paper="Kolkin, Salavon & Shakhnarovich, Style transfer by relaxed optimal transport, CVPR 2019",
    backbone="vgg16.tv_in1k",
    terms=_TERMS,
    optimizer=OptimizerSpec(name="rmsprop", lr=2e-3, betas=(0.9, 0.99), eps=1e-8, scaled=False),
    init="detail",
    pixels="laplacian",
    clamp=False,
    size=512,
    schedule=Schedule(
        ratio=2.0,
        smallest=64,
        steps={
            "draft": (30, 60, 100),
            "good": (100, 150, 200),
            "best": (250,),
            "published": (250,),
        },
        final_lr=0.5,
    ),
    stand_in=StandIn(
        terms=_BY_EYE,
        reason="The embedded network's activations fall with depth, so that its columns tell "
        "paintings apart less: the photo counts less, style and colours more. Half as many "
        "positions are drawn, which takes a quarter of the time.",
    ),
    sources={
        "backbone": "the paper: VGG-16, torchvision's in the authors' code",
        "twins": "none",
        "mean": "as the weights come",
        "pooling": "as the network was trained",
        "padding": "as the network was trained",
        "terms.content": "the paper: self-similarity",
        "terms.content.weight": "the authors' code: alpha starts at 16",
        "terms.content.scaling": "the authors' code: alpha is halved at each scale",
        "terms.content.options": "the paper: 1024 positions",
        "terms.style": "the paper: relaxed earth mover's distance and moments",
        "terms.palette": "the paper: colours, weight 1 / alpha; cosine plus Euclidean as coded",
        "terms.content.layers": "the authors' code: nine layers of VGG-16, and the picture",
        "terms.style.layers": "the authors' code: nine layers of VGG-16, and the picture",
        "pixels": "the authors' code: Laplacian pyramid of five levels",
        "optimizer": "the authors' code: RMSprop 2e-3",
        "optimizer.betas": "torch's default of RMSprop, 0.99 (the first is not used)",
        "optimizer.eps": "torch's default of RMSprop",
        "optimizer.scaled": "the authors' code: the objective as it is",
        "init": "the authors' code: the painting's mean colour and the photo's finest detail",
        "clamp": "the authors' code: clipped at the end",
        "size": "the authors' code: 512 px",
        "schedule": "the authors' code: 64 px, doubled to 512 px",
        "schedule.final_lr": "the authors' code: 1e-3 at the last scale",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "the authors' code: 250 each",
    },
    deviations="Later scales only enlarge the picture; in the authors' code all but the last also "
    "get back the photo's finest detail of their size. The objective is not divided by "
    "2 + alpha + 1/alpha (as coded: 2 + alpha), a constant at each scale, which RMSprop does not "
    "see. As coded, the network is fed with pixels - 0.5 instead of its own preprocessing, "
    "colours are compared around that grey, and the painting has 5000 columns, all of which count "
    "at every step; here the network is fed as it was trained, colours are compared in [0, 1], "
    "and 1024 positions of each picture are drawn anew at every step.",
)
