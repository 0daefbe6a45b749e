"""What L-BFGS remembers: pairs of displacement and change of gradient, and their inner products.

The textbook's recursion goes through all pairs four times. As each of its vectors is a combination
of the pairs and the gradient, it can be done on the factors of that combination, with nothing but
inner products; those of old pairs with each other are known. Then all vectors are read twice: once
for their products with what is new, once to be added up (Chen, Wang & Zhou 2014, *Large-scale
L-BFGS using MapReduce*). Both go through memory a piece at a time, all vectors abreast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impasto.engine.store import Store

Array = NDArray[np.float64]

#: A pair whose cosine between displacement and change of gradient is not above this is dropped:
#: the curvature it shows is rounding. Relative, so that the objective's scale does not matter.
MIN_COSINE = 1e-7
#: Values of each vector that are worked on at once.
PIECE = 2**18


@dataclass(frozen=True)
class Pairs:
    """The pairs in the memory of an optimiser.

    Attributes:
        memory: Its ``s`` and ``y`` are lists of as many vectors, oldest first; ``products`` those
            of all with all in the order of :attr:`vectors`, lists of numbers; ``point`` and
            ``gradient`` those of the step before, see :meth:`follow`.
        store: Where the vectors are.
    """

    memory: dict[str, Any]
    store: Store

    @property
    def vectors(self) -> list[Tensor]:
        """Displacement and change of gradient of the first pair, of the second, and so on."""
        return [v for pair in zip(self.memory["s"], self.memory["y"], strict=True) for v in pair]

    def forget(self) -> None:
        """Begin anew."""
        self.memory.update(s=[], y=[], products=[])

    def follow(self, point: Tensor, gradient: Tensor, most: int, happened: float = 1.0) -> Array:
        """Take the pair between the last point and this one, if it shows any curvature.

        The displacement is ``happened`` times ``point`` less what the memory has as the last point:
        that times as much, less what else the displacement is made of.

        Args:
            point: Vector.
            gradient: There.
            most: Pairs that are kept.
            happened: How much what happened counts in a displacement.

        Returns:
            Products of the gradient with all :attr:`vectors`, and with itself at the end.
        """
        memory, store = self.memory, self.store
        if "point" not in memory:
            self.forget()
            return np.array([store.dot(gradient, gradient)])
        s, y = store.empty(point.shape, point), store.empty(point.shape, point)
        old = self.vectors
        found: Array = np.zeros((3, len(old) + 3))
        both = point, memory["point"], gradient, memory["gradient"]
        for x, x0, g, g0, ds, dy, *rest in store.pieces(*both, s, y, *old, step=PIECE):
            torch.mul(x, happened, out=ds)
            ds.sub_(x0)
            torch.sub(g, g0, out=dy)
            every = (*rest, ds, dy, g)
            rows = torch.stack([torch.dot(new, v) for new in (ds, dy, g) for v in every])
            found += rows.cpu().double().numpy().reshape(found.shape)
        (ss, sy, _), (_, yy, _) = found[:2, -3:]
        if not sy > MIN_COSINE * (yy * ss) ** 0.5:
            return np.delete(found[2], [-3, -2])
        products: Array = np.zeros((len(old) + 2,) * 2)
        products[:-2, :-2] = np.reshape(memory["products"], (len(old),) * 2)
        products[-2:] = found[:2, :-1]
        products[:, -2:] = products[-2:].T
        memory["s"].append(s)
        memory["y"].append(y)
        surplus = max(0, len(memory["s"]) - most)
        del memory["s"][:surplus], memory["y"][:surplus]
        memory["products"] = products[2 * surplus :, 2 * surplus :].tolist()
        return found[2, 2 * surplus :]

    def direction(self, gradient: Tensor, products: Array) -> tuple[Tensor, float]:
        """Minus the inverse Hessian's estimate times the gradient; its product with the gradient.

        Args:
            gradient: Vector.
            products: From :meth:`follow`.
        """
        factors = combination(self.memory["products"], products)
        found = self.store.empty(gradient.shape, gradient)
        for mine, g, *rest in self.store.pieces(found, gradient, *self.vectors, step=PIECE):
            torch.mul(g, factors[-1], out=mine)
            for vector, factor in zip(rest, factors[:-1], strict=True):
                mine.add_(vector, alpha=factor)
        return found, float(products @ factors)


def combination(pairs: list[list[float]], gradient: Array) -> list[float]:
    """The factors of all vectors, and of the gradient, in the direction of L-BFGS.

    The two loops of Nocedal & Wright 2006, algorithm 7.4.

    Args:
        pairs: Products of all vectors with all: displacement of the first pair, its change of
            gradient, and so on; (2 k, 2 k).
        gradient: Those of the gradient with each, and with itself, (2 k + 1,).
    """
    every: Array = np.column_stack([np.reshape(pairs, (len(pairs),) * 2), gradient[:-1]])
    factors, rates = np.zeros(len(gradient)), np.zeros(len(pairs) // 2)
    factors[-1] = -1
    for i in reversed(range(len(rates))):
        s, y = 2 * i, 2 * i + 1
        rates[i] = every[s] @ factors / every[s, y]
        factors[y] -= rates[i]
    if len(rates):
        factors *= every[-2, -2] / every[-1, -2]
    for i in range(len(rates)):
        s, y = 2 * i, 2 * i + 1
        factors[s] += rates[i] - every[y] @ factors / every[s, y]
    found: list[float] = factors.tolist()
    return found
