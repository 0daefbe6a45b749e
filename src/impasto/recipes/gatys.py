"""Gatys and colleagues: as printed, as in their notebook, and with controls."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn, TermSpec
from impasto.recipes.parts import (
    AGAINST_SPECKLE,
    COLOURS_FIRST,
    FIRST_STEP,
    FROM_NOISE,
    PROMPT,
    content,
    gram,
    tv,
    twins,
)

_CAFFE = twins("vgg19.caffe")
#: 1e3 / n^2 for the numbers of channels.
_SHARES = tuple(1e3 / n**2 for n in (64, 128, 256, 512, 512))
_LBFGS = OptimizerSpec(name="lbfgs", lr=1.0, history=100)
_REASON = f"{AGAINST_SPECKLE} {FIRST_STEP}"
_STAND_IN: tuple[TermSpec, ...] = (
    content("relative", 1.0),
    gram("hw", "relative", 40.0),
    tv(12.0),
)

GATYS = Recipe(
    name="gatys2016",
    title="Gatys et al. 2016, as printed",
    summary="Gatys 2016 as printed: normalised VGG-19, average pooling, L-BFGS from noise.",
    paper="Gatys, Ecker & Bethge, Image style transfer using CNNs, CVPR 2016",
    backbone="vgg19.caffe+normalized",
    twins=tuple(f"{name}+normalized" for name in _CAFFE),
    pooling="avg",
    terms=(content("half", 1.0), gram("none", "gatys", 1e3)),
    optimizer=_LBFGS,
    init="noise",
    clamp=False,
    size=512,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (60,), "good": (200,), "best": (500,), "published": (500,)},
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 2.0, "relu3_3"),
            gram("hw", "relative", 20.0, shares=FROM_NOISE),
            tv(15.0),
        ),
        optimizer=PROMPT,
        reason=f"{COLOURS_FIRST} {_REASON}",
    ),
    sources={
        "backbone": "the paper: VGG-19, weights scaled so that mean activations are 1",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "the paper: average pooling",
        "padding": "as the network was trained",
        "terms.content": "the paper: 1/2 sum (F-P)^2 at conv4_2",
        "terms.content.weight": "alpha = 1, so that beta is 1 / (alpha/beta)",
        "terms.style": "the paper: sum (G-A)^2 / (4 N^2 M^2), conv1_1 to conv5_1",
        "terms.style.layer_weights": "the paper: w_l = 1/5",
        "terms.style.weight": "alpha/beta = 1e-3: preprint of 2015, figure 2 B-D (E, F: 1e-4)",
        "optimizer": "the paper: L-BFGS; the numbers are torch's defaults",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "the paper: white noise",
        "clamp": "not printed",
        "size": "the paper: about 512 px",
        "schedule": "one size",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "not printed; 500 as in the notebook",
    },
    deviations="The layers are taken after their ReLU, as the authors' code does. "
    "`gatys2016-notebook` is what that code computes.",
)

NOTEBOOK = Recipe(
    name="gatys2016-notebook",
    title="Gatys et al. 2016, the notebook",
    summary="Gatys 2016 as in the authors' notebook: max pooling, from the photo, two sizes.",
    paper="L. Gatys, PytorchNeuralStyleTransfer (notebook), 2017",
    backbone="vgg19.caffe",
    twins=_CAFFE,
    terms=(content("mean", 1.0), gram("hw", "mean", 1.0, shares=_SHARES)),
    optimizer=_LBFGS,
    init="content",
    clamp=False,
    size=800,
    schedule=Schedule(
        ratio=800 / 512,
        smallest=64,
        count=2,
        steps={"draft": (30, 60), "good": (50, 150), "best": (150, 400), "published": (200, 500)},
    ),
    stand_in=StandIn(terms=_STAND_IN, optimizer=PROMPT, reason=_REASON),
    sources={
        "backbone": "notebook: the authors' Caffe VGG-19",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "notebook",
        "padding": "as the network was trained",
        "terms.content": "notebook: mean squared error at r42, weight 1",
        "terms.style": "notebook: G / (H W), mean squared error",
        "terms.style.layer_weights": "notebook: 1e3 / n^2 for n = 64 128 256 512 512",
        "optimizer": "torch's defaults of L-BFGS",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "notebook",
        "clamp": "notebook: clipped when shown",
        "size": "notebook: 800 px",
        "schedule": "notebook: 512 px, then 800 px",
        "schedule.smallest": "impasto",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "notebook: 500, then 200",
    },
    deviations="Sizes are of the longest side. One evaluation a step, on the same path as torch's "
    "twenty.",
)

CONTROLLING = Recipe(
    name="controlling2017",
    title="Controlling perceptual factors",
    summary="Gatys 2017: coarse to fine, 500 to 1024 px; with --mask, --colors and --style-scale.",
    paper="Gatys, Ecker, Bethge, Hertzmann & Shechtman, CVPR 2017",
    backbone="vgg19.caffe",
    twins=_CAFFE,
    terms=NOTEBOOK.terms,
    optimizer=_LBFGS,
    init="content",
    clamp=False,
    size=1024,
    schedule=Schedule(
        ratio=1024 / 500,
        smallest=64,
        count=2,
        steps={"draft": (16, 60), "good": (40, 150), "best": (100, 400), "published": (200, 500)},
    ),
    stand_in=StandIn(terms=_STAND_IN, optimizer=PROMPT, reason=_REASON),
    sources={
        "backbone": "the paper: VGG-19",
        "twins": "the same weights in other files",
        "mean": "as the weights come",
        "pooling": "as in the notebook of 2016",
        "padding": "as the network was trained",
        "terms": "as in the notebook of 2016",
        "optimizer": "torch's defaults of L-BFGS",
        "optimizer.scaled": "impasto: torch drops curvature pairs of small objectives",
        "init": "as in the notebook of 2016",
        "clamp": "as in the notebook of 2016",
        "size": "the paper: 1024 px",
        "schedule": "the paper: 500 px, then 1024 px",
        "schedule.smallest": "impasto",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "500, then 200: the printed ratio 2.5, the notebook's numbers",
    },
    deviations="The controls are options of every recipe: guidance maps --mask and --style-mask; "
    "colour --colors content (luminance only) and --colors match (mean and covariance); scale "
    "--style-scale. Here they stay off.",
)
