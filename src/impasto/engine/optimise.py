"""The loop: move the pixels so that the objective falls. It knows nothing of style."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from impasto.engine.allocator import kept_memory
from impasto.engine.lbfgs import LBFGS
from impasto.engine.pixels import Pixels, PlainPixels
from impasto.engine.store import IN_MEMORY, Store
from impasto.errors import Diverged, UsageError

#: A picture in, its weighted terms out (see :class:`impasto.engine.objective.Objective`).
ObjectiveFn = Callable[[Tensor], dict[str, Tensor]]


@runtime_checkable
class Stepwise(Protocol):
    """An objective that may change from step to step, at times that the loop announces.

    :class:`impasto.engine.objective.Objective` is one; plain functions are objectives as well.
    """

    learns: bool

    def begin(self, step: int) -> None:
        """A step begins, counted from 0."""

    def state(self) -> dict[str, Any]:
        """What has to be saved of the changes."""

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""


#: A value this many times the last one means that L-BFGS has lost its way.
EXPLODED = 10.0
#: Others may climb for a while, but not to this many times the highest value before.
DIVERGED = 100.0
#: Values below this are rounding errors.
TINY = 1e-6
#: Roll-backs before a run gives up.
TRIES = 3


@dataclass(frozen=True)
class Optimiser:
    """How the pixels are moved.

    Attributes:
        name: ``"adam"``, ``"lbfgs"``, ``"rmsprop"`` or ``"sgd"`` (plain gradient descent).
        lr: Step size; for Adam and RMSprop in units of the picture's [0, 1], for L-BFGS a factor
            of its step. For gradient descent it is a factor of the gradient; with ``scaled`` also
            times the number of values, so that one number serves pictures of any size.
        betas: Adam's decay of the first and second moment; RMSprop has the second alone.
        eps: Added to the root of the second moment. With ``scaled`` it is relative to an
            objective that is 1 at the start.
        eps_hat: Whether Adam adds eps before the second moment is corrected for its start at
            zero, as TensorFlow and Keras do (Kingma & Ba 2015, the end of section 2).
        scaled: Whether the objective is divided by its first value. Without, eps and the step of
            gradient descent have the size that the source of a method gives them.
        first: For L-BFGS: root mean square of the first step, in the units of the parameters; 0
            for torch's rule, which for pictures is a step of nothing.
        history: Curvature pairs that L-BFGS keeps; each costs 24 bytes a pixel.
        bounded: Whether L-BFGS leaves out of the gradient what would push a clamped pixel further
            out, see :class:`impasto.engine.lbfgs.LBFGS`.
        asked: What L-BFGS's pairs hold of the part of a step that clamping took back, see
            :class:`impasto.engine.lbfgs.LBFGS`.
        average: Decay of the running mean of the iterates that is the result; 0 takes the last
            iterate. The mean is corrected for its start at zero (as Adam's moments are).
        decay: Last step size as a fraction of the first; falls along half a cosine.
    """

    name: Literal["adam", "lbfgs", "rmsprop", "sgd"] = "adam"
    lr: float = 0.03
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    eps_hat: bool = False
    scaled: bool = True
    history: int = 20
    bounded: bool = False
    asked: float = 0.0
    first: float = 0.0
    average: float = 0.0
    decay: float = 1.0


@dataclass(frozen=True)
class Step:
    """What one step found. Tensors, so that a device need not be waited for.

    Attributes:
        index: From 1.
        terms: Weighted value of each term at the picture *before* the step, detached scalars.
        image: Call for the picture after the step, (B, 3, H, W), detached.
        note: What happened, for a person, where the step was taken back.
    """

    index: int
    terms: dict[str, Tensor]
    image: Callable[[], Tensor]
    note: str = ""

    @property
    def loss(self) -> Tensor:
        """Sum of the terms, a scalar."""
        return torch.stack(list(self.terms.values())).sum()


@dataclass
class Guard:
    """What a run can fall back to.

    Attributes:
        good: Running mean and parameters at the last step whose value was sound.
        level: That value.
        terms: Its terms.
        tries: Roll-backs so far.
        highest: The highest sound value so far.
    """

    good: list[Tensor | None] | None = None
    level: float = math.inf
    terms: dict[str, Tensor] = field(default_factory=dict)
    tries: int = 0
    highest: float = 0.0


class Optimisation:
    """A run in progress: pixels, optimiser, running mean; can be saved and resumed exactly.

    Unless told not to, it divides the objective by its first value, so that step sizes and epsilons
    mean the same for all; reported values are not divided. Where the first value is 0 or not finite
    the scale stays 1.

    An objective that is :class:`Stepwise` is told of every step. But L-BFGS compares
    gradients of successive steps and needs it to stand still: there it is told of none.

    Args:
        pixels: What is moved.
        objective: What is lowered.
        optimiser: How.
        total: Number of steps that the whole run will have (for ``decay``).
        store: Where copies of the parameters and the state of L-BFGS are.
        thrifty: Whether memory is what is short: then none that was freed is kept.

    A step that led to values that are not finite is taken back: the last good picture returns, the
    optimiser forgets its state, and the step size is halved. So is one whose value is
    :data:`EXPLODED` times the last (L-BFGS), or :data:`DIVERGED` times the highest so far (others,
    unless the objective learns). The :class:`Step` says so.

    Raises:
        UsageError: L-BFGS is to lower an objective that learns.
        Diverged: From :meth:`steps`, when :data:`TRIES` roll-backs did not help.
    """

    def __init__(
        self,
        pixels: Pixels,
        objective: ObjectiveFn,
        optimiser: Optimiser,
        total: int,
        store: Store = IN_MEMORY,
        *,
        thrifty: bool = False,
    ) -> None:
        if optimiser.name == "lbfgs" and isinstance(objective, Stepwise) and objective.learns:
            raise UsageError(
                "lbfgs cannot lower an objective that learns", hint="use the optimizer adam"
            )
        self.pixels = pixels
        self.objective = objective
        self.optimiser = optimiser
        self.total = total
        self.store = store
        self.thrifty = thrifty
        self.done = 0
        self._scale: float | None = None
        self._mean: Tensor | None = None
        self._torch = _make(optimiser, pixels, store)
        self._terms: dict[str, Tensor] = {}
        self._guard = Guard()

    def steps(self) -> Iterator[Step]:
        """Run what is left, a step at a time; closing the iterator stops cleanly."""
        with nullcontext() if self.thrifty else kept_memory():
            while self.done < self.total:
                self._set_rate()
                if isinstance(self.objective, Stepwise) and self.optimiser.name != "lbfgs":
                    self.objective.begin(self.done)
                note = self._guarded_step()
                self.done += 1
                yield Step(self.done, self._terms, self.image, note)

    @torch.no_grad()
    def image(self) -> Tensor:
        """The result so far: the mean of the iterates, or the last one. (B, 3, H, W)."""
        if self._mean is None:
            return self.store.keep(self.pixels.decode())
        return self._mean / (1 - self.optimiser.average**self.done)

    def state(self) -> dict[str, Any]:
        """Everything that :meth:`load` needs; tensors are shared, not copied."""
        return {
            "done": self.done,
            "scale": self._scale,
            "mean": self._mean,
            "parameters": [p.detach() for p in self.pixels.parameters()],
            "optimiser": self._torch.state_dict(),
            "guard": {f.name: getattr(self._guard, f.name) for f in dataclasses.fields(Guard)},
            "objective": self.objective.state() if isinstance(self.objective, Stepwise) else {},
        }

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        """Continue where :meth:`state` was taken; the next step equals the uninterrupted one."""
        for mine, saved in zip(self.pixels.parameters(), state["parameters"], strict=True):
            self._copy(mine, saved)
        self.done, self._scale, self._mean = state["done"], state["scale"], state["mean"]
        self._torch.load_state_dict(state["optimiser"])
        self._guard = Guard(**state["guard"])
        if isinstance(self.objective, Stepwise):
            self.objective.load(state["objective"])

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
        if self.optimiser.name != "adam" or len(self.pixels.parameters()) > 1:
            return  # the levels of a pyramid have sizes of their own
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

    def _guarded_step(self) -> str:
        """A step; what to tell of it, if it was taken back."""
        before = self._snapshot() if self._due() else None
        self._torch.step(self._closure)  # type: ignore[arg-type]
        if before is not None and (note := self._settled(before)):
            return note
        self.pixels.project()
        self._update_mean()
        return ""

    def _due(self) -> bool:
        """Whether this step's value is looked at: always where that does not wait for a device."""
        on_cpu = self.pixels.parameters()[0].device.type == "cpu"
        return on_cpu or self.optimiser.name == "lbfgs" or self.done % 16 == 0

    def _settled(self, before: list[Tensor | None]) -> str:
        """Nothing if the step found a sound value; if not, go back to the last that did."""
        value = float(torch.stack(list(self._terms.values())).sum())
        guard = self._guard
        if math.isfinite(value) and value <= self._limit():
            guard.good, guard.level, guard.terms = before, value, self._terms
            guard.highest = max(guard.highest, value)
            return ""
        guard.tries += 1
        if guard.good is None or guard.tries > TRIES:
            self._restore(guard.good or before)
            raise Diverged(
                f"the objective became {value:.3g} at step {self.done + 1}",
                hint="lower --learning-rate, or use --optimizer adam",
            )
        self._restore(guard.good)
        self._terms = guard.terms
        self._torch = _make(self.optimiser, self.pixels, self.store)
        return (
            f"step {self.done + 1} was taken back: the objective became {value:.3g}; "
            f"the step size is halved ({guard.tries} of {TRIES} times)"
        )

    def _limit(self) -> float:
        """The highest value that counts as sound."""
        if self.optimiser.name == "lbfgs":
            return EXPLODED * self._guard.level
        learns = isinstance(self.objective, Stepwise) and self.objective.learns
        # From a start that is perfect but for rounding, every way leads up.
        known = self._guard.highest > TINY and not learns
        return DIVERGED * self._guard.highest if known else math.inf

    @torch.no_grad()
    def _snapshot(self) -> list[Tensor | None]:
        mean = None if self._mean is None else self.store.keep(self._mean)
        return [mean, *(self.store.keep(p) for p in self.pixels.parameters())]

    @torch.no_grad()
    def _restore(self, snapshot: list[Tensor | None]) -> None:
        self._mean = None if snapshot[0] is None else self.store.keep(snapshot[0])
        for mine, saved in zip(self.pixels.parameters(), snapshot[1:], strict=True):
            if saved is not None:
                self._copy(mine, saved)

    def _copy(self, mine: Tensor, saved: Tensor) -> None:
        for to, of in self.store.pieces(mine.view(-1), saved.reshape(-1)):
            to.copy_(of)

    def _closure(self) -> Tensor:
        self._torch.zero_grad(set_to_none=True)
        terms = self.objective(self.pixels.decode())
        loss = torch.stack(list(terms.values())).sum()
        if self._scale is None:
            first = float(loss.detach())
            sound = self.optimiser.scaled and 0 < first < float("inf")
            self._scale = 1 / first if sound else 1.0
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
            group["lr"] = self.optimiser.lr * fraction / 2**self._guard.tries
            if self.optimiser.name == "sgd" and self.optimiser.scaled:
                # A mean over pixels is the flatter in each of them the more there are.
                group["lr"] *= sum(p.numel() for p in group["params"])
            if self.optimiser.name == "adam" and self.optimiser.eps_hat:
                state = self._torch.state.get(group["params"][0])
                taken = float(state["step"]) if state else 0.0
                correction = 1 - self.optimiser.betas[1] ** (taken + 1)
                group["eps"] = self.optimiser.eps / correction**0.5


def _make(settings: Optimiser, pixels: Pixels, store: Store) -> torch.optim.Optimizer | LBFGS:
    parameters = pixels.parameters()
    if settings.name == "adam":
        return torch.optim.Adam(
            parameters, lr=settings.lr, betas=settings.betas, eps=settings.eps, foreach=False
        )
    if settings.name == "rmsprop":
        return torch.optim.RMSprop(
            parameters, lr=settings.lr, alpha=settings.betas[1], eps=settings.eps, foreach=False
        )
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=settings.lr, foreach=False)
    clamped = isinstance(pixels, PlainPixels) and pixels.clamp
    bounds = (0.0, 1.0) if settings.bounded and clamped else None
    numbers = settings.lr, settings.history, settings.first
    return LBFGS(parameters, *numbers, store, bounds, settings.asked)


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
