"""L-BFGS without a line search: one evaluation a step, and a first step of a chosen length."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from impasto.engine.curvature import Pairs
from impasto.engine.store import IN_MEMORY, Store


class LBFGS:
    """Limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.5) with unit steps.

    With ``first=0`` and ``asked=1`` it walks the path of ``torch.optim.LBFGS`` without a line
    search, where that does not drop pairs. Pairs are judged by their cosine, where torch's absolute
    bound ``y.s > 1e-10`` makes it plain gradient descent on small objectives without a word.

    It is used like one of torch's optimisers and is none: the first of those in a process loads
    torch's compiler, which takes longer than many a run.

    Args:
        params: Leaf tensors, contiguous.
        lr: Factor of every step.
        history: Pairs kept; each costs two copies of the parameters.
        first: Root mean square, in the parameters' units, of the first step, whose length no
            curvature tells; 0 for torch's rule ``min(1, 1 / |g|_1)``, which for pictures is a
            step of nothing.
        store: Where the pairs are kept, and gone through a piece at a time.
        bounds: Where the caller clamps the parameters after every step. Then what pushes a value
            that is at a bound beyond it is left out of the gradient and stays there (the active
            set, Bertsekas 1982): nothing can come of it, but it would count as curvature and
            shorten all steps.
        asked: What pairs hold of the part of a step that the caller took back by clamping: 0 is the
            displacement that happened, 1 the one that was asked for, as in torch's. On pictures
            0.9 needs a quarter fewer steps than 0, while 1 often stops moving altogether.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1.0,
        history: int = 20,
        first: float = 0.0,
        store: Store = IN_MEMORY,
        bounds: tuple[float, float] | None = None,
        asked: float = 0.0,
    ) -> None:
        self._leaves = list(params)
        group = {"params": self._leaves, "lr": lr, "history": history, "first": first}
        self.param_groups: list[dict[str, Any]] = [group]
        self._asked = asked
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self._store = store
        self._bounds = bounds

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> Tensor:
        """Evaluate ``closure`` once and move.

        Args:
            closure: Computes the objective and the gradients of the parameters.

        Returns:
            What the closure returned: the objective before the step.
        """
        with torch.enable_grad():
            loss = closure()
        memory, store = self.state[self._leaves[0]], self._store
        gradient = store.joined([_gradient(p) for p in self._leaves])
        point = store.joined(self._leaves)
        if self._bounds:
            self._leave_out(gradient, point, *self._bounds)
        pairs = Pairs(memory, store)
        history, happened = self.param_groups[0]["history"], 1 - self._asked
        products = pairs.follow(point, gradient, history, happened)
        direction, slope = pairs.direction(gradient, products)
        if not memory["s"] or slope >= 0:
            pairs.forget()
            direction = store.keep(gradient)
            store.scale(direction, -self._first_length(gradient, float(products[-1])))
        elif self._bounds:
            self._hold(direction, gradient, point, *self._bounds)
        rate = self.param_groups[0]["lr"]
        self._move(direction, rate)
        if self._asked:
            for x, d in store.pieces(point, direction):
                x.mul_(happened).add_(d, alpha=-self._asked * rate)
        memory["gradient"], memory["point"] = gradient, point
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of the parameters; ``set_to_none`` is as in torch's, and ignored."""
        del set_to_none
        for leaf in self._leaves:
            leaf.grad = None

    def state_dict(self) -> dict[str, Any]:
        """What :meth:`load_state_dict` needs, in torch's form; tensors are shared, not copied."""
        (group,) = self.param_groups
        numbers = {id(leaf): i for i, leaf in enumerate(self._leaves)}
        return {
            "state": {numbers[id(leaf)]: memory for leaf, memory in self.state.items()},
            "param_groups": [group | {"params": list(range(len(self._leaves)))}],
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from :meth:`state_dict`, on the device of the parameters."""
        (group,) = saved["param_groups"]
        self.param_groups[0].update({k: v for k, v in group.items() if k != "params"})
        for number, memory in saved["state"].items():
            leaf = self._leaves[number]
            self.state[leaf] = {k: _beside(leaf, v) for k, v in memory.items()}

    def _leave_out(self, gradient: Tensor, point: Tensor, low: float, high: float) -> None:
        """Zero in ``gradient`` what would move ``point`` beyond its bounds."""
        for g, x in self._store.pieces(gradient, point):
            g.masked_fill_(((x <= low) & (g > 0)) | ((x >= high) & (g < 0)), 0)

    def _hold(
        self, direction: Tensor, gradient: Tensor, point: Tensor, low: float, high: float
    ) -> None:
        """Zero in ``direction`` what :meth:`_leave_out` found: at a bound, without a gradient."""
        for d, g, x in self._store.pieces(direction, gradient, point):
            d.masked_fill_(((x <= low) | (x >= high)) & (g == 0), 0)

    def _first_length(self, gradient: Tensor, square: float) -> float:
        first = self.param_groups[0]["first"]
        if not first:
            absolute = sum(float(p.abs().sum()) for (p,) in self._store.pieces(gradient))
            return min(1.0, 1.0 / max(absolute, 1e-30))
        length: float = first * gradient.numel() ** 0.5
        norm: float = square**0.5
        return length / max(norm, 1e-30)

    def _move(self, direction: Tensor, rate: float) -> None:
        offset = 0
        for leaf in self._leaves:
            part = direction[offset : offset + leaf.numel()]
            self._store.add(leaf.view(-1), part, rate)
            offset += leaf.numel()


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def _beside(leaf: Tensor, value: Any) -> Any:
    """A tensor, or a list of them, on the device of ``leaf``."""
    if isinstance(value, list):
        return [_beside(leaf, v) for v in value]
    return value.to(leaf.device) if isinstance(value, Tensor) else value
