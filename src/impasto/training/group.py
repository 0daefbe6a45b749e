"""Several processes that train one network together, started by ``torchrun``."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from impasto.errors import UsageError


@dataclass(frozen=True)
class Group:
    """This process among all.

    Attributes:
        rank: Its number, from 0; process 0 saves and talks.
        world: How many there are.
    """

    rank: int = 0
    world: int = 1

    @staticmethod
    def join() -> Group:
        """The group that the environment describes (RANK, WORLD_SIZE); alone without one."""
        world = int(os.environ.get("WORLD_SIZE", "1"))
        if world == 1:
            return Group()
        if not dist.is_initialized():
            dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return Group(dist.get_rank(), dist.get_world_size())

    def check(self, batch: int) -> None:
        """Refuse a batch that cannot be shared evenly.

        Raises:
            UsageError: It cannot.
        """
        if batch % self.world:
            raise UsageError(
                f"a batch of {batch} cannot be shared by {self.world} processes",
                hint=f"use a multiple of {self.world}",
            )

    @torch.no_grad()
    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one message."""
        every = list(tensors)
        if self.world == 1 or not every:
            return
        flat = torch.cat([t.reshape(-1) for t in every])
        dist.all_reduce(flat)
        flat /= self.world
        parts = torch.split(flat, [t.numel() for t in every])
        for tensor, part in zip(every, parts, strict=True):
            tensor.copy_(part.view_as(tensor))
