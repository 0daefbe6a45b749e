"""The way back through a stretch of a network, without the activations of the way there.

The gradient of a frozen convolution needs its filters alone, that of a ReLU a bit for each value,
that of a mean nothing: as long as no loss reads what lies between, a stretch that was gone through
once can be gone back through without being computed again, for a thirtieth of what its activations
take.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge, saved_tensors_hooks


@dataclass(frozen=True)
class WayBack:
    """A stretch that was gone through.

    Attributes:
        begin: Where.
        end: Where.
        nbytes: What is kept for it, but for weights.
    """

    begin: GradientEdge
    end: GradientEdge
    nbytes: int

    @classmethod
    def through(
        cls, network: nn.Module, stretch: Callable[[Tensor], Tensor], x: Tensor
    ) -> tuple[Tensor, Self]:
        """Go through a stretch.

        Args:
            network: Whose parameters are there anyway.
            stretch: A differentiable part of it.
            x: What it is given; it is not kept.

        Returns:
            What it gives, without gradient, and the way back.
        """
        with torch.enable_grad(), holdings(network) as held:
            begun = _Begin.apply(x.new_zeros((), requires_grad=True), x)  # type: ignore[no-untyped-call]
            made = stretch(begun)
        way = cls(get_gradient_edge(begun), get_gradient_edge(made), sum(held.values()))
        return made.detach(), way

    def __call__(self, slope: Tensor) -> Tensor:
        """The gradient at the beginning, given that at the end; can be asked for once."""
        return torch.autograd.grad([self.end], [self.begin], [slope])[0]


@contextmanager
def holdings(network: nn.Module) -> Iterator[dict[int, int]]:
    """Find out what autograd keeps of all that happens inside, but for weights.

    Yields:
        Bytes by address, each memory once; it grows meanwhile.
    """
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        # An output that is kept as it is would hold its own graph, for ever.
        return tensor.detach()

    with saved_tensors_hooks(keep, lambda t: t):
        yield held


class _Begin(torch.autograd.Function):
    """``x`` as the beginning of a graph that does not hold it, as it would hold a leaf."""

    @staticmethod
    def forward(_ctx: Any, _root: Tensor, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_ctx: Any, *_slopes: Tensor) -> tuple[None, None]:
        return None, None
