"""Terms that many recipes share, so that a recipe's file shows what is its own."""

from __future__ import annotations

from typing import Any

from impasto.recipes.model import OptimizerSpec, TermSpec

#: A weight on squared differences of pixels in 0-255, for pixels in [0, 1].
BYTES_SQUARED = 255.0**2
#: The first ReLU of every block: where Gatys and most after him take the style.
FIRST_OF_BLOCKS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
#: L-BFGS for stand-ins, and what it departs from.
PROMPT = OptimizerSpec(name="lbfgs", lr=1.0, history=100, first=0.02)
FIRST_STEP = (
    "The first step of L-BFGS is 0.02 of the picture's range: torch's own is next to nothing, "
    "which costs a draft too many of its steps."
)
#: Why stand-ins have a term that their sources have not.
AGAINST_SPECKLE = "Total variation, which the source has not, holds speckle down."
#: Average pooling for stand-ins, and why.
SMOOTH_POOLING = (
    "Average pooling: with max pooling the embedded network's pictures were grainy and pale."
)
#: Layer weights for stand-ins that start from noise, first to fifth block, and why.
FROM_NOISE = (4.0, 0.6, 0.2, 0.15, 0.05)
COLOURS_FIRST = (
    "Only relu1_1 of the embedded network knows colours well, and from a start without any they "
    "come last: so it weighs most. The photo is kept at relu3_3, which still knows its drawing."
)
#: Other files with the weights of the VGG authors, by what the recipes name first.
OXFORD = {
    depth: tuple(f"vgg{depth}.{tag}" for tag in ("caffe", "matconvnet", "keras", "tensorflow"))
    for depth in (16, 19)
}


def twins(backbone: str) -> tuple[str, ...]:
    """The other names of the VGG authors' weights ``backbone``."""
    depth = 19 if backbone.startswith("vgg19") else 16
    return tuple(name for name in OXFORD[depth] if name != backbone)


def content(scale: str, weight: float, *layers: str, shares: tuple[float, ...] = ()) -> TermSpec:
    """The photo's features, kept."""
    return TermSpec(
        name="content",
        role="content",
        loss="content",
        options={"scale": scale},
        layers=layers or ("relu4_2",),
        layer_weights=shares,
        weight=weight,
    )


def gram(
    divide: str,
    scale: str,
    weight: float,
    layers: tuple[str, ...] = FIRST_OF_BLOCKS,
    shares: tuple[float, ...] = (),
) -> TermSpec:
    """The painting's Gram matrices."""
    return TermSpec(
        name="style",
        role="style",
        loss="gram",
        options={"divide": divide, "scale": scale},
        layers=layers,
        layer_weights=shares,
        weight=weight,
    )


def style(loss: str, weight: float, layers: tuple[str, ...], **options: Any) -> TermSpec:
    """Another statistic of the painting."""
    return TermSpec(
        name="style", role="style", loss=loss, options=options, layers=layers, weight=weight
    )


def tv(weight: float, **options: Any) -> TermSpec:
    """Total variation of the picture in [0, 1]."""
    return TermSpec(
        name="tv", role="image", loss="tv", options=options, layers=("image",), weight=weight
    )


def lua_tv(weight: float) -> TermSpec:
    """The term whose gradient neural-style adds, with its weight for pixels in 0-255."""
    return tv(weight * BYTES_SQUARED, form="isotropic", power=2.0, eps=0.0, scale="half")
