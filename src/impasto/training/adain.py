"""A decoder for features with a painting's moments (AdaIN), which belong to no photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from impasto import networks
from impasto.engine.objective import IMAGE
from impasto.errors import UsageError
from impasto.images import Picture
from impasto.images.tensors import to_tensor
from impasto.losses import TotalVariation
from impasto.networks import shelf
from impasto.training.decoder import DecoderTask
from impasto.training.photos import Crops, Stream, cut
from impasto.training.shapes import drawn
from impasto.training.task import Asked

#: How a part of a painting is drawn: its edge in px, and how far it is reduced.
PART = Crops(192, (1.0, 2.5))
#: Added to variances before the root.
EPS = 1e-5
#: Least mean square of a channel, relative to the mean of all.
FLOOR = 1e-3
#: What drawn scenes are to have little of.
VARIATION = TotalVariation(power=1.0, scale="mean")
#: Mean and deviation of each channel, both (B, C).
Moments = tuple[Tensor, Tensor]


class AdainTask(DecoderTask):
    """Photos with the moments of paintings, decoded: it learns to paint.

    Features of a photo at ``layer`` get mean and deviation of a painting's, channel by channel;
    the decoder's picture must have those features (``content``), and at several layers the
    painting's moments (``style``): Huang & Belongie 2017, equations 11 to 14.

    Settings besides those of :class:`DecoderTask`: ``style``, the weight; ``layers``, where moments
    are compared, joined by ``+``, ``image`` among them or not; ``parts``, how many are drawn from
    each painting; ``limit``, the deviations that no feature may be above a painting's mean;
    ``drawn``, how many scenes of plain shapes are added to every batch, and ``calm``, the weight of
    their total variation; ``begin``, the model on the shelf whose weights are taken as far as they
    fit.

    Deviations: every channel is divided by its root mean square over the paintings, since a few
    channels of an encoder can be so large that nothing else would count; the decoder begins as one
    that reconstructs. Moments of a plain scene ask for texture where there is nothing to make it
    of but edges, and the decoder learns to echo those; so on drawn scenes not the style counts, but
    ``content`` and the sum of the differences of neighbours, which an edge as such does not raise
    and every echo does (``calm``).

    Args:
        asked: The request; its paintings are what it learns to paint with.

    Raises:
        UsageError: There are no paintings, or a setting makes no sense.
    """

    own: ClassVar[Mapping[str, Any]] = {
        **DecoderTask.own,
        "mode": "adain",
        "layer": "relu3_1",
        "style": 5.0,
        "layers": "image+relu1_1+relu2_1+relu3_1",
        "parts": 4,
        "limit": 5.0,
        "drawn": 2,
        "calm": 25.0,
        "begin": "decoder-relu3_1",
    }
    shape: ClassVar[Mapping[str, Any]] = {"rounds": 0, "blocks": 2, "smooth": 1}

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        if not asked.styles:
            raise UsageError("the mode adain needs paintings", hint="name some")
        if not self.numbers["limit"] > 0:
            raise UsageError("limit must be above 0")
        if not (self.numbers["drawn"] >= 0 and self.numbers["calm"] >= 0):
            raise UsageError("drawn and calm must be 0 or more")
        self.seed = asked.seed
        names = self.numbers["layers"].split("+")
        self.layers = [n if n == IMAGE else self.encoder.resolve(n) for n in names]
        self._styles = self._measured(asked.styles)
        self._scales = {n: scales(m) for n, m in self._styles.items()}

    def slow(self) -> Mapping[str, float]:
        """The read-out begins where it should be, but has another task now."""
        return {"readout": 0.3}

    @torch.no_grad()
    def prepare(self, stream: Stream | None) -> None:
        """Take the weights of a decoder that reconstructs; those that it lacks keep their start."""
        name = self.numbers["begin"]
        if not name:
            super().prepare(stream)
            return
        theirs = networks.load(shelf.locate(name), self.kind).network.state_dict()
        for key, mine in self.decoder.state_dict().items():
            if key in theirs and theirs[key].shape == mine.shape:
                mine.copy_(theirs[key])

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """The terms; which paintings, and what is drawn, is a function of the step."""
        draw = np.random.default_rng((self.seed, step, 2))
        terms = self._terms(batch, self._drawn(len(batch), draw))[1]
        plain = self.numbers["drawn"]
        if plain:
            scenes = drawn(plain, batch.shape[-1], draw).to(batch)
            wanted = self._wanted(self._drawn(plain, draw))
            made, seen, target = self._painted(scenes, wanted[self.layer])
            terms["plain"] = self._missing(seen, target)
            terms["calm"] = self.numbers["calm"] * variation(made)
        return terms

    def _drawn(self, count: int, draw: np.random.Generator) -> Tensor:
        """Numbers of paintings' parts."""
        return torch.from_numpy(draw.integers(len(self._styles[self.layers[0]][0]), size=count))

    @torch.no_grad()
    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        """The terms, and their sum as ``loss``, each photo with a painting of its own."""
        found = [self._terms(p, self._turn(i))[1] for i, p in enumerate(photos)]
        terms = {f"{n}_held": float(torch.stack([f[n] for f in found]).mean()) for n in found[0]}
        return {**terms, "loss": sum(terms.values())}

    @torch.no_grad()
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """Three photos above three rows of them, painted."""
        shown = [p for p in photos if p.shape == photos[0].shape][:3]
        rows = [
            torch.cat([self._terms(p, self._turn(3 * i + k))[0] for k, p in enumerate(shown)], 3)
            for i in range(3)
        ]
        return torch.cat([torch.cat(shown, 3), *rows], 2)

    def _turn(self, number: int) -> Tensor:
        """Paintings far apart on the list, one after the other."""
        count = len(self._styles[self.layers[0]][0])
        return torch.tensor([number * (count // 11 * 2 + 1) % count])

    def _terms(self, photos: Tensor, which: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The pictures of photos in certain styles, and the weighted terms."""
        wanted = self._wanted(which)
        made, seen, target = self._painted(photos, wanted[self.layer])
        parts = [apart(moments(seen[n]), wanted[n], self._scales[n]) for n in self.layers]
        style = torch.stack(parts).sum()
        content = self._missing(seen, target)
        return made, {"content": content, "style": self.numbers["style"] * style}

    def _wanted(self, which: Tensor) -> dict[str, Moments]:
        return {n: (m[which], d[which]) for n, (m, d) in self._styles.items()}

    def _painted(self, pictures: Tensor, goal: Moments) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """Pictures with certain moments decoded, what is seen in them, and what should be."""
        top = goal[0] + self.numbers["limit"] * goal[1]
        target = renormalised(self._features(pictures), goal).clamp_min(0)
        target = torch.minimum(target, top[:, :, None, None])
        made = self.decoder.first(target)
        return made, self._seen(made), target

    def _missing(self, seen: Mapping[str, Tensor], target: Tensor) -> Tensor:
        missing = (seen[self.layer] - target) / self._scales[self.layer][:, None, None]
        return missing.square().mean()

    def _seen(self, pictures: Tensor) -> dict[str, Tensor]:
        names = dict.fromkeys([*self.layers, self.layer])
        own = {IMAGE: pictures} if IMAGE in names else {}
        return own | self.encoder.taps(pictures, [n for n in names if n != IMAGE])

    @torch.no_grad()
    def _measured(self, paintings: Sequence[Picture]) -> dict[str, Moments]:
        """By layer, the moments of all parts of all paintings, (N, C) each."""
        draw = np.random.default_rng((self.seed, 1))
        found: dict[str, list[Moments]] = {n: [] for n in [*self.layers, self.layer]}
        for painting in paintings:
            whole = (to_tensor(painting)[0] * 255).round().to(torch.uint8)
            parts = [cut(whole, PART, draw) for _ in range(self.numbers["parts"])]
            seen = self._seen(torch.stack(parts).to(next(self.network.parameters())))
            for name, features in seen.items():
                found[name].append(moments(features))
        return {
            name: (torch.cat([m for m, _ in every]), torch.cat([d for _, d in every]))
            for name, every in found.items()
        }


def moments(features: Tensor) -> Moments:
    """Mean and deviation of each channel of (B, C, H, W), both (B, C)."""
    return features.mean((2, 3)), (features.var((2, 3), correction=0) + EPS).sqrt()


def renormalised(features: Tensor, wanted: Moments) -> Tensor:
    """Features (B, C, H, W) with other moments (Huang & Belongie 2017, equation 8)."""
    mean, deviation = moments(features)
    gain = wanted[1] / deviation
    shift = wanted[0] - gain * mean
    return features * gain[:, :, None, None] + shift[:, :, None, None]


def variation(pictures: Tensor) -> Tensor:
    """Mean absolute difference of neighbours down, plus that across, of (B, C, H, W)."""
    return VARIATION(pictures, VARIATION.target(pictures))


def scales(styles: Moments) -> Tensor:
    """Root mean square of each channel over all styles, (C,); silent ones get a little."""
    squares = (styles[0].square() + styles[1].square()).mean(0)
    return squares.clamp_min(float(squares.mean()) * FLOOR).sqrt()


def apart(have: Moments, wanted: Moments, scale: Tensor) -> Tensor:
    """Mean over pictures and channels of the squared distance of moments, in units of ``scale``."""
    gone = (have[0] - wanted[0]).square() + (have[1] - wanted[1]).square()
    return (gone / scale.square()).mean()
