"""Ways to look for a picture that excites a unit, published and our own, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from impasto.engine.excite import Manner
from impasto.engine.optimise import Optimiser
from impasto.engine.regularised import Regulariser
from impasto.engine.views import Views
from impasto.registry import Registry
from impasto.specs import VisualizeSpec

T = TypeVar("T")

ADAM = Optimiser("adam", lr=0.07, betas=(0.9, 0.999), scaled=False, decay=0.3)
AROUND = Manner(Views(pad=8, jitter=8, scale=0.1, rotate=10), tv=0.02)


@dataclass(frozen=True)
class Look:
    """All numbers of a method.

    Attributes:
        name: Of the recipe.
        summary: One line.
        source: The paper, or empty.
        pixels: ``"fourier"``, ``"plain"``, ``"laplacian"`` or ``"cppn"``.
        optimiser: How pixels are moved.
        steps: For one picture, over all stages.
        stages: Share of the full size and share of the steps of each stage, coarse to fine.
        manner: Views, redirected gradients, smoothness, diversity.
        decay: Exponent of the frequency, of Fourier pixels.
        chroma: Exponent of the deviations of their colours.
        noise: Deviation of the start: of Fourier coefficients, or of pixels around the mean.
        rivals: How much other classes count against a class.
        regulariser: Rules after each step, for plain pixels.
        mean: The colour around which a start without picture lies, RGB in [0, 1].
    """

    name: str
    summary: str
    source: str = ""
    pixels: str = "fourier"
    optimiser: Optimiser = ADAM
    steps: int = 256
    stages: tuple[tuple[float, float], ...] = ((1.0, 1.0),)
    manner: Manner = AROUND
    decay: float = 1.0
    chroma: float | None = 0.5
    noise: float = 0.01
    rivals: float = 0.0
    regulariser: Regulariser | None = None
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def settings(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        numbers = asdict(self)
        del numbers["summary"], numbers["source"]
        return {name: _listed(value) for name, value in numbers.items()}


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _listed(v) for k, v in value.items()}
    return [_listed(v) for v in value] if isinstance(value, tuple) else value


LOOKS: Registry[Look] = Registry("recipe")

LOOKS.add(
    "impasto",
    Look(
        "impasto",
        "Fourier pixels of decorrelated colours, seen from slightly elsewhere at each step",
        "Olah, Mordvintsev & Schubert, Feature Visualization, Distill 2017",
    ),
)
LOOKS.add(
    "classes",
    Look(
        "classes",
        "the same for whole things: from small to large, strong changes of size, smoother",
        optimiser=replace(ADAM, lr=0.06, decay=0.2),
        chroma=0.65,
        stages=((0.43, 0.65), (1.0, 0.35)),
        manner=Manner(Views(pad=16, jitter=16, scale=0.3, rotate=12), tv=0.15),
    ),
)
LOOKS.add(
    "cppn",
    Look(
        "cppn",
        "a small network paints the picture: smooth at every size",
        "Mordvintsev, Pezzotti, Schubert & Olah, Differentiable Image Parameterizations, 2018",
        pixels="cppn",
        optimiser=replace(ADAM, lr=0.004),
        steps=384,
    ),
)
LOOKS.add(
    "plain",
    Look(
        "plain",
        "the bare gradient of the pixels, nothing else: mostly noise, to compare with",
        "Erhan, Bengio, Courville & Vincent, Visualizing higher-layer features, 2009",
        pixels="plain",
        optimiser=replace(ADAM, lr=0.02),
        manner=Manner(Views()),
        noise=10 / 255,
    ),
)

#: The mean pixel that the authors' pictures are relative to.
_MEAN = (123.68 / 255, 116.779 / 255, 103.939 / 255)
_YOSINSKI = Look(
    "yosinski",
    "gradient ascent with decay and a blur in every fourth step",
    "Yosinski, Clune, Nguyen, Fuchs & Lipson, Understanding neural networks through deep "
    "visualization, 2015, table 1",
    pixels="plain",
    # Of the authors' "constant" rate only the size of the step has a meaning for other networks.
    optimiser=Optimiser("sgd", lr=0.01, scaled=True),
    steps=500,
    manner=Manner(Views(), redirect=0),
    noise=10 / 255,
    regulariser=Regulariser(decay=0.0001, blur=1.0, every=4),
    mean=_MEAN,
)
for _name, _summary, _rule in (
    ("yosinski", _YOSINSKI.summary, _YOSINSKI.regulariser),
    (
        "yosinski-norm",
        "a weak blur, and the half of the pixels with the smallest norm cut",
        Regulariser(blur=0.5, every=4, norm=50),
    ),
    (
        "yosinski-decay",
        "strong decay, and a fifth of the pixels, those with the smallest norm, cut",
        Regulariser(decay=0.3, norm=20),
    ),
    (
        "yosinski-contribution",
        "a weak blur, and nine tenths of the pixels, those that contribute least, cut",
        Regulariser(blur=0.5, every=4, contribution=90),
    ),
):
    LOOKS.add(_name, replace(_YOSINSKI, name=_name, summary=_summary, regulariser=_rule))

#: What is used where nothing was asked for: for layers, and for classes.
DEFAULT, FOR_CLASSES = "impasto", "classes"


def resolved(spec: VisualizeSpec) -> Look:
    """The recipe with everything that ``spec`` changes.

    Raises:
        UnknownName: There is no such recipe.
    """
    look = LOOKS.get(spec.recipe or (FOR_CLASSES if spec.class_ else DEFAULT))
    views = look.manner.views
    manner = replace(
        look.manner,
        views=replace(
            views,
            seed=spec.seed,
            pad=_given(spec.pad, views.pad),
            jitter=_given(spec.jitter, views.jitter),
            scale=_given(spec.rescale, views.scale),
            rotate=_given(spec.rotate, views.rotate),
            count=_given(spec.views, views.count),
        ),
        tv=_given(spec.tv_weight, look.manner.tv),
        diversity=spec.diversity_weight if spec.diversity > 1 else 0.0,
    )
    changes: Mapping[str, Any] = {
        "manner": manner,
        "steps": _given(spec.iterations, look.steps),
        "optimiser": replace(look.optimiser, lr=_given(spec.learning_rate, look.optimiser.lr)),
        "rivals": _given(spec.rivals, look.rivals),
    }
    changed = replace(look, **changes)
    return changed if spec.pixels is None else _painted_with(changed, spec)


def _painted_with(look: Look, spec: VisualizeSpec) -> Look:
    """``look`` with other pixels; their step size comes along unless the request has one."""
    if spec.pixels == look.pixels or spec.pixels is None:
        return look
    rates = {"fourier": 0.07, "plain": 0.02, "laplacian": 0.02, "cppn": 0.004}
    optimiser = replace(ADAM, lr=rates[spec.pixels])
    rule = None
    if look.regulariser is not None and spec.pixels == "plain":
        optimiser, rule = look.optimiser, look.regulariser
    optimiser = replace(optimiser, lr=_given(spec.learning_rate, optimiser.lr))
    noise = 0.01 if spec.pixels == "fourier" else 10 / 255
    return replace(look, pixels=spec.pixels, optimiser=optimiser, regulariser=rule, noise=noise)


def _given(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value
