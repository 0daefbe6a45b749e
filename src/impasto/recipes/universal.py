"""Universal style transfer: any painting, any photo, no optimisation."""

from __future__ import annotations

from impasto.recipes.one_pass import IMAGE, Level, OnePass, Pass, Smooth

_DEEP, _MIDDLE, _FINE = "relu3_1", "relu2_1", "relu1_1"
#: Deviations above which no feature goes: the plain areas of a drawn scene make those of its few
#: hard edges huge, and these decode to dotted halos.
_LIMIT = 5.0


def _levels(*layers: str, **numbers: object) -> tuple[Level, ...]:
    return tuple(Level.model_validate({"layer": layer, **numbers}) for layer in layers)


def _painted(**numbers: object) -> Level:
    """The deep layer, by the decoder that was trained on paintings' moments."""
    return Level.model_validate({"layer": _DEEP, "decoder": "adain", "limit": _LIMIT, **numbers})


_PALETTE = Level(layer=IMAGE, ridge=0.01)

INSTANT = OnePass(
    name="instant",
    title="impasto, at once",
    summary="The fast default: the painting's patches at half the size, then its statistics.",
    paper="Sheng et al. 2018 and Huang & Belongie 2017, changed as docs/universal.md says",
    passes={
        "instant": (Pass(levels=(_painted(ridge=0.03), _PALETTE)),),
        "good": (
            Pass(size=0.5, levels=(_painted(method="swap", strength=0.5, ridge=0.03),)),
            Pass(levels=(_painted(method="moments"), _PALETTE), detail=0.8),
        ),
    },
)

_WHITEN = {"method": "whiten", "ridge": 0.03, "limit": _LIMIT}

WCT = OnePass(
    name="wct",
    title="Whitening and colouring",
    summary="Li 2017: whitening and colouring, coarse to fine, from relu3_1 to relu1_1.",
    paper="Li, Fang, Yang, Wang, Lu & Yang, Universal style transfer, NIPS 2017",
    passes={
        "instant": (Pass(levels=_levels(_MIDDLE, _FINE, **_WHITEN)),),
        "good": (Pass(levels=_levels(_DEEP, _MIDDLE, _FINE, **_WHITEN)),),
    },
    deviations="Three levels instead of five: the embedded network keeps little colour at relu4_1 "
    "and relu5_1, and decoders for them are muddy. 3% of the mean variance is added to every "
    "direction; without it, plain areas are covered with patches of plain colours. No feature is "
    "more than 5 deviations above the painting's mean; without that, edges have stronger halos. "
    "Printed strength is 0.6; --alpha 0.6 is that.",
)

ADAIN = OnePass(
    name="adain",
    title="Adaptive instance normalisation",
    summary="Huang 2017: mean and deviation of every channel, by a decoder trained for it.",
    paper="Huang & Belongie, Arbitrary style transfer in real-time, ICCV 2017",
    passes={
        "instant": (Pass(levels=(_painted(method="moments"), _PALETTE)),),
        "good": (Pass(levels=(_PALETTE, _painted(method="moments"), _PALETTE)),),
    },
    deviations="At relu3_1, where the paper has relu4_1: the embedded network keeps little colour "
    "that deep. The palette is set before and after, as a whole. No feature is more than 5 "
    "deviations above the painting's mean; without that, hard edges have stronger dotted halos.",
)

STYLE_SWAP = OnePass(
    name="style-swap",
    title="Style swap",
    summary="Chen 2016: every patch of features becomes the painting's most similar one.",
    paper="Chen & Schmidt, Fast patch-based style transfer of arbitrary style, 2016",
    quality="good",
    passes={
        "instant": (
            Pass(
                size=0.4,
                levels=(
                    Level(layer=_DEEP, method="swap", ridge=0.03),
                    *_levels(_MIDDLE, ridge=0.03),
                ),
            ),
            Pass(levels=_levels(_FINE, ridge=0.03), detail=0.5),
        ),
        "good": (
            Pass(
                size=0.5,
                levels=(
                    Level(layer=_DEEP, method="swap", ridge=0.03),
                    *_levels(_MIDDLE, _FINE, ridge=0.03),
                ),
            ),
            Pass(levels=_levels(_MIDDLE, _FINE, ridge=0.03), detail=0.5),
        ),
    },
    deviations="Patches are compared after whitening (Sheng et al. 2018), at half the size, so "
    "that strokes are large; two sizes of transport follow.",
)

PHOTO = OnePass(
    name="photo",
    title="Photo-realistic",
    summary="Light and colours of another picture; straight lines stay straight.",
    paper="Li, Liu, Li, Yang & Kautz, A closed-form solution to photorealistic stylization, 2018",
    passes={
        "instant": (Pass(levels=_levels(_FINE, IMAGE, ridge=0.01)),),
        "good": (Pass(levels=_levels(_MIDDLE, _FINE, IMAGE, ridge=0.01)),),
    },
    smooth=Smooth(),
    deviations="The last step is a guided filter with the photo's light (He et al. 2010) in place "
    "of the paper's manifold ranking: in each window the picture is a linear function of the "
    "photo, so no edge can move.",
)
