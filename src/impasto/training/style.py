"""The task ``style``: a network that paints, in one pass, what a recipe would optimise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto import backbones
from impasto.backbones import Backbone, weights
from impasto.engine.devices import placed
from impasto.engine.objective import IMAGE, Eyes, Goal, Objective, Term, goal_for, looked
from impasto.errors import UsageError
from impasto.images import Picture
from impasto.images.resize import fit_size, resize
from impasto.images.tensors import to_tensor
from impasto.losses import LOSSES
from impasto.losses.adversarial import MarkovianAdversarial
from impasto.losses.base import Target
from impasto.networks import build
from impasto.networks.fast import PhotoNet, noise_like
from impasto.networks.markovian import MarkovianNet, encoder_of
from impasto.networks.painter import KINDS
from impasto.recipes import Recipe, TermSpec, find_recipe
from impasto.training.group import Group
from impasto.training.photos import Crops
from impasto.training.task import Asked, Plan, Task, channels_last
from impasto.training.variety import alike, noise_at

#: Step size of the styles' scales and shifts relative to that of the filters: each is moved by
#: the pictures of its own style alone.
STYLES_FACTOR = 5.0
#: How the names of those numbers end.
STYLED = ("gamma", "beta")
#: What convolutions may compute in while training.
PRECISIONS = ("float32", "bfloat16")
#: The critic of every painting.
CRITIC = MarkovianAdversarial()


class StyleTask(Task):
    """One network for one or several paintings, under the terms of a recipe.

    Each picture of a batch is painted in the style of its own painting, and judged by the
    objective that the recipe would optimise for it. Styles take turns.

    Settings: ``recipe``; ``strength``, a factor of the weight of its style terms; ``smooth``, of
    its terms on the picture itself; ``painting``, the longest side of the paintings in px;
    ``each``, how many styles every photo is painted in per step, all measured against features of
    the photo that are computed once.

    ``network`` is ``fast``, ``johnson``, ``ulyanov`` or ``mgan``, each with architectures of its
    own; the last one paints what the network that the recipe looks through sees at relu4_1.
    ``critic`` is the weight of an adversarial term: a critic of patches of features at the layer
    ``seen``, one for each painting, learns in every step to tell the painting from what the
    network paints, from all of its pictures in the batch together.

    ``convolutions`` is the precision of those while training, the objective's and the painter's:
    ``float32``, or ``bfloat16``, faster where processors have it. Statistics, weights, figures and
    what is painted afterwards are in ``float32`` either way.

    ``diversity``, for a network with noise, is the weight of a term that pushes apart two pictures
    of the same photo (:func:`impasto.training.variety.alike`); every photo is then painted twice.

    Source: Johnson, Alahi & Fei-Fei 2016 (the objective); Dumoulin, Shlens & Kudlur 2017 (several
    styles); Li & Wand 2016b (MGAN, the critic); Ulyanov et al. 2016 (noise), Ulyanov, Vedaldi &
    Lempitsky 2017 (diversity).

    Args:
        asked: The request.

    Raises:
        UsageError: There are no paintings, or a setting makes no sense.
        UnknownName: No such recipe.
    """

    def __init__(self, asked: Asked) -> None:
        if not asked.styles:
            raise UsageError("the task style needs paintings", hint="name one or several")
        self.numbers = asked.read(
            {
                **{"recipe": "impasto", "strength": 1.0, "smooth": 1.0, "painting": 512},
                **{"each": 1, "network": "fast", "critic": 0.0, "seen": "relu3_1"},
                **{"diversity": 0.0, "convolutions": "float32"},
            }
        )
        self.kind, self.asked = self.numbers["network"], asked
        count = len(asked.styles)
        self.names = tuple(Path(p.source.name).stem for p in asked.styles)
        recipe = find_recipe(self.numbers["recipe"])
        self.backbone, specs = eyes(recipe, asked.device)
        self.eyes = placed(self.backbone, asked.device, self._convolutions())
        self.terms = [t for spec in specs if (t := scaled(spec, self.numbers)).weight]
        self.architecture, self.painter = painter(
            self.kind, asked.architecture or "", count, self.backbone, asked.seed
        )
        if self.numbers["diversity"] and not self.painter.noisy:
            raise UsageError(
                f"a network of the kind {self.kind} has no noise", hint="--set network=ulyanov"
            )
        self.multiple = self.painter.multiple
        self.network = channels_last(self.painter.to(asked.device))
        self.plan = Plan(steps=8000, batch=4, crops=Crops(192), lr=2e-3, clip=5.0, view=256)
        self.critics: list[Target] = []
        self.styles = [self._style(picture, asked.device) for picture in asked.styles]

    def _convolutions(self) -> str:
        """What they compute in while training."""
        name: str = self.numbers["convolutions"]
        if name not in PRECISIONS:
            raise UsageError(f"convolutions in {name}", hint=f"use {' or '.join(PRECISIONS)}")
        return name

    def settings(self) -> dict[str, Any]:
        """The settings of the class, and the terms."""
        return {**self.numbers, "terms": [t.model_dump() for t in self.terms]}

    def choices(self) -> tuple[str, ...]:
        """The paintings."""
        return self.names

    def slow(self) -> dict[str, float]:
        """The styles' own numbers are moved faster."""
        names = [n for n, _ in self.painter.named_parameters() if n.endswith(STYLED)]
        return dict.fromkeys(names, STYLES_FACTOR)

    def adopt(self, weights: Mapping[str, Tensor]) -> bool:
        """As any task; of a network with other styles, further ones begin as the mean of its own.

        Its first style becomes the first one here, and so on. One without sight paints the same
        with it, at first.
        """
        count, mine = len(self.styles), self.network.state_dict()
        blind = {n: v for n, v in mine.items() if n.startswith("sight.") and n not in weights}
        return super().adopt(
            blind | {n: restyled(v, count) if n.endswith(STYLED) else v for n, v in weights.items()}
        )

    def objective(self, batch: Tensor, step: int) -> dict[str, Tensor]:
        """Mean over the batch of the recipe's terms."""
        count, each = len(self.styles), self.numbers["each"]
        found, pairs, goals = [], [], []
        with torch.no_grad():
            photos = looked(self.eyes, torch.split(batch, 1), layers_of(self._own))
        for local, seen in enumerate(photos, step * len(batch)):
            photo = seen.picture
            place = local * self.asked.world + self.asked.rank
            turns = [(place * each + i) % count for i in range(each)]
            own = self._photo(photo, seen)
            for style, pictures in zip(turns, self._painted(photo, turns, place), strict=True):
                pairs.append(pictures)
                goals += [(picture, style, own) for picture in torch.split(pictures, 1)]
        judged = self._judged([(picture, style) for picture, style, _ in goals])
        views = looked(self.eyes, [picture for picture, *_ in goals], layers_of(self.terms))
        for seen, (picture, style, own), judgement in zip(views, goals, judged, strict=True):
            terms = Objective(seen, [*own, *self.styles[style]])(picture)
            found.append(terms | judgement)
        terms = {name: torch.stack([f[name] for f in found]).mean() for name in found[0]}
        if self.numbers["diversity"]:
            likeness = torch.stack([alike(p) for p in pairs]).mean()
            terms["diversity"] = self.numbers["diversity"] * likeness
        return terms

    def _painted(self, photo: Tensor, turns: Sequence[int], place: int) -> tuple[Tensor, ...]:
        """The pictures of a photo in each style, (1 or 2, 3, H, W), in one pass."""
        draws = 2 if self.numbers["diversity"] else 1
        shares = torch.eye(len(self.styles), device=photo.device)[list(turns)]
        shares = shares.repeat_interleave(draws, 0)
        photos = photo.expand(len(shares), -1, -1, -1)
        noise: tuple[Tensor, ...] = ()
        if self.painter.noisy:
            noise = (noise_at(self.asked.seed, place, photos.shape).to(photo.device),)
        brief = self._convolutions() == "bfloat16"
        with torch.autocast(photo.device.type, torch.bfloat16, enabled=brief):
            made: Tensor = self.painter(photos, shares, *noise)
        return torch.split(made.float(), draws)

    def state(self) -> dict[str, Any]:
        """The critics."""
        return {"critics": [critic[-1] for critic in self.critics]}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        pairs = zip(self.critics, state["critics"], strict=True)
        self.critics = [(*old[:-1], new.to(old[0])) for old, new in pairs]

    def _judged(self, pictures: Sequence[tuple[Tensor, int]]) -> list[dict[str, Tensor]]:
        """The adversarial term of each picture in its style; the critics learn from all first."""
        if not self.critics:
            return [{} for _ in pictures]
        layer = self.numbers["seen"]
        seen = [(self.backbone.taps(p, [layer])[layer], style) for p, style in pictures]
        self._teach(seen)
        weight = self.numbers["critic"]
        return [{"critic": weight * CRITIC(f, self.critics[style])} for f, style in seen]

    def _teach(self, seen: Sequence[tuple[Tensor, int]]) -> None:
        """One step of every critic, along the mean over its pictures in all processes."""
        slopes = [torch.zeros_like(critic[-1][0]) for critic in self.critics]
        counts = slopes[0].new_zeros(len(slopes))
        for features, style in seen:
            slopes[style] += CRITIC.slope(features, self.critics[style])
            counts[style] += 1
        Group(self.asked.rank, self.asked.world).average([*slopes, counts])
        for style, (slope, count) in enumerate(zip(slopes, counts, strict=True)):
            if count:
                self.critics[style] = CRITIC.moved(self.critics[style], slope / count)

    def values(self, painted: Tensor, photo: Tensor, style: int) -> dict[str, Tensor]:
        """The recipe's weighted terms for one picture (1, 3, H, W)."""
        return self.asked_of(photo, style)(painted)

    def asked_of(self, photo: Tensor, style: int) -> Objective:
        """What the recipe would lower for one photo (1, 3, H, W) and one painting."""
        own = self._photo(photo, self.backbone)
        return Objective(self.backbone, [*own, *self.styles[style]])

    @torch.no_grad()
    def validate(self, photos: Sequence[Tensor]) -> dict[str, float]:
        """Mean value of each term, ``loss`` their sum, ``photo`` that of the photos themselves.

        For a network with noise ``variety`` is the root mean square difference of two pictures of
        the same photo.
        """
        painted, plain, apart = [], [], []
        for i, photo in enumerate(photos):
            style = i % len(self.styles)
            image = self._shown(photo, style)
            if self.painter.noisy:
                apart.append((self._shown(photo, style, seed=1) - image).square().mean().sqrt())
            painted.append(self.values(image, photo, style))
            plain.append(torch.stack(list(self.values(photo, photo, style).values())).sum())
        terms = {n: float(torch.stack([p[n] for p in painted]).mean()) for n in painted[0]}
        return {
            **terms,
            "loss": sum(terms.values()),
            "photo": float(torch.stack(plain).mean()),
            **({"variety": float(torch.stack(apart).mean())} if apart else {}),
        }

    @torch.no_grad()
    def preview(self, photos: Sequence[Tensor]) -> Tensor:
        """Two photos beside each other, below them their pictures in every style."""
        shown = list(photos[:2])
        styles = range(len(self.styles))
        rows = [torch.cat([self._shown(p, style) for p in shown], 3) for style in styles]
        return torch.cat([torch.cat(shown, 3), *rows], 2)

    def _shown(self, photo: Tensor, style: int, seed: int = 0) -> Tensor:
        """A photo in one style, without a margin."""
        shares = torch.eye(len(self.styles), device=photo.device)[style : style + 1]
        noise = (noise_like(photo, seed),) if self.painter.noisy else ()
        made: Tensor = self.painter(photo, shares, *noise)
        return made

    def _photo(self, photo: Tensor, eyes: Eyes) -> list[Goal]:
        return [goal_for(made(term), eyes, [photo], (1.0,)) for term in self._own]

    @property
    def _own(self) -> list[TermSpec]:
        """The terms whose targets are a photo's own."""
        return [t for t in self.terms if t.role != "style"]

    def _style(self, picture: Picture, device: torch.device) -> list[Goal]:
        image = to_tensor(picture, device)
        size = fit_size(image.shape[-2], image.shape[-1], self.numbers["painting"])
        image = resize(image, size).clamp(0, 1)
        if self.numbers["critic"]:
            with torch.no_grad():
                seen = self.backbone.taps(image, [self.numbers["seen"]])[self.numbers["seen"]]
            self.critics.append(CRITIC.target(seen))
        theirs = [made(t) for t in self.terms if t.role == "style"]
        return [goal_for(term, self.backbone, [image], (1.0,)) for term in theirs]


def painter(
    kind: str, architecture: str, styles: int, backbone: Backbone, seed: int
) -> tuple[str, PhotoNet]:
    """An untrained network that paints photos, and its whole architecture.

    Args:
        kind: Of network.
        architecture: What was asked for.
        styles: How many.
        backbone: What a network with eyes sees through.
        seed: Of its first weights.

    Raises:
        UsageError: Networks of this kind paint no photos, or not through such eyes.
    """
    if kind not in KINDS:
        raise UsageError(
            f"networks of the kind {kind} paint no photos", hint=f"there are {', '.join(KINDS)}"
        )
    own = encoder_of(backbone) if kind == "mgan" else ""
    if kind == "fast" and not architecture:
        own = "sight=1"
    whole = ",".join(filter(None, (architecture, own, f"styles={styles}")))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = build(kind, whole)
    assert isinstance(made, PhotoNet)
    if isinstance(made, MarkovianNet):
        made.see(backbone)
    return whole, made


def restyled(rows: Tensor, count: int) -> Tensor:
    """Scales or shifts of styles (S, C) for ``count`` of them: those there are, then their mean."""
    more = max(0, count - len(rows))
    return torch.cat([rows[:count], rows.mean(0, keepdim=True).expand(more, -1)])


def eyes(recipe: Recipe, device: torch.device) -> tuple[Backbone, tuple[TermSpec, ...]]:
    """The network that a recipe looks through and its terms there; its stand-in if need be."""
    name, terms = recipe.backbone, recipe.terms
    if weights.find(weights.get_entry(name.removesuffix(weights.NORMALIZED))) is None:
        name = recipe.stand_in.backbone if recipe.stand_in else backbones.DEFAULT
        terms = recipe.stand_in.terms if recipe.stand_in else terms
    found = backbones.load(name, pooling=recipe.pooling, padding=recipe.padding)
    near = [tuple(n if n == IMAGE else found.nearest(n) for n in t.layers) for t in terms]
    return found.to(device), tuple(
        t.model_copy(update={"layers": layers}) for t, layers in zip(terms, near, strict=True)
    )


def scaled(term: TermSpec, numbers: dict[str, Any]) -> TermSpec:
    """A term with its weight multiplied by the setting for its role."""
    factor = {"style": numbers["strength"], "image": numbers["smooth"]}.get(term.role, 1.0)
    return term.model_copy(update={"weight": term.weight * factor})


def layers_of(terms: Iterable[TermSpec]) -> list[str]:
    """What they are measured at, each layer once."""
    return list(dict.fromkeys(name for term in terms for name in term.layers))


def made(spec: TermSpec) -> Term:
    """The engine's term for a recipe's."""
    loss = LOSSES.get(spec.loss)(**spec.options)
    return Term(spec.name, loss, spec.layers, spec.weight, spec.layer_weights)
