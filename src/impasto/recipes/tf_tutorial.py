"""S3: the tutorial with Keras' VGG-19."""

from __future__ import annotations

from impasto.recipes.model import OptimizerSpec, Recipe, Schedule, StandIn
from impasto.recipes.parts import AGAINST_SPECKLE, SMOOTH_POOLING, content, gram, tv, twins

TF_TUTORIAL = Recipe(
    name="tf-tutorial",
    title="TensorFlow tutorial",
    summary="S3: Keras' VGG-19, content at block5_conv2, Adam with a large epsilon.",
    paper="S3, after Gatys, Ecker & Bethge 2016",
    backbone="vgg19.keras",
    twins=twins("vgg19.keras"),
    terms=(content("mean", 1e4, "relu5_2"), gram("hw", "mean", 1e-2)),
    optimizer=OptimizerSpec(lr=0.02, betas=(0.99, 0.999), eps=1e-1, eps_hat=True, scaled=False),
    init="content",
    clamp=True,
    size=512,
    schedule=Schedule(
        ratio=1.0,
        steps={"draft": (60,), "good": (200,), "best": (500,), "published": (1000,)},
    ),
    stand_in=StandIn(
        terms=(content("relative", 5.0, "relu5_2"), gram("hw", "relative", 20.0), tv(20.0)),
        optimizer=OptimizerSpec(lr=0.01, betas=(0.99, 0.999), eps=1e-8, eps_hat=True),
        pooling="avg",
        reason=f"{SMOOTH_POOLING} Adam's step is half as long and its epsilon small, since the "
        f"source's belong to gradients of its weights. {AGAINST_SPECKLE}",
    ),
    sources={
        "backbone": "S3: VGG19 of keras.applications; its layers include their ReLU",
        "twins": "the same weights in other files",
        "mean": "as the weights come, after [0, 1] x 255",
        "pooling": "S3",
        "padding": "S3: SAME, which is zeros",
        "terms": "S3, as coded",
        "terms.content.layers": "S3: block5_conv2",
        "terms.style.layers": "S3: block1_conv1 to block5_conv1",
        "terms.content.layer_weights": "S3: divided by the number of layers",
        "terms.style.layer_weights": "S3: divided by the number of layers",
        "terms.style.options": "S3: G / (H W), loss mean",
        "optimizer": "S3: lr 0.02, beta1 0.99, epsilon 1e-1; beta2 is Keras' default",
        "optimizer.eps_hat": "Keras adds epsilon before the second moment is corrected",
        "optimizer.scaled": "S3: the objective as it is",
        "init": "S3",
        "clamp": "S3: every step to [0, 1]",
        "size": "S3: longest side 512",
        "schedule": "S3: one size",
        "schedule.steps": "impasto, but for the published ones",
        "schedule.steps.published": "S3: 10 epochs of 100 steps",
    },
    deviations="S3's text recommends L-BFGS but codes Adam; --optimizer lbfgs does the former.",
)
