"""Tensors in files behave as tensors in memory, and do not count as memory."""

from __future__ import annotations

import gc
import mmap
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from impasto.engine import store as module
from impasto.engine.checkpoint import load_checkpoint, save_checkpoint
from impasto.engine.lbfgs import LBFGS
from impasto.engine.memory import resident
from impasto.engine.optimise import Optimisation, Optimiser
from impasto.engine.pixels import PlainPixels
from impasto.engine.store import IN_MEMORY, Pages, Store
from impasto.errors import ResourceError


def bowl(x: Tensor) -> dict[str, Tensor]:
    """A smooth objective whose curvature differs from place to place."""
    rows = torch.linspace(0.5, 3, x.shape[-1], dtype=x.dtype)
    return {"bowl": (rows * (x - 0.4).square()).mean() + 0.1 * (x * 3).sin().mean()}


def test_values_orders_and_files(tmp_path: Path) -> None:
    store, x = Store(least=100, folder=tmp_path), torch.rand(2, 3, 5, 7)
    kept = store.keep(x)
    assert torch.equal(kept, x)
    nhwc = store.empty((2, 3, 5, 7), x, channels_last=True)
    assert nhwc.is_contiguous(memory_format=torch.channels_last)
    assert not nhwc.any()
    nhwc[:, 1] = 2.0
    store.release()
    assert nhwc[:, 1].eq(2).all()
    assert torch.equal(store.joined([x, x + 1]), torch.cat([x.view(-1), (x + 1).view(-1)]))
    assert not list(tmp_path.iterdir())


def test_files_are_given_back(tmp_path: Path) -> None:
    gc.collect()
    before = len(Store._maps)
    tensor = Store(least=1, folder=tmp_path).keep(torch.rand(1000))
    assert len(Store._maps) == before + 1
    del tensor
    gc.collect()
    assert len(Store._maps) == before


def test_files_are_used_again_by_their_store(tmp_path: Path) -> None:
    gc.collect()
    before, like = len(Store._maps), torch.empty(0)
    store = Store(least=1, folder=tmp_path)
    first, second = store.empty((1000,), like), store.empty((1000,), like)
    first.fill_(1.0)
    second.fill_(2.0)
    del first
    assert store.empty((1000,), like).eq(1).all()  # the same pages, as they were
    again = store.empty((1000,), like, zero=True)
    assert not again.any()
    assert second.eq(2).all()
    assert len(Store._maps) == before + 2
    del store, again
    gc.collect()
    assert second.eq(2).all()
    assert len(Store._maps) == before + 1
    del second
    gc.collect()
    assert len(Store._maps) == before


def test_no_more_is_held_for_later_than_is_in_use() -> None:
    """A larger picture comes after a smaller one: the small pages are not wanted again."""
    made: list[int] = []
    pages = Pages(lambda count: made.append(count) or mmap.mmap(-1, count))
    small = [pages.get(4096)[0] for _ in range(4)]
    del small
    large, empty = pages.get(16384)
    assert empty
    assert not pages._free
    del large
    assert [pages.get(16384)[1], made] == [False, [4096] * 4 + [16384]]


def test_what_is_held_for_later_makes_room() -> None:
    def make(count: int) -> mmap.mmap:
        if pages._free:
            raise ResourceError("full")
        return mmap.mmap(-1, count)

    pages = Pages(make)
    first, second = pages.get(4096)[0], pages.get(4096)[0]
    del first
    assert pages.get(8192)[0].numel() == 8192
    assert second.numel() == 4096


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_what_was_let_go_of_is_no_memory_of_the_process(tmp_path: Path) -> None:
    store, size = Store(least=1, folder=tmp_path), 30_000_000
    big = store.empty((size,), torch.empty(0))
    begun = resident()
    for (piece,) in store.pieces(big):
        piece.fill_(1.0)
    assert resident() - begun < 4 * size / 2
    assert float(store.dot(big, big)) == size


def test_small_tensors_and_other_stores_stay_in_memory(tmp_path: Path) -> None:
    before = len(Store._maps)
    Store(least=4001, folder=tmp_path).empty((1000,), torch.empty(0))
    IN_MEMORY.empty((1000,), torch.empty(0))
    assert len(Store._maps) == before


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(file: int, size: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(module, "_reserve", full)
    with pytest.raises(ResourceError, match="no room") as refused:
        Store(least=1, folder=tmp_path).empty((9,), torch.empty(0))
    assert module.VARIABLE in refused.value.hint


def test_where_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/elsewhere")
    assert module.scratch_folder() == Path("/elsewhere")
    monkeypatch.setenv(module.VARIABLE, str(tmp_path))
    assert module.scratch_folder() == tmp_path


@pytest.mark.parametrize("first", [0.0, 0.02])
def test_lbfgs_in_files_walks_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: float
) -> None:
    monkeypatch.setattr(module, "PIECE", 50)
    image = torch.rand(1, 3, 12, 11, generator=torch.Generator().manual_seed(1)).double()
    ends = []
    for store in (IN_MEMORY, Store(least=1, folder=tmp_path)):
        pixels = PlainPixels(image, store=store)
        optimiser = Optimiser("lbfgs", lr=1.0, history=3, first=first)
        run = Optimisation(pixels, bowl, optimiser, 9, store)
        steps = [float(step.loss) for step in run.steps()]
        assert steps[-1] < steps[0]
        ends.append(run.image())
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-12, atol=1e-13)


def test_lbfgs_of_pieces_is_that_of_a_plain_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces only change the order of sums."""
    image = torch.rand(1, 3, 12, 11, generator=torch.Generator().manual_seed(1)).double()
    ends = []
    for piece in (7, 2**22):
        monkeypatch.setattr(module, "PIECE", piece)
        x = image.clone().requires_grad_(True)
        lbfgs = LBFGS([x], history=4, first=0.02)

        def closure(x: Tensor = x) -> Tensor:
            x.grad = None
            loss = bowl(x)["bowl"]
            loss.backward()
            return loss

        for _ in range(8):
            lbfgs.step(closure)
        ends.append(x.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-11, atol=1e-12)


def test_resumes_bit_for_bit_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.engine.checkpoint.LARGE", 64)
    store = Store(least=1, folder=tmp_path)
    image = torch.rand(1, 3, 12, 11, generator=torch.Generator().manual_seed(2))
    optimiser, path = Optimiser("lbfgs", lr=1.0, history=3, first=0.02), tmp_path / "run.checkpoint"

    def begun() -> Optimisation:
        return Optimisation(PlainPixels(image, store=store), bowl, optimiser, 10, store)

    run = begun()
    for step in run.steps():
        if step.index == 5:
            save_checkpoint(path, run.state())
    resumed = begun()
    resumed.load(load_checkpoint(path))
    *_, last = resumed.steps()
    assert last.index == 10
    assert torch.equal(resumed.image(), run.image())
