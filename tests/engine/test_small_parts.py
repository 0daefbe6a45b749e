"""Scales, devices, memory and checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.engine import checkpoint, memory
from impasto.engine.checkpoint import load_checkpoint, save_checkpoint
from impasto.engine.devices import pick_device
from impasto.engine.optimise import Optimiser
from impasto.engine.scales import Scale, pyramid
from impasto.errors import InputError, ResourceError, UsageError
from impasto.testing import thin_vgg


def test_pyramid_of_the_default_size() -> None:
    assert pyramid(384, 512, (40, 80, 150)) == [
        Scale(96, 128, 150),
        Scale(192, 256, 80),
        Scale(384, 512, 40),
    ]


def test_last_number_of_steps_serves_all_coarser_scales() -> None:
    assert [s.steps for s in pyramid(1024, 1024, (1, 2, 3))] == [3, 3, 2, 1]


@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    ratio=st.floats(1, 4),
    smallest=st.integers(16, 400),
)
def test_pyramid_ends_at_the_size_and_grows(
    height: int, width: int, ratio: float, smallest: int
) -> None:
    ratio = 1.0 if ratio < 1.05 else ratio
    scales = pyramid(height, width, (5, 6), ratio=ratio, smallest=smallest)
    assert (scales[-1].height, scales[-1].width) == (height, width)
    longest = [max(s.height, s.width) for s in scales]
    assert longest == sorted(longest)
    assert all(n >= smallest - 1 for n in longest[:-1])


def test_devices() -> None:
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="not known"):
        pick_device("gpu")
    with pytest.raises(UsageError, match="not known"):
        pick_device("cuda:x")
    with pytest.raises(UsageError, match="not there"):
        pick_device("cuda:99")


def test_memory_grows_with_depth_and_history() -> None:
    net = thin_vgg()
    shallow = memory.activation_bytes(net, ["relu1_1"])
    deep = memory.activation_bytes(net, ["relu4_2"])
    # The picture, conv1_1 alone with 4 channels, and its gradient twice.
    assert shallow == pytest.approx(4 * 3 + 4 * 4 * 3, rel=1e-3)
    assert deep > shallow
    short, long = Optimiser("lbfgs", history=5), Optimiser("lbfgs", history=50)
    assert memory.optimiser_bytes(long) - memory.optimiser_bytes(short) == 45 * 24


def test_refusal_names_a_size_that_fits() -> None:
    memory.check_fits(need=1e9, free=2e9, pixels=10**6, longest=1000)
    memory.check_fits(need=1e12, free=None, pixels=10**6, longest=1000)
    with pytest.raises(ResourceError, match=r"4\.6 GB of memory, 2\.0 GB are free") as caught:
        memory.check_fits(need=memory.BASE + 4e9, free=2e9, pixels=10**6, longest=1000)
    size = int(caught.value.hint.split()[1])
    assert memory.BASE + 4e9 * (size / 1000) ** 2 <= memory.SHARE * 2e9
    assert size > 400


def test_large_tensors_of_a_checkpoint_lie_behind_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "LARGE", 64)
    path = tmp_path / "x.checkpoint"
    large, small = torch.rand(3, 40, dtype=torch.float64), torch.arange(4.0)
    save_checkpoint(path, {"a": [large, small], "b": {"c": (large.t(), None)}})
    assert path.read_bytes().startswith(checkpoint.MAGIC)
    found = load_checkpoint(path)
    assert torch.equal(found["a"][0], large)
    assert torch.equal(found["a"][1], small)
    assert torch.equal(found["b"]["c"][0], large.t())
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(path)


def test_checkpoint_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint"
    content = {"a": torch.arange(3), "b": [1.5, "x", None], "c": {"d": torch.zeros(2)}}
    save_checkpoint(path, content)
    found = load_checkpoint(path)
    assert torch.equal(found["a"], content["a"])
    assert found["b"] == content["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_damaged_and_foreign_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint"
    with pytest.raises(InputError, match="no checkpoint"):
        load_checkpoint(path)
    save_checkpoint(path, {"a": torch.arange(1000)})
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(path)
    path.write_bytes(b"not one")
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(path)
    torch.save({"format": 999}, path)
    with pytest.raises(InputError, match="not a checkpoint"):
        load_checkpoint(path)


def test_checkpoint_in_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="could not write"):
        save_checkpoint(tmp_path / "no" / "x.checkpoint", {})
