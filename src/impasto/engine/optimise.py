"""The loop: move the pixels so that the objective falls. It knows nothing of style."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from impasto.engine.pixels import Pixels

#: A picture in, its weighted terms out (see :class:`impasto.engine.objective.Objective`).
ObjectiveFn = Callable[[Tensor], dict[str, Tensor]]


@dataclass(frozen=True)
class Optimiser:
    """How the pixels are moved.

    Attributes:
        name: ``"adam"`` or ``"lbfgs"``.
        lr: Step size; for Adam in units of the picture's [0, 1], for L-BFGS a factor of its step.
        betas: Adam's decay of the first and second moment.
        eps: Adam's epsilon, relative to the scaled objective (about 1 at the start).
        history: Curvature pairs that L-BFGS keeps; each costs 24 bytes a pixel.
        average: Decay of the running mean of the iterates that is the result; 0 takes the last
            iterate. The mean is corrected for its start at zero (as Adam's moments are).
        decay: Last step size as a fraction of the first; falls along half a cosine.
    """

    name: Literal["adam", "lbfgs"] = "adam"
    lr: float = 0.03
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    history: int = 20
    average: float = 0.0
    decay: float = 1.0


@dataclass(frozen=True)
class Step:
    """What one step found. Tensors, so that a device need not be waited for.

    Attributes:
        index: From 1.
        terms: Weighted value of each term at the picture *before* the step, detached scalars.
        image: Call for the picture after the step, (B, 3, H, W), detached.
    """

    index: int
    terms: dict[str, Tensor]
    image: Callable[[], Tensor]

    @property
    def loss(self) -> Tensor:
        """Sum of the terms, a scalar."""
        return torch.stack(list(self.terms.values())).sum()


class Optimisation:
    """A run in progress: pixels, optimiser, running mean; can be saved and resumed exactly.

    The objective is divided by its first value, since torch's L-BFGS silently drops curvature
    pairs of small objectives; reported values are not scaled. A gradient is not finite or an
    objective 0 at the start leaves the scale at 1.

    Args:
        pixels: What is moved.
        objective: What is lowered.
        optimiser: How.
        total: Number of steps that the whole run will have (for ``decay``).
    """

    def __init__(
        self, pixels: Pixels, objective: ObjectiveFn, optimiser: Optimiser, total: int
    ) -> None:
        self.pixels = pixels
        self.objective = objective
        self.optimiser = optimiser
        self.total = total
        self.done = 0
        self._scale: float | None = None
        self._mean: Tensor | None = None
        self._torch = _make(optimiser, pixels.parameters())
        self._terms: dict[str, Tensor] = {}

    def steps(self) -> Iterator[Step]:
        """Run what is left, a step at a time; closing the iterator stops cleanly."""
        while self.done < self.total:
            self._set_rate()
            self._torch.step(self._closure)  # type: ignore[arg-type]
            self.pixels.project()
            self._update_mean()
            self.done += 1
            yield Step(self.done, self._terms, self.image)

    @torch.no_grad()
    def image(self) -> Tensor:
        """The result so far: the mean of the iterates, or the last one. (B, 3, H, W)."""
        if self._mean is None:
            return self.pixels.decode().detach().clone()
        return self._mean / (1 - self.optimiser.average**self.done)

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs; tensors are shared, not copied."""
        return {
            "done": self.done,
            "scale": self._scale,
            "mean": self._mean,
            "parameters": [p.detach() for p in self.pixels.parameters()],
            "optimiser": self._torch.state_dict(),
        }

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state` was taken; the next step equals the uninterrupted one."""
        for mine, saved in zip(self.pixels.parameters(), state["parameters"], strict=True):
            mine.copy_(saved)
        self.done, self._scale, self._mean = state["done"], state["scale"], state["mean"]
        self._torch.load_state_dict(state["optimiser"])

    @torch.no_grad()
    def inherit(self, coarser: Optimisation, resample: Callable[[Tensor], Tensor]) -> None:
        """Take over Adam's moments from a run at another size.

        Terms are means over positions, so the gradient of a pixel falls with the number of
        pixels; the moments are resampled and brought to the new magnitude. L-BFGS begins anew:
        its curvature pairs belong to the other space.

        Args:
            coarser: The run before this one.
            resample: From a tensor of its parameters' shape to one of this run's.
        """
        if self.optimiser.name != "adam":
            return
        self._scale = coarser._scale
        for mine, theirs in zip(self.pixels.parameters(), coarser.pixels.parameters(), strict=True):
            old = coarser._torch.state.get(theirs)
            if old:
                ratio = theirs.numel() / mine.numel()
                # sqrt first: a resampled square can ring below zero, and is of another unit
                deviation = resample(old["exp_avg_sq"].sqrt()).clamp_min(0)
                self._torch.state[mine] = {
                    "step": old["step"].clone(),
                    "exp_avg": resample(old["exp_avg"]) * ratio,
                    "exp_avg_sq": (deviation * ratio).square(),
                }

    def _closure(self) -> Tensor:
        self._torch.zero_grad(set_to_none=True)
        terms = self.objective(self.pixels.decode())
        loss = torch.stack(list(terms.values())).sum()
        if self._scale is None:
            first = float(loss.detach())
            self._scale = 1 / first if 0 < first < float("inf") else 1.0
        loss = loss * self._scale
        loss.backward()  # type: ignore[no-untyped-call]
        self._terms = {name: value.detach() for name, value in terms.items()}
        return loss.detach()

    @torch.no_grad()
    def _update_mean(self) -> None:
        decay = self.optimiser.average
        if decay:
            image = self.pixels.decode()
            self._mean = torch.zeros_like(image) if self._mean is None else self._mean
            self._mean.lerp_(image, 1 - decay)

    def _set_rate(self) -> None:
        low, progress = self.optimiser.decay, self.done / max(1, self.total - 1)
        fraction = low + (1 - low) * (1 + math.cos(math.pi * progress)) / 2
        for group in self._torch.param_groups:
            group["lr"] = self.optimiser.lr * fraction


def _make(settings: Optimiser, parameters: list[Tensor]) -> torch.optim.Optimizer:
    if settings.name == "adam":
        return torch.optim.Adam(
            parameters, lr=settings.lr, betas=settings.betas, eps=settings.eps, foreach=False
        )
    # One iteration a step is the same trajectory as torch's default of twenty, with one
    # evaluation each, and lets the caller stop, save and look after every one.
    return torch.optim.LBFGS(
        parameters,
        lr=settings.lr,
        max_iter=1,
        history_size=settings.history,
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )


def optimise(
    pixels: Pixels, objective: ObjectiveFn, optimiser: Optimiser, steps: int
) -> Iterator[Step]:
    """Lower ``objective`` by moving ``pixels`` for a number of steps; yields each.

    Args:
        pixels: Moved in place.
        objective: A picture (B, 3, H, W) in, weighted terms out.
        optimiser: How.
        steps: How many; one evaluation of the objective each.
    """
    yield from Optimisation(pixels, objective, optimiser, steps).steps()
