"""Textures: methods that have no photo to keep."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn, TermSpec
from impasto.recipes.parts import gram, lua_tv, style, tv, twins
from impasto.recipes.swd import LAYERS as SWD_LAYERS

_POOLS = ("conv1_1", "pool1", "pool2", "pool3", "pool4")
_MRF = ("relu3_1", "relu4_1")

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
    stand_in=StandIn(terms=(gram("hw", "relative", 20.0, _POOLS),)),
    sources={
        "backbone": "the paper: VGG-19, weights scaled so that mean activations are 1",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "the paper: average pooling",
        "padding": "as the network was trained",
        "terms.style": "the paper: conv1_1 and pool1 to pool4",
        "terms.style.layer_weights": "the paper: equal weights",
        "terms.style.weight": "the authors' code: 1e9",
        "optimizer": "the paper: L-BFGS",
        "optimizer.history": "the authors' code: 20",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "the paper: white noise",
        "clamp": "the authors' code bounds the pixels by those of the exemplar",
        "size": "the paper: 256 px",
        "schedule": "one size",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "the authors' code: 2000",
    },
    deviations="The pixels are not bounded; the histograms of the result are matched to those of "
    "the exemplar afterwards, as in the authors' code.",
)

_PALETTE = TermSpec(
    name="palette",
    role="style",
    loss="wasserstein",
    options={"scale": "relative"},
    layers=("image",),
    weight=15.0,
)
_FINE = style("wasserstein", 15.0, ("relu1_1", "relu2_1", "relu3_1"), scale="relative")
_DEEP = gram("hw", "relative", 5.0, ("relu4_1",)).model_copy(update={"name": "shapes"})
_FAR = style(
    "shifted-gram", 10.0, ("relu3_1", "relu4_1"), shifts=[1, 2, 4], scale="relative"
).model_copy(update={"name": "rows"})

TEXTURE = Recipe(
    name="impasto-texture",
    title="impasto: textures",
    summary="The default of `texture`: from a quilt, moments of features, coarse to fine.",
    paper="Gatys, Ecker & Bethge 2015, with the changes described in docs/texture.md",
    pooling="avg",
    terms=(_FINE, _DEEP, _PALETTE),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=20, first=0.02),
    init="quilting",
    margin=8,
    schedule=Schedule(
        ratio=2.0,
        smallest=64,
        steps={"draft": (35, 60, 80), "good": (80, 120, 150), "best": (250, 300)},
    ),
)

TEXTURE_ROWS = TEXTURE.model_copy(
    update={
        "name": "impasto-texture-rows",
        "title": "impasto: regular textures",
        "summary": "As impasto-texture, with Gram matrices of shifted features: bricks in rows.",
        "paper": "Berger & Memisevic 2017, with the changes described in docs/texture.md",
        "terms": (_FINE, _DEEP, _FAR, _PALETTE),
    }
)

MRF_TEXTURE = Recipe(
    name="mrf-texture",
    title="Textures of patches",
    summary="Li & Wand 2016 without a photo: every patch of features is one of the exemplar's.",
    paper="Li & Wand, Combining Markov random fields and CNNs for image synthesis, CVPR 2016",
    backbone="vgg19.caffe",
    twins=twins("vgg19.caffe"),
    terms=(
        style("mrf", 1e-4, _MRF, patch=3, stride=2, scale="sum").model_copy(
            update={"layer_weights": (1.0, 1.0)}
        ),
        lua_tv(1e-3),
    ),
    optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=100),
    init="noise",
    clamp=False,
    size=384,
    schedule=Schedule(
        ratio=2.0,
        smallest=64,
        count=3,
        steps={"draft": (20, 40, 60), "good": (60, 100, 120), "best": (150,), "published": (100,)},
    ),
    stand_in=StandIn(
        terms=(style("mrf", 3.0, _MRF, patch=3, stride=1, scale="relative"), _PALETTE, tv(5.0)),
        optimizer=OptimizerSpec(name="lbfgs", lr=1.0, history=20, first=0.02),
    ),
    sources={
        "backbone": "the authors' code: VGG_ILSVRC_19_layers",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "the authors' code",
        "padding": "as the network was trained",
        "terms.style": "the authors' code: weight 1e-4 at relu3_1 and relu4_1",
        "terms.style.options": "the paper: patches 3 x 3; stride 2 as coded (printed: 1)",
        "terms.tv": "the authors' code: 1e-3 on 0-255, as 65.025 on [0, 1]",
        "optimizer": "the authors' code: L-BFGS",
        "optimizer.history": "impasto, as in neural-style",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "the authors' code, for synthesis without a photo: noise",
        "clamp": "the authors' code: clipped when saved",
        "size": "the authors' code: 384 px",
        "schedule": "the authors' code: 3 resolutions, each twice the one before",
        "schedule.smallest": "impasto",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "the authors' code: 100 each",
    },
    deviations="The exemplar is not rotated or scaled. On other networks patches lie at stride 1, "
    "and a term holds the colours.",
)

SWD_TEXTURE = Recipe(
    name="swd-texture",
    title="Sliced Wasserstein textures",
    summary="Heitz 2021: all statistics of the features, along random directions, from noise.",
    paper="Heitz, Vanhoey, Chambon & Belcour, A sliced Wasserstein loss, CVPR 2021",
    backbone="vgg19.caffe",
    twins=twins("vgg19.caffe"),
    terms=(
        style(
            "sliced-wasserstein", 1.0, SWD_LAYERS, projections=64, samples=16384, scale="mean"
        ).model_copy(update={"layer_weights": (1.0,) * 12}),
    ),
    optimizer=OptimizerSpec(lr=0.02, betas=(0.9, 0.99), eps=1e-8, average=0.9),
    init="noise",
    clamp=True,
    size=256,
    schedule=Schedule(
        ratio=2.0,
        smallest=64,
        steps={"draft": (40, 60, 80), "good": (120, 150), "best": (300,), "published": (500,)},
    ),
    stand_in=StandIn(
        terms=(
            style(
                "sliced-wasserstein",
                30.0,
                SWD_LAYERS,
                projections=64,
                samples=16384,
                scale="relative",
            ),
            _PALETTE,
        ),
    ),
    sources={
        "backbone": "the paper: VGG-19",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "impasto",
        "padding": "as the network was trained",
        "terms.style": "the paper: the first 12 convolutions, summed over layers",
        "terms.style.options": "the paper; fewer directions and positions are impasto's",
        "optimizer": "impasto: Adam, since directions are drawn anew at every step",
        "init": "the paper: noise",
        "clamp": "impasto",
        "size": "impasto",
        "schedule": "impasto",
    },
    deviations="The source draws as many directions as a layer has channels and works at one size; "
    "here directions and positions are bounded, and the search is coarse to fine. On other "
    "networks a term holds the colours.",
)
