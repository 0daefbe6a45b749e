"""Losses that compare all with all hold no more than they say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from impasto.losses import MRF, Contextual, RelaxedEMD, SelfSimilarity, SlicedWasserstein


class Largest(TorchDispatchMode):
    """Remembers the largest tensor, in entries, that any operation makes."""

    entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for t in tree_leaves(made):
            if isinstance(t, Tensor):
                self.entries = max(self.entries, t.untyped_storage().nbytes() // t.element_size())
        return made


@contextmanager
def counted_saves() -> Iterator[list[int]]:
    """Entries of the tensors that are kept for the backward pass."""
    seen: dict[int, int] = {}
    total = [0]

    def pack(t: Tensor) -> Tensor:
        seen[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes() // t.element_size()
        total[0] = sum(seen.values())
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        yield total


def peak(loss: Any, x: Any, target: Any) -> tuple[int, int]:
    """Largest tensor, and all that is held for the backward pass, in entries."""
    largest = Largest()
    with largest, counted_saves() as saved:
        loss(x, target).backward()
    return largest.entries, saved[0]


def maps(channels: int, size: int, seed: int) -> Tensor:
    return torch.rand(1, channels, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("chunk", [16, 64])
def test_mrf_holds_chunks_of_patches_and_scores(chunk: int) -> None:
    channels, size = 16, 64
    x, y = maps(channels, size, 0).requires_grad_(True), maps(channels, size, 1)
    loss = MRF(chunk=chunk, stride=2)
    places = 31 * 31
    largest, saved = peak(loss, x, loss.target(y))
    # Neither all patches (9 x 16 x 961 entries), nor the 961 x 961 scores.
    assert largest <= max(chunk * max(places, 9 * channels), 2 * channels * size**2)
    assert saved <= 4 * channels * size**2


def test_mrf_saves_no_patches_for_the_gradient_at_128() -> None:
    x, y = maps(256, 128, 0).requires_grad_(True), maps(256, 16, 1)
    loss = MRF(stride=4, chunk=64)
    largest, saved = peak(loss, x, loss.target(y))
    assert largest <= 2 * 256 * 128**2
    assert saved <= 4 * 256 * 128**2


def test_contextual_holds_chunks_of_rows() -> None:
    x, y = maps(8, 40, 0).requires_grad_(True), maps(8, 40, 1)
    loss = Contextual(chunk=64)
    largest, saved = peak(loss, x, loss.target(y))
    assert largest <= 64 * 1600
    assert saved < 1600 * 1600 / 8


def test_sampled_losses_do_not_grow_with_the_picture() -> None:
    for loss in (RelaxedEMD(samples=100), SelfSimilarity(samples=100)):
        x = (maps(8, 128, 0).requires_grad_(True),)
        _, saved = peak(loss, x, loss.target((maps(8, 128, 1),)))
        assert saved < 2 * 8 * 128**2 + 20 * 100**2
    loss = SlicedWasserstein(samples=500, projections=16)
    x = maps(8, 128, 0).requires_grad_(True)
    _, saved = peak(loss, x, loss.target(maps(8, 128, 1)))
    assert saved < 8 * 128**2


def test_positions_are_drawn_without_repetition_and_differ_by_step() -> None:
    loss = SlicedWasserstein(samples=50)
    places = torch.arange(400.0).view(1, 1, 20, 20)
    one, two = loss.target(places)[0], loss.at(1).target(places)[0]
    assert len(set(one.flatten().tolist())) == 50
    assert not torch.equal(one, two)
    seen = torch.cat([loss.at(step).target(places)[0].flatten() for step in range(60)])
    assert len(set(seen.tolist())) > 395
