"""The loop: batches in, weights moved, a running mean of them as the result. Resumes exactly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from impasto.engine.allocator import kept_memory
from impasto.errors import Diverged
from impasto.training.group import Group
from impasto.training.photos import Stream
from impasto.training.task import Plan, Task

#: Steps in a row that were not finite, after which a training gives up.
TRIES = 5


@dataclass(frozen=True)
class Taken:
    """One step: its number from 1, and the terms before it, detached scalars."""

    index: int
    terms: dict[str, Tensor]


class Training:
    """A training in progress.

    The objective's gradient is averaged over the processes of the group; each has seen its own
    part of the batch. A step whose value or gradient is not finite is not taken, and halves the
    step size from there on.

    Args:
        task: What is trained.
        plan: How.
        stream: Where batches come from; None for a task without photos.
        group: The processes that share the work.

    Raises:
        Diverged: From :meth:`steps`, when :data:`TRIES` steps in a row were not finite.
    """

    def __init__(self, task: Task, plan: Plan, stream: Stream | None, group: Group) -> None:
        self.task, self.plan, self.stream, self.group = task, plan, stream, group
        self.done = 0
        self.device = next(task.network.parameters()).device
        self.parameters = [p for p in task.network.parameters() if p.requires_grad]
        self.optimiser = _adam(task, plan)
        self.mean = [p.detach().clone() for p in self.parameters]
        self.tries = self.halved = 0

    def begin(self) -> None:
        """Let the task set its first weights, unless a training is resumed."""
        self.task.prepare(self.stream)
        self.mean = [p.detach().clone() for p in self.parameters]

    def steps(self) -> Iterator[Taken]:
        """Train what is left; closing the iterator stops cleanly."""
        self.task.network.train()
        with kept_memory():
            while self.done < self.plan.steps:
                terms = self._step(self._batch())
                self.done += 1
                yield Taken(self.done, terms)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """The network with the mean of its weights, in evaluation mode, for a while."""
        network, now = self.task.network, [p.detach().clone() for p in self.parameters]
        self._set(self.mean)
        network.eval()
        try:
            yield network
        finally:
            self._set(now)
            network.train()

    def state(self) -> dict[str, Any]:
        """What :meth:`load` needs to go on exactly here; tensors are shared, not copied."""
        return {
            "done": self.done,
            "network": self.task.network.state_dict(),
            "mean": self.mean,
            "optimiser": self.optimiser.state_dict(),
            "halved": self.halved,
            "tries": self.tries,
            "task": self.task.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self.task.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.mean = [m.to(self.device) for m in state["mean"]]
        self.done, self.halved, self.tries = state["done"], state["halved"], state["tries"]
        self.task.load(state["task"])

    def rate(self) -> float:
        """The step size of the step to come."""
        plan = self.plan
        rising = min(1.0, (self.done + 1) / max(1, plan.warmup))
        falling = (1 + math.cos(math.pi * self.done / max(1, plan.steps))) / 2
        part = plan.decay + (1 - plan.decay) * falling
        return plan.lr * rising * part * 0.5**self.halved

    def _batch(self) -> Tensor:
        batch, group = self.plan.batch, self.group
        if self.stream is None:
            return torch.empty(batch // group.world, 0, device=self.device)
        start = self.done * batch
        found = self.stream.batch(start, batch, rank=group.rank, world=group.world)
        return found.to(self.device)

    def _step(self, batch: Tensor) -> dict[str, Tensor]:
        for part in self.optimiser.param_groups:
            part["lr"] = self.rate() * part["factor"]
        self.optimiser.zero_grad(set_to_none=True)
        terms = self.task.objective(batch, self.done)
        torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
        found = {name: value.detach() for name, value in terms.items()}
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self.group.average([*gradients, *found.values()])
        if self._sound(found, gradients):
            self.optimiser.step()
            self._follow()
        return found

    def _sound(self, terms: dict[str, Tensor], gradients: list[Tensor]) -> bool:
        """Whether the step may be taken; its gradient is cut to the largest norm."""
        norm = torch.stack([g.norm() for g in gradients]).norm()
        value = torch.stack(list(terms.values())).sum()
        if bool(torch.isfinite(norm + value)):
            self.tries = 0
            if self.plan.clip:
                factor = (self.plan.clip / norm.clamp_min(1e-12)).clamp_max(1.0)
                for gradient in gradients:
                    gradient *= factor
            return True
        self.tries, self.halved = self.tries + 1, self.halved + 1
        if self.tries >= TRIES:
            raise Diverged(
                f"the objective was not finite {TRIES} times in a row, at step {self.done + 1}",
                hint="lower --learning-rate",
            )
        return False

    @torch.no_grad()
    def _follow(self) -> None:
        """Move the mean; over the first steps it is shorter, so that it forgets the start."""
        decay = min(self.plan.average, (1 + self.done) / (10 + self.done))
        for mean, now in zip(self.mean, self.parameters, strict=True):
            mean.lerp_(now, 1 - decay)

    @torch.no_grad()
    def _set(self, values: list[Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)


def _adam(task: Task, plan: Plan) -> torch.optim.Adam:
    """Adam with one group per factor of the step size."""
    slow = task.slow()
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in task.network.named_parameters():
        if parameter.requires_grad:
            factor = next((f for start, f in slow.items() if name.startswith(start)), 1.0)
            groups.setdefault(factor, []).append(parameter)
    parts = [{"params": p, "factor": f} for f, p in groups.items()]
    return torch.optim.Adam(parts, lr=plan.lr, betas=plan.betas)
