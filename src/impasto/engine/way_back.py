"""The way back through a stretch of a network, without the activations of the way there.

The gradient of a frozen convolution needs its filters alone, that of a ReLU a bit for each value,
that of a mean nothing: a stretch that was gone through once can be gone back through without being
computed again, for a thirtieth of what its activations take. What losses read can be kept besides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge, saved_tensors_hooks

from impasto.engine.store import Pages
from impasto.native import Sparse, dense, sparse

#: Bytes that a :class:`Shelf` takes at a time.
BOARD = 2**25


@dataclass(frozen=True)
class Place:
    """Where a tensor lies on a :class:`Shelf`: the board, the first byte, layout and dtype."""

    board: int
    start: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype


class Shelf:
    """Room for many small tensors that stay, apart from large ones that come and go.

    Between those, each would keep a gap from growing together with the next when it is free. So
    they are no tensors while they are here, and in memory that is not the C library's.

    Args:
        pages: That memory.
    """

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._boards: list[Tensor] = []
        self._used = BOARD

    def put(self, tensor: Tensor) -> Place:
        """Copy a tensor; gaps between its values are left out."""
        start = -(-self._used // 64) * 64
        if not self._boards or start + tensor.nbytes > self._boards[-1].nbytes:
            self._boards.append(self._pages.get(max(BOARD, tensor.nbytes))[0])
            start = 0
        self._used = start + tensor.nbytes
        dense = torch.empty_like(tensor, device="meta").stride()
        place = Place(len(self._boards) - 1, start, tuple(tensor.shape), dense, tensor.dtype)
        self.get(place).copy_(tensor.detach())
        return place

    def get(self, place: Place) -> Tensor:
        """What was put there."""
        count = place.dtype.itemsize * math.prod(place.shape)
        row = self._boards[place.board][place.start : place.start + count]
        return row.view(place.dtype).as_strided(place.shape, place.stride)


@dataclass(frozen=True, eq=False)
class Route:
    """The graph of a stretch of a network.

    Attributes:
        begin: Where.
        ends: The layers that it leads to.
        loaded: What autograd keeps for the one that goes back now, where many go through the
            stretch in the same shapes; None for a graph that is gone through once.
    """

    begin: GradientEdge
    ends: Mapping[str, GradientEdge]
    loaded: list[Tensor] | None = None

    @classmethod
    def of(cls, x: Tensor, ends: Mapping[str, Tensor], loaded: list[Tensor] | None = None) -> Route:
        """From ``x`` to layers that were computed from it."""
        return cls(get_gradient_edge(x), {n: get_gradient_edge(t) for n, t in ends.items()}, loaded)

    def back(self, slopes: Mapping[str, Tensor], to: str | None = None) -> Tensor:
        """The gradient of the layer ``to``, or at the beginning, given that of layers behind it."""
        begin = self.begin if to is None else self.ends[to]
        ends = [self.ends[name] for name in slopes]
        once = self.loaded is None
        return torch.autograd.grad(ends, [begin], list(slopes.values()), retain_graph=not once)[0]


@dataclass(frozen=True)
class Kept:
    """A part of a layer: its shape, and where it is, or where the parts of its sparse form are."""

    shape: torch.Size
    places: tuple[Place, ...]


@dataclass(frozen=True)
class WayBack:
    """A stretch that was gone through.

    Attributes:
        route: Its graph.
        shelf: Where what it needs is kept.
        kept: What that is.
        shapes: Of the layers that it leads to.
        values: A part of some of these.
    """

    route: Route
    shelf: Shelf
    kept: list[Place]
    shapes: dict[str, torch.Size]
    values: dict[str, Kept] = field(default_factory=dict)

    def back(self, slopes: Mapping[str, Tensor], to: str | None = None) -> Tensor:
        """See :meth:`Route.back`."""
        route = self.route
        assert route.loaded is not None
        route.loaded[:] = [self.shelf.get(place) for place in self.kept]
        found = route.back(slopes, to)
        route.loaded.clear()
        return found

    def value(self, layer: str) -> Tensor:
        """What was kept of ``layer``."""
        kept = self.values[layer]
        parts = [self.shelf.get(place) for place in kept.places]
        return dense(Sparse(*parts), kept.shape) if len(parts) > 1 else parts[0]


@dataclass(frozen=True)
class Detour:
    """A way that was gone once up to a layer, and from there kept.

    Attributes:
        front: The first part.
        layer: Where it ends.
        rest: The second.
    """

    front: Route
    layer: str
    rest: WayBack

    def back(self, slopes: Mapping[str, Tensor], to: str | None = None) -> Tensor:
        """See :meth:`Route.back`; a stop must be made at :attr:`layer`."""
        if not slopes.keys() <= self.rest.route.ends.keys():
            return self.front.back(slopes, to)
        return self.rest.back(slopes, None if to == self.layer else to)


class Walker:
    """Goes through stretches of a network, and keeps the ways back while there is room.

    Args:
        network: Whose parameters are there anyway.
        pages: Where they are.
        room: Bytes that they may take.
    """

    def __init__(self, network: nn.Module, pages: Pages, room: int) -> None:
        self._shelf = Shelf(pages)
        self._weights = _addresses(network)
        self._routes: dict[Hashable, tuple[Route, int]] = {}
        self._room = room

    def through(
        self, stretch: Callable[[Tensor], dict[str, Tensor]], x: Tensor, key: Hashable
    ) -> tuple[dict[str, Tensor], WayBack | None]:
        """Go through a stretch.

        Args:
            stretch: A differentiable part of the network.
            x: What it is given; it is not kept.
            key: Equal for those whose graphs are.

        Returns:
            What it gives, without gradient, and the way back, if there was room.
        """
        known = self._routes.get(key)
        if self._room < (1 if known is None else known[1]):
            return stretch(x), None
        kept: list[Place] = []
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
        if known is None:
            nbytes = sum(shelf.get(place).nbytes for place in kept)
            known = self._routes[key] = Route.of(begun, made, loaded), nbytes
        self._room -= known[1]
        shapes = {name: tensor.shape for name, tensor in made.items()}
        made = {name: tensor.detach() for name, tensor in made.items()}
        return made, WayBack(known[0], shelf, kept, shapes)

    def keep(self, way: WayBack, layer: str, values: Tensor) -> None:
        """Keep ``values`` (B, C, H, W) of a layer with the way back, if there is room."""
        packed = sparse(values)
        parts = (values,) if packed is None else (packed.bits, packed.starts, packed.values)
        nbytes = sum(part.nbytes for part in parts)
        if nbytes <= self._room:
            self._room -= nbytes
            way.values[layer] = Kept(values.shape, tuple(self._shelf.put(p) for p in parts))


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
