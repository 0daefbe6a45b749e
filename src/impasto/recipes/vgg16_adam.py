"""S2: the TensorFlow program on vgg16.npy."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import AGAINST_SPECKLE, SMOOTH_POOLING, content, gram, tv, twins

_STYLE = ("relu4_3",)

VGG16_ADAM = Recipe(
    name="vgg16-adam",
    title="TensorFlow, VGG-16",
    summary="S2: one style layer, shallow content, 100 large steps of Adam from grey noise.",
    paper="S2, after Gatys, Ecker & Bethge 2016",
    backbone="vgg16.tensorflow",
    twins=twins("vgg16.tensorflow"),
    terms=(
        content("mean", 0.1, "relu1_2", "relu2_2", shares=(1.0, 1.0)),
        gram("chw", "mean", 500.0, _STYLE, (1.0,)),
    ),
    optimizer=OptimizerSpec(
        lr=10.0 / 255, betas=(0.9, 0.999), eps=255e-8, eps_hat=True, scaled=False
    ),
    init="noise:truncated:20",
    clamp=False,
    size=668,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (60,), "good": (100,), "best": (200,), "published": (100,)},
    ),
    stand_in=StandIn(
        terms=(
            content("relative", 6.0, "relu1_2", "relu2_2"),
            gram("hw", "relative", 12.0, ("relu2_2", "relu3_3", "relu4_3")),
            tv(10.0),
        ),
        optimizer=OptimizerSpec(
            lr=10.0 / 255,
            betas=(0.9, 0.999),
            eps=255e-8,
            eps_hat=True,
            decay=0.05,
        ),
        pooling="avg",
        reason="relu4_3 of the embedded network alone makes glaring colours that neither picture "
        f"has, so relu2_2 and relu3_3 stand beside it. {SMOOTH_POOLING} {AGAINST_SPECKLE} Steps "
        "shrink to a twentieth, which takes away most of the grain that Adam's large ones leave.",
    ),
    sources={
        "backbone": "S2: vgg16.npy; its layers include their ReLU",
        "twins": "the same weights in other files",
        "mean": "as the weights come: BGR minus (103.939, 116.779, 123.68)",
        "pooling": "S2",
        "padding": "S2: SAME, which is zeros",
        "terms": "S2, as coded",
        "terms.content.layer_weights": "S2: summed over layers",
        "terms.style.options": "S2: G / (C H W), loss mean",
        "optimizer": "TensorFlow's defaults of Adam",
        "optimizer.lr": "S2: 10 on the 0-255 scale",
        "optimizer.eps": "TensorFlow's default 1e-8 on the 0-255 scale",
        "optimizer.scaled": "S2: the objective as it is",
        "init": "S2: truncated normal, mean 127.5, deviation 20",
        "clamp": "S2: clipped to 0-255 when saved",
        "size": "S2: 668 x 668",
        "schedule": "S2: one size",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "S2",
    },
    deviations="The picture keeps the photo's aspect; in S2 everything is squeezed to a square. "
    "The fully connected layers and the softmax, which S2 builds, play no part.",
)
