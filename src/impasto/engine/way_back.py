"""The way back through a stretch of a network, without the activations of the way there.

The gradient of a frozen convolution needs its filters alone, that of a ReLU a bit for each value,
that of a mean nothing: as long as no loss reads what lies between, a stretch that was gone through
once can be gone back through without being computed again, for a thirtieth of what its activations
take.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.graph import GradientEdge, get_gradient_edge, saved_tensors_hooks

from impasto.engine.store import Store

#: Bytes that a :class:`Shelf` takes at a time.
BOARD = 2**25


@dataclass(frozen=True)
class Place:
    """Where a tensor lies on a :class:`Shelf`: the board, the first byte, shape and dtype."""

    board: int
    start: int
    shape: tuple[int, ...]
    dtype: torch.dtype


class Shelf:
    """Room for many small tensors that stay, apart from large ones that come and go.

    Between those, each would keep a gap from growing together with the next when it is free. So
    they are no tensors while they are here.

    Args:
        store: Where the room is.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._boards: list[Tensor] = []
        self._used = BOARD

    def put(self, tensor: Tensor) -> Place | Tensor:
        """Copy a dense tensor; any other one is kept as it is, detached."""
        if not tensor.is_contiguous():
            return tensor.detach()
        start = -(-self._used // 64) * 64
        if not self._boards or start + tensor.nbytes > self._boards[-1].nbytes:
            like, start = tensor.new_empty(0, dtype=torch.uint8), 0
            self._boards.append(self.store.empty((max(BOARD, tensor.nbytes),), like))
        self._used = start + tensor.nbytes
        place = Place(len(self._boards) - 1, start, tuple(tensor.shape), tensor.dtype)
        self.get(place).copy_(tensor.detach())
        return place

    def get(self, place: Place | Tensor) -> Tensor:
        """What was put there, or what was kept."""
        if isinstance(place, Tensor):
            return place
        count = place.dtype.itemsize
        for edge in place.shape:
            count *= edge
        row = self._boards[place.board][place.start : place.start + count]
        return row.view(place.dtype).view(place.shape)


@dataclass(frozen=True, eq=False)
class Route:
    """The graph of a stretch, for all that go through it in the same shapes.

    Attributes:
        begin: Where.
        end: Where.
        loaded: What autograd keeps for the one that goes back now.
    """

    begin: GradientEdge
    end: GradientEdge
    loaded: list[Tensor]


@dataclass(frozen=True)
class WayBack:
    """A stretch that was gone through.

    Attributes:
        route: Its graph.
        shelf: Where what it needs is kept.
        kept: What that is.
        shape: Of what it led to.
    """

    route: Route
    shelf: Shelf
    kept: list[Place | Tensor]
    shape: torch.Size

    @property
    def nbytes(self) -> int:
        """How much it keeps."""
        return sum(self.shelf.get(place).nbytes for place in self.kept)

    def end(self, x: Tensor) -> Tensor:
        """What it led to, as a function of ``x``, where it began: zeros, but with the gradient."""
        out: Tensor = _End.apply(x, self)  # type: ignore[no-untyped-call]
        return out

    def back(self, slope: Tensor) -> Tensor:
        """The gradient at the beginning, given that at the end."""
        route = self.route
        route.loaded[:] = [self.shelf.get(place) for place in self.kept]
        found = torch.autograd.grad([route.end], [route.begin], [slope], retain_graph=True)[0]
        route.loaded.clear()
        return found


class Walker:
    """Goes through stretches of a network.

    Args:
        network: Whose parameters are there anyway.
        store: Where what is kept goes.
    """

    def __init__(self, network: nn.Module, store: Store) -> None:
        self._shelf = Shelf(store)
        self._weights = _addresses(network)
        self._routes: dict[Hashable, Route] = {}

    def through(
        self, stretch: Callable[[Tensor], Tensor], x: Tensor, key: Hashable
    ) -> tuple[Tensor, WayBack]:
        """Go through a stretch.

        Args:
            stretch: A differentiable part of the network.
            x: What it is given; it is not kept.
            key: Equal for those whose graphs are.

        Returns:
            What it gives, without gradient, and the way back.
        """
        kept: list[Place | Tensor] = []
        loaded: list[Tensor] = []
        # The graph holds the hooks: what they know must not hold the graph.
        shelf, weights = self._shelf, self._weights

        def put(tensor: Tensor) -> Tensor | int:
            if tensor.untyped_storage().data_ptr() in weights:
                return tensor.detach()
            kept.append(shelf.put(tensor))
            return len(kept) - 1

        def get(what: Tensor | int) -> Tensor:
            return what if isinstance(what, Tensor) else loaded[what]

        with torch.enable_grad(), saved_tensors_hooks(put, get):
            begun = _Begin.apply(x.new_zeros((), requires_grad=True), x)  # type: ignore[no-untyped-call]
            made = stretch(begun)
            if key not in self._routes:
                edges = get_gradient_edge(begun), get_gradient_edge(made)
                self._routes[key] = Route(*edges, loaded)
        return made.detach(), WayBack(self._routes[key], self._shelf, kept, made.shape)


@contextmanager
def holdings(network: nn.Module) -> Iterator[dict[int, int]]:
    """Find out what autograd keeps of all that happens inside, but for weights.

    Yields:
        Bytes by address, each memory once; it grows meanwhile.
    """
    weights = _addresses(network)
    held: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        # An output that is kept as it is would hold its own graph, for ever.
        return tensor.detach()

    with saved_tensors_hooks(keep, lambda t: t):
        yield held


def _addresses(network: nn.Module) -> set[int]:
    return {p.untyped_storage().data_ptr() for p in network.parameters()}


class _Begin(torch.autograd.Function):
    """``x`` as the beginning of a graph that does not hold it, as it would hold a leaf."""

    @staticmethod
    def forward(_ctx: Any, _root: Tensor, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(_ctx: Any, *_slopes: Tensor) -> tuple[None, None]:
        return None, None


class _End(torch.autograd.Function):
    """The end of a way back, without its values."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, way: WayBack) -> Tensor:
        ctx.way = way
        return x.new_zeros(()).expand(way.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return ctx.way.back(slope), None
