"""What is measured before a job does not stay in memory."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import torch
from torch import Tensor, nn

from impasto.engine import memory


class Heavy:
    """Stands for what a node of the graph holds."""


class Saving(torch.autograd.Function):
    """Saves its output, as a ReLU does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, heavy: Heavy) -> Tensor:
        ctx.heavy = heavy
        y = x.clone()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        return slope, None


def test_a_probe_lets_go_of_its_graph() -> None:
    held_by_node = [Heavy()]
    gone = weakref.ref(held_by_node[0])
    network: Any = nn.Conv2d(3, 3, 1)
    held = memory._held_bytes(
        network,
        torch.zeros(1, 3, 8, 8),
        lambda x: {"relu": Saving.apply(x, *held_by_node)},
    )
    assert held == 3 * 8 * 8 * 4
    held_by_node.clear()
    gc.collect()
    assert gone() is None
