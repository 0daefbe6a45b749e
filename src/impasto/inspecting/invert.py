"""Feature inversion: a picture that one layer cannot tell from the photo.

After Mahendran & Vedaldi, "Understanding deep image representations by inverting them", CVPR
2015: minimise ``|F(x) - F(photo)|^2 / |F(photo)|^2 + w TV(x)`` over the pixels x, from noise.
Where the paper uses gradient descent with momentum at one size, this uses Adam from coarse to
fine: deep layers of a network with maximum pooling leave most of a picture open, and what they
leave open stays noise when the search begins at full size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from impasto.backbones import Backbone
from impasto.engine.objective import IMAGE, Objective, Term, goal_for
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.engine.scales import Scale, pyramid
from impasto.errors import UsageError
from impasto.events import Event, ScaleStarted, Step
from impasto.images.resize import resize
from impasto.losses import Content, TotalVariation

#: Ratio of successive sizes, and the longest side of the first, px.
RATIO, SMALLEST = 1.6, 48
#: Steps of the scales before the last, as a share of the last one's.
SHARE = 0.5
#: Weight of the smoothness at stride 1. It grows with the square of the stride: that many pixels
#: share a position of the layer, which says ever less about each.
TV_WEIGHT = 0.6
#: Strides beyond this count as this one; so do layers that see the whole picture.
DEEPEST = 16
#: Grey with a little noise: contrast is for the layer to ask for.
NOISE = 0.1

OPTIMISER = Optimiser("adam", lr=0.03, betas=(0.9, 0.99), decay=0.1)


@dataclass(frozen=True)
class Plan:
    """Everything that an inversion depends on, besides the photo and the network.

    Attributes:
        layer: Canonical name.
        height: Of the result, px.
        width: Of the result, px.
        steps: Of the last scale.
        tv_weight: Of the smoothness.
        seed: Of the noise at the start.
    """

    layer: str
    height: int
    width: int
    steps: int
    tv_weight: float
    seed: int = 0

    def scales(self, smallest: int) -> list[Scale]:
        """From coarse to fine; none but the last has an edge below ``smallest`` px."""
        steps = (self.steps, max(1, round(self.steps * SHARE)))
        every = pyramid(self.height, self.width, steps, ratio=RATIO, smallest=SMALLEST)
        return [s for s in every[:-1] if min(s.height, s.width) >= smallest] + every[-1:]


def tv_weight(stride: int) -> float:
    """Weight of the smoothness for a layer of ``stride``; 0 is a layer of the whole picture."""
    return TV_WEIGHT * min(stride or DEEPEST, DEEPEST) ** 2


class Inverter:
    """An inversion in progress.

    Args:
        backbone: The network, on the device of ``photo``.
        photo: (1, 3, H, W) in [0, 1], any size.
        plan: What to do.
    """

    def __init__(self, backbone: Backbone, photo: Tensor, plan: Plan) -> None:
        self.backbone = backbone
        self.photo = photo
        self.plan = plan
        self.scales = plan.scales(backbone.min_size([plan.layer]))
        self._run: Optimisation | None = None
        self._index = 0
        self._resumed: dict[str, Any] | None = None

    @property
    def begun(self) -> bool:
        """Whether there is a picture."""
        return self._run is not None

    def events(self) -> Iterator[Event]:
        """Run what is left."""
        for index in range(self._index, len(self.scales)):
            scale = self.scales[index]
            run = self._begin(index)
            yield ScaleStarted(index, len(self.scales), scale.height, scale.width, scale.steps)
            for step in run.steps():
                yield Step(index, step.index, scale.steps, step.terms, self.image, note=step.note)

    def image(self) -> Tensor:
        """The picture so far, (1, 3, H, W) in [0, 1], at the size of the scale."""
        return self._optimisation.image().clamp(0, 1)

    @torch.no_grad()
    def error(self) -> float:
        """``|F(x) - F(photo)|^2 / |F(photo)|^2`` of the picture so far."""
        image, layer = self.image(), self.plan.layer
        photo = resize(self.photo, (image.shape[-2], image.shape[-1])).clamp(0, 1)
        loss = Content("relative")
        goal = loss.target(self.backbone.taps(photo, [layer])[layer])
        return float(loss(self.backbone.taps(image, [layer])[layer], goal))

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs to go on exactly here."""
        return {"scale": self._index, "run": self._optimisation.state()}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a saved state when :meth:`events` is called."""
        self._index, self._resumed = state["scale"], state["run"]

    @property
    def _optimisation(self) -> Optimisation:
        if self._run is None:
            raise UsageError("the inversion has not begun")
        return self._run

    def _begin(self, index: int) -> Optimisation:
        scale, coarser = self.scales[index], self._run
        size = (scale.height, scale.width)

        def enlarged(canvas: Tensor) -> Tensor:
            return resize(canvas, size)

        start = self._noise(size) if coarser is None else enlarged(coarser.image()).clamp(0, 1)
        objective = Objective(self.backbone, self._goals(size))
        run = Optimisation(PlainPixels(start), objective, OPTIMISER, scale.steps)
        if self._resumed is not None:
            run.load(self._resumed)
            self._resumed = None
        elif coarser is not None:
            run.inherit(coarser, enlarged)
        self._run, self._index = run, index
        return run

    def _goals(self, size: tuple[int, int]) -> list[Any]:
        photo = resize(self.photo, size).clamp(0, 1)
        features = Term("features", Content("relative"), (self.plan.layer,))
        smooth = Term("tv", TotalVariation(), (IMAGE,), self.plan.tv_weight)
        return [goal_for(term, self.backbone, [photo], [1.0]) for term in (features, smooth)]

    def _noise(self, size: tuple[int, int]) -> Tensor:
        generator = torch.Generator().manual_seed(self.plan.seed)
        noise = torch.rand(1, 3, *size, generator=generator)
        return (0.5 + 2 * NOISE * (noise - 0.5)).to(self.photo)
